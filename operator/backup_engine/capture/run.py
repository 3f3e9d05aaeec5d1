"""One capture from beginning to end: the seam that the engine's use cases call."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import msgspec

from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.manifest import (
    PRODUCT_NAME,
    BackupFacts,
    ClusterIdentity,
    Host,
    ListEntry,
    Origin,
    Product,
    Skipped,
)
from backup_engine.archive.names import build_archive_name
from backup_engine.archive.part import Part
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import Verification, verify_archive
from backup_engine.archive.writing import ArchiveWriter, build_origin
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.discovery import (
    Discovered,
    Kind,
    Target,
    build_scope_skip,
    build_targets,
)
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.introduction import discover, fetch_identity, find_namespaces
from backup_engine.capture.listing import Listed, Page, PageLimits, list_pages
from backup_engine.capture.packing import NOTHING_PACKED, PackedPage, Packer
from backup_engine.capture.policy import STRICT, SuccessPolicy
from backup_engine.capture.prefetch import OpenStream, take_in_order
from backup_engine.capture.scope import EVERYTHING, CaptureScope
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

KINDS_ABREAST: Final = 4
PAGES_AHEAD: Final = 1


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """What to capture and for which backup, and what may be missing from it."""

    backup_id: int
    name: str
    host_id: int
    hostname: str
    time_initiated_ms: int
    initiated_by: str | None
    product_version: str
    scope: CaptureScope = EVERYTHING
    policy: SuccessPolicy = STRICT

    @property
    def archive_name(self) -> str:
        """The archive's file name; the same request always gives the same (spec §10)."""
        return build_archive_name(self.name, self.hostname, self.host_id, self.time_initiated_ms)


@dataclass(frozen=True, slots=True)
class CaptureOutcome:
    """A finished archive; ``kinds`` counts those with at least one object."""

    archive_name: str
    size_bytes: int
    objects: int
    kinds: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class CaptureProgress:
    """How far a running capture is: kinds listed to their end, of all to be listed."""

    kinds_done: int
    kinds_total: int
    objects: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """Sizes and patience of a capture; the defaults are those the budgets were measured with."""

    page: PageLimits = field(default_factory=PageLimits)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    kinds_abreast: int = KINDS_ABREAST


ReportProgress = Callable[[CaptureProgress], None]


async def capture(
    request: CaptureRequest,
    cluster: ClusterConnection,
    store: ArchiveStore,
    *,
    limits: CaptureLimits | None = None,
    report: ReportProgress | None = None,
    protection: Protection = UNPROTECTED,
    before_publishing: Callable[[], Awaitable[None]] | None = None,
) -> CaptureOutcome:
    """Capture every listable object of the request's scope into one new archive.

    ``protection`` names whom the archive is encrypted to and who signs it.
    Raises CaptureError when nothing, or not all of what the policy wants, could be captured; then,
    as after a cancellation, no archive is visible. ``report`` is called after each page and kind.
    What ``before_publishing`` raises also leaves none: it is asked once all bytes are written.
    """
    limits = limits or CaptureLimits()
    try:
        name = request.archive_name
    except ValueError as trouble:
        raise CaptureError("InvalidName", str(trouble)) from trouble
    try:
        await store.ensure_no_leftovers()
        async with store.writer(name) as place:
            identity = await fetch_identity(cluster, limits.retries)
            discovered = await discover(cluster, limits.retries, request.scope, request.policy)
            namespaces = await find_namespaces(cluster, request.scope, limits.retries)
            archive = ArchiveWriter(place, _build_origin(request, identity), protection)
            await archive.begin()
            run = _Run(request, cluster, archive, limits, report)
            run.choose(discovered, namespaces)
            outcome = await run.capture_all(name, Packer(protection.recipients))
            if before_publishing is not None:
                await before_publishing()
            return outcome
    except ArchiveError as trouble:
        raise CaptureError(trouble.reason, trouble.message) from trouble
    except ClusterSettingsError as trouble:
        raise CaptureError("Unauthorized", str(trouble)) from trouble


