"""Lists kinds in their order, packs their objects, and writes the parts: the hot path."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import msgspec

from backup_engine.archive.encryption import Recipients
from backup_engine.archive.manifest import ListEntry, PartEntry, Skipped
from backup_engine.archive.writing import ArchiveWriter
from backup_engine.capture.discovery import Kind, Target, build_scope_skip, build_targets
from backup_engine.capture.journal import Chosen, FinishedKind
from backup_engine.capture.listing import Listed, Page, list_pages
from backup_engine.capture.packing import NOTHING_PACKED, PackedPage, Packer
from backup_engine.capture.prefetch import OpenStream, take_in_order
from backup_engine.capture.request import (
    CaptureLimits,
    CaptureProgress,
    CaptureRequest,
    ReportProgress,
)
from backup_engine.cluster import ClusterConnection

PAGES_AHEAD: Final = 1


@dataclass(frozen=True, slots=True)
class _KindEnd:
    """All targets of a kind were listed."""

    kind: Kind


@dataclass(slots=True)
class _Present:
    """What is known of the kind that is being written."""

    kept: int = 0  # objects of the present target
    lists: list[ListEntry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    parts: list[PartEntry] = field(default_factory=list)


class KindCapture:
    """Captures the kinds that are still to be done; one use."""

    def __init__(
        self,
        cluster: ClusterConnection,
        archive: ArchiveWriter,
        request: CaptureRequest,
        limits: CaptureLimits,
        recipients: Recipients,
    ) -> None:
        self._cluster = cluster
        self._archive = archive
        self._request = request
        self._limits = limits
        self._packer = Packer(recipients)
        self._report: ReportProgress | None = None
        self._kinds_done = self._kinds_total = self._objects = 0

    async def run(
        self, chosen: Chosen, finished: Sequence[FinishedKind], report: ReportProgress | None
    ) -> AsyncGenerator[FinishedKind, None]:
        """Yield each kind of ``chosen`` behind those ``finished``, once it is in the archive."""
        self._report = report
        self._kinds_done, self._kinds_total = len(finished), len(chosen.kinds)
        self._objects = sum(kind.objects for kind in finished)
        kinds = chosen.kinds[len(finished) :]
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="capture")
        try:
            async with aclosing(self._write_kinds(kinds, chosen.namespaces, worker)) as done:
                async for kind in done:
                    yield kind
        finally:
            # never waited for: what is under way is one page, and its result is not wanted
            worker.shutdown(wait=False, cancel_futures=True)

    async def _write_kinds(
        self,
        kinds: Sequence[Kind],
        namespaces: Sequence[str] | None,
        worker: ThreadPoolExecutor,
    ) -> AsyncGenerator[FinishedKind, None]:
        """Hand pages to the worker, one job ahead, and write the parts it has finished.

        While the worker splits, hashes, compresses and encrypts a page, the loop receives the
        next ones.
        """
        loop = asyncio.get_running_loop()
        pending: asyncio.Future[PackedPage] | None = None
        present = _Present()
        opened = [self._opener(kind, namespaces) for kind in kinds]
        streams = take_in_order(opened, abreast=self._limits.kinds_abreast, room=PAGES_AHEAD)
        async with aclosing(streams) as items:
            async for item in items:
                packed = await pending if pending is not None else NOTHING_PACKED
                pending = None
                if isinstance(item, Page):
                    pending = loop.run_in_executor(worker, self._packer.add, item)
                await self._write(packed, present)
                if isinstance(item, Listed):
                    _note(item, present)
                elif isinstance(item, _KindEnd):
                    last = await loop.run_in_executor(worker, self._packer.finish)
                    self._kinds_done += 1
                    await self._write(PackedPage(0, last), present)
                    yield self._finish(item.kind, namespaces, present)
                    present = _Present()

    async def _write(self, packed: PackedPage, present: _Present) -> None:
        present.kept += packed.objects
        self._objects += packed.objects
        for part in packed.parts:
            present.parts.append(await self._archive.add(part))
        if self._report is not None:
            self._report(
                CaptureProgress(
                    kinds_done=self._kinds_done,
                    kinds_total=self._kinds_total,
                    objects=self._objects,
                    size_bytes=self._archive.size_bytes,
                )
            )

    def _finish(
        self, kind: Kind, namespaces: Sequence[str] | None, present: _Present
    ) -> FinishedKind:
        defined, self._packer.defined = tuple(self._packer.defined), []
        is_outside = not self._build_targets(kind, namespaces)
        return FinishedKind(
            kind=kind,
            lists=tuple(present.lists),
            skipped=(*present.skipped, *([build_scope_skip(kind)] if is_outside else [])),
            parts=tuple(present.parts),
            defined=defined,
        )

    def _build_targets(self, kind: Kind, namespaces: Sequence[str] | None) -> tuple[Target, ...]:
        return build_targets(kind, self._request.scope, namespaces)

    def _opener(
        self, kind: Kind, namespaces: Sequence[str] | None
    ) -> OpenStream[Page | Listed | _KindEnd]:
        return lambda: self._list_kind(kind, self._build_targets(kind, namespaces))

    async def _list_kind(
        self, kind: Kind, targets: Sequence[Target]
    ) -> AsyncGenerator[Page | Listed | _KindEnd, None]:
        for target in targets:
            limits = self._limits
            pages = list_pages(
                self._cluster,
                target,
                limits.page,
                limits.retries,
                self._request.policy,
                limits.pacing,
            )
            async with aclosing(pages) as items:
                async for item in items:
                    yield item
        yield _KindEnd(kind)


def _note(listed: Listed, present: _Present) -> None:
    if listed.entry is not None:
        present.lists.append(msgspec.structs.replace(listed.entry, objects=present.kept))
    if listed.skipped is not None:
        present.skipped.append(listed.skipped)
    present.kept = 0
