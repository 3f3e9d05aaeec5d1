"""Which BackupHosts belong to this engine, and what each says. Pure (architecture §2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.host_definition import (
    CONSOLE_UID,
    HostDefinition,
    HostHooks,
    HostPolicy,
    HostScope,
    HostSource,
    HostType,
    HostVersion,
    VolumeSelection,
)
from backup_engine.product import CONSOLE_NAME
from backup_engine.selectors import build_label_selector

GROUP_PATH: Final = "/apis/backup-operator.io/v1"
HOSTS_PATH: Final = f"{GROUP_PATH}/backuphosts"
ENGINES_PATH: Final = f"{GROUP_PATH}/backupengines"
DEFAULT_ENGINE: Final = "backup-operator.io/is-default-engine"
"""Annotation of the BackupEngine that objects without an ``engineRef`` belong to."""


@dataclass(frozen=True, slots=True)
class WantedHost:
    """A host as the cluster wants it; the console has the uid CONSOLE_UID."""

    uid: str
    name: str
    version: HostVersion


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at the cluster found.

    ``unreadable`` maps the uid of an object that breaks a rule to what is wrong with it: nothing is
    known of it, so its host stays as it is. ``ignored`` maps names to why they are not used.
    """

    wanted: tuple[WantedHost, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    annotations: dict[str, str] | None = None


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class CustomObject(msgspec.Struct):
    """A custom resource whose spec is not decoded yet."""

    metadata: _Metadata
    spec: msgspec.Raw = msgspec.Raw(b"{}")


class ObjectList(msgspec.Struct):
    """One page of a LIST."""

    metadata: _ListMetadata = msgspec.field(default_factory=_ListMetadata)
    items: list[CustomObject] | None = None


class _EngineRef(msgspec.Struct):
    name: str


class _Spec(msgspec.Struct, rename="camel"):
    type: HostType
    engine_ref: _EngineRef | None = None
    scope: HostScope | None = None
    success_policy: HostPolicy | None = None
    volumes: tuple[VolumeSelection, ...] = ()
    hooks: HostHooks | None = None


def read_seen(
    hosts: Iterable[CustomObject], engines: Sequence[CustomObject], engine_name: str
) -> Seen:
    """Read all BackupHosts and choose those of the engine that BackupEngine ``engine_name`` is."""
    is_default = owns_unnamed(engines, engine_name)
    wanted: list[WantedHost] = []
    unreadable: list[tuple[str, str]] = []
    ignored: list[tuple[str, str]] = []
    consoles: list[tuple[str, str, WantedHost]] = []
    for each in hosts:
        metadata = each.metadata
        if metadata.deletion_timestamp is not None:
            continue
        try:
            spec = msgspec.json.decode(each.spec, type=_Spec)
            definition = _build_definition(spec)
        except (msgspec.ValidationError, ValueError, KeyError, TypeError) as trouble:
            unreadable.append((metadata.uid, f"BackupHost {metadata.name}: spec: {trouble}"))
            continue
        is_ours = spec.engine_ref.name == engine_name if spec.engine_ref else is_default
        if not is_ours:
            continue
        source = HostSource(metadata.uid, metadata.name, metadata.generation)
        version = HostVersion(definition, source)
        if spec.type is HostType.CONSOLE:
            console = WantedHost(CONSOLE_UID, CONSOLE_NAME, version)
            consoles.append((metadata.creation_timestamp, metadata.name, console))
        elif metadata.name == CONSOLE_NAME:
            ignored.append((metadata.name, "the name is kept for the console host"))
        else:
            wanted.append(WantedHost(metadata.uid, metadata.name, version))
    consoles.sort(key=lambda each: each[:2])
    for _, name, _ in consoles[1:]:
        ignored.append((name, f"BackupHost {consoles[0][1]} is the console, as the oldest"))
    wanted += [console for _, _, console in consoles[:1]]
    return Seen(tuple(wanted), tuple(unreadable), tuple(ignored))


def owns_unnamed(engines: Sequence[CustomObject], engine_name: str) -> bool:
    """Tell whether hosts without an ``engineRef`` belong to this engine.

    They do if it is the one default engine, or if there is no BackupEngine at all: then no operator
    is at work, and nobody else could take them.
    """
    names = [
        engine.metadata.name
        for engine in engines
        if (engine.metadata.annotations or {}).get(DEFAULT_ENGINE) == "true"
    ]
    return names == [engine_name] if engines else True


def _build_definition(spec: _Spec) -> HostDefinition:
    """Build what counts; raises ValueError, KeyError or TypeError if a selector is malformed."""
    if (spec.type is HostType.DATA) != bool(spec.volumes):
        raise ValueError("volumes belong to type Data, which needs them")
    scope, hooks = spec.scope or HostScope(), spec.hooks or HostHooks()
    for selector in (
        scope.label_selector,
        scope.namespaces.selector,
        *(each.selector for each in spec.volumes),
        *(each.selector for each in (*hooks.before, *hooks.after)),
    ):
        build_label_selector(selector)
    return HostDefinition(
        spec.type, scope, spec.success_policy or HostPolicy(), tuple(spec.volumes), hooks
    )
