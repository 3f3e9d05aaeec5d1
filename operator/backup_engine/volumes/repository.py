"""The kopia repository of one data host."""

import asyncio
import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final

from backup_engine.volumes.contents import ContentEntry, add_up, parse_directory, parse_root
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.files_policy import ARGUMENTS, is_policy_set
from backup_engine.volumes.kopia import (
    FREELY,
    SHORT_CALL_S,
    UNLIMITED,
    Answer,
    Kopia,
    Load,
    Report,
    explain,
    ignore,
)
from backup_engine.volumes.object_lock import ObjectLock, find_lock_refusal, is_locked_so
from backup_engine.volumes.place import RepositoryPlace
from backup_engine.volumes.snapshots import (
    Progress,
    Snapshot,
    parse_lock_extension,
    parse_maintenance,
    parse_snapshot,
    parse_snapshots,
)
from backup_engine.volumes.volume import BACKUP_TAG, Volume, build_tags

logger = logging.getLogger(__name__)

USER: Final = "backup-engine"
PASSWORD: Final = "KOPIA_PASSWORD"  # noqa: S105 - the name of a variable
PIN: Final = "backup"
DELETED_AT_ONCE: Final = 100
VERIFIED_AT_ONCE: Final = 200

_CONNECTED: Final = "connected"
_FORMAT: Final = "kopia.repository.f"
_EXISTS: Final = "found existing data in storage location"
_NOT_FOUND: Final = ("entry not found", "parent is not a directory")
_MAINTAIN_S: Final = 6 * 3600.0


