"""Makes finished kinds durable beside the capture, which does not wait for it (ADR 8)."""

import asyncio

from backup_engine.archive.segments import ResumableWriter
from backup_engine.capture.journal import CaptureJournal, Chosen, FinishedKind, build_entry


class Checkpoints:
    """One save at a time: kinds that finish meanwhile go into the next one together."""

    def __init__(
        self,
        place: ResumableWriter[FinishedKind],
        journal: CaptureJournal,
        chosen: Chosen,
        length: int,
    ) -> None:
        self._place = place
        self._journal = journal
        self._chosen = chosen
        self._length = length
        self._is_ending = False
        self._dirty = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def finish(self, kind: FinishedKind) -> None:
        """Hand over a kind whose parts are all written; raises what ended the saving."""
        if self._task.done():
            await self._task
        self._place.cut(kind)
        self._dirty.set()

    async def drain(self) -> None:
        """Wait until all that was handed over is saved; raises what ended the saving."""
        self._is_ending = True
        self._dirty.set()
        await self._task

    async def stop(self) -> None:
        """End without saving."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        is_last = False
        while not is_last:
            await self._dirty.wait()
            self._dirty.clear()
            is_last = self._is_ending
            await self._save()

    async def _save(self) -> None:
        flushed = await self._place.flush()
        if not flushed.notes:
            return
        chosen = self._chosen if not self._length else None
        await self._journal.append(self._length, build_entry(chosen, flushed))
        self._length += 1
