"""An archive under construction as objects in a bucket that a later process can go on with (ADR 8).

Segments are objects below ``.staging/<archive>/``. At the end they are put together:
from memory in one create-only put while the archive is small, else by an upload that reads each
segment once more. Their names are drawn anew by each process, so two never touch the same one.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Final, Generic, Self

import obstore
from obstore.store import ObjectStore

from backup_engine.archive.bucket_writing import BucketWriter
from backup_engine.archive.errors import ArchiveExistsError, ArchiveMissingError, StorageError
from backup_engine.archive.reservation import Bucket, build_staging_prefix
from backup_engine.archive.segments import Flushed, NoteT, Segment

SEGMENT_BYTES: Final = 2 * 1024 * 1024  # one is in memory, and twice while it is sent or read
READ_ABREAST: Final = 2


async def discard_upload(bucket: Bucket, objects: ObjectStore, name: str) -> None:
    """Remove what a capture left behind in staging; raises StorageError."""
    prefix = build_staging_prefix(name)

    async def list_left() -> list[str]:
        return [
            one["path"] async for batch in obstore.list(objects, prefix=prefix) for one in batch
        ]

    for path in await bucket.answer(name, list_left()):
        try:
            await bucket.answer(path, obstore.delete_async(objects, path))
        except ArchiveMissingError:
            continue


class ResumableUpload(Generic[NoteT]):
    """The writer for a bucket; holds one segment in memory, or all of an archive of that size."""

    def __init__(self, bucket: Bucket, objects: ObjectStore, name: str, owner: str) -> None:
        self._bucket = bucket
        self._objects = objects
        self._name = name
        self._owner = owner
        self._prefix = f"{build_staging_prefix(name)}{secrets.token_hex(4)}-"
        self._turn = asyncio.Lock()
        self._put_count = 0
        self._durable: list[Segment] = []
        self._told = 0  # segments that a flush, or the journal, has told
        self._cut_at = 0  # segments up to the last durable cut
        self._closed = bytearray()  # up to the last cut
        self._open = bytearray()  # behind it
        self._notes: list[NoteT] = []  # of cuts in closed
        self._durable_notes: list[NoteT] = []
        self._whole: bytearray | None = bytearray()  # what is durable, while the archive is small

    async def __aenter__(self) -> Self:
        if await self._bucket.find_size(self._name) is not None:
            raise ArchiveExistsError(self._bucket.location(self._name))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.clear()
        self._open.clear()
        self._whole = None

    async def resume(self, segments: Sequence[Segment]) -> int:
        """Take up what another wrote; how many of ``segments``, from the first, are intact."""
        self._durable, self._whole = [], bytearray()
        for segment in segments:
            content = await self._read(segment)
            if content is None:
                break
            self._durable.append(segment)
            self._remember(content)
        self._told = self._cut_at = len(self._durable)
        return len(self._durable)

    async def write(self, content: bytes) -> None:
        """Append ``content``; raises StorageError."""
        self._open += content
        self._forget_if_large()
        if len(self._closed) + len(self._open) >= SEGMENT_BYTES:
            async with self._turn:
                await self._put_closed()
                open_, self._open = self._open, bytearray()
                await self._put(open_)

    def cut(self, note: NoteT) -> None:
        """End a segment here; ``note`` comes back when all up to here is durable."""
        self._closed += self._open
        self._open = bytearray()
        self._notes.append(note)

    async def flush(self) -> Flushed[NoteT]:
        """Make all up to the last cut durable; raises StorageError."""
        async with self._turn:
            await self._put_closed()
            segments = self._durable[self._told : self._cut_at]
            notes, self._durable_notes = self._durable_notes, []
            self._told = self._cut_at
            return Flushed(segments, notes)

    async def publish(self) -> None:
        """Make all that was written visible as one archive; raises ArchiveExistsError."""
        async with (
            BucketWriter(self._bucket, self._objects, self._name, self._owner) as place,
            aclosing(self._contents()) as contents,
        ):
            async for content in contents:
                await place.write(content)

    async def _put_closed(self) -> None:
        content, self._closed = self._closed, bytearray()
        notes, self._notes = self._notes, []
        await self._put(content)
        self._durable_notes += notes
        self._cut_at = len(self._durable) if notes else self._cut_at

    async def _put(self, content: bytearray) -> None:
        if not content:
            return
        self._put_count += 1
        path = f"{self._prefix}{self._put_count:06d}"
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        # not create-only, which nobody may send again when the server fell silent in the middle; no
        # other process has this name
        put = obstore.put_async(self._objects, path, content, use_multipart=False)
        await self._bucket.answer(path, put)
        self._durable.append(Segment(path=path, size_bytes=len(content), sha256=digest))
        self._remember(content)

    def _remember(self, content: bytearray | memoryview) -> None:
        if self._whole is None:
            return
        self._whole += content
        self._forget_if_large()

    def _forget_if_large(self) -> None:
        held = len(self._closed) + len(self._open)
        if self._whole is not None and len(self._whole) + held >= SEGMENT_BYTES:
            self._whole = None

    async def _contents(self) -> AsyncGenerator[bytes | memoryview, None]:
        """Yield the whole archive in order, the next segment being read meanwhile."""
        if self._whole is not None:
            yield bytes(self._whole + self._closed + self._open)
            return
        waiting = iter(self._durable)
        reading: list[asyncio.Task[memoryview]] = []
        try:
            while True:
                while len(reading) < READ_ABREAST and (segment := next(waiting, None)):
                    reading.append(asyncio.create_task(self._read_again(segment)))
                if not reading:
                    break
                yield await reading.pop(0)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        yield bytes(self._closed + self._open)

    async def _read_again(self, segment: Segment) -> memoryview:
        content = await self._read(segment)
        if content is None:
            raise StorageError(
                "StorageFailed",
                f"{self._bucket.location(segment.path)} was removed or changed while the archive"
                " was put together",
            )
        return content

    async def _read(self, segment: Segment) -> memoryview | None:
        """Read a segment; None: it is gone, or not what was written."""
        path = segment.path
        read = obstore.get_range_async(self._objects, path, start=0, length=segment.size_bytes)
        try:
            content = memoryview(await self._bucket.answer(path, read))
        except ArchiveMissingError:
            return None
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        return content if digest == segment.sha256 else None
