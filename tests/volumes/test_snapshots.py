"""What kopia tells, read strictly; what a snapshot must be to count. Pure."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.snapshots import (
    Progress,
    choose_snapshots,
    judge,
    parse_maintenance,
    parse_progress,
    parse_snapshot,
    parse_snapshots,
)
from backup_engine.volumes.volume import STRICT, Volume, VolumePolicy

DATA = Volume("shop", "data")


def told(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a manifest as kopia 0.23.1 printed it."""
    summary = {"size": 5, "files": 2, "symlinks": 1, "dirs": 2, "numFailed": 0}
    return {
        "id": "baa05716b066dd6c930a66fb5ee851af",
        "source": {"host": "shop", "userName": "backup-engine", "path": "/volumes/shop/data"},
        "startTime": "2026-11-28T03:50:31.312310661Z",
        "endTime": "2026-11-28T03:50:31.426487919Z",
        "rootEntry": {"obj": "k94aac", "summ": {**summary, **changes.pop("summ", {})}},
        "tags": {"tag:backup": "a.kopia", "tag:volume": "shop/data"},
        "pins": ["backup"],
        **changes,
    }


def read(**changes: Any) -> Any:  # noqa: ANN401
    return parse_snapshot(json.dumps(told(**changes)).encode())


def test_a_snapshot_is_read_with_its_volume_and_its_files() -> None:
    snapshot = read()

    assert (snapshot.size_bytes, snapshot.files, snapshot.volume) == (5, 3, DATA)
    assert parse_snapshots(b"[\n]") == parse_snapshots(b"null") == ()


def test_an_incomplete_snapshot_is_none() -> None:
    with pytest.raises(VolumeError, match="canceled"):
        read(incomplete="canceled")
    assert parse_snapshots(json.dumps([told(incomplete="checkpoint")]).encode()) == ()


@pytest.mark.parametrize("text", [b"", b"{}", b'{"id": 1}', b"Snapshotting ..."])
def test_an_answer_that_is_not_kopias_is_an_error(text: bytes) -> None:
    with pytest.raises(VolumeError) as trouble:
        parse_snapshot(text)
    assert trouble.value.reason == "KopiaUnknown"


def test_unreadable_files_fail_a_volume_unless_they_are_tolerated() -> None:
    errors = [{"path": "secret", "error": "permission denied"}]
    snapshot = read(summ={"numFailed": 1, "errors": errors})

    trouble = judge(snapshot, DATA, STRICT)
    assert trouble is not None
    assert trouble.reason == "UnreadableFiles"
    assert "secret: permission denied" in trouble.message
    assert judge(snapshot, DATA, VolumePolicy(tolerate_unreadable=True)) is None


def test_an_empty_volume_fails_unless_it_is_tolerated() -> None:
    snapshot = read(summ={"files": 0, "symlinks": 0})

    trouble = judge(snapshot, DATA, STRICT)
    assert trouble is not None
    assert trouble.reason == "EmptyVolume"
    assert judge(snapshot, DATA, VolumePolicy(tolerate_empty=True)) is None


def test_of_two_snapshots_of_a_volume_the_first_one_counts() -> None:
    first, second = read(id="b"), read(id="a", startTime="2026-11-28T03:51:00Z")

    assert choose_snapshots([second, first]) == {DATA: first}


@pytest.mark.parametrize(
    ("line", "progress", "rest"),
    [
        (
            " | 1 hashing, 3 hashed (1.5 KB), 2 cached (2 MB), uploaded 0 B, estimating...",
            Progress(5, 2_001_500),
            "",
        ),
        (" * 0 hashing, 0 hashed (0 B), 0 cached (0 B), uploaded 0 B", Progress(), ""),
        ("Snapshotting backup-engine@shop:/volumes ...", None, None),
        (" | 1 hashing, x hashed (1 B), 0 cached (0 B), uploaded 0 B", None, None),
        ("Processed 7 (14 B) of 1001 (41.6 MB).     ", Progress(7, 14), ""),
        (
            (
                "Processed 341 (24 MB) of 1001 (41.6 MB), skipped 2 (1 KB), ignored 3 errors"
                " 7.8 MB/s (57.8%) remaining 1m1s."
            ),
            Progress(341, 24_000_000),
            "",
        ),
        (
            (
                "Processed 886 (39.1 MB) of 1001 (41.6 MB) 6.4 MB/s (94.0%) remaining 0s.error"
                " restoring: restore error: unlinkat /volumes/x: read-only file system"
            ),
            Progress(886, 39_100_000),
            "error restoring: restore error: unlinkat /volumes/x: read-only file system",
        ),
    ],
)
def test_progress_is_read_from_its_line_alone(
    line: str, progress: Progress | None, rest: str | None
) -> None:
    assert parse_progress(line) == (progress, line if rest is None else rest)


def test_maintenance_is_due_by_kopias_own_schedule() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    never = {"nextFullMaintenance": "0001-01-01T00:00:00Z", "runs": None}
    later = {
        "nextQuickMaintenance": "2026-11-27T23:00:00Z",
        "nextFullMaintenance": "2026-11-29T00:00:00Z",
    }

    def due(schedule: dict[str, Any]) -> tuple[bool, bool]:
        return parse_maintenance(json.dumps({"schedule": schedule}).encode(), now)

    assert due(never) == (True, True)
    assert due(later) == (True, False)
