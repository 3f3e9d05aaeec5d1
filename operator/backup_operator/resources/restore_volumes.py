"""The volumes of a Restore: what its spec asks for, and what its status tells of each."""

import re
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator

from backup_operator.resources.engine_access import Namespace
from backup_operator.resources.host_volumes import CLAIM_NAME
from backup_operator.resources.parts import Count, Flag, ResourcePart, Timestamp
from backup_operator.resources.rules import LIST_TYPE, CelRule, Matches, broken, with_rules

MOST_VOLUMES: Final = 50
MOST_PATHS: Final = 50
NEW_CLAIM_ONLY: Final = "size and storageClass only with createClaim, for a claim that is made"

QUANTITY = Matches(
    r"^[1-9][0-9]{0,14}(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    "a whole number of bytes, with or without a unit, such as 10Gi",
)
PATH = Matches(
    r"^[^/\x00][^\x00]*$",
    "a path inside the volume, such as base/16384, without '/' before it or '..' in it",
)

_UNITS: Final[dict[str, int]] = {
    unit + suffix: base ** (power + 1)
    for suffix, base in (("", 1000), ("i", 1024))
    for power, unit in enumerate(("K" if suffix else "k", "M", "G", "T", "P"))
}
_NO_WAY_OUT: Final = re.compile(r"(^|/)\.\.(/|$)")

ClaimName = Annotated[str, Field(min_length=1, max_length=253), CLAIM_NAME]
VolumePath = Annotated[
    str,
    Field(min_length=1, max_length=512),
    PATH,
    CelRule(r"!self.matches('(^|/)\\.\\.(/|$)')", f"must be {PATH.words}"),
]


def parse_quantity(text: str) -> int:
    """Return the bytes of a quantity that keeps to QUANTITY."""
    number = text.rstrip("kKMGTPi")
    return int(number) * _UNITS.get(text[len(number) :], 1)


class RestoredClaim(ResourcePart):
    """One volume to restore, and where to."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule(
                "(has(self.createClaim) && self.createClaim)"
                " || !(has(self.size) || has(self.storageClass))",
                NEW_CLAIM_ONLY,
            )
        )
    )

    namespace: Namespace | None = Field(
        default=None,
        description="Namespace that the volume was backed up from; absent: that of the Restore.",
    )
    claim: ClaimName = Field(description="PersistentVolumeClaim that was backed up.")
    target_namespace: Namespace | None = Field(
        default=None,
        description="Namespace to restore into; absent: the one it was backed up from.",
    )
    target_claim: ClaimName | None = Field(
        default=None,
        description="PersistentVolumeClaim to restore into; absent: the one that was backed up.",
    )
    create_claim: Flag = Field(
        default=False,
        description=(
            "True: the claim is made, and must not be there. False: it must be there, and be empty"
            " unless `paths` are chosen."
        ),
    )
    size: Annotated[str, Field(max_length=18), QUANTITY] | None = Field(
        default=None,
        description=(
            "Size of a claim that is made, such as `10Gi`; absent: that of the claim that was"
            " backed up, if it is still there."
        ),
    )
    storage_class: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None,
        description="Class of a claim that is made; absent: as its size.",
    )
    paths: Annotated[tuple[VolumePath, ...], Field(max_length=MOST_PATHS)] = Field(
        default=(),
        description=(
            "Restore only these files and directories, into a volume that need not be empty: what"
            " has their names is overwritten, the rest is left alone. Absent: everything."
        ),
        json_schema_extra={LIST_TYPE: "atomic"},
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not self.create_claim and (self.size is not None or self.storage_class is not None):
            raise broken(NEW_CLAIM_ONLY)
        if any(_NO_WAY_OUT.search(path) for path in self.paths):
            raise broken(PATH.words)
        return self


RestoredClaims = Annotated[tuple[RestoredClaim, ...], Field(max_length=MOST_VOLUMES)]


class VolumeAction(StrEnum):
    """What is done about the claim that a volume is restored into."""

    CREATE_CLAIM = "CreateClaim"
    FILL_CLAIM = "FillClaim"
    WRITE_PATHS = "WritePaths"


class VolumePhase(StrEnum):
    """How far one volume is."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ToldVolume(ResourcePart):
    """One volume of a plan, or of a restore that runs or has ended."""

    namespace: str = Field(description="Namespace that it was backed up from.")
    claim: str = Field(description="PersistentVolumeClaim that was backed up.")
    target_namespace: str = Field(description="Namespace that it is restored into.")
    target_claim: str = Field(description="PersistentVolumeClaim that it is restored into.")
    action: VolumeAction | None = Field(
        default=None,
        description=(
            "What is done: CreateClaim makes the claim, FillClaim writes to an empty one,"
            " WritePaths overwrites single files and directories."
        ),
    )
    phase: VolumePhase | None = Field(
        default=None, description="How far it is; absent: only planned."
    )
    bytes_total: Count | None = Field(
        default=None, description="Size of all files in the backup; absent: not known."
    )
    files_total: Count | None = Field(
        default=None, description="Number of files in the backup; absent: not known."
    )
    bytes_done: Count | None = Field(
        default=None, description="Bytes written; rounded until the volume is done with."
    )
    files_done: Count | None = Field(default=None, description="Files written.")
    reason: str | None = Field(
        default=None, description="A stable CamelCase word for what is amiss; absent: nothing is."
    )
    message: str | None = Field(default=None, description="What is amiss, in a sentence.")


ToldVolumes = Annotated[tuple[ToldVolume, ...], Field(max_length=MOST_VOLUMES)]


class VolumeSource(ResourcePart):
    """The backup that volumes are restored from, as the plan found it."""

    id: Count = Field(description="Id of the backup.")
    name: str | None = Field(default=None, description="Name of the backup.")
    hostname: str | None = Field(default=None, description="Data host that it is of.")
    time_initiated: Timestamp | None = Field(
        default=None, description="When the backup began: its files are as they were from then on."
    )
