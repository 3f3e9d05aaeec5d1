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
from typing import Final, NamedTuple, Protocol, TypeVar

import obstore
from obstore.exceptions import PreconditionError
from obstore.store import ObjectStore

from backup_engine.archive.errors import ArchiveExistsError, ArchiveMissingError, StorageError
from backup_engine.archive.repeating import repeated

STAGING_PREFIX: Final = ".staging"
STALE_AFTER: Final = timedelta(hours=1)  # far beyond the deadline of any call

T = TypeVar("T")


class Bucket(Protocol):
    """What a writer needs of its store; ``patience_s``: how long its silence is waited out."""

    patience_s: float

    def location(self, name: str) -> str:
        """Return the name's place, for messages."""

    async def find_size(self, name: str) -> int | None:
        """Return the size of what has the name, None if nothing has."""

    async def read_range(self, name: str, offset: int, length: int) -> bytes:
        """Read a stretch of what has the name."""

    async def answer(self, name: str, call: Awaitable[T]) -> T:
        """Await one call of obstore and raise its trouble as ours."""


def build_staging_prefix(name: str) -> str:
    """Return where everything lies that belongs to an archive which is not complete."""
    return f"{STAGING_PREFIX}/{name}/"


@asynccontextmanager
async def reserved(
    bucket: Bucket, objects: ObjectStore, name: str, owner: str
) -> AsyncIterator[None]:
    """Be the only one to complete ``name`` inside the block; ``owner`` is nobody else's word.

    Raises ArchiveExistsError if the name is taken, StorageError (StorageBusy) if somebody else is
    completing it.
    """
    path = f"{build_staging_prefix(name)}reservation"

    async def reserve() -> None:
        try:
            await _put(bucket, objects, path, owner)
        except ArchiveExistsError:  # perhaps our own, and only the answer was lost
            await _take_over(bucket, objects, path, owner)

    await repeated(reserve, bucket.patience_s)
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
    found = await _look(bucket, objects, path)
    if found is None:
        raise busy  # it ended just now, and what it made is in place
    is_stale = datetime.now(UTC) - found.written > STALE_AFTER
    if found.e_tag is None or not (found.owner == owner or is_stale):
        raise busy
    put = obstore.put_async(
        objects, path, owner.encode(), mode={"e_tag": found.e_tag}, use_multipart=False
    )
    try:
        await bucket.answer(path, put)
    except StorageError as trouble:
        if not isinstance(trouble.__cause__, PreconditionError):
            raise
        # refused, or carried out: then the answer was lost, and the second request refused
        found = await _look(bucket, objects, path)
        if found is None or found.owner != owner:
            raise busy from trouble


class _Found(NamedTuple):
    """A reservation as it lies there."""

    owner: str
    written: datetime
    e_tag: str | None


async def _look(bucket: Bucket, objects: ObjectStore, path: str) -> _Found | None:
    try:
        found = await bucket.answer(path, obstore.get_async(objects, path))
        owner = bytes(await bucket.answer(path, found.bytes_async())).decode(errors="replace")
    except ArchiveMissingError:
        return None
    return _Found(owner, found.meta["last_modified"], found.meta["e_tag"])
