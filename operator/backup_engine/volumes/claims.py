"""What PersistentVolumeClaims and the pods that use them tell. Pure."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from backup_api.extensions.volume_targets import TargetState
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.mover_job import Placement
from backup_engine.volumes.targets import TargetSeen, TargetWish, size_missing
from backup_engine.volumes.tolerations import follow_pod
from backup_engine.volumes.volume import ChosenVolume, Volume, VolumePolicy

SINGLE_POD: Final = "ReadWriteOncePod"
SINGLE_NODE: Final = "ReadWriteOnce"

_ENDED: Final = frozenset({"Succeeded", "Failed"})
_QUANTITY: Final = re.compile(
    r"(?P<number>\d+(\.\d*)?|\.\d+)(?P<unit>[KMGTPE]i|[kMGTPE]|[eE][-+]?\d{1,2}|)", re.ASCII
)
_UNITS: Final = {"": 1} | {
    name: base ** (power + 1)
    for base, names in (
        (1000, ("k", "M", "G", "T", "P", "E")),
        (1024, ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")),
    )
    for power, name in enumerate(names)
}


def build_chosen(claim: Mapping[str, Any], policy: VolumePolicy) -> ChosenVolume:
    """Build what a backup takes of a claim; one that is not bound has nothing to read.

    A claim that waits for its first consumer has never been written to, and a mover must not be
    that consumer: it would have a volume made, and on a node of its own choice.
    """
    metadata = claim["metadata"]
    volume = Volume(metadata["namespace"], metadata["name"])
    phase = (claim.get("status") or {}).get("phase", "Pending")
    trouble = None if phase == "Bound" else f"{volume}: the claim is {phase}, not Bound"
    return ChosenVolume(volume, policy, trouble)


def choose_placement(
    volume: Volume, claim: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]
) -> Placement:
    """Choose where a mover runs; raises VolumeError if the claim can be had nowhere now."""
    modes = (claim.get("spec") or {}).get("accessModes") or []
    using = [pod for pod in pods if _uses(pod, volume.claim)]
    if using and SINGLE_POD in modes:
        raise _in_use(volume, using[0])
    placed = next((pod for pod in using if pod["spec"].get("nodeName")), None)
    if placed is None or SINGLE_NODE not in modes:
        return Placement()
    return Placement(placed["spec"]["nodeName"], follow_pod(placed))


def see_claim(
    volume: Volume, claim: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]
) -> TargetSeen:
    """See a claim that is to be restored into; raises VolumeError if no mover could have it."""
    using = [pod for pod in pods if _uses(pod, volume.claim)]
    if using and SINGLE_POD in ((claim.get("spec") or {}).get("accessModes") or []):
        raise _in_use(volume, using[0])
    capacity = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    return TargetSeen(
        TargetState.PRESENT,
        used_by=tuple(sorted(pod["metadata"]["name"] for pod in using)),
        capacity_bytes=parse_quantity(capacity) if capacity else None,
        storage_class=(claim.get("spec") or {}).get("storageClassName"),
    )


def see_new_claim(
    wish: TargetWish, found: Mapping[str, Any] | None, source: Mapping[str, Any] | None
) -> TargetSeen:
    """See a claim that is to be made, and what it would be; raises VolumeError."""
    if found is not None:
        return TargetSeen(TargetState.PRESENT)
    spec = (source or {}).get("spec") or {}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    size_bytes = wish.size_bytes
    if size_bytes is None:
        if not asked:
            raise size_missing(wish.target, wish.source)
        size_bytes = parse_quantity(asked)
    storage_class = wish.storage_class or spec.get("storageClassName")
    return TargetSeen(TargetState.ABSENT, capacity_bytes=size_bytes, storage_class=storage_class)


def parse_quantity(text: str) -> int | None:
    """Return a Kubernetes quantity of bytes, rounded down; None: it is none."""
    if (found := _QUANTITY.fullmatch(text)) is None:
        return None
    number = Decimal(found["number"])
    unit = found["unit"]
    if unit.startswith(("e", "E")) and len(unit) > 1:
        return int(number.scaleb(int(unit[1:])))
    return int(number * _UNITS[unit])


def _in_use(volume: Volume, pod: Mapping[str, Any]) -> VolumeError:
    return VolumeError(
        "ClaimInUse",
        f"{volume}: pod {pod['metadata']['name']} has the claim, and {SINGLE_POD} lets no second"
        " pod have it",
    )


def _uses(pod: Mapping[str, Any], claim: str) -> bool:
    if (pod.get("status") or {}).get("phase") in _ENDED:
        return False
    return any(
        (each.get("persistentVolumeClaim") or {}).get("claimName") == claim
        for each in pod["spec"].get("volumes") or ()
    )
