"""What somebody asks of a restore, and how patient it is. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from backup_engine.capture.asking import RetryPolicy
from backup_engine.restore.identity import KindKey
from backup_engine.restore.mapping import NamespaceMapping
from backup_engine.restore.planning import Existing
from backup_engine.restore.selection import ObjectRule, Selection

IN_FLIGHT: Final = 32
ESTABLISHED_WITHIN_S: Final = 60.0
GONE_WITHIN_S: Final = 120.0
READY_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What to restore, where to, and over what.

    ``status_kinds``: kinds or resources whose status is restored as well, in any spelling that
    include takes. Controllers write status themselves, so by default none is.
    """

    selection: Selection = field(default_factory=Selection)
    namespace_mapping: NamespaceMapping = field(default_factory=dict)
    existing: Existing = Existing.KEEP
    status_kinds: frozenset[str] = frozenset()

    def has_status(self, kind: KindKey, singular: str) -> bool:
        """Tell whether the status of ``kind`` is restored."""
        return any(
            ObjectRule(kind=name).matches_place(kind, singular, None, "")
            for name in self.status_kinds
        )

    def build_digest(self, archive_digest: str) -> bytes:
        """Return a digest of these options for one archive; part of a plan's digest."""
        selection = self.selection
        told = [
            archive_digest,
            sorted(selection.groups),
            sorted(_describe(selection.include)),
            sorted(_describe(selection.exclude)),
            sorted(self.namespace_mapping.items()),
            self.existing,
            sorted(self.status_kinds),
        ]
        return hashlib.sha256(msgspec.json.encode(told)).digest()


@dataclass(frozen=True, slots=True)
class RestoreLimits:
    """How many writes at once, and how long to wait for what; times in seconds."""

    in_flight: int = IN_FLIGHT
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    established_within_s: float = ESTABLISHED_WITHIN_S  # a definition's kind is served
    gone_within_s: float = GONE_WITHIN_S  # a deleted object, or namespace, is gone
    ready_within_s: float = READY_WITHIN_S  # what controllers add to a new namespace is there


def _describe(rules: Iterable[ObjectRule]) -> list[str]:
    return [repr((rule.namespace, rule.kind, rule.name, _describe_label(rule))) for rule in rules]


def _describe_label(rule: ObjectRule) -> list[tuple[str, str, list[str]]] | None:
    if rule.label is None:
        return None
    return sorted(
        (requirement.key, requirement.operator.value, sorted(requirement.values))
        for requirement in rule.label.requirements
    )
