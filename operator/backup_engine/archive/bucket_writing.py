"""Writes a new archive into a bucket: one create-only put, or a multipart upload.

An upload is invisible until it is completed. What fits into memory is one create-only put; an
upload is completed under a reservation of its name, so that of two writers one is refused.

The answer to either may get lost. The request is then sent again, and is refused if the first one
was carried out. So behind a refusal it is what lies in the bucket that tells whether it is ours.
"""

import asyncio
import secrets
from collections.abc import Awaitable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from backup_engine.archive.bucket_errors import UNREACHABLE
from backup_engine.archive.errors import ArchiveExistsError, StorageError
from backup_engine.archive.repeating import repeated
from backup_engine.archive.reservation import Bucket, reserved

# of one piece of a multipart upload: S3 wants 5 MiB at least and 10 000 pieces at most, and three
# are in memory, the one being filled included
UPLOAD_BYTES: Final = 5 * 1024 * 1024
PIECES_ABREAST: Final = 2
ABORT_S: Final = 10.0
# of what was written, to know it again: it holds the seal of an archive, whose digests lead to
# those of all other members
END_BYTES: Final = 4096


class BucketWriter:
    """Holds back the first piece: a small archive is one create-only put, a big one an upload."""

    def __init__(
        self, store: Bucket, objects: ObjectStore, name: str, owner: str | None = None
    ) -> None:
        self._owner = owner or secrets.token_hex(8)  # None: nobody else goes on with this
        self._store = store
        self._objects = objects
        self._name = name
        self._held = bytearray()
        self._size = 0
        self._end = b""
        self._upload: obstore.AsyncWritableFile | None = None

    async def __aenter__(self) -> Self:
        """Begin; raises ArchiveExistsError if the name is taken."""
        if await self._store.find_size(self._name) is not None:
            raise ArchiveExistsError(self._store.location(self._name))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish, or on any error leave nothing behind."""
        if error is not None:
            await self._abort(error)
            return
        if self._upload is None:
            await self._settle(repeated(self._put, self._store.patience_s))
            return
        try:
            async with reserved(self._store, self._objects, self._name, self._owner):
                await self._settle(self._store.answer(self._name, self._upload.close()))
        except BaseException as trouble:
            await self._abort(trouble)
            raise

    async def write(self, content: bytes | bytearray | memoryview) -> None:
        """Append ``content``; raises StorageError."""
        self._size += len(content)
        self._end = (self._end + content[-END_BYTES:])[-END_BYTES:]
        if self._upload is None:
            if self._held or len(content) < UPLOAD_BYTES:
                self._held += content
                content = self._held
                if len(self._held) < UPLOAD_BYTES:
                    return
            upload = obstore.open_writer_async(
                self._objects,
                self._name,
                buffer_size=UPLOAD_BYTES,
                max_concurrency=PIECES_ABREAST,
            )
            self._upload = await upload.__aenter__()
            self._held = bytearray()  # what it held is ``content`` now
        await self._store.answer(self._name, self._upload.write(content))

    async def _put(self) -> None:
        put = obstore.put_async(
            self._objects, self._name, bytes(self._held), mode="create", use_multipart=False
        )
        await self._store.answer(self._name, put)

    async def _settle(self, publishing: Awaitable[object]) -> None:
        """Await the request that publishes; what it raises counts unless ours is in place."""
        try:
            await publishing
        except StorageError as trouble:
            if trouble.reason == UNREACHABLE or not await self._is_in_place():
                raise

    async def _is_in_place(self) -> bool:
        """Tell whether the name holds what was written here, by its size and its end."""
        with suppress(StorageError):  # the first trouble is the one to hear of
            if await self._store.find_size(self._name) == self._size:
                begin = self._size - len(self._end)
                return await self._store.read_range(self._name, begin, len(self._end)) == self._end
        return False

    async def _abort(self, error: BaseException) -> None:
        """Abort the upload; a failure is noted on ``error``, which is what the caller must hear."""
        upload = self._upload
        if upload is None:
            return

        async def abort() -> None:
            try:
                async with asyncio.timeout(ABORT_S):
                    await upload.__aexit__(type(error), error, error.__traceback__)
            except (BaseError, OSError, ValueError) as trouble:
                first_line = str(trouble).partition("\n")[0].partition("<")[0]
                error.add_note(
                    f"the upload could not be aborted and takes room until the bucket's lifecycle"
                    f" rule ends it: {first_line or 'no answer'}"
                )

        # shielded: a second cancellation must not leave the pieces behind
        await asyncio.shield(asyncio.create_task(abort()))