class _Run:
    """The state of one capture: what was listed, what was left out, how far it is."""

    def __init__(
        self,
        request: CaptureRequest,
        cluster: ClusterConnection,
        archive: ArchiveWriter,
        limits: CaptureLimits,
        report: ReportProgress | None,
    ) -> None:
        self._scope = request.scope
        self._policy = request.policy
        self._cluster = cluster
        self._archive = archive
        self._limits = limits
        self._report = report
        self._namespaces: tuple[str, ...] | None = None
        self._targets: dict[Kind, tuple[Target, ...]] = {}
        self._lists: list[ListEntry] = []
        self._skipped: list[Skipped] = []
        self._objects = 0
        self._kinds_done = 0

    def choose(self, discovered: Discovered, namespaces: tuple[str, ...] | None) -> None:
        """Fix what is listed."""
        self._namespaces = namespaces
        self._targets = {
            kind: build_targets(kind, self._scope, namespaces) for kind in discovered.kinds
        }
        outside = [build_scope_skip(kind) for kind, targets in self._targets.items() if not targets]
        self._skipped = [*discovered.skipped, *outside]

    async def capture_all(self, name: str, packer: Packer) -> CaptureOutcome:
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="capture")
        try:
            await self._store_parts(worker, packer)
        finally:
            # never waited for: what is under way is one page, and its result is not wanted
            worker.shutdown(wait=False, cancel_futures=True)
        if not self._objects:
            raise CaptureError(
                "EmptySource",
                f"{self._cluster.url} gave no object at all; an empty archive would only look like"
                " a backup: check the host's namespaces and the engine's permissions",
            )
        manifest = await self._archive.commit(
            self._scope.describe(self._namespaces),
            self._lists,
            self._skipped,
            self._policy.describe(),
        )
        return CaptureOutcome(
            archive_name=name,
            size_bytes=self._archive.size_bytes,
            objects=manifest.totals.objects,
            kinds=manifest.totals.kinds,
            skipped=manifest.skipped,
        )

    async def _store_parts(self, worker: ThreadPoolExecutor, packer: Packer) -> None:
        """Hand pages to the worker, one job ahead, and write the parts it has finished.

        While the worker splits, hashes, compresses and encrypts a page, the loop receives the
        next ones.
        """
        loop = asyncio.get_running_loop()
        pending: asyncio.Future[PackedPage] | None = None
        kept = 0  # of the present target
        streams = take_in_order(
            self._open_streams(), abreast=self._limits.kinds_abreast, room=PAGES_AHEAD
        )
        async with aclosing(streams) as items:
            async for item in items:
                packed = await pending if pending is not None else NOTHING_PACKED
                kept += packed.objects
                self._objects += packed.objects
                if isinstance(item, Listed):
                    self._note(item, kept)
                    pending, kept = None, 0
                else:
                    pending = loop.run_in_executor(worker, packer.add, item)
                await self._write(packed.parts)
        await self._write(await loop.run_in_executor(worker, packer.finish))

    async def _write(self, parts: Sequence[Part]) -> None:
        for part in parts:
            await self._archive.add(part)
        if self._report is not None:
            self._report(
                CaptureProgress(
                    kinds_done=self._kinds_done,
                    kinds_total=len(self._targets),
                    objects=self._objects,
                    size_bytes=self._archive.size_bytes,
                )
            )

    def _note(self, listed: Listed, kept: int) -> None:
        if listed.entry is not None:
            self._lists.append(msgspec.structs.replace(listed.entry, objects=kept))
        if listed.skipped is not None:
            self._skipped.append(listed.skipped)

    def _open_streams(self) -> list[OpenStream[Page | Listed]]:
        """Return one stream per kind, in restore order."""

        def opener(kind: Kind) -> OpenStream[Page | Listed]:
            return lambda: self._list_kind(kind)

        return [opener(kind) for kind in self._targets]

    async def _list_kind(self, kind: Kind) -> AsyncGenerator[Page | Listed, None]:
        for target in self._targets[kind]:
            pages = list_pages(
                self._cluster, target, self._limits.page, self._limits.retries, self._policy
            )
            async with aclosing(pages) as items:
                async for item in items:
                    yield item
        self._kinds_done += 1


def _build_origin(request: CaptureRequest, identity: ClusterIdentity) -> Origin:
    return build_origin(
        BackupFacts(
            id=request.backup_id,
            name=request.name,
            type="CONFIG",
            time_initiated_ms=request.time_initiated_ms,
            initiated_by=request.initiated_by,
            host=Host(id=request.host_id, name=request.hostname),
        ),
        Product(name=PRODUCT_NAME, version=request.product_version),
        identity,
    )
