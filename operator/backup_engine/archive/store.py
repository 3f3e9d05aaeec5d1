"""Where archives lie: a directory or a bucket, by URL. Written once, never replaced.

Reading, deleting and listing are obstore's for every scheme. Writing differs: a directory gets a
staged file (private mode, fsync, create-only link), a bucket a create-only put or an upload.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore

from backup_engine.archive.bucket import RETRY_S, BucketAccess, open_bucket
from backup_engine.archive.bucket_errors import explain_bucket_error, is_bucket_missing
from backup_engine.archive.bucket_writing import UPLOAD_BYTES, BucketWriter
from backup_engine.archive.errors import ArchiveExistsError, ArchiveMissingError, StorageError
from backup_engine.archive.names import is_archive_name, parse_safe_name
from backup_engine.archive.pacing import UNPACED, ReadPace
from backup_engine.archive.resumable_file import ResumableFile, discard_capture
from backup_engine.archive.resumable_upload import ResumableUpload, discard_upload
from backup_engine.archive.segments import NoteT, ResumableWriter
from backup_engine.archive.staging import (
    StagedFile,
    ensure_private_directory,
    explain_os_error,
    remove_leftovers,
)

__all__ = ["UPLOAD_BYTES", "ArchiveStore", "BucketAccess", "StoreReader", "StoreWriter"]

DEADLINE_S: Final = 300.0  # for any single call; a piece of an upload may take a while

T = TypeVar("T")


class StoreWriter(Protocol):
    """A new archive being written: visible when left without an error, else as if never begun."""

    async def __aenter__(self) -> Self:
        """Begin; raises ArchiveExistsError if the name is taken."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish, or on any error (cancellation, too) leave nothing behind."""

    async def write(self, content: bytes) -> None:
        """Append ``content``; raises StorageError."""


class ArchiveStore:
    """One directory or bucket prefix with archives directly below it."""

    def __init__(self, url: str, place: Path | ObjectStore, patience_s: float = RETRY_S) -> None:
        self.patience_s = patience_s
        self._url = url.rstrip("/")
        self._directory = place if isinstance(place, Path) else None
        self._objects = None if isinstance(place, Path) else place

    @classmethod
    def open(cls, url: str, access: BucketAccess | None = None) -> "ArchiveStore":
        """Open the store at ``url``: ``file://``, ``s3://``, ``gs://``, ``az://``, ``memory://``.

        Touches no network. ``access`` names credentials of a bucket and the patience with it;
        None: those of the environment. Raises StorageError for a URL nobody serves.
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
                raise StorageError(
                    "StoreUnknown", f"archive URL {url!r}: expected file:///absolute/path"
                )
            directory = Path(unquote(parts.path))
            return cls(directory.as_uri(), directory)
        access = access or BucketAccess()
        return cls(url, open_bucket(url, access), access.retry_s)

    def location(self, name: str) -> str:
        """Return what a record tells as ``content_file_path`` (spec §3.0): a path, else a URL."""
        if self._directory is not None:
            return str(self._directory / name)
        return f"{self._url}/{name}"

    async def ensure_no_leftovers(self) -> list[str]:
        """Remove what crashed writers left and return the names; living writers keep theirs.

        A directory is made if absent. A bucket has nothing visible to remove: abandoned uploads
        expire by its lifecycle rule.
        """
        directory = self._directory
        if directory is None:
            return []

        def sweep() -> list[str]:
            ensure_private_directory(directory)
            return remove_leftovers(directory)

        return await _blocking(sweep, directory)

    async def find_size(self, name: str) -> int | None:
        """Return the size of an archive in bytes, None if there is none of that name.

        Raises StorageError if the bucket itself is gone: that says nothing about the archive.
        """
        try:
            objects = await self._get_objects()
            found = await self.answer(name, obstore.head_async(objects, parse_safe_name(name)))
        except ArchiveMissingError:
            await self._ensure_bucket()
            return None
        return found["size"]

    async def is_gone(self, name: str) -> bool:
        """Tell whether the store is there and the archive is not.

        Raises StorageError if the store cannot be read, ArchiveMissingError if it is gone itself.
        """
        if await self.find_size(name) is not None:
            return False
        directory = self._directory
        # looked at last: an unmounted directory takes its archives along
        if directory is not None and not await asyncio.to_thread(directory.is_dir):
            raise ArchiveMissingError(str(directory))
        return True

    async def delete(self, name: str) -> None:
        """Remove an archive; one that is not there is as good as removed."""
        try:
            objects = await self._get_objects()
            await self.answer(name, obstore.delete_async(objects, parse_safe_name(name)))
        except ArchiveMissingError:
            return

    async def list_names(self) -> list[str]:
        """Return the names of all archives, sorted; raises ArchiveMissingError without a store."""
        return sorted(await self.list_sizes())

    async def list_sizes(self) -> dict[str, int]:
        """Return the size of each archive in bytes, by name; raises as ``list_names`` does."""
        objects = await self._get_objects()
        found = await self.answer("", obstore.list_with_delimiter_async(objects))
        return {
            entry["path"]: entry["size"]
            for entry in found["objects"]
            if is_archive_name(entry["path"])
        }

    def reader(self, name: str, pace: ReadPace = UNPACED) -> "StoreReader":
        """Return a reader of one archive; whether it exists shows at the first read."""
        return StoreReader(self, name, pace)

    def writer(self, name: str) -> StoreWriter:
        """Return the writer of one new archive, to be entered with ``async with``."""
        parse_safe_name(name)
        if self._directory is not None:
            return _DirectoryWriter(self._directory, name)
        assert self._objects is not None
        return BucketWriter(self, self._objects, name)

    def resumable_writer(self, name: str, owner: str) -> ResumableWriter[NoteT]:
        """Return the writer of an archive that another process can go on with.

        To be entered with ``async with``. ``owner`` is the same for each process that works on it.
        """
        parse_safe_name(name)
        if self._directory is not None:
            return ResumableFile[NoteT](self._directory, name)
        assert self._objects is not None
        return ResumableUpload[NoteT](self, self._objects, name, owner)

    async def discard_staging(self, name: str) -> None:
        """Remove what a resumable writer left behind, if anything; raises StorageError."""
        directory = self._directory
        if directory is not None:
            parse_safe_name(name)
            await _blocking(lambda: discard_capture(directory, name), directory)
            return
        assert self._objects is not None
        await discard_upload(self, self._objects, name)

    async def read_range(self, name: str, offset: int, length: int) -> bytes:
        """Read ``length`` bytes of one archive from ``offset`` on; raises StorageError."""
        objects = await self._get_objects()
        read = obstore.get_range_async(objects, parse_safe_name(name), start=offset, length=length)
        return bytes(await self.answer(name, read))

    async def answer(self, name: str, call: Awaitable[T]) -> T:
        """Await one call of obstore about ``name`` and raise its trouble as ours."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await call
        except FileNotFoundError as missing:
            if is_bucket_missing(missing):
                raise explain_bucket_error(self.location(name), missing) from missing
            raise ArchiveMissingError(self.location(name)) from missing
        except AlreadyExistsError as taken:
            raise ArchiveExistsError(self.location(name)) from taken
        except (BaseError, OSError, ValueError) as trouble:  # TimeoutError is an OSError
            raise explain_bucket_error(self.location(name), trouble) from trouble

    async def _ensure_bucket(self) -> None:
        """Raise StorageError if the bucket is gone: HEAD does not tell that from a lost object."""
        objects = self._objects
        if self._directory is not None or objects is None:
            return

        async def look() -> None:
            async for _ in obstore.list(objects, chunk_size=1):
                return

        try:
            await self.answer("", look())
        except ArchiveMissingError as missing:
            raise StorageError(
                "BucketMissing", f"{self._url}: there is no such bucket; it was removed or misspelt"
            ) from missing

    async def _get_objects(self) -> ObjectStore:
        """Return obstore's view; made late, because its directory must exist by then."""
        if self._objects is None:
            directory = self._directory
            assert directory is not None
            if not await asyncio.to_thread(directory.is_dir):
                raise ArchiveMissingError(str(directory))
            try:
                self._objects = await asyncio.to_thread(LocalStore, prefix=directory)
            except BaseError as trouble:  # it has gone since we looked
                raise ArchiveMissingError(str(directory)) from trouble
        return self._objects


