"""Which tainted nodes a mover may run on: its volume's, and those that are named. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
CORDONED: Final[Mapping[str, Any]] = {
    "key": "node.kubernetes.io/unschedulable",
    "operator": "Exists",
    "effect": "NoSchedule",
}
"""A node that takes no new pods: what runs there goes on, and its volumes are backed up."""

_TOLERATION: Final = re.compile(
    r"(?P<key>[A-Za-z0-9]([-A-Za-z0-9_./]{0,251}[A-Za-z0-9])?)"
    r"(=(?P<value>[-A-Za-z0-9_.]{0,63}))?"
    rf"(:(?P<effect>{'|'.join(EFFECTS)}))?",
    re.ASCII,
)


def parse_toleration(text: str) -> Mapping[str, Any]:
    """Read ``KEY[=VALUE][:EFFECT]``, as kubectl has taints; raises ValueError.

    Without a value any is tolerated, without an effect all of them.
    """
    found = _TOLERATION.fullmatch(text)
    if found is None:
        effects = ", ".join(EFFECTS)
        raise ValueError(
            f"expected KEY[=VALUE][:EFFECT] such as dedicated=database:NoSchedule, with an effect"
            f" of {effects}; found {text!r}"
        )
    given = found.groupdict()
    match = {"operator": "Exists"}
    if given["value"] is not None:
        match = {"operator": "Equal", "value": given["value"]}
    effect = {"effect": given["effect"]} if given["effect"] is not None else {}
    return {"key": given["key"], **match, **effect}


def follow_pod(pod: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Build the tolerations of a mover that must run where ``pod`` runs.

    What the pod bears there, it bears as well, and for no longer: a node that fails or is drained
    by a taint loses both.
    """
    return (*(pod["spec"].get("tolerations") or ()), CORDONED)
