"""What kopia tells, as types: its JSON of snapshots and maintenance, its line of progress. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.volume import VOLUME_TAG, Volume, VolumePolicy

T = TypeVar("T")

_TAG: Final = "tag:"
_UNITS: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
_PROGRESS: Final = re.compile(
    r" [|/\\*-] \d+ hashing, (?P<hashed>\d+) hashed \((?P<hashed_size>[\d.]+ [KMGTP]?B)\),"
    r" (?P<cached>\d+) cached \((?P<cached_size>[\d.]+ [KMGTP]?B)\), uploaded [\d.]+ [KMGTP]?B.*"
)
_RESTORED: Final = re.compile(
    r"Processed (?P<files>\d+) \((?P<size>[\d.]+ [KMGTP]?B)\) of \d+ \([\d.]+ [KMGTP]?B\)"
    r"(?:, skipped \d+ \([^)]*\))?(?:, ignored \d+ errors)?"
    r"(?: [\d.]+ [KMGTP]?B/s \([\d.]+%\) remaining [\dhms]+)?\. *"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a volume is: files and bytes looked at, the bytes rounded."""

    files: int = 0
    bytes: int = 0


class _Failed(msgspec.Struct, frozen=True):
    path: str = ""
    error: str = ""


class _Summary(msgspec.Struct, frozen=True, rename={"failed": "numFailed"}):
    size: int = 0
    files: int = 0
    symlinks: int = 0
    dirs: int = 0
    failed: int = 0
    errors: tuple[_Failed, ...] | None = None


class _Root(msgspec.Struct, frozen=True):
    obj: str = ""
    summ: _Summary = _Summary()


class _Manifest(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    start_time: datetime
    end_time: datetime
    root_entry: _Root | None = None
    incomplete: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)


_LISTED: Final[Any] = tuple[_Manifest, ...] | None  # kopia says null where there are none


class _Schedule(msgspec.Struct, frozen=True, rename="camel"):
    next_full_maintenance: datetime | None = None
    next_quick_maintenance: datetime | None = None


class _Maintenance(msgspec.Struct, frozen=True, rename="camel"):
    schedule: _Schedule = _Schedule()
    extend_object_locks: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot of one volume in the repository; sizes in bytes, before compression.

    ``failures`` are paths that could not be read, the first few, with kopia's words; ``failed``
    counts all of them.
    """

    id: str
    started: datetime
    size_bytes: int
    files: int
    failed: int = 0
    failures: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def volume(self) -> Volume | None:
        """The volume that it was taken of; None: not one of ours."""
        namespace, _, claim = self.tags.get(VOLUME_TAG, "").partition("/")
        return Volume(namespace, claim) if namespace and claim else None


def parse_snapshot(text: bytes) -> Snapshot:
    """Read what ``kopia snapshot create --json`` prints; raises VolumeError.

    An incomplete snapshot (kopia was interrupted) is none.
    """
    manifest = decode_answer(text, _Manifest)
    if manifest.incomplete:
        raise VolumeError("Interrupted", f"kopia stopped early: {manifest.incomplete}")
    return _build(manifest)


def parse_snapshots(text: bytes) -> tuple[Snapshot, ...]:
    """Read what ``kopia snapshot list --json`` prints, complete ones only; raises VolumeError."""
    listed: tuple[_Manifest, ...] | None = decode_answer(text, _LISTED)
    return tuple(_build(each) for each in listed or () if not each.incomplete)


def parse_maintenance(text: bytes, now: datetime) -> tuple[bool, bool]:
    """Read ``kopia maintenance info --json``: whether quick, and whether full one is due."""
    schedule = decode_answer(text, _Maintenance).schedule
    is_due = [
        at is None or at.replace(tzinfo=at.tzinfo or UTC) <= now
        for at in (schedule.next_quick_maintenance, schedule.next_full_maintenance)
    ]
    return is_due[0], is_due[1]


def parse_lock_extension(text: bytes) -> bool:
    """Read ``kopia maintenance info --json``: whether it extends object locks."""
    return decode_answer(text, _Maintenance).extend_object_locks


def parse_progress(line: str) -> tuple[Progress | None, str]:
    """Read one line of kopia's progress, and what else is in the line.

    A restore writes its last words behind its progress, with no line end between them.
    """
    if (restored := _RESTORED.match(line)) is not None:
        progress = Progress(int(restored["files"]), _parse_size(restored["size"]))
        return progress, line[restored.end() :]
    if (found := _PROGRESS.fullmatch(line)) is None:
        return None, line
    progress = Progress(
        int(found["hashed"]) + int(found["cached"]),
        _parse_size(found["hashed_size"]) + _parse_size(found["cached_size"]),
    )
    return progress, ""


def judge(snapshot: Snapshot, volume: Volume, policy: VolumePolicy) -> VolumeError | None:
    """Find why a snapshot is no good copy of its volume; None: it is one. Pure."""
    if snapshot.failed and not policy.tolerate_unreadable:
        named = "; ".join(snapshot.failures[:3])
        return VolumeError(
            "UnreadableFiles",
            f"{volume}: {snapshot.failed} files or directories could not be read"
            f"{f' ({named})' if named else ''}; mend that, or set tolerateUnreadable",
        )
    if snapshot.files == 0 and not policy.tolerate_empty:
        return VolumeError(
            "EmptyVolume", f"{volume}: the volume holds no file; mend that, or set tolerateEmpty"
        )
    return None


def choose_snapshots(snapshots: Iterable[Snapshot]) -> dict[Volume, Snapshot]:
    """Return the snapshot that counts of each volume: the first one finished is kept for ever."""
    chosen: dict[Volume, Snapshot] = {}
    for one in sorted(snapshots, key=lambda each: (each.started, each.id)):
        if one.volume is not None:
            chosen.setdefault(one.volume, one)
    return chosen


def _build(manifest: _Manifest) -> Snapshot:
    summary = manifest.root_entry.summ if manifest.root_entry is not None else _Summary()
    return Snapshot(
        id=manifest.id,
        started=manifest.start_time,
        size_bytes=summary.size,
        files=summary.files + summary.symlinks,
        failed=summary.failed,
        failures=tuple(f"{each.path}: {each.error}" for each in summary.errors or ()),
        tags={
            name.removeprefix(_TAG): value
            for name, value in manifest.tags.items()
            if name.startswith(_TAG)
        },
    )


def _parse_size(text: str) -> int:
    number, unit = text.split(" ")
    return int(float(number) * _UNITS[unit])


def decode_answer(text: bytes, kind: type[T]) -> T:
    """Decode what kopia prints as JSON; raises VolumeError."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as trouble:
        raise VolumeError(
            "KopiaUnknown", f"kopia's answer is not understood: {trouble}"
        ) from trouble
