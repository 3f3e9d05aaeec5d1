"""A mover at work with a real kopia, against a repository in a real S3 server."""

from pathlib import Path

import pytest

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.kopia import ignore
from backup_engine.volumes.mover import run_mover, work
from backup_engine.volumes.mover_job import REQUEST, MoverRequest
from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.repository import Repository
from fixtures.s3_server import S3Server

pytest_plugins = ["fixtures.s3"]
pytestmark = pytest.mark.timeout(300)


async def test_a_mover_stores_a_volume_in_a_bucket_and_writes_it_back(
    tmp_path: Path, kopia: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
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
    await work(writing, secrets, tmp_path / "second", volumes, ignore)

    assert str(snapshot.volume) == "shop/data"
    assert (volumes / "shop" / "copy" / "file").read_text() == "content"
    with pytest.raises(VolumeError, match="is not empty"):
        await work(writing, secrets, tmp_path / "second", volumes, ignore)
    with pytest.raises(VolumeError) as wrong:
        await work(taking, {**secrets, "KOPIA_PASSWORD": "x"}, tmp_path / "third", volumes, ignore)
    assert wrong.value.reason == "PasswordWrong"


def test_a_mover_that_cannot_read_its_request_says_so_in_its_termination_message(
    tmp_path: Path,
) -> None:
    log = tmp_path / "termination-log"

    assert run_mover({REQUEST: "{"}, log) == 3
    assert '"reason":"MoverRequestUnknown"' in log.read_text()
