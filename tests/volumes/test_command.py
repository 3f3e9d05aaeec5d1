"""``backup_engine volumes …``: the repository of a host without its engine, by a real kopia."""

import argparse
import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_engine.command.kept_backups import choose_backup
from backup_engine.command.volumes import PASSWORD_VARIABLE, parse_moment
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.snapshots import Snapshot
from fixtures.volumes import VolumeScene
from fixtures.volumes_command import run


async def test_a_lost_cluster_leaves_its_volumes_to_whoever_has_repository_and_password(
    shop: VolumeScene, kopia: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.fill("data", {"base/1": "one", "base/2": "two", "log": "old"})
    first = await shop.make("first")
    shop.fill("data", {"base/1": "changed"})
    await shop.make("second")
    await shop.engine.stop()
    password = (await shop.work.repositories.get(shop.host_id, "shop")).password
    file = tmp_path / "the-password"
    file.write_text(password + "\n")
    url = str(tmp_path / "repositories" / f"shop_{shop.host_id}")
    access = ("--password-file", str(file), "--kopia", kopia)

    assert await run("list", url, *access) == 0
    head, older, newer = capsys.readouterr().out.splitlines()
    assert head.split() == ["BACKUP", "HOST", "BEGAN", "VOLUMES", "SIZE", "FILES"]
    assert older.split()[1] == newer.split()[1] == "shop"
    assert older.split()[3:] == ["1", "9", "B", "3"]
    assert await run("list", url, *access, "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["volumes"][0]["claim"] for each in told] == ["data", "data"]

    assert await run("show", url, *access) == 0
    assert "shop/data" in capsys.readouterr().out
    assert await run("show", url, "shop/data", "base", "--backup", told[0]["backup"], *access) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NAME", "1", "2"]

    assert first["time_initiated"] < parse_moment(told[1]["began"]).timestamp() * 1000 + 1000
    between = datetime.fromtimestamp(first["time_completed"] / 1000 + 1e-5, tz=UTC)
    then = ("--at", between.isoformat())
    target = tmp_path / "back"
    assert await run("restore", url, "shop/data", str(target), *then, *access) == 0
    assert capsys.readouterr().out == "restored 3 files, 9 bytes\n"
    assert (target / "base" / "1").read_text() == "one"
    assert await run("restore", url, "shop/data", str(target), "--path", "base/1", *access) == 0
    assert (target / "base" / "1").read_text() == "changed"
    assert (target / "base" / "2").read_text() == "two"
    capsys.readouterr()
    assert await run("show", url, *then, *access) == 0
    assert told[0]["backup"] in capsys.readouterr().out

    file.write_text("another")
    assert await run("list", url, *access) == 3
    assert "does not open with this password" in capsys.readouterr().err
    file.write_text(password)
    wrong = str(tmp_path / "repositories" / "other_9")
    troubles: tuple[tuple[tuple[str, ...], int, str], ...] = (
        (("list", url, "--kopia", kopia), 2, PASSWORD_VARIABLE),
        (("list", wrong, *access), 3, "holds no repository"),
        (("list", str(tmp_path), *access), 2, "such as …/shop_2"),
        (("list", url, *access[:3], "/nowhere/kopia"), 3, "/nowhere/kopia cannot be run"),
        (("show", url, "--backup", "third", *access), 3, "no backup third"),
        (
            ("show", url, "--at", "2020-01-01", *access),
            3,
            f"begun by 2020-01-01T00:00:00+00:00; the oldest began at {told[0]['began']}",
        ),
        (("show", url, "shop/none", *access), 3, "has no volume shop/none; it has shop/data"),
        (("show", url, "data", *access), 2, "expected NAMESPACE/CLAIM"),
        (("restore", url, "shop/data", str(target), *access), 3, "is not empty"),
        (("restore", url, "shop/data", str(target), "--path", "../x", *access), 2, "no path"),
        (
            ("restore", url, "shop/data", str(target), "--path", "nothing", *access),
            3,
            "the backup has no nothing",
        ),
    )
    for arguments, code, words in troubles:
        assert await run(*arguments) == code, arguments
        assert words in capsys.readouterr().err
    await asyncio.to_thread(os.symlink, tmp_path, target / "way-out")
    linked = ("restore", url, "shop/data", str(target), "--path", "way-out/x", *access)
    assert await run(*linked) == 3
    assert "leads through the symbolic link way-out" in capsys.readouterr().err


def test_a_time_without_a_zone_is_utc() -> None:
    assert parse_moment("2026-11-28T03:00:00") == parse_moment("2026-11-28T04:00:00+01:00")
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time such as"):
        parse_moment("yesterday")


def taken(backup: str, second: int, microsecond: int) -> Snapshot:
    started = datetime(2026, 11, 28, 3, 0, second, microsecond, tzinfo=UTC)
    return Snapshot(f"id-{backup}", started, 1, 1, tags={"backup": backup, "volume": "shop/data"})


@pytest.mark.parametrize(
    ("moment", "chosen"),
    [
        ("2026-11-28T03:00:01Z", "older"),  # as `list` prints when it began
        ("2026-11-28T03:00:01.700Z", "older"),
        ("2026-11-28T03:00:01.500Z", "oldest"),
        ("2026-11-28T03:00:02Z", "newest"),
        (None, "newest"),
    ],
)
def test_a_point_in_time_is_the_newest_backup_that_had_begun_by_then(
    moment: str | None, chosen: str
) -> None:
    snapshots = [taken("newest", 2, 1), taken("oldest", 0, 0), taken("older", 1, 600_000)]
    at = parse_moment(moment) if moment is not None else None
    wanted = argparse.Namespace(url="u", backup=None, at=at)
    assert choose_backup(snapshots, "shop", wanted).name == chosen


def test_a_time_before_the_oldest_backup_is_told_with_that() -> None:
    wanted = argparse.Namespace(url="u", backup=None, at=parse_moment("2026-11-28"))
    with pytest.raises(VolumeError, match="the oldest began at 2026-11-28T03:00:01Z"):
        choose_backup([taken("older", 1, 600_000)], "shop", wanted)
    with pytest.raises(VolumeError, match=r"no backup that had begun by [^;]*$"):
        choose_backup([], "shop", wanted)
