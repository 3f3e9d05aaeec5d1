"""Label selectors: the text form of kubectl and the structured form of the API. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

_SET: Final = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s+\((?P<values>[^()]*)\)$")
_EQUAL: Final = re.compile(r"^(?P<key>[^\s=!]+)\s*(?P<operator>==|!=|=)\s*(?P<value>[^\s=!]*)$")
_KEY: Final = re.compile(r"^(?P<not>!?)(?P<key>[^\s=!(),]+)$")
_COMMA: Final = re.compile(r",(?![^(]*\))")


class Operator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The requirement as ``labelSelector`` takes it."""
        values = f"({','.join(sorted(self.values))})"
        match self.operator:
            case Operator.IN:
                return f"{self.key} in {values}"
            case Operator.NOT_IN:
                return f"{self.key} notin {values}"
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Tell whether ``labels`` fulfil it; a missing label fulfils NotIn, as in Kubernetes."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return self.key not in labels or labels[self.key] not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements have to be met; none: everything matches."""

    requirements: tuple[Requirement, ...] = ()

    @property
    def text(self) -> str:
        """The selector as ``labelSelector`` of a LIST takes it; empty: everything matches."""
        return ",".join(requirement.text for requirement in self.requirements)

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Tell whether an object with these labels is selected."""
        return all(requirement.is_met_by(labels or {}) for requirement in self.requirements)


def parse_label_selector(text: str) -> LabelSelector:
    """Read ``app=web,tier!=test,zone in (a,b),!beta``; raises ValueError naming the part."""
    parts = [part.strip() for part in _COMMA.split(text) if part.strip()]
    if not parts:
        raise ValueError(f"label selector {text!r} is empty: expected such as app=web,!beta")
    return LabelSelector(tuple(_parse_requirement(part) for part in parts))


def build_label_selector(structured: Mapping[str, Any] | None) -> LabelSelector:
    """Build a selector from ``matchLabels`` and ``matchExpressions`` of an API object."""
    structured = structured or {}
    equal = [
        Requirement(key, Operator.IN, frozenset({value}))
        for key, value in (structured.get("matchLabels") or {}).items()
    ]
    others = [
        Requirement(
            expression["key"],
            Operator(expression["operator"]),
            frozenset(expression.get("values") or ()),
        )
        for expression in structured.get("matchExpressions") or ()
    ]
    return LabelSelector((*equal, *others))


def _parse_requirement(part: str) -> Requirement:
    if found := _SET.match(part):
        values = frozenset(value.strip() for value in found["values"].split(","))
        operator = Operator.IN if found["operator"] == "in" else Operator.NOT_IN
        return Requirement(found["key"], operator, values)
    if found := _EQUAL.match(part):
        operator = Operator.NOT_IN if found["operator"] == "!=" else Operator.IN
        return Requirement(found["key"], operator, frozenset({found["value"]}))
    if found := _KEY.match(part):
        return Requirement(
            found["key"], Operator.DOES_NOT_EXIST if found["not"] else Operator.EXISTS
        )
    raise ValueError(
        f"label selector: {part!r} is none of key=value, key!=value, key in (a,b), key, !key"
    )
