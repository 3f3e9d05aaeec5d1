"""The folder ``--data-dir``: who may use it, and what lies in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backup_engine.errors import EngineError


class DataDirectoryError(EngineError):
    """The data directory cannot be used."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Paths below ``--data-dir``."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the process that works here."""
        return self.path / "lock"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.path / "engine.db"

    @property
    def token(self) -> Path:
        """The token made where no token file is given."""
        return self.path / "token"

    @property
    def tls(self) -> Path:
        """CA and server certificate of ``--tls-self-signed``."""
        return self.path / "tls"

    @property
    def signing(self) -> Path:
        """Keys that sign archives, and the certificates that are trusted."""
        return self.path / "signing"

    @property
    def archives(self) -> Path:
        """Archives, where no archive URL is given."""
        return self.path / "archives"

    @property
    def repositories(self) -> Path:
        """Repositories of data hosts, where no repository URL is given."""
        return self.path / "repositories"

    @property
    def repository_passwords(self) -> Path:
        """Passwords of these, where no Secret is named; back them up, apart from the rest."""
        return self.path / "repository-passwords"

    @property
    def kopia(self) -> Path:
        """What kopia keeps beside a repository: configuration, cache. May be lost."""
        return self.path / "kopia"

    def ensure(self) -> None:
        """Make the directory, for its owner only; raises DataDirectoryError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as trouble:
            raise DataDirectoryError(f"data directory {self.path}: {trouble.strerror}") from trouble


@contextmanager
def locked(directory: DataDirectory) -> Iterator[None]:
    """Hold the directory alone; raises DataDirectoryError if another process does.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    try:
        descriptor = os.open(directory.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as trouble:
        raise DataDirectoryError(f"lock {directory.lock}: {trouble.strerror}") from trouble
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as trouble:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise DataDirectoryError(
                f"data directory {directory.path} is in use by another engine, process {holder};"
                " stop it first, or use another --data-dir"
            ) from trouble
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
