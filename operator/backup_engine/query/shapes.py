"""Which members an object on the wire has, and of what type; read off the contract's models."""

import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, unique
from typing import Any, TypeAlias

from pydantic import AliasChoices, BaseModel


@unique
class PlainType(Enum):
    """Type of a member that is one value (spec §2.6)."""

    INTEGER = "integer"
    TEXT = "text"
    BOOLEAN = "boolean"
    CHOICE = "enumeration"


@dataclass(frozen=True, slots=True)
class Plain:
    """One value; ``choices`` are the words of an enumeration."""

    type: PlainType
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)  # by identity, so that it can be a key
class Members:
    """An object; ``aliases`` are further spellings of its members."""

    shapes: Mapping[str, "Shape"]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def find_name(self, name: str) -> str | None:
        """The member's own name for ``name``, case-sensitive; None if there is no such member."""
        name = self.aliases.get(name, name)
        return name if name in self.shapes else None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of ``element``."""

    element: "Shape"


JsonValue: TypeAlias = Any
"""Whatever JSON can hold."""

Shape: TypeAlias = Plain | Members | Listing


def build_members(model: type[BaseModel], without: Collection[str] = ()) -> Members:
    """Build the shape of ``model``, the members ``without`` left out; raises TypeError."""
    fields = {name: info for name, info in model.model_fields.items() if name not in without}
    aliases = {
        str(choice): name
        for name, info in fields.items()
        if isinstance(info.validation_alias, AliasChoices)
        for choice in info.validation_alias.choices
        if choice != name
    }
    shapes = {name: _build_shape(info.annotation) for name, info in fields.items()}
    return Members(shapes, aliases)


def _build_shape(annotation: object) -> Shape:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {types.UnionType, typing.Union}:
        (only,) = (option for option in arguments if option is not types.NoneType)
        return _build_shape(only)
    if origin is tuple:
        return Listing(_build_shape(arguments[0]))
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return build_members(annotation)
        if issubclass(annotation, StrEnum):
            return Plain(PlainType.CHOICE, frozenset(choice.value for choice in annotation))
        for kind, shape in _PLAIN.items():
            if annotation is kind:
                return shape
    raise TypeError(f"no wire type for {annotation!r}")


_PLAIN: Mapping[type, Plain] = {
    int: Plain(PlainType.INTEGER),
    str: Plain(PlainType.TEXT),
    bool: Plain(PlainType.BOOLEAN),
}
