"""Writes a new archive into a bucket: one create-only put, or a multipart upload.

An upload is invisible until it is completed. obstore has a create-only put for what fits into
memory, but no create-only completion of an upload: there the name is checked before the first and
the last byte, and two writers of the same name within that moment are told apart by nobody. Names
hold the backup's name and its start in ms: only one run repeated on two replicas could get there.
"""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from backup_engine.archive.errors import ArchiveExistsError

UPLOAD_BYTES: Final = 8 * 1024 * 1024  # of one piece of a multipart upload
PIECES_ABREAST: Final = 2
ABORT_S: Final = 10.0

T = TypeVar("T")


class Bucket(Protocol):
    """What the writer needs of its store."""

    def location(self, name: str) -> str:
        """Return the name's place, for messages."""

    async def find_size(self, name: str) -> int | None:
        """Return the size of what has the name, None if nothing has."""

    async def answer(self, name: str, call: Awaitable[T]) -> T:
        """Await one call of obstore and raise its trouble as ours."""


class BucketWriter:
    """Holds back the first piece: a small archive is one create-only put, a big one an upload."""

    def __init__(self, store: Bucket, objects: ObjectStore, name: str) -> None:
        self._store = store
        self._objects = objects
        self._name = name
        self._held = bytearray()
        self._upload: obstore.AsyncWritableFile | None = None

    async def __aenter__(self) -> Self:
        """Begin; raises ArchiveExistsError if the name is taken."""
        await self._ensure_free()
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
            put = obstore.put_async(
                self._objects, self._name, bytes(self._held), mode="create", use_multipart=False
            )
            await self._store.answer(self._name, put)
            return
        try:
            await self._ensure_free()
            await self._store.answer(self._name, self._upload.close())
        except BaseException as trouble:
            await self._abort(trouble)
            raise

    async def write(self, content: bytes) -> None:
        """Append ``content``; raises StorageError."""
        if self._upload is None:
            self._held += content
            if len(self._held) < UPLOAD_BYTES:
                return
            upload = obstore.open_writer_async(
                self._objects,
                self._name,
                buffer_size=UPLOAD_BYTES,
                max_concurrency=PIECES_ABREAST,
            )
            self._upload = await upload.__aenter__()
            content, self._held = bytes(self._held), bytearray()
        await self._store.answer(self._name, self._upload.write(content))

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

    async def _ensure_free(self) -> None:
        if await self._store.find_size(self._name) is not None:
            raise ArchiveExistsError(self._store.location(self._name))
