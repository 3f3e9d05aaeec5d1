"""Makes one writer at a time complete an archive in a bucket.

obstore completes a multipart upload without a condition, so two writers of one name could each find
it free and the later one would replace the archive. A small object beside it, put create-only,
decides: who has it completes, and only if the name is still free. What a crashed writer left
behind is taken over by its successor, who is known by the owner's word, or by anybody after an
hour, again by a condition: the object must still be the one that was looked at.
"""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

import obstore
from obstore.exceptions import PreconditionError
from obstore.store import ObjectStore

from backup_engine.archive.errors import ArchiveExistsError, ArchiveMissingError, StorageError

STAGING_PREFIX: Final = ".staging"
STALE_AFTER: Final = timedelta(hours=1)  # far beyond the deadline of any call

T = TypeVar("T")


class Bucket(Protocol):
    """What a writer needs of its store."""

    def location(self, name: str) -> str:
        """Return the name's place, for messages."""

    async def find_size(self, name: str) -> int | None:
        """Return the size of what has the name, None if nothing has."""

    async def answer(self, name: str, call: Awaitable[T]) -> T:
        """Await one call of obstore and raise its trouble as ours."""


def build_staging_prefix(name: str) -> str:
    """Return where everything lies that belongs to an archive which is not complete."""
    return f"{STAGING_PREFIX}/{name}/"


@asynccontextmanager
async def reserved(
    bucket: Bucket, objects: ObjectStore, name: str, owner: str
) -> AsyncIterator[None]:
    """Be the only one to complete ``name`` inside the block.

    Raises ArchiveExistsError if the name is taken, StorageError (StorageBusy) if somebody else is
    completing it.
    """
    path = f"{build_staging_prefix(name)}reservation"
    try:
        await _put(bucket, objects, path, owner)
    except ArchiveExistsError:
        await _take_over(bucket, objects, path, owner)
    try:
        if await bucket.find_size(name) is not None:
            raise ArchiveExistsError(bucket.location(name))
        yield
    finally:
        with suppress(StorageError):  # else it is stale after an hour
            await bucket.answer(path, obstore.delete_async(objects, path))


async def _put(bucket: Bucket, objects: ObjectStore, path: str, owner: str) -> None:
    put = obstore.put_async(objects, path, owner.encode(), mode="create", use_multipart=False)
    await bucket.answer(path, put)


async def _take_over(bucket: Bucket, objects: ObjectStore, path: str, owner: str) -> None:
    busy = StorageError("StorageBusy", f"{bucket.location(path)}: another writer is at work")
    try:
        found = await bucket.answer(path, obstore.get_async(objects, path))
        holder = bytes(await bucket.answer(path, found.bytes_async())).decode(errors="replace")
    except ArchiveMissingError:
        raise busy from None  # it ended just now, and what it made is in place
    is_stale = datetime.now(UTC) - found.meta["last_modified"] > STALE_AFTER
    e_tag = found.meta["e_tag"]
    if e_tag is None or not (holder == owner or is_stale):
        raise busy
    put = obstore.put_async(
        objects, path, owner.encode(), mode={"e_tag": e_tag}, use_multipart=False
    )
    try:
        await bucket.answer(path, put)
    except StorageError as trouble:
        if isinstance(trouble.__cause__, PreconditionError):
            raise busy from trouble
        raise
