"""One capture from beginning to end: the seam that the engine's use cases call."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.manifest import Origin
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.segments import ResumableWriter
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import Verification, verify_archive
from backup_engine.archive.writing import ArchiveWriter, Place
from backup_engine.capture.checkpoints import Checkpoints
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.introduction import discover, fetch_identity, find_namespaces
from backup_engine.capture.journal import (
    CaptureJournal,
    Chosen,
    FinishedKind,
    build_fingerprint,
    resume,
)
from backup_engine.capture.kinds import KindCapture
from backup_engine.capture.request import (
    CapturedKind,
    CaptureLimits,
    CaptureOutcome,
    CaptureProgress,
    CaptureRequest,
    ReportProgress,
)
from backup_engine.capture.scope import list_misses
from backup_engine.cluster import ClusterConnection, ClusterSettingsError

__all__ = [
    "CaptureError",
    "CaptureLimits",
    "CaptureOutcome",
    "CaptureProgress",
    "CaptureRequest",
    "Verification",
    "capture",
    "verify_archive",
]

logger = logging.getLogger(__name__)


async def capture(  # noqa: PLR0913 - one seam for all that a capture needs
    request: CaptureRequest,
    cluster: ClusterConnection,
    store: ArchiveStore,
    *,
    limits: CaptureLimits | None = None,
    report: ReportProgress | None = None,
    protection: Protection = UNPROTECTED,
    journal: CaptureJournal | None = None,
    before_publishing: Callable[[], Awaitable[None]] | None = None,
) -> CaptureOutcome:
    """Capture every listable object of the request's scope into one new archive.

    ``protection`` names whom the archive is encrypted to and who signs it. With a ``journal`` the
    capture goes on where an earlier one of the same request stopped, without listing finished
    kinds again; what it leaves in staging is then the caller's to discard once it is over.
    Raises CaptureError when nothing, or not all of what the policy wants, could be captured; then,
    as after a cancellation, no archive is visible. ``report`` is called after each page and kind,
    ``before_publishing`` when the archive is whole; what it raises keeps it invisible.
    """
    run = _Run(
        request, cluster, store, limits or CaptureLimits(), report, protection, before_publishing
    )
    try:
        name = request.archive_name
    except ValueError as trouble:
        raise CaptureError("InvalidName", str(trouble)) from trouble
    try:
        await store.ensure_no_leftovers()
        if journal is not None:
            return await run.go_on(name, journal)
        async with store.writer(name) as place:
            return await run.go_through(name, place)
    except ArchiveError as trouble:
        raise CaptureError(trouble.reason, trouble.message) from trouble
    except ClusterSettingsError as trouble:
        raise CaptureError("Unauthorized", str(trouble)) from trouble


class _Run:
    """One capture: chooses what to list, has it listed kind by kind, and ends the archive."""

    def __init__(
        self,
        request: CaptureRequest,
        cluster: ClusterConnection,
        store: ArchiveStore,
        limits: CaptureLimits,
        report: ReportProgress | None,
        protection: Protection,
        before_publishing: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._before_publishing = before_publishing
        self._request = request
        self._cluster = cluster
        self._store = store
        self._limits = limits
        self._report = report
        self._protection = protection
        self._finished: list[FinishedKind] = []

    async def go_through(self, name: str, place: Place) -> CaptureOutcome:
        """Capture all in one go."""
        origin = await self._introduce()
        archive = ArchiveWriter(place, origin, self._protection)
        chosen = await self._choose("")
        await archive.begin()
        async with aclosing(self._list(chosen, archive)) as finished:
            async for _ in finished:
                pass
        return await self._end(name, archive, chosen)

    async def go_on(self, name: str, journal: CaptureJournal) -> CaptureOutcome:
        """Capture what is not in the archive yet, and save each kind as it is finished."""
        origin = await self._introduce()
        told = self._request.scope.describe(None), self._request.policy.describe()
        fingerprint = build_fingerprint(origin, told, self._protection.recipients.keys)
        writer: ResumableWriter[FinishedKind]
        writer = self._store.resumable_writer(name, owner=fingerprint)
        async with writer as place:
            past = await resume(journal, place, fingerprint)
            archive = ArchiveWriter(place, origin, self._protection)
            chosen = past.chosen or await self._choose(fingerprint)
            self._finished += past.finished
            if past.chosen is None:
                await archive.begin()
            else:
                parts = [part for kind in past.finished for part in kind.parts]
                archive.resume(parts, past.size_bytes)
            checkpoints = Checkpoints(place, journal, chosen, past.length)
            try:
                async with aclosing(self._list(chosen, archive)) as finished:
                    async for kind in finished:
                        await checkpoints.finish(kind)
                await checkpoints.drain()
            finally:
                await checkpoints.stop()
            outcome = await self._end(name, archive, chosen)
            await place.publish()
            return outcome

    async def _introduce(self) -> Origin:
        return self._request.build_origin(await fetch_identity(self._cluster, self._limits.retries))

    async def _choose(self, fingerprint: str) -> Chosen:
        request, retries = self._request, self._limits.retries
        discovered = await discover(self._cluster, retries, request.scope, request.policy)
        known = [
            *(kind.key for kind in discovered.kinds),
            *(skip.key for skip in discovered.skipped),
        ]
        for miss in list_misses(request.scope.describe(None), request.policy.describe(), known):
            logger.warning("backup %d: host %s: %s", request.backup_id, request.hostname, miss)
        return Chosen(
            fingerprint=fingerprint,
            kinds=discovered.kinds,
            skipped=discovered.skipped,
            namespaces=await find_namespaces(self._cluster, request.scope, retries),
        )

    async def _list(
        self, chosen: Chosen, archive: ArchiveWriter
    ) -> AsyncGenerator[FinishedKind, None]:
        kinds = KindCapture(
            self._cluster, archive, self._request, self._limits, self._protection.recipients
        )
        async with aclosing(kinds.run(chosen, tuple(self._finished), self._report)) as finished:
            async for kind in finished:
                self._finished.append(kind)
                yield kind

    async def _end(self, name: str, archive: ArchiveWriter, chosen: Chosen) -> CaptureOutcome:
        finished = self._finished
        if not any(kind.objects for kind in finished):
            raise CaptureError(
                "EmptySource",
                f"{self._cluster.url} gave no object at all; an empty archive would only look like"
                " a backup: check the host's namespaces and the engine's permissions",
            )
        manifest = await archive.commit(
            self._request.scope.describe(chosen.namespaces),
            [entry for kind in finished for entry in kind.lists],
            [*chosen.skipped, *(skipped for kind in finished for skipped in kind.skipped)],
            self._request.policy.describe(),
        )
        if self._before_publishing is not None:
            await self._before_publishing()
        return CaptureOutcome(
            archive_name=name,
            size_bytes=archive.size_bytes,
            objects=manifest.totals.objects,
            kinds=manifest.totals.kinds,
            skipped=manifest.skipped,
            captured=build_captured(finished),
        )


def build_captured(finished: list[FinishedKind]) -> tuple[CapturedKind, ...]:
    """Build the kinds that have objects; one that the archive itself defines says so."""
    defined = {name for kind in finished for name in kind.defined}
    return tuple(
        CapturedKind(
            one.kind.api_version,
            one.kind.resource,
            is_defined=f"{one.kind.resource}.{one.kind.group}" in defined,
        )
        for one in finished
        if one.objects
    )
