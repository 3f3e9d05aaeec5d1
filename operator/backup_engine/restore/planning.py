"""What a restore would do to one object, and the plan made of all of that. Pure."""

import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from backup_engine.restore.cleaning import without_owner_uids
from backup_engine.restore.difference import FieldChange, list_changes
from backup_engine.restore.groups import CORE
from backup_engine.restore.identity import KindKey, KubeObject, ObjectKey
from backup_engine.restore.order import DEFINITIONS, NAMESPACES

KEPT: Final = "ExistsAndKept"
REFUSED: Final = "Refused"

NEVER_RECREATED: Final[frozenset[KindKey]] = frozenset(
    {DEFINITIONS, NAMESPACES, (CORE, "persistentvolumes"), (CORE, "persistentvolumeclaims")}
)
"""Kinds whose deletion takes other objects, or stored bytes, along: updated instead."""


class Action(StrEnum):
    """What becomes of one object of the archive."""

    CREATE = "create"
    UPDATE = "update"
    RECREATE = "recreate"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    SKIPPED = "skipped"


CHANGING: Final = frozenset({Action.CREATE, Action.UPDATE, Action.RECREATE})
"""Actions that write to the cluster."""


class Existing(StrEnum):
    """What to do with an object that exists and differs (architecture §2.5)."""

    KEEP = "Keep"
    UPDATE = "Update"
    RECREATE = "Recreate"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision about one object; ``reason`` is a CamelCase word, empty where none is needed."""

    action: Action
    reason: str = ""
    message: str = ""
    changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One line of a plan: the object under the name it would have in the cluster."""

    key: ObjectKey
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan, its items apart.

    ``digest`` is the same whenever archive, options and all differences are the same, in whatever
    order they were found. ``kinds`` counts by action and kind.
    """

    digest: str
    counts: dict[Action, int]
    kinds: dict[tuple[Action, str, str], int]  # action, apiVersion, kind
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> int:
        """How many objects would be written."""
        return sum(self.counts[action] for action in CHANGING)


def decide(
    wanted: KubeObject,
    live: KubeObject | None,
    kind: KindKey,
    existing: Existing,
    *,
    is_generated: bool = False,
) -> Verdict:
    """Choose what becomes of ``wanted``; both are cleaned, None: it does not exist. Total.

    Update asks that the live object has every field of the archive; what was added to it since
    stays. Recreate asks for the archive's fields and no others. ``is_generated``: the live object
    was made by the control plane and nobody has touched it, so Keep has nothing to protect.
    """
    if live is None:
        return Verdict(Action.CREATE)
    if is_generated and existing is Existing.KEEP:
        existing = Existing.UPDATE
    wanted, live = without_owner_uids(wanted), without_owner_uids(live)
    is_recreated = existing is Existing.RECREATE and kind not in NEVER_RECREATED
    changes = list_changes(live, wanted, kind, is_exact=is_recreated)
    if not changes:
        return Verdict(Action.UNCHANGED)
    if existing is Existing.KEEP:
        message = "exists with other content, which is kept"
        return Verdict(Action.CONFLICT, KEPT, message, changes)
    return Verdict(Action.RECREATE if is_recreated else Action.UPDATE, changes=changes)


def judge_rehearsal(
    verdict: Verdict, live: KubeObject, result: KubeObject, kind: KindKey
) -> Verdict:
    """Sharpen an update by what the server says would come of it; both objects are cleaned.

    The server merges lists by their keys and fills in defaults, so only it knows all changes.
    """
    live, result = without_owner_uids(live), without_owner_uids(result)
    changes = list_changes(live, result, kind, is_exact=True)
    if not changes:
        return Verdict(Action.UNCHANGED)
    return Verdict(verdict.action, verdict.reason, verdict.message, changes)


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def build_content_digest(cleaned: KubeObject) -> bytes:
    """Return the digest of a cleaned object, uids of owners apart; 16 bytes."""
    encoded = _ENCODER.encode(without_owner_uids(cleaned))
    return hashlib.blake2b(encoded, digest_size=16).digest()


@dataclass(slots=True)
class PlanLedger:
    """Collects the items of a plan; about 70 bytes each are kept.

    ``secret`` keys the digests, so that a plan's digest tells nothing of what it was made of.
    """

    secret: bytes
    request: bytes
    counts: Counter[Action] = field(default_factory=Counter)
    kinds: Counter[tuple[Action, str, str]] = field(default_factory=Counter)
    _digests: list[bytes] = field(default_factory=list)

    def add(self, item: PlanItem, wanted: bytes = b"", live: bytes = b"") -> None:
        """Count an item; ``wanted`` and ``live`` are the digests of both sides' content."""
        key, verdict = item.key, item.verdict
        self.counts[verdict.action] += 1
        self.kinds[verdict.action, key.api_version, key.kind] += 1
        is_write = verdict.action in CHANGING or verdict.action is Action.CONFLICT
        line = _ENCODER.encode(
            [
                key.api_version,
                key.kind,
                key.namespace,
                key.name,
                verdict.action,
                verdict.reason,
                (wanted + live).hex() if is_write else "",
            ]
        )
        self._digests.append(hmac.digest(self.secret, line, "sha256"))

    def finish(self, warnings: tuple[str, ...] = ()) -> Plan:
        """Sum up."""
        whole = hmac.new(self.secret, self.request, "sha256")
        for digest in sorted(self._digests):
            whole.update(digest)
        return Plan(
            digest=f"sha256:{whole.hexdigest()}",
            counts={action: self.counts[action] for action in Action},
            kinds=dict(self.kinds),
            warnings=warnings,
        )
