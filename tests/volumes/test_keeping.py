"""What looks after data hosts while nobody does: nights, retention, passwords, maintenance."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backup_engine.cluster import ClusterConnection
from backup_engine.cluster_keys.secrets import ClusterSecrets, SecretRef
from backup_engine.runs.claims import ClaimKind
from backup_engine.runs.nightly import NightlyRules
from backup_engine.runs.repositories import Repositories
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.passwords import SecretPasswords
from backup_engine.volumes.place import RepositoryPlaces
from fixtures.cluster import Cluster, Kubectl
from fixtures.volumes import HOST, VolumeScene, build_work, open_scene
from listserver import ListServer
from localengine import BACKUPS, local_engine

WITHIN_S = 100
AFTERNOON = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
FIRST_NIGHT = datetime(2026, 3, 5, 0, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAY_MS = 86_400_000
VOLUMES: list[Mapping[str, Any]] = [{"namespace": HOST, "claimNames": ["data"]}]


class Clock:
    """The time, as the test says."""

    def __init__(self) -> None:
        self.now = AFTERNOON

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def a_shop(
    folder: Path, source: ListServer, kopia: str, clock: Clock
) -> AsyncIterator[VolumeScene]:
    work = build_work(folder, kopia)
    async with local_engine(
        folder,
        source.kubeconfig(folder),
        nightly=NightlyRules(look_every_s=0.05),
        clock=clock,
        volume_work=work,
    ) as engine:
        yield await open_scene(engine, source, work, VOLUMES)


async def until_listed(scene: VolumeScene, ids: list[int]) -> list[dict[str, Any]]:
    """Wait until exactly these backups are there, and all of them succeeded."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            records: list[dict[str, Any]] = (await scene.engine.send("GET", BACKUPS)).json()
            statuses = {each["status"] for each in records}
            if [each["id"] for each in records] == ids and statuses == {"SUCCESS"}:
                return records
            await asyncio.sleep(0.05)


async def test_each_night_has_a_data_backup_and_retention_takes_its_snapshots_along(
    tmp_path: Path, source: ListServer, kopia: str
) -> None:
    clock = Clock()
    async with a_shop(tmp_path, source, kopia, clock) as scene:
        scene.fill("data", {"rows": "1"})
        await scene.engine.stage(configuration_backup_enabled=False, backup_retention_period=DAY_MS)
        await scene.engine.deploy()
        asked = await scene.make("asked-for")

        clock.now = FIRST_NIGHT
        night = asked["id"] + 1
        (*_, first) = await until_listed(scene, [asked["id"], night])
        clock.now = FIRST_NIGHT + DAY + timedelta(hours=1)
        (kept, second) = await until_listed(scene, [asked["id"], night + 1])

        assert (first["name"], first["type"], first["host_id"]) == (
            "nightly",
            "DATA",
            scene.host_id,
        )
        assert (kept["name"], second["name"]) == ("asked-for", "nightly")
        snapshots = await (await scene.repository()).list_snapshots()
        told = {each["content_file_path"].rpartition("/")[2] for each in (kept, second)}
        assert {each.tags["backup"] for each in snapshots} == told


@pytest.mark.cluster
async def test_the_password_of_a_host_is_made_once_in_a_secret_of_its_own(
    sandbox: Cluster, kubectl: Kubectl, namespace: str, tmp_path: Path, kopia: str
) -> None:
    prefix = SecretRef("repository", namespace)
    places = RepositoryPlaces((tmp_path / "repositories").as_uri())
    literal = "--from-literal=password=my-own"
    kubectl("-n", namespace, "create", "secret", "generic", "repository-own", literal)
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as cluster:
        engines = [
            Repositories(places, SecretPasswords(ClusterSecrets(cluster), prefix), kopia, state)
            for state in (tmp_path / "one", tmp_path / "two")
        ]
        with pytest.raises(VolumeError, match="there is no Secret") as missing:
            await engines[0].open(2, HOST)

        await asyncio.gather(*(each.ensure(2, HOST) for each in engines))
        one, two = [await each.get(2, HOST) for each in engines]
        await engines[1].ensure(3, "own")
        listed = [await (await each.open(2, HOST)).list_snapshots() for each in engines]
        own = await engines[0].get(3, "own")
        kubectl("-n", namespace, "delete", "secret", "repository-shop")
        with pytest.raises(VolumeError, match="there is no Secret") as lost:
            await engines[0].open(2, HOST)

    assert missing.value.reason == lost.value.reason == "PasswordMissing"
    assert one.password == two.password
    assert len(one.password) >= 43  # 256 bits
    assert one.password not in repr(one)
    assert own.password == "my-own"
    assert listed == [(), ()]
    left = sorted(each.name for each in (tmp_path / "repositories").iterdir())
    assert left == ["own_3", "shop_2"], "of two creators one leaves its attempt behind"


async def test_one_of_several_engines_looks_after_the_repositories_until_it_is_gone(
    tmp_path: Path, source: ListServer, kopia: str, postgres_url: str
) -> None:
    work = build_work(tmp_path, kopia)
    others = replace(work.repositories, state=tmp_path / "kopia-of-the-other")
    kubeconfig = source.kubeconfig(tmp_path)
    async with (
        local_engine(tmp_path, kubeconfig, database_url=postgres_url, volume_work=work) as first,
        local_engine(
            tmp_path,
            kubeconfig,
            database_url=postgres_url,
            volume_work=replace(work, repositories=others),
        ) as second,
    ):
        scene = await open_scene(first, source, work, VOLUMES)
        scene.fill("data", {"rows": "1"})
        assert second.parts.volumes is not None
        keeper = second.parts.volumes.keeper
        looking = second.parts.alone(ClaimKind.REPOSITORIES, keeper.run)
        second.tasks = [asyncio.create_task(as_task(looking))]
        await scene.make("kept")
        assert not others.state.exists(), "two engines look after one repository"

        await first.stop()

        async with asyncio.timeout(WITHIN_S):
            while not others.state.exists():  # noqa: ASYNC110 - of another engine
                await asyncio.sleep(0.05)


async def as_task(work: Any) -> None:  # noqa: ANN401
    await work()
