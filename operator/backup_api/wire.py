"""What every object on the wire has in common (spec §2.6)."""

from enum import StrEnum
from typing import Final, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, model_validator

JsonDict: TypeAlias = dict[str, JsonValue]
"""A piece of JSON Schema that says more than the type, for readers; the model checks none of it."""


class WireRecord(BaseModel):
    """An object that a server sends: unknown members are left aside (spec §2.5).

    A null member counts as absent, for a server may send null anywhere (spec §13 no. 2).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        if not isinstance(value, dict) or None not in value.values():
            return value
        return {name: member for name, member in value.items() if member is not None}


class WireRequest(BaseModel):
    """A body that a client sends.

    Types are strict, for the server converts nothing: ``"1"`` is not a Long (spec §14 no. 14).
    Unknown and read-only members are ignored in silence (spec §2.5).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


EXACT: Final = ConfigDict(json_schema_extra={"additionalProperties": False})
"""Of the extensions' requests, whose unknown members the engine refuses, as their schema has it."""


def requiring(*names: str) -> ConfigDict:
    """Build the configuration of a request that lacks nothing of ``names``, as its schema has it.

    The model itself takes a body without them, for their absence has codes of its own.
    """
    return ConfigDict(json_schema_extra={"required": list(names)})


def known_word(enumeration: type[StrEnum]) -> BeforeValidator:
    """Read a word that ``enumeration`` lacks as None, "not known".

    A newer server may have states of which this client has never heard; one of them must not make
    a whole list unreadable.
    """
    known = frozenset(enumeration)

    def read(value: object) -> object:
        return value if value in known else None

    return BeforeValidator(read)
