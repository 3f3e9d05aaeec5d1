"""Two real operators and one lease: never do both act, and a lost leader is followed."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.faults import Moment
from appliance.journal import PATIENCE_S, SeenRequest
from appliance.server import FakeAppliance
from fixtures.cluster import Cluster
from fixtures.operator_process import Forge, OperatorProcess, build_operator
from fixtures.scene import Body, Scene, connect

pytestmark = [pytest.mark.cluster, pytest.mark.process]

LEADING = "backup_operator: leading"
DURATION_S, DEADLINE_S, RETRY_S = 9, 7, 1  # a machine may stall for five seconds


@dataclass
class Pair:
    """A leader and its standby."""

    scene: Scene
    replicas: tuple[OperatorProcess, OperatorProcess]

    @property
    def leader(self) -> OperatorProcess:
        return next(one for one in self.replicas if is_leading(one))

    @property
    def standby(self) -> OperatorProcess:
        return next(one for one in self.replicas if not is_leading(one))


def is_leading(replica: OperatorProcess) -> bool:
    assert replica.process is not None
    return replica.process.poll() is None and LEADING in replica.output()


async def until_leading(replica: OperatorProcess) -> None:
    """Wait until it leads. How soon it may and must: tests/decisions/test_leadership.py."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not is_leading(replica):  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"does not lead:\n{replica.output()}")


async def until_said(replica: OperatorProcess, words: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while words not in replica.output():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)


@pytest.fixture
async def pair(
    forge: Forge, sandbox: Cluster, appliance: FakeAppliance, tmp_path: Path
) -> AsyncIterator[Pair]:
    namespace = f"pair-{secrets.token_hex(4)}"
    replicas = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        await asyncio.to_thread(folder.mkdir)
        replica = build_operator(forge, sandbox, folder, namespace)
        replica.arguments = (
            *replica.arguments,
            "--leader-elect",
            f"--leader-election-namespace={namespace}",
            f"--lease-duration={DURATION_S}s",
            f"--renew-deadline={DEADLINE_S}s",
            f"--retry-period={RETRY_S}s",
        )
        replicas.append(replica)
    first, second = replicas
    async with connect(sandbox.kubeconfig) as cluster:
        path = "/api/v1/namespaces"
        await cluster.call("POST", path, {"metadata": {"name": namespace}})
        scene = Scene(cluster, appliance, first, namespace)
        try:
            first.launch()
            second.launch()
            await first.ready()
            await second.ready()
            await scene.create_engine()
            await scene.engine_condition("Ready", "True", "Connected")
            yield Pair(scene, (first, second))
        finally:
            first.kill()
            second.kill()
            await scene.clean_up()
            await cluster.call("DELETE", f"{path}/{namespace}")
    for replica in replicas:
        replica.check_outputs()


async def finish(scene: Scene, name: str) -> None:
    await scene.running(name)
    scene.appliance.finish_all()
    await scene.condition(name, "Complete")
    assert scene.created() == 1


def connections(requests: list[SeenRequest]) -> set[int]:
    return {seen.client_port for seen in requests}


async def test_a_standby_says_nothing_to_the_engine_and_follows_a_killed_leader(
    pair: Pair,
) -> None:
    scene, leader, standby = pair.scene, pair.leader, pair.standby
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.AFTER_ACTING)
    await scene.create("heir")
    await hold.arrived()
    assert not is_leading(standby)
    leader.kill()
    killed_at = len(scene.appliance.requests)
    hold.release()
    await until_leading(standby)

    scene.operator = standby
    await finish(scene, "heir")
    first, second = (
        connections(scene.appliance.requests[:killed_at]),
        connections(scene.appliance.requests[killed_at:]),
    )
    assert not first & second  # nobody but the leader ever spoke
    assert scene.posts() == 1


async def test_a_leader_that_is_told_to_stop_hands_over_at_once(pair: Pair) -> None:
    scene, leader, standby = pair.scene, pair.leader, pair.standby
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.AFTER_ACTING)
    await scene.create("handed")
    await hold.arrived()
    before = await read_lease(scene)
    stopping = asyncio.create_task(leader.stop())
    for _ in range(3):  # what was begun is finished by the one that began it
        await renewed(scene, await read_lease(scene))
    assert not stopping.done()
    assert (await read_lease(scene))["holderIdentity"] == before["holderIdentity"]
    assert not is_leading(standby)
    hold.release()
    assert await stopping == 0
    # let go, and not left to run out
    assert (await read_lease(scene)).get("holderIdentity") != before["holderIdentity"]
    await until_leading(standby)

    scene.operator = standby
    await finish(scene, "handed")
    assert scene.posts() == 1


async def test_a_leader_that_was_asleep_does_nothing_after_its_lease_has_gone(
    pair: Pair,
) -> None:
    scene, leader, standby = pair.scene, pair.leader, pair.standby
    assert leader.process is not None
    await scene.create("asleep-0")
    await scene.running("asleep-0")
    for number in range(1, 5):
        await scene.create(f"asleep-{number}", busyTimeout="24h")  # work for whoever leads
    leader.process.send_signal(signal.SIGSTOP)
    before = connections(scene.appliance.requests)  # of the leader: the other one has sent nothing
    await until_leading(standby)
    scene.operator = standby
    await scene.appliance.received("GET /backups", times=scene.appliance.count("GET /backups") + 2)
    asleep_at = len(scene.appliance.requests)
    leader.process.send_signal(signal.SIGCONT)
    await until_said(leader, "is lost")
    polls = scene.appliance.count("GET /backups")
    await scene.appliance.received("GET /backups", times=polls + 3)

    woken = scene.appliance.requests[asleep_at:]
    assert not before & connections(woken)
    assert leader.process.poll() is None  # it stands by, and would follow in its turn
    assert (await read_lease(scene)).get("holderIdentity")


async def test_a_leader_cut_off_from_its_lease_stops_before_the_other_begins(
    pair: Pair,
) -> None:
    """Somebody takes the lease: the leader notices at its next renewal, and stands by."""
    scene, leader = pair.scene, pair.leader
    path = lease_path(scene)
    await scene.cluster.merge(
        path, {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 3600}}
    )
    await until_said(leader, "is lost")
    await scene.create("unled")
    posts = len(scene.appliance.requests)
    with contextlib.suppress(TimeoutError):
        await scene.appliance.received("*", times=posts + 1, within_s=2)
    assert len(scene.appliance.requests) == posts
    assert scene.posts() == 0

    await scene.cluster.merge(path, {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})
    await finish(scene, "unled")


def lease_path(scene: Scene) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{scene.namespace}/leases/backup-operator"


async def read_lease(scene: Scene) -> Body:
    spec: Body = (await scene.cluster.call("GET", lease_path(scene)))["spec"]
    return spec


async def renewed(scene: Scene, before: Body) -> None:
    """Wait until the lease is another than before."""
    async with asyncio.timeout(PATIENCE_S):
        while await read_lease(scene) == before:  # noqa: ASYNC110 - a state is waited for
            await asyncio.sleep(0.05)
