"""Two real operators and one lease: never do both act, and a lost leader is followed."""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.faults import Moment
from appliance.journal import SeenRequest
from appliance.server import FakeAppliance
from fixtures.cluster import Cluster
from fixtures.operator_process import Forge, OperatorProcess, build_operator
from fixtures.scene import Scene, connect

pytestmark = [pytest.mark.cluster, pytest.mark.process, pytest.mark.timeout(180)]

LEADING = "backup_operator: leading"
DURATION_S, DEADLINE_S, RETRY_S = 3, 2, 1
STARTS_WITHIN_S = 60.0


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


async def until_leading(replica: OperatorProcess, within_s: float = STARTS_WITHIN_S) -> float:
    """Wait until it leads; returns how many seconds that took."""
    began = time.monotonic()
    while not is_leading(replica):
        if time.monotonic() > began + within_s:
            pytest.fail(f"does not lead:\n{replica.output()}")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


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
    await scene.running(name, within_s=25)
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
    took_s = await until_leading(standby)

    assert took_s <= DURATION_S + RETRY_S + 1  # one for a busy machine
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
    stopping = asyncio.create_task(leader.stop())
    with pytest.raises(TimeoutError):  # longer than a lease that is not renewed
        await asyncio.wait_for(asyncio.shield(stopping), RETRY_S + DURATION_S)
    assert not is_leading(standby)  # what was begun is finished by the one that began it
    hold.release()
    assert await stopping == 0
    assert await until_leading(standby, within_s=RETRY_S + 1) <= RETRY_S + 1

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
    async with asyncio.timeout(30):
        while "is lost" not in leader.output():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)
    polls = scene.appliance.count("GET /backups")
    await scene.appliance.received("GET /backups", times=polls + 3)

    woken = scene.appliance.requests[asleep_at:]
    assert not before & connections(woken)
    assert leader.process.poll() is None  # it stands by, and would follow in its turn
    assert await holder(scene) not in {"", None}


async def test_a_leader_cut_off_from_its_lease_stops_before_the_other_begins(
    pair: Pair,
) -> None:
    """Somebody takes the lease: the leader notices at its next renewal, and stands by."""
    scene, leader = pair.scene, pair.leader
    path = f"/apis/coordination.k8s.io/v1/namespaces/{scene.namespace}/leases/backup-operator"
    await scene.cluster.merge(
        path, {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 3600}}
    )
    async with asyncio.timeout(DEADLINE_S + 3):
        while "is lost" not in leader.output():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)
    await scene.create("unled")
    posts = len(scene.appliance.requests)
    with contextlib.suppress(TimeoutError):
        await scene.appliance.received("*", times=posts + 1, within_s=2)
    assert len(scene.appliance.requests) == posts
    assert scene.posts() == 0

    await scene.cluster.merge(path, {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})
    await finish(scene, "unled")


async def holder(scene: Scene) -> str | None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{scene.namespace}/leases/backup-operator"
    lease = await scene.cluster.call("GET", path)
    found: str | None = lease["spec"].get("holderIdentity")
    return found
