"""Where archives lie: the place that the settings name, and directories configured beside it."""

from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from backup_engine.archive.store import ArchiveStore, BucketAccess

_DIRECTORY_SCHEME: Final = "file"


class ArchivePlaces:
    """One archive URL, and stores below other directories (or prefixes) of the same kind."""

    def __init__(self, url: str, access: BucketAccess | None = None) -> None:
        self._url = url
        self._access = access
        parts = urlsplit(url)
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._is_directory = parts.scheme == _DIRECTORY_SCHEME
        self._own_path = unquote(parts.path).rstrip("/") or "/"

    @property
    def own_path(self) -> str:
        """The path part of the archive URL: what ``backup_directory_path`` is by default."""
        return self._own_path

    def normalize(self, path: str) -> str | None:
        """Return ``path`` without trailing slashes; None if it is the archive URL's own."""
        path = path.rstrip("/") or "/"
        return None if path == self._own_path else path

    def find_directory(self, path: str | None) -> Path | None:
        """Return the directory on this machine behind ``path``; None: it is in a bucket."""
        return Path(path or self._own_path) if self._is_directory else None

    def open(self, path: str | None) -> ArchiveStore:
        """Open the store at ``path``, None being the archive URL's own; raises StorageError."""
        if path is None:
            return ArchiveStore.open(self._url, self._access)
        if self._is_directory:
            return ArchiveStore.open(Path(path).as_uri())
        return ArchiveStore.open(self._root + quote(path), self._access)
