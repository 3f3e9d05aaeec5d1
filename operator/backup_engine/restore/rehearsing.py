"""The step that changes nothing: it plans, and lets the server rehearse what would be updated."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from backup_engine.restore.cleaning import clean
from backup_engine.restore.errors import WriteRefusedError
from backup_engine.restore.identity import split_api_version
from backup_engine.restore.live import LiveCluster, describe
from backup_engine.restore.order import DEFINITIONS
from backup_engine.restore.planning import (
    CHANGING,
    REFUSED,
    Action,
    Existing,
    PlanItem,
    PlanLedger,
    Verdict,
    build_content_digest,
    decide,
    judge_rehearsal,
)
from backup_engine.restore.sending import (
    CONFLICT,
    FORBIDDEN,
    OK,
    UNPROCESSABLE,
    build_object_path,
    send,
)
from backup_engine.restore.serving import ServedKinds
from backup_engine.restore.skipping import is_generated
from backup_engine.restore.walking import Subject
from backup_engine.restore.webhooks import WritePlace

FIELD_MANAGER: Final = "backup-engine"
APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}
APPLY_PARAMS: Final = {"fieldManager": FIELD_MANAGER, "force": "true"}
CONVERTED: Final = "Converted"
PLANNED_UID: Final = "to be assigned"

TakeItem = Callable[[PlanItem], None]


class Planner:
    """Decides about each object and writes it into the ledger; ``take`` gets every item."""

    is_rehearsal = True

    def __init__(
        self, live: LiveCluster, existing: Existing, ledger: PlanLedger, take: TakeItem
    ) -> None:
        self._live = live
        self._existing = existing
        self._ledger = ledger
        self._take = take
        self._definitions: list[dict[str, object]] = []
        self.writes: set[WritePlace] = set()

    async def settle(self, subject: Subject) -> str | None:
        """Plan one object; see Step."""
        wanted = build_content_digest(subject.wanted)
        live = subject.live
        if live is None:
            verdict, before = Verdict(Action.CREATE), b""
        elif live.digest == wanted:
            verdict, before = Verdict(Action.UNCHANGED), live.digest
        else:
            verdict, before = await self._compare(subject)
        verdict = _tell_conversion(subject, verdict)
        self._record(PlanItem(subject.key, verdict), wanted, before)
        self._remember_write(subject, verdict)
        if subject.kind == DEFINITIONS and verdict.action in CHANGING:
            self._definitions.append(subject.wanted)
        return live.uid if live is not None else PLANNED_UID

    def note(self, item: PlanItem) -> None:
        """Record an item that was decided without looking at the cluster; see Step."""
        self._record(item, b"", b"")

    async def learn_kinds(self, served: ServedKinds) -> ServedKinds:
        """Return what will be served; see Step."""
        for definition in self._definitions:
            served = served.with_definition(definition)
        return served

    def _record(self, item: PlanItem, wanted: bytes, live: bytes) -> None:
        self._ledger.add(item, wanted, live)
        self._take(item)

    def _remember_write(self, subject: Subject, verdict: Verdict) -> None:
        if verdict.action not in CHANGING:
            return
        group, version = split_api_version(subject.key.api_version)
        operation = "UPDATE" if verdict.action is Action.UPDATE else "CREATE"
        namespace = subject.key.namespace
        self.writes.add(WritePlace(group, version, subject.kind[1], operation, namespace))

    async def _compare(self, subject: Subject) -> tuple[Verdict, bytes]:
        """Return the verdict on an object that differs, and the digest of its live content."""
        key, kind = subject.key, subject.kind
        found = await self._live.find(subject.served.kind, key.namespace, key.name)
        if found is None:
            return Verdict(Action.CREATE), b""
        live = clean(found, kind, has_status="status" in subject.wanted)
        verdict = decide(
            subject.wanted, live, kind, self._existing, is_generated=is_generated(found, kind)
        )
        if verdict.action is Action.UPDATE and subject.status is None:
            verdict = await self._rehearse(subject, verdict, live)
        return verdict, build_content_digest(live)

    async def _rehearse(
        self, subject: Subject, verdict: Verdict, live: dict[str, object]
    ) -> Verdict:
        path = build_object_path(subject.served.kind, subject.key.namespace, subject.key.name)
        params = {**APPLY_PARAMS, "dryRun": "All"}
        try:
            answer = await send(
                self._live.connection,
                "PATCH",
                path,
                self._live.retries,
                params=params,
                headers=APPLY,
                body=subject.wanted,
            )
        except WriteRefusedError:
            return verdict  # a webhook that fails; the warning about it is made elsewhere
        if answer.status == OK:
            result = clean(msgspec.json.decode(answer.body), subject.kind)
            return judge_rehearsal(verdict, live, result, subject.kind)
        if answer.status in {UNPROCESSABLE, CONFLICT}:
            return Verdict(Action.CONFLICT, REFUSED, describe(answer), verdict.changes)
        if answer.status == FORBIDDEN:
            return Verdict(Action.CONFLICT, "Forbidden", describe(answer), verdict.changes)
        return verdict  # such as a webhook that cannot be rehearsed


def _tell_conversion(subject: Subject, verdict: Verdict) -> Verdict:
    """Say that an object goes to another version of its kind than it was captured in."""
    if verdict.action not in CHANGING or subject.captured_as == subject.key.api_version:
        return verdict
    message = (
        f"captured as {subject.captured_as}, which is no longer served; the server drops what"
        f" {subject.key.api_version} does not know"
    )
    return replace(verdict, reason=CONVERTED, message=message)
