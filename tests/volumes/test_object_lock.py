"""Object lock on a real S3 server: what a repository stores there cannot go before its time."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_engine.settings import UsageError, read_settings
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.object_lock import ObjectLock
from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.repository import Repository
from backup_engine.volumes.volume import Volume
from fixtures.s3_server import S3Server

pytest_plugins = ["fixtures.s3"]

DATA = Volume("shop", "data")
LOGS = "_log_"  # kopia's own logs are not locked


class Bucket:
    """A bucket, and the repository in it as engines with this or that lock open it."""

    def __init__(self, server: S3Server, name: str, kopia: str, folder: Path) -> None:
        self._server = server
        self._name = name
        self._kopia = kopia
        self._folder = folder
        server.make_bucket(name, is_locking="locking" in name)

    def open(self, days: int) -> Repository:
        lock = ObjectLock("GOVERNANCE", days)
        places = RepositoryPlaces(
            f"s3://{self._name}", environment=self._server.environment, lock=lock
        )
        return Repository(
            self._kopia, places.find(2, "shop"), "shop", "the-password", self._folder / "home"
        )

    def list_objects(self) -> list[str]:
        answer = self._server.call("GET", f"/{self._name}", "list-type=2")
        return [key for key in re.findall("<Key>(.*?)</Key>", answer.body) if LOGS not in key]

    def locked_until(self, key: str) -> datetime:
        told = self._server.call("GET", f"/{self._name}/{key}", "retention=").body
        (until,) = re.findall("<RetainUntilDate>(.*?)</RetainUntilDate>", told)
        assert "<Mode>GOVERNANCE</Mode>" in told
        return datetime.fromisoformat(until)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    (folder / "file").write_text("content")
    return folder


async def test_all_that_is_stored_is_locked_and_maintenance_extends_the_locks(
    tmp_path: Path, kopia: str, s3_server: S3Server, volume: Path
) -> None:
    bucket = Bucket(s3_server, "locking-repository", kopia, tmp_path)
    began = datetime.now(UTC)
    await bucket.open(3).ensure()
    await bucket.open(3).snapshot("first.kopia", DATA, volume)
    stored = bucket.list_objects()
    locked = {key: bucket.locked_until(key) for key in stored}

    repository = bucket.open(10)  # another wish, which a deploy puts in force
    await repository.ensure()
    await repository.ensure()
    await repository.maintain(datetime.now(UTC) + timedelta(days=30))

    assert any("/p" in key for key in stored), "no pack is stored"
    day = timedelta(days=1)
    assert all(began + 3 * day - day < until < began + 4 * day for until in locked.values())
    still = set(stored) & set(bucket.list_objects())
    assert still
    assert all(bucket.locked_until(key) > began + 9 * day for key in still)
    (snapshot,) = await repository.list_snapshots("first.kopia")
    await repository.delete([snapshot.id])
    assert await repository.list_snapshots() == ()


async def test_a_bucket_without_object_lock_is_refused_and_stays_as_it_is(
    tmp_path: Path, kopia: str, s3_server: S3Server
) -> None:
    bucket = Bucket(s3_server, "plain-repository", kopia, tmp_path)

    with pytest.raises(VolumeError, match="leave --repository-lock out") as refused:
        await bucket.open(3).ensure()

    assert refused.value.reason == "ObjectLockRefused"
    assert bucket.list_objects() == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"repository_lock": "GOVERNANCE"}, "needs --repository-url s3://bucket/prefix"),
        ({"repository_lock": "FOREVER", "repository_url": "s3://b"}, "--repository-lock: "),
        (
            {
                "repository_lock": "COMPLIANCE",
                "repository_lock_days": 1,
                "repository_url": "s3://b",
            },
            "--repository-lock-days: ",
        ),
    ],
)
def test_what_cannot_lock_is_told_at_the_start(
    options: dict[str, object], told: str, tmp_path: Path
) -> None:
    common = {"listen": "127.0.0.1:0", "data_dir": tmp_path, "plain_http": True}

    with pytest.raises(UsageError, match=told):
        read_settings({**common, **options})
