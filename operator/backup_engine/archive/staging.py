"""A local file that becomes visible under its name only once it is complete and on disk.

The bytes go to a staging file beside the final name, which is hard-linked into place at the end: a
link, unlike a rename, refuses to replace a file. The staging file is locked while it is written, so
that the leftover of a crashed process can be told from the work of a living one.
"""

import errno
import fcntl
import os
import secrets
import threading
from pathlib import Path
from typing import Final

from backup_engine.archive.errors import ArchiveExistsError, StorageError

STAGING_SUFFIX: Final = ".partial"
DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def explain_os_error(trouble: OSError, place: Path) -> StorageError:
    """Build the error that says what the file system refused at ``place``."""
    if trouble.errno in _FULL:
        return StorageError(
            "StorageFull", f"{place}: {trouble.strerror}; free some space or use another place"
        )
    return StorageError("StorageFailed", f"{place}: {trouble.strerror or trouble}")


def ensure_private_directory(directory: Path) -> None:
    """Create ``directory`` for its owner alone; one that exists keeps its mode."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def remove_leftovers(directory: Path) -> list[str]:
    """Remove staging files that no living process writes; return their names."""
    removed = []
    for staged in sorted(directory.glob(f".*{STAGING_SUFFIX}")):
        try:
            descriptor = os.open(staged, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its writer finished just now
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            staged.unlink(missing_ok=True)
            removed.append(staged.name)
        except BlockingIOError:
            continue  # locked: somebody is at work
        finally:
            os.close(descriptor)
    return removed


class StagedFile:
    """One file being written. All methods block; a lock orders them.

    The lock matters on cancellation: a thread that still writes must not meet a closed descriptor.
    """

    def __init__(self, directory: Path, name: str, staged: Path | None = None) -> None:
        self._final = directory / name
        unique = f".{name}.{secrets.token_hex(4)}{STAGING_SUFFIX}"
        self._staged = staged or directory / unique
        self._descriptor = -1
        self._turn = threading.Lock()
        self._is_over = False
        self._is_published = False

    def open(self) -> None:
        """Create the staging file, locked; raises ArchiveExistsError if the name is taken."""
        with self._turn:
            self._ensure_wanted()
            ensure_private_directory(self._final.parent)
            if self._final.exists():
                raise ArchiveExistsError(str(self._final))
            self._descriptor = self._create()
            if os.fstat(self._descriptor).st_nlink == 0:
                os.close(self._descriptor)
                self._descriptor = -1
                raise StorageError(
                    "StorageFailed",
                    f"{self._staged} was removed as a leftover before it was locked; try again",
                )

    def _create(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._staged, flags, FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def write(self, content: bytes) -> None:
        """Append ``content``; raises OSError."""
        with self._turn:
            self._ensure_wanted()
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def publish(self) -> None:
        """Make the file durable, then visible; raises ArchiveExistsError if the name is taken."""
        with self._turn:
            self._ensure_wanted()
            os.fsync(self._descriptor)  # before the link: a visible archive must be a whole one
            try:
                os.link(self._staged, self._final)
            except FileExistsError as taken:
                raise ArchiveExistsError(str(self._final)) from taken
            self._is_published = True
            self._discard()
            directory = os.open(self._final.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)  # the name itself must survive a power cut, too
            finally:
                os.close(directory)

    def abort(self) -> None:
        """Remove every trace of a file not published; may run twice."""
        with self._turn:
            self._is_over = True
            self._discard()

    def withdraw(self) -> None:
        """Remove every trace, also of a file that this object has published."""
        with self._turn:
            self._is_over = True
            self._discard()
            if self._is_published:
                self._final.unlink(missing_ok=True)

    def _ensure_wanted(self) -> None:
        """Stop a call that was still waiting for its thread when the writer gave up."""
        if self._is_over:
            raise StorageError("StorageFailed", f"{self._final}: given up before this call began")

    def _discard(self) -> None:
        if self._descriptor < 0:
            return
        self._staged.unlink(missing_ok=True)  # while the lock is held, else a sweep might race
        os.close(self._descriptor)
        self._descriptor = -1
