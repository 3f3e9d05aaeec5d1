"""Which engine a Backup is for (architecture §2.1, §2.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backup_operator.decisions.facts import Trouble
from backup_operator.resources.backup import EngineRef
from backup_operator.resources.backup_status import EngineIdentity
from backup_operator.resources.engine import BackupEngineResource
from backup_operator.resources.group import DEFAULT_ENGINE_ANNOTATION
from backup_operator.resources.restore_volumes import RestoredClaim

NAMES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A BackupEngine as far as the choice goes."""

    name: str
    uid: str
    is_default: bool


def choose_engine(
    engine_ref: EngineRef | None, pinned: EngineIdentity | None, engines: Sequence[Candidate]
) -> Candidate | Trouble:
    """Choose the engine of a Backup; ``pinned`` is the one that it was submitted to, if it was.

    A Backup never moves: once submitted, another engine of the same name is as good as none.
    """
    if pinned is not None:
        return _find_pinned(pinned, engines)
    if engine_ref is not None:
        name = engine_ref.name
        named = next((engine for engine in engines if engine.name == name), None)
        return named or Trouble(
            "EngineNotFound", f"There is no BackupEngine {name}; create it.", needs_people=True
        )
    defaults = [engine for engine in engines if engine.is_default]
    if len(defaults) == 1:
        return defaults[0]
    if not defaults:
        return Trouble(
            "NoDefaultEngine",
            "The spec has no engineRef, and no BackupEngine is annotated"
            f' {DEFAULT_ENGINE_ANNOTATION}="true"; annotate one.',
            needs_people=True,
        )
    names = ", ".join(sorted(engine.name for engine in defaults)[:NAMES_SHOWN])
    return Trouble(
        "SeveralDefaultEngines",
        f"The spec has no engineRef, and {len(defaults)} BackupEngines are annotated"
        f' {DEFAULT_ENGINE_ANNOTATION}="true": {names}; leave the annotation on one.',
        needs_people=True,
    )


def _find_pinned(pinned: EngineIdentity, engines: Sequence[Candidate]) -> Candidate | Trouble:
    namesake = next((engine for engine in engines if engine.name == pinned.name), None)
    if namesake is None:
        return Trouble(
            "EngineNotFound",
            f"The backup was requested from BackupEngine {pinned.name}, which no longer exists;"
            " what became of it cannot be asked.",
            needs_people=True,
        )
    if pinned.uid is not None and namesake.uid != pinned.uid:
        return Trouble(
            "EngineReplaced",
            f"The backup was requested from another BackupEngine of the name {pinned.name}"
            f" (uid {pinned.uid}, now {namesake.uid}); it is not looked for at the new one.",
            needs_people=True,
        )
    return namesake


def namespace_trouble(engine: str, namespace: str) -> Trouble:
    """Build the trouble of a namespace that an engine does not serve, which may change."""
    return Trouble(
        "NamespaceNotAllowed",
        f"BackupEngine {engine} does not serve namespace {namespace}; add it to"
        " spec.allowedNamespaces of the engine, or choose another engine.",
        needs_people=True,
    )


def restore_trouble(
    resource: BackupEngineResource,
    namespace: str,
    labels: Mapping[str, str],
    volumes: Sequence[RestoredClaim] = (),
) -> Trouble | None:
    """Tell why a Restore of ``namespace`` may not use an engine; None: it may (ADR 11, 13)."""
    if resource.allows_restores(namespace, labels):
        return None
    name = resource.metadata.name
    if not volumes or not resource.allows_volume_restores(namespace, labels):
        own = " or, for its own volumes, in spec.volumeRestoreNamespaces" if volumes else ""
        return Trouble(
            "RestoreNotAllowed",
            f"BackupEngine {name} takes no Restores of namespace {namespace}; whoever administers"
            f" it can name the namespace in spec.restoreNamespaces{own}.",
            needs_people=True,
        )
    foreign = {each.namespace or namespace for each in volumes}
    foreign |= {each.target_namespace for each in volumes if each.target_namespace is not None}
    foreign -= {namespace}
    if not foreign:
        return None
    return Trouble(
        "ForeignNamespace",
        f"spec.volumes: BackupEngine {name} lets namespace {namespace} restore its own volumes into"
        f" itself, by spec.volumeRestoreNamespaces; this Restore also names {min(foreign)}.",
        needs_people=True,
    )