class StoreReader:
    """Ranged reads of one archive."""

    def __init__(self, store: ArchiveStore, name: str, pace: ReadPace = UNPACED) -> None:
        self._store = store
        self._pace = pace
        self.name = name

    @property
    def location(self) -> str:
        """Path or URL, for messages."""
        return self._store.location(self.name)

    async def get_size(self) -> int:
        """Return the size in bytes; raises ArchiveMissingError."""
        size = await self._store.find_size(self.name)
        if size is None:
            raise ArchiveMissingError(self.location)
        return size

    async def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset`` on, fewer where the archive ends before."""
        if length <= 0:
            return b""
        await self._pace.spend(length)
        return await self._store.read_range(self.name, offset, length)


class _DirectoryWriter:
    """Writes a staged file; every call into the file system runs in a thread."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._file = StagedFile(directory, name)

    async def __aenter__(self) -> Self:
        try:
            await _blocking(self._file.open, self._directory)
        except asyncio.CancelledError:
            await self._abort()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await _blocking(self._file.publish, self._directory)
        except asyncio.CancelledError:
            # shielded, and also what the thread may have published meanwhile: cancelled is gone
            await asyncio.shield(asyncio.to_thread(self._file.withdraw))
            raise
        finally:
            await self._abort()

    async def write(self, content: bytes) -> None:
        await _blocking(lambda: self._file.write(content), self._directory)

    async def _abort(self) -> None:
        # shielded: a second cancellation must not leave the staging file behind
        await asyncio.shield(asyncio.to_thread(self._file.abort))


async def _blocking(call: Callable[[], T], place: Path) -> T:
    """Run a call into the file system in a thread and explain what it raises."""
    try:
        return await asyncio.to_thread(call)
    except OSError as trouble:
        raise explain_os_error(trouble, place) from trouble
