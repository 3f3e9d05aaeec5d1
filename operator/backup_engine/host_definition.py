"""What a host of this engine is made of, as its BackupHost says; stored as JSON, compared whole."""

from enum import StrEnum
from typing import Any, Final

import msgspec

CONSOLE_UID: Final = "console"
"""Stands for the console host, which exists whether or not a BackupHost describes it."""

LabelChoice = dict[str, Any]
"""``matchLabels`` and ``matchExpressions`` as the Kubernetes API has them."""


class HostType(StrEnum):
    """What a host is made of: API objects, or volumes."""

    CONSOLE = "Console"
    DATA = "Data"


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A part of a BackupHost's spec; what a newer version may have stored beside it is ignored."""


class NamespaceScope(_Part, frozen=True):
    """Namespaces by glob and label; empty: all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selector: LabelChoice | None = None


class KindScope(_Part, frozen=True):
    """Kinds by the globs of ``capture/scope.py``; empty: all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    default_excludes: bool = True


class HostScope(_Part, frozen=True):
    """Which API objects belong to the console host."""

    namespaces: NamespaceScope = NamespaceScope()
    kinds: KindScope = KindScope()
    label_selector: LabelChoice | None = None
    include_cluster_scoped: bool | None = None


class HostPolicy(_Part, frozen=True):
    """Globs of the kinds that may be missing from a backup that succeeds."""

    tolerate_forbidden: tuple[str, ...] = ()
    tolerate_unavailable: tuple[str, ...] = ()
    tolerate_failed: tuple[str, ...] = ()


class VolumeSnapshotMode(StrEnum):
    """Whether volumes are read from snapshots that their storage makes (CSI)."""

    NEVER = "Never"
    IF_POSSIBLE = "IfPossible"
    ALWAYS = "Always"


class VolumeSelection(_Part, frozen=True):
    """PersistentVolumeClaims of one namespace: by name, or by label where ``claim_names`` is None.

    An empty ``selector`` chooses all of the namespace. What is tolerated fails no backup.
    ``volume_snapshot_class_name`` None: the class of the volume's driver.
    """

    namespace: str
    claim_names: tuple[str, ...] | None = None
    selector: LabelChoice | None = None
    tolerate_empty: bool = False
    tolerate_unreadable: bool = False
    volume_snapshot: VolumeSnapshotMode = VolumeSnapshotMode.NEVER
    volume_snapshot_class_name: str | None = None


class HookFailurePolicy(StrEnum):
    """What a hook that fails means for the backup."""

    FAIL = "Fail"
    CONTINUE = "Continue"


class HookDefinition(_Part, frozen=True):
    """A command in each running pod that ``selector`` chooses; no shell is in between.

    ``container`` None: the pod's default one.
    """

    namespace: str
    command: tuple[str, ...]
    selector: LabelChoice | None = None
    container: str | None = None
    timeout_seconds: int = 30
    on_error: HookFailurePolicy = HookFailurePolicy.FAIL


class HostHooks(_Part, frozen=True):
    """What is run before the volumes of a host are read, and after, in this order."""

    before: tuple[HookDefinition, ...] = ()
    after: tuple[HookDefinition, ...] = ()


class HostDefinition(_Part, frozen=True):
    """All of a BackupHost that decides what a backup holds; two equal ones need no deploy."""

    type: HostType
    scope: HostScope = HostScope()
    success_policy: HostPolicy = HostPolicy()
    volumes: tuple[VolumeSelection, ...] = ()
    hooks: HostHooks = HostHooks()


class HostSource(_Part, frozen=True):
    """The BackupHost, and the generation of it, that a definition was read from."""

    uid: str
    name: str
    generation: int


class HostVersion(_Part, frozen=True):
    """A definition and where it comes from; None as source: the engine's own default."""

    definition: HostDefinition
    source: HostSource | None = None


DEFAULT_CONSOLE: Final = HostVersion(HostDefinition(HostType.CONSOLE))
"""The console of an engine without a BackupHost for it: every object that is worth keeping."""
