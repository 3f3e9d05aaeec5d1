"""What every object on the wire has in common (spec §2.6)."""

from enum import StrEnum

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


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


def known_word(enumeration: type[StrEnum]) -> BeforeValidator:
    """Read a word that ``enumeration`` lacks as None, "not known".

    A newer server may have states of which this client has never heard; one of them must not make
    a whole list unreadable.
    """

    def read(value: object) -> object:
        return value if value in set(enumeration) else None

    return BeforeValidator(read)
