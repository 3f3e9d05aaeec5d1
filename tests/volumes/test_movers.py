"""A mover at work with a real kopia, against a repository in a real S3 server."""

import subprocess
import sys
from pathlib import Path

import pytest

from backup_engine.command.volumes import PASSWORD_VARIABLE
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.kopia import ignore
from backup_engine.volumes.mover import run_mover, work
from backup_engine.volumes.mover_job import REFUSED, REQUEST, MoverRequest
from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.repository import Repository
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.volume import Volume
from fixtures.s3_server import S3Server
from fixtures.volumes_command import run as run_command

pytest_plugins = ["fixtures.s3"]


async def test_a_mover_stores_a_volume_in_a_bucket_and_writes_it_back(
    tmp_path: Path,
    kopia: str,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", f"{Path(kopia).parent}:/usr/bin:/bin")
    s3_server.make_bucket("volumes")
    places = RepositoryPlaces("s3://volumes/data", environment=s3_server.environment)
    place = places.find(2, "shop")
    secrets = {**place.secrets, "KOPIA_PASSWORD": "the-password"}
    repository = Repository(kopia, place, "shop", "the-password", tmp_path / "engine")
    await repository.ensure()
    volumes = tmp_path / "volumes"
    (volumes / "shop" / "data").mkdir(parents=True)
    (volumes / "shop" / "data" / "file").write_text("content")
    (volumes / "shop" / "copy" / "lost+found").mkdir(parents=True)
    common = {"hostname": "shop", "place": place.arguments, "url": place.url, "namespace": "shop"}

    taking = MoverRequest(**common, claim="data", archive_name="b.kopia")  # type: ignore[arg-type]
    await work(taking, secrets, tmp_path / "first", volumes, ignore)
    (snapshot,) = await repository.list_snapshots("b.kopia")
    writing = MoverRequest(**common, claim="copy", snapshot_id=snapshot.id)  # type: ignore[arg-type]
    done = await work(writing, secrets, tmp_path / "second", volumes, ignore)

    assert done == Progress(files=1, bytes=7)
    assert str(snapshot.volume) == "shop/data"
    assert (volumes / "shop" / "copy" / "file").read_text() == "content"
    with pytest.raises(VolumeError, match="is not empty"):
        await work(writing, secrets, tmp_path / "second", volumes, ignore)
    with pytest.raises(VolumeError) as wrong:
        await work(taking, {**secrets, "KOPIA_PASSWORD": "x"}, tmp_path / "third", volumes, ignore)
    assert wrong.value.reason == "PasswordWrong"

    for name, content in s3_server.environment.items():
        monkeypatch.setenv(name, content)
    monkeypatch.setenv(PASSWORD_VARIABLE, "the-password")
    assert await run_command("list", "s3://volumes/data/shop_2") == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["BACKUP", "HOST"],
        ["b.kopia", "shop"],
    ]


async def test_paths_go_into_a_full_volume_and_never_through_a_link(
    tmp_path: Path, kopia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(kopia).parent}:/usr/bin:/bin")
    place = RepositoryPlaces(tmp_path.as_uri()).find(2, "shop")
    repository = Repository(kopia, place, "shop", "the-password", tmp_path / "engine")
    await repository.ensure()
    volume = tmp_path / "volumes" / "shop" / "data"
    (volume / "base" / "deep").mkdir(parents=True)
    (volume / "base" / "1").write_text("one")
    (volume / "base" / "deep" / "2").write_text("three")
    (volume / "log").write_text("old")
    snapshot = await repository.snapshot("b.kopia", Volume("shop", "data"), volume)
    (volume / "base" / "1").write_text("changed")
    (volume / "log").write_text("new")
    heard: list[Progress] = []

    async def restore(*paths: str) -> Progress:
        request = MoverRequest(
            hostname="shop",
            place=place.arguments,
            url=place.url,
            namespace="shop",
            claim="data",
            snapshot_id=snapshot.id,
            paths=paths,
        )
        secrets = {"KOPIA_PASSWORD": "the-password"}
        return await work(request, secrets, tmp_path / "home", tmp_path / "volumes", heard.append)

    assert await restore("base/1", "base/deep") == Progress(files=2, bytes=8)
    assert (volume / "base" / "1").read_text() == "one"
    assert (volume / "log").read_text() == "new"
    assert [each.files for each in heard] == sorted(each.files for each in heard)
    with pytest.raises(VolumeError, match="the backup has no base/3") as missing:
        await restore("log", "base/3")
    assert missing.value.reason == "PathMissing"
    assert (volume / "log").read_text() == "new"  # found before anything was written
    (tmp_path / "others").mkdir()
    (volume / "base" / "1").unlink()
    (volume / "base" / "deep" / "2").unlink()
    (volume / "base" / "deep").rmdir()
    (volume / "base" / "deep").symlink_to(tmp_path / "others")
    with pytest.raises(VolumeError, match="leads through the symbolic link base/deep") as linked:
        await restore("base/deep/2")
    assert linked.value.reason == "TargetIsLink"
    assert list((tmp_path / "others").iterdir()) == []


def test_a_mover_that_cannot_read_its_request_says_so_in_its_termination_message(
    tmp_path: Path,
) -> None:
    log = tmp_path / "termination-log"

    assert run_mover({REQUEST: "{"}, log) == 3
    assert '"reason":"MoverRequestUnknown"' in log.read_text()


def test_a_mover_loads_nothing_of_what_it_does_not_need() -> None:
    program = (
        "import sys; from backup_engine.__main__ import main; code = main(['mover']);"
        "print(code, *sorted({'aiohttp', 'httpx2', 'pydantic', 'sqlalchemy'} & sys.modules.keys()))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == f"{REFUSED}\n", "one starts for each volume, and each import costs it"
