"""What a data host is made of: its volumes, and commands in the pods that use them."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator

from backup_operator.resources.engine_access import NAMESPACE_NAME
from backup_operator.resources.label_selector import LabelSelector
from backup_operator.resources.parts import Flag, Integer, ResourcePart
from backup_operator.resources.rules import LIST_TYPE, CelRule, Matches, broken, with_rules

MOST_CLAIMS: Final = 100
MOST_HOOKS: Final = 16
MOST_WORDS: Final = 64
LONGEST_WORD: Final = 8192
LONGEST_HOOK_S: Final = 3600

CLAIM_NAME = Matches(
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    "the name of a PersistentVolumeClaim: small letters, digits, '-' and '.', beginning and ending"
    " with a letter or digit",
)

ONE_CHOICE: Final = "exactly one of claimNames and selector"
CLASS_OF_SNAPSHOTS: Final = "volumeSnapshotClassName with volumeSnapshot IfPossible or Always"


class VolumeSnapshotMode(StrEnum):
    """Whether volumes are read from snapshots that their storage makes."""

    NEVER = "Never"
    IF_POSSIBLE = "IfPossible"
    ALWAYS = "Always"


class VolumeSelection(ResourcePart):
    """PersistentVolumeClaims of one namespace, by name or by label."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule("has(self.claimNames) != has(self.selector)", ONE_CHOICE),
            CelRule(
                "!has(self.volumeSnapshotClassName) || self.volumeSnapshot != 'Never'",
                CLASS_OF_SNAPSHOTS,
                field="volumeSnapshotClassName",
            ),
        )
    )

    namespace: Annotated[str, Field(min_length=1, max_length=63), NAMESPACE_NAME] = Field(
        description="Namespace of the claims."
    )
    claim_names: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=253), CLAIM_NAME], ...],
            Field(min_length=1, max_length=MOST_CLAIMS),
        ]
        | None
    ) = Field(
        default=None,
        description="Names of the PersistentVolumeClaims. Excludes `selector`.",
        json_schema_extra={LIST_TYPE: "set"},
    )
    selector: LabelSelector | None = Field(
        default=None,
        description=(
            "Labels of the PersistentVolumeClaims as the backup begins; an empty selector chooses"
            " all of the namespace. Excludes `claimNames`."
        ),
    )
    tolerate_empty: Flag = Field(
        default=False,
        description=(
            "Whether a volume may be without any file, or not be bound yet; else it fails the"
            " backup."
        ),
    )
    tolerate_unreadable: Flag = Field(
        default=False,
        description="Whether files that cannot be read may be left out; else they fail the backup.",
    )

    volume_snapshot: VolumeSnapshotMode = Field(
        default=VolumeSnapshotMode.NEVER,
        description=(
            "Whether a CSI VolumeSnapshot is made of each volume and read in its place. Never: the"
            " volume itself is read. IfPossible: where a VolumeSnapshotClass belongs to the driver"
            " of the volume. Always: a volume without one fails the backup."
        ),
    )
    volume_snapshot_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None,
        description=(
            "VolumeSnapshotClass of those snapshots; absent: that of the volume's driver, the"
            " default one if it has several."
        ),
    )

    @model_validator(mode="after")
    def _chooses_in_one_way(self) -> Self:
        if (self.claim_names is None) == (self.selector is None):
            raise broken(ONE_CHOICE)
        is_made = self.volume_snapshot is not VolumeSnapshotMode.NEVER
        if self.volume_snapshot_class_name is not None and not is_made:
            raise broken(CLASS_OF_SNAPSHOTS)
        return self


class HookFailurePolicy(StrEnum):
    """What a hook that fails means for the backup."""

    FAIL = "Fail"
    CONTINUE = "Continue"


class Hook(ResourcePart):
    """A command in the pods of an application, as `kubectl exec` runs it."""

    namespace: Annotated[str, Field(min_length=1, max_length=63), NAMESPACE_NAME] = Field(
        description="Namespace of the pods."
    )
    selector: LabelSelector = Field(
        description=(
            "Labels of the pods as the hook begins; it runs in every one of them that is Running,"
            " one after the other by name. An empty selector chooses all of the namespace."
        )
    )
    container: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None,
        description=(
            "Container of the pod; absent: the one that annotation"
            " `kubectl.kubernetes.io/default-container` names, else the first."
        ),
    )
    command: Annotated[
        tuple[Annotated[str, Field(max_length=LONGEST_WORD)], ...],
        Field(min_length=1, max_length=MOST_WORDS),
    ] = Field(
        description=(
            "Program and arguments; no shell is in between, so name one if you need it:"
            ' `["/bin/sh", "-c", "..."]`. Put no secret into it, for whoever may read the'
            " BackupHost sees it."
        ),
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    timeout_seconds: Annotated[Integer, Field(ge=1, le=LONGEST_HOOK_S)] = Field(
        default=30, description="How long the command may run in one pod, in seconds."
    )
    on_error: HookFailurePolicy = Field(
        default=HookFailurePolicy.FAIL,
        description=(
            "What it means if no pod is there, or the command fails or takes too long. Fail: the"
            " backup fails with HookFailed, and before the volumes nothing more is done. Continue:"
            " it is reported, no more."
        ),
    )


HookList = Annotated[tuple[Hook, ...], Field(max_length=MOST_HOOKS)]


class Hooks(ResourcePart):
    """Commands around the reading of a host's volumes."""

    before: HookList = Field(
        default=(),
        description="Run one after the other before any volume is read.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    after: HookList = Field(
        default=(),
        description=(
            "Run one after the other when no volume is read any more, each of them, whatever became"
            " of the backup: also if it failed, was cancelled, ran out of time, or the engine was"
            " killed meanwhile. May run more than once."
        ),
        json_schema_extra={LIST_TYPE: "atomic"},
    )
