"""What every object on the wire has in common (spec §2.6)."""

from pydantic import BaseModel, ConfigDict


class WireRecord(BaseModel):
    """An object that a server sends: nulls are fine, unknown members are left aside (spec §2.5)."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class WireRequest(BaseModel):
    """A body that a client sends.

    Types are strict, for the server converts nothing: ``"1"`` is not a Long (spec §14 no. 14).
    Unknown and read-only members are ignored in silence (spec §2.5).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
