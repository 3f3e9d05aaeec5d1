"""The step that writes: create first, server-side apply or recreate what exists and differs.

Level-triggered: an object that is as wanted is left alone. So a restore that was killed is simply
started again, and one that is run twice changes nothing the second time.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from backup_engine.restore.cleaning import clean
from backup_engine.restore.errors import WriteRefusedError
from backup_engine.restore.identity import KubeObject, ObjectKey
from backup_engine.restore.live import LiveCluster, describe
from backup_engine.restore.order import DEFINITIONS
from backup_engine.restore.planning import (
    Action,
    Existing,
    PlanItem,
    build_content_digest,
    decide,
)
from backup_engine.restore.rehearsing import APPLY, APPLY_PARAMS, FIELD_MANAGER
from backup_engine.restore.request import RestoreLimits
from backup_engine.restore.sending import (
    ACCEPTED,
    CONFLICT,
    CREATED,
    FORBIDDEN,
    NOT_FOUND,
    OK,
    Answer,
    build_object_path,
    send,
)
from backup_engine.restore.serving import ServedKinds
from backup_engine.restore.skipping import is_generated
from backup_engine.restore.walking import Subject

MERGE: Final = {"Content-Type": "application/merge-patch+json"}
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
TRIES: Final = 4  # at an object that others create, change or delete meanwhile
LARGEST_ERRORS: Final = 1000  # kept with their messages; all of them are counted

_SOON_ALLOWED: Final = (  # a controller is still at work on a new namespace
    "error looking up service account",
    "status unknown for quota",
)


class _Made(msgspec.Struct):
    class Metadata(msgspec.Struct, rename="camel"):
        uid: str
        resource_version: str

    metadata: Metadata


_MADE: Final = msgspec.json.Decoder(_Made)


@dataclass(frozen=True, slots=True)
class ObjectError:
    """One object that is not as wanted, and why; ``reason`` is a CamelCase word."""

    key: ObjectKey
    reason: str
    message: str


@dataclass(slots=True)
class Tally:
    """What has been done so far; errors beyond ``LARGEST_ERRORS`` are only counted.

    ``take`` gets every error.
    """

    done: Counter[Action] = field(default_factory=Counter)
    failed: int = 0
    errors: list[ObjectError] = field(default_factory=list)
    take: Callable[[ObjectError], None] = lambda _: None

    @property
    def settled(self) -> int:
        """How many objects have been dealt with."""
        return self.done.total() + self.failed

    def fail(self, key: ObjectKey, reason: str, message: str) -> None:
        """Count an object that failed."""
        self.failed += 1
        error = ObjectError(key, reason, message)
        self.take(error)
        if len(self.errors) < LARGEST_ERRORS:
            self.errors.append(error)


class Applier:
    """Makes each object as wanted; ``report`` is called after each."""

    is_rehearsal = False

    def __init__(
        self,
        live: LiveCluster,
        existing: Existing,
        limits: RestoreLimits,
        tally: Tally,
        report: Callable[[], None],
    ) -> None:
        self._live = live
        self._existing = existing
        self._limits = limits
        self._tally = tally
        self._report = report
        self._definitions: list[Subject] = []

    async def settle(self, subject: Subject) -> str | None:
        """Make one object as wanted; see Step."""
        live = subject.live
        if live is None:
            action, uid = await self._create(subject)
        elif live.digest == build_content_digest(subject.wanted):
            action, uid = Action.UNCHANGED, live.uid
        else:
            action, uid = await self._reconcile(subject)
        self._tally.done[action] += 1
        if subject.kind == DEFINITIONS and action is not Action.UNCHANGED:
            self._definitions.append(subject)
        self._report()
        return uid

    def note(self, item: PlanItem) -> None:
        """Count an object that nothing can or need be done about; see Step."""
        verdict = item.verdict
        if verdict.action is Action.SKIPPED:
            self._tally.done[Action.SKIPPED] += 1
        else:
            self._tally.fail(item.key, verdict.reason, verdict.message)
        self._report()

    async def learn_kinds(self, served: ServedKinds) -> ServedKinds:
        """Wait until the new definitions are served; see Step.

        One that does not get there in time is an error of its own, and its objects are not served.
        """
        if not self._definitions:
            return served
        waiting = {subject.key.name: subject for subject in self._definitions}
        async for _ in _pauses(self._limits.established_within_s):
            served = await self._live.fetch_served()
            for name, subject in list(waiting.items()):
                if await self._is_established(subject, served):
                    del waiting[name]
            if not waiting:
                return served
        for subject in waiting.values():
            self._tally.fail(
                subject.key,
                "NotEstablished",
                f"its kind is not served {self._limits.established_within_s:.0f} s after it was"
                " restored; see its conditions",
            )
        return served

    async def _is_established(self, subject: Subject, served: ServedKinds) -> bool:
        wanted = subject.wanted["spec"]
        group, resource = wanted["group"], wanted["names"]["plural"]
        versions = [version["name"] for version in wanted["versions"] if version.get("served")]
        kinds = [served.find(f"{group}/{version}", resource) for version in versions]
        if any(kind is None for kind in kinds):
            return False
        found = await self._live.find(subject.served.kind, None, subject.key.name)
        conditions = ((found or {}).get("status") or {}).get("conditions") or ()
        return any(
            condition["type"] == "Established" and condition["status"] == "True"
            for condition in conditions
        )

    async def _create(self, subject: Subject, tries: int = TRIES) -> tuple[Action, str | None]:
        """POST; what turns out to exist is reconciled, what is being deleted is waited for."""
        kind = subject.served.kind
        body = _without_status(subject.wanted)
        answer = await self._send("POST", kind.path(subject.key.namespace), body)
        if answer.status == CREATED:
            await self._restore_status(subject)
            return Action.CREATE, _MADE.decode(answer.body).metadata.uid
        if answer.status == CONFLICT and answer.reason == "AlreadyExists" and tries:
            return await self._reconcile(subject, tries - 1)
        if _is_soon_allowed(answer):
            return await self._create_soon(subject, body)
        raise refused(answer)

    async def _create_soon(self, subject: Subject, body: KubeObject) -> tuple[Action, str | None]:
        """POST again until controllers, or the server's own routing, have caught up."""
        answer: Answer | None = None
        async for _ in _pauses(self._limits.ready_within_s):
            answer = await self._send("POST", subject.served.kind.path(subject.key.namespace), body)
            if answer.status == CREATED:
                await self._restore_status(subject)
                return Action.CREATE, _MADE.decode(answer.body).metadata.uid
            if not _is_soon_allowed(answer):
                break
        assert answer is not None
        raise refused(answer)

    async def _reconcile(self, subject: Subject, tries: int = TRIES) -> tuple[Action, str | None]:
        """Look at what exists and do what the policy says."""
        kind = subject.kind
        found = await self._find(subject)
        if found is not None and found["metadata"].get("deletionTimestamp") is not None:
            await self._wait_gone(subject, found["metadata"]["uid"])
            found = None
        if found is None:
            return await self._create(subject, tries)
        uid: str = found["metadata"]["uid"]
        live = clean(found, kind, has_status="status" in subject.wanted)
        verdict = decide(
            subject.wanted, live, kind, self._existing, is_generated=is_generated(found, kind)
        )
        if verdict.action is Action.UPDATE:
            return await self._update(subject, found["metadata"]["resourceVersion"], tries)
        if verdict.action is Action.RECREATE:
            return await self._recreate(subject, uid)
        return verdict.action, uid

    async def _update(
        self, subject: Subject, version: str, tries: int
    ) -> tuple[Action, str | None]:
        path = build_object_path(subject.served.kind, subject.key.namespace, subject.key.name)
        body = _without_status(subject.wanted)
        answer = await self._send("PATCH", path, body, params=APPLY_PARAMS, headers=APPLY)
        if answer.status == CONFLICT and tries:  # somebody else wrote at the same moment
            return await self._reconcile(subject, tries - 1)
        if answer.status not in {OK, CREATED}:
            raise refused(answer)
        made = _MADE.decode(answer.body).metadata
        has_changed = made.resource_version != version
        has_changed |= await self._restore_status(subject)
        return Action.UPDATE if has_changed else Action.UNCHANGED, made.uid

    async def _recreate(self, subject: Subject, uid: str) -> tuple[Action, str | None]:
        path = build_object_path(subject.served.kind, subject.key.namespace, subject.key.name)
        options = {
            "preconditions": {"uid": uid},  # never what somebody else has made meanwhile
            "propagationPolicy": "Background",
        }
        answer = await self._send("DELETE", path, options, params={})
        if answer.status not in {OK, ACCEPTED, NOT_FOUND}:
            raise refused(answer)
        await self._wait_gone(subject, uid)
        action, new_uid = await self._create(subject)
        return (Action.RECREATE if action is Action.CREATE else action), new_uid

    async def _restore_status(self, subject: Subject) -> bool:
        """Write the archived status, if it is asked for; tell whether anything was written."""
        if subject.status is None:
            return False
        path = build_object_path(subject.served.kind, subject.key.namespace, subject.key.name)
        body = {"status": subject.status}
        answer = await self._send("PATCH", f"{path}/status", body, headers=MERGE)
        if answer.status != OK:
            raise refused(answer)
        return True

    async def _wait_gone(self, subject: Subject, uid: str) -> None:
        async for _ in _pauses(self._limits.gone_within_s):
            found = await self._find(subject)
            if found is None or found["metadata"]["uid"] != uid:
                return
        raise WriteRefusedError(
            CONFLICT,
            "StillTerminating",
            f"is still being deleted after {self._limits.gone_within_s:.0f} s; its finalizers say"
            " who holds it",
        )

    async def _find(self, subject: Subject) -> KubeObject | None:
        return await self._live.find(subject.served.kind, subject.key.namespace, subject.key.name)

    async def _send(
        self,
        method: str,
        path: str,
        body: Any,  # noqa: ANN401 - any JSON
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        return await send(
            self._live.connection,
            method,
            path,
            self._limits.retries,
            params=params if params is not None else {"fieldManager": FIELD_MANAGER},
            headers=headers,
            body=body,
        )


def refused(answer: Answer) -> WriteRefusedError:
    """Build the error of one refused write."""
    reason = answer.reason or ("Forbidden" if answer.status == FORBIDDEN else "Refused")
    return WriteRefusedError(answer.status, reason, describe(answer))


def _without_status(wanted: KubeObject) -> KubeObject:
    """Return what goes to the object itself; its status has an endpoint of its own."""
    if "status" not in wanted:
        return wanted
    return {name: value for name, value in wanted.items() if name != "status"}


def _is_soon_allowed(answer: Answer) -> bool:
    if answer.status == FORBIDDEN:
        return any(reason in answer.message for reason in _SOON_ALLOWED)
    # a kind just defined, which not every part of the server knows yet; or no such namespace
    return answer.status == NOT_FOUND and not answer.message.startswith("namespaces ")


async def _pauses(within_s: float) -> AsyncGenerator[None, None]:
    """Yield at once, then after growing pauses, until the time is over."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + within_s, FIRST_PAUSE_S
    yield
    while loop.time() < end:
        await asyncio.sleep(min(pause, max(0.0, end - loop.time())))
        yield
        pause = min(pause * 2, LONGEST_PAUSE_S)
