"""Which engine a Backup is for (architecture §2.1, §2.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backup_operator.decisions.facts import Trouble
from backup_operator.resources.backup import EngineRef
from backup_operator.resources.backup_status import EngineIdentity
from backup_operator.resources.group import DEFAULT_ENGINE_ANNOTATION

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
