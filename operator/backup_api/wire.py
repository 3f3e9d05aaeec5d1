"""What every object on the wire has in common (spec §2.6)."""

from enum import StrEnum

from pydantic import BaseModel, BeforeValidator, ConfigDict


class WireRecord(BaseModel):
    """An object that a server sends: nulls are fine, unknown members are left aside (spec §2.5)."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


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
