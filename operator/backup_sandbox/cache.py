"""The folder of binaries in the user's cache, and the sums that tell them from damaged ones."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from backup_sandbox.errors import BinaryError
from backup_sandbox.progress import POLL_S, Step, say
from backup_sandbox.versions import Platform

SUMS = "sums.json"
SCRATCH = "scratch-"


def cache_root(environment: Mapping[str, str]) -> Path:
    """Return the folder all cached things live in (XDG base directory rules)."""
    named = Path(environment.get("XDG_CACHE_HOME", ""))
    # The XDG rules call a relative path invalid and tell programs to ignore it.
    base = named if named.is_absolute() else Path.home() / ".cache"
    return base / "backup-sandbox"


@dataclass(frozen=True, slots=True)
class Sum:
    """What was recorded of a binary: its digest, and what a change of it would alter."""

    sha256: str
    size_bytes: int
    mtime_ns: int


class BinaryCache:
    """The binaries of one set of versions on one platform.

    Looking one up costs a ``stat``: the whole file is hashed only if size or time differ from
    what was recorded, or if ``is_thorough`` asks for it.
    """

    def __init__(self, root: Path, platform: Platform) -> None:
        self.root = root
        self.folder = root / platform.folder
        self._platform = platform

    def folder_of(self, name: str) -> Path:
        """Return the folder that ``name`` lies in, or will."""
        return self.root / self._platform.folder_of(name)

    def find(self, name: str, *, is_thorough: bool = False) -> Path | None:
        """Return the path of a sound binary; None if it is absent, unknown or damaged."""
        path = self.folder_of(name) / name
        recorded = _read_sums(path.parent).get(name)
        if recorded is None or not path.is_file():
            return None
        seen = path.stat()
        is_touched = (seen.st_size, seen.st_mtime_ns) != (recorded.size_bytes, recorded.mtime_ns)
        if (is_touched or is_thorough) and sha256_of(path) != recorded.sha256:
            return None
        return path

    def install(self, name: str, ready: Path) -> Path:
        """Move the finished file ``ready`` into the cache as ``name``; readers never see half.

        ``ready`` must lie on the cache's file system, so it belongs into ``scratch``.
        """
        folder = self.folder_of(name)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ready.chmod(0o755)
        with ready.open("rb") as content:
            os.fsync(content.fileno())  # before the rename: a crash must not leave an empty binary
        seen = ready.stat()
        recorded = Sum(sha256_of(ready), seen.st_size, seen.st_mtime_ns)
        path = ready.replace(folder / name)
        _record_sums(folder, _read_sums(folder) | {name: recorded})
        return path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the right to fill the cache; a second process waits here and says so.

        Raises BinaryError if the cache cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as problem:
            raise BinaryError(
                f"there is no place for the cache, set XDG_CACHE_HOME to one: {problem}"
            ) from problem
        with exclusive(self.root / "build.lock", "waiting for another build to end"):
            yield

    @property
    def build_log(self) -> Path:
        """Return the file that keeps what the tools of the last builds have said."""
        return self.root / "build.log"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Lend a folder for unfinished files; only the holder of ``lock`` may ask for one."""
        for left in self.root.glob(f"{SCRATCH}*"):  # by a build that was killed
            shutil.rmtree(left)
        # A name of its own: the compiler of a killed build may still write to the old one.
        with TemporaryDirectory(prefix=SCRATCH, dir=self.root) as folder:
            yield Path(folder)


def _read_sums(folder: Path) -> dict[str, Sum]:
    try:
        stored = json.loads((folder / SUMS).read_text())
        return {name: Sum(**fields) for name, fields in stored.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as problem:
        say(f"{folder / SUMS} is unreadable, so its binaries are not trusted: {problem}")
        return {}


def _record_sums(folder: Path, sums: Mapping[str, Sum]) -> None:
    text = json.dumps({name: asdict(fields) for name, fields in sums.items()}, indent=1)
    write_atomically(folder / SUMS, text)


@contextmanager
def exclusive(path: Path, waiting: str) -> Iterator[None]:
    """Hold the file lock ``path``, which ends with the process; say ``waiting`` if it is taken."""
    with path.open("w") as handle:
        running: Step | None = None
        while not _try_lock(handle.fileno()):
            if running is None:
                running = Step(waiting)
                say(f"{waiting} …")
            running.tick()
            time.sleep(POLL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_atomically(path: Path, text: str) -> None:
    """Replace the content of ``path`` in one step; its readers see the old or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("w") as handle:
        unfinished.chmod(0o600)
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    unfinished.replace(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