class Repository:
    """One repository as seen from ``home``, where kopia keeps its configuration and its cache.

    Every user of it has the same name, so that whoever works for the engine may maintain it.
    """

    def __init__(
        self,
        binary: str,
        place: RepositoryPlace,
        hostname: str,
        password: str,
        home: Path,
        inherited: Sequence[int] = (),
        limit_s: float = SHORT_CALL_S,
    ) -> None:
        self._place = place
        self._hostname = hostname
        self._home = home
        self._password = password
        secrets = {**place.secrets, PASSWORD: password}
        self._kopia = Kopia(binary, home, secrets, inherited, limit_s)

    @property
    def url(self) -> str:
        """Where it lies, for people."""
        return self._place.url

    async def ensure(self) -> None:
        """Create it unless it is there, and have it keep all that a volume holds.

        May run twice. In a directory also at once: it appears there whole or not at all. In a
        bucket kopia writes two objects, one after the other, so there it is the claim of a deploy
        (ADR 7) that keeps two creators apart. Raises VolumeError.
        """
        self._prepare_home()
        lock = self._place.lock
        if not await self._is_as_wanted():
            if self._place.directory is not None:
                await self._ensure_in(self._place.directory)
            else:
                await self._ensure_in_bucket(lock)
            await self._kopia.ask("policy", "set", "--global", *ARGUMENTS)
        if lock is not None:
            await self._ensure_lock(lock)

    async def _is_as_wanted(self) -> bool:
        """Ask once, of a repository that was opened before, whether it is there and set so."""
        directory = self._place.directory
        if directory is not None and not (directory / _FORMAT).is_file():
            return False
        if not self._is_connected():
            return False
        answer = await self._kopia.run("policy", "show", "--global", "--json")
        return not answer.code and is_policy_set(answer.output)

    async def _ensure_in_bucket(self, lock: ObjectLock | None) -> None:
        locking = lock.arguments if lock is not None else ()
        answer = await self._create(self._place.arguments, *locking)
        if not answer.code:
            self._note_connected()
            logger.info("repository %s: created", self.url)
            return
        if _EXISTS not in answer.told:
            refusal = find_lock_refusal(answer, self.url) if lock is not None else None
            raise refusal or explain(answer, "repository create")
        try:
            await self._connect()
        except VolumeError as trouble:
            if trouble.reason != "RepositoryMissing":
                raise
            raise VolumeError(
                "RepositoryUnfinished",
                f"{self.url} is not empty, and no repository: somebody else's files are there, or"
                " its creation was cut off; remove what is there, and deploy again",
            ) from trouble

    async def _ensure_in(self, directory: Path) -> None:
        if not (directory / _FORMAT).is_file():
            unfinished = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
            unfinished.mkdir(mode=0o700, parents=True)
            try:
                answer = await self._create(("filesystem", f"--path={unfinished}"))
                if answer.code:
                    raise explain(answer, "repository create")
                unfinished.rename(directory)  # refuses to replace one that holds something
                logger.info("repository %s: created", self.url)
            except OSError as trouble:
                if not (directory / _FORMAT).is_file():  # else somebody was quicker
                    raise VolumeError(
                        "RepositoryNotCreated", f"{directory}: {trouble.strerror}"
                    ) from trouble
            finally:
                await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        await self._connect()

    async def _create(self, place: Sequence[str], *options: str) -> Answer:
        return await self._kopia.run("repository", "create", *self._connecting(place), *options)

    async def connect(self) -> None:
        """Make sure that it can be used; raises VolumeError, RepositoryMissing if it is gone."""
        directory = self._place.directory
        # not whether the directory is there: kopia leaves files in any that it looks at
        if directory is not None and not (directory / _FORMAT).is_file():
            raise VolumeError(
                "RepositoryMissing", f"{directory} holds no repository: is its volume mounted?"
            )
        if not self._is_connected():
            await self._connect()

    async def snapshot(
        self,
        archive_name: str,
        volume: Volume,
        path: Path,
        report: Report = ignore,
        load: Load = FREELY,
    ) -> Snapshot:
        """Take a snapshot of ``path``, the files of ``volume``; raises VolumeError.

        Files that could not be read are counted in it, not raised. It is pinned: kopia's own
        retention never removes it.
        """
        answer = await self._kopia.run(
            *(
                "snapshot",
                "create",
                str(path),
                "--json",
                f"--pin={PIN}",
                "--no-send-snapshot-report",
            ),
            *(f"--tags={tag}" for tag in build_tags(archive_name, volume)),
            *([f"--parallel={load.parallel}"] if load.parallel else []),
            report=report,
            load=load,
            limit_s=UNLIMITED,
        )
        if not answer.output.strip():
            raise explain(answer, f"snapshot create of {volume}")
        return parse_snapshot(answer.output)

    async def list_snapshots(self, archive_name: str | None = None) -> tuple[Snapshot, ...]:
        """List the snapshots, those of one backup or all; raises VolumeError."""
        chosen = [f"--tags={BACKUP_TAG}:{archive_name}"] if archive_name is not None else []
        return parse_snapshots(
            await self._kopia.ask(
                "snapshot", "list", "--json", "--all", "--show-identical", *chosen
            )
        )

    async def delete(self, ids: Sequence[str]) -> None:
        """Delete snapshots; their bytes go with maintenance. Raises VolumeError."""
        for first in range(0, len(ids), DELETED_AT_ONCE):
            some = ids[first : first + DELETED_AT_ONCE]
            await self._kopia.ask("snapshot", "delete", "--delete", *some)

    async def verify(self, ids: Sequence[str], percent: float) -> VolumeError | None:
        """Check that all of the snapshots is there, and read ``percent`` of their files.

        Returns what is damaged, None if nothing is; raises VolumeError if it cannot be told.
        """
        for first in range(0, len(ids), VERIFIED_AT_ONCE):
            some = ids[first : first + VERIFIED_AT_ONCE]
            answer = await self._kopia.run(
                *("snapshot", "verify", f"--verify-files-percent={percent:g}", *some),
                limit_s=UNLIMITED,
            )
            if answer.code:
                trouble = explain(answer, "snapshot verify")
                if trouble.reason != "KopiaFailed":
                    raise trouble
                return VolumeError("SnapshotDamaged", f"{self.url}: {_last_line(answer)}")
        return None

    async def list_entries(
        self, snapshot_id: str, paths: Sequence[str] = ()
    ) -> tuple[ContentEntry, ...]:
        """Find what lies at each of ``paths`` in a snapshot, or its root if there are none.

        Raises VolumeError, PathMissing if there is nothing.
        """
        root = parse_root(await self._kopia.ask("manifest", "show", snapshot_id))
        if not paths:
            return (root,)
        parents = {str(PurePosixPath(path).parent) for path in paths}
        known = {
            parent: await self._read_directory(root.object_id, parent) for parent in sorted(parents)
        }
        found: list[ContentEntry] = []
        for path in paths:
            entry = known[str(PurePosixPath(path).parent)].get(PurePosixPath(path).name)
            if entry is None:
                raise _path_missing(path)
            found.append(entry)
        return tuple(found)

    async def list_directory(self, snapshot_id: str, path: str = "") -> tuple[ContentEntry, ...]:
        """List a directory of a snapshot by name; raises VolumeError."""
        (entry,) = await self.list_entries(snapshot_id, [path] if path else [])
        if not entry.is_directory:
            return (entry,)
        listed = await self._read_directory(entry.object_id, ".")
        return tuple(listed[name] for name in sorted(listed))

    async def restore_all(
        self, snapshot_id: str, paths: Sequence[str], target: Path, report: Report = ignore
    ) -> Progress:
        """Write a snapshot, or ``paths`` of it, to ``target``; returns what was written, exactly.

        A path that is not in it is found before anything is written. Raises VolumeError.
        """
        files, size_bytes = add_up(await self.list_entries(snapshot_id, paths))
        before = latest = Progress()

        def add(progress: Progress) -> None:
            nonlocal latest
            latest = Progress(before.files + progress.files, before.bytes + progress.bytes)
            report(latest)

        for path in paths or ("",):
            await self.restore(snapshot_id, path, target / path, add)
            before = latest
        return Progress(files, size_bytes)

    async def restore(
        self, snapshot_id: str, path: str, target: Path, report: Report = ignore
    ) -> None:
        """Write a snapshot, or what lies at ``path`` in it, to ``target``; raises VolumeError.

        ``path`` empty: all of it. What exists is overwritten; nothing else is removed.
        """
        source = f"{snapshot_id}/{path}" if path else snapshot_id
        answer = await self._kopia.run(
            *("snapshot", "restore", source, str(target)),
            "--no-ignore-permission-errors",
            report=report,
            limit_s=UNLIMITED,
        )
        if answer.code:
            raise explain(answer, f"snapshot restore of {source}")

    async def maintain(self, now: datetime) -> bool:
        """Do the maintenance that is due, if any; returns whether it was. Raises VolumeError."""
        told = await self._kopia.ask("maintenance", "info", "--json")
        is_quick_due, is_full_due = parse_maintenance(told, now)
        if not is_quick_due and not is_full_due:
            return False
        full = ["--full"] if is_full_due else []
        await self._kopia.ask("maintenance", "run", *full, limit_s=_MAINTAIN_S)
        return True

    async def _ensure_lock(self, lock: ObjectLock) -> None:
        """Lock what is stored from now on, and have full maintenance extend locks."""
        if not is_locked_so(await self._kopia.ask("repository", "status", "--json"), lock):
            answer = await self._kopia.run("repository", "set-parameters", *lock.arguments)
            if answer.code:
                refusal = find_lock_refusal(answer, self.url)
                raise refusal or explain(answer, "repository set-parameters")
        if not parse_lock_extension(await self._kopia.ask("maintenance", "info", "--json")):
            await self._kopia.ask("maintenance", "set", "--extend-object-locks=true")

    async def _read_directory(self, root_id: str, path: str) -> Mapping[str, ContentEntry]:
        answer = await self._kopia.run("show", root_id if path == "." else f"{root_id}/{path}")
        if answer.code:
            if any(words in answer.told for words in _NOT_FOUND):
                raise _path_missing(path)
            raise explain(answer, f"show of {path}")
        return parse_directory(answer.output)

    def _prepare_home(self) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _connecting(self, place: Sequence[str] | None = None) -> list[str]:
        return [
            *(self._place.arguments if place is None else place),
            f"--override-username={USER}",
            f"--override-hostname={self._hostname}",
            f"--cache-directory={self._home / 'cache'}",
            "--no-check-for-updates",
            "--no-persist-credentials",
            # kopia would write to a repository that is lost, as long as it remembers its format
            "--disable-repository-format-cache",
        ]

    async def _connect(self) -> None:
        self._prepare_home()
        await self._kopia.ask("repository", "connect", *self._connecting())
        self._note_connected()

    def _is_connected(self) -> bool:
        try:
            return (self._home / _CONNECTED).read_text() == self._digest
        except OSError:
            return False

    def _note_connected(self) -> None:
        (self._home / _CONNECTED).write_text(self._digest)

    @property
    def _digest(self) -> str:
        """Of all that a connection depends on: a rotated key or password makes a new one."""
        told = [self._connecting(), sorted(self._place.secrets.items()), self._password]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _path_missing(path: str) -> VolumeError:
    return VolumeError("PathMissing", f"the backup has no {path}; look at what it holds")


def _last_line(answer: Answer) -> str:
    return answer.told.rpartition("\n")[2] or f"exit code {answer.code}"
