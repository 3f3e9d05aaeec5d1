"""kill -9 of a real operator before and after every request of a Backup's way.

Each row of the table that is printed is a step, each cell what became of the Backup. The same table
is in docs/operator.md.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.server import FakeAppliance
from crashing import steps
from fixtures.cluster import Cluster
from fixtures.operator_process import Forge
from fixtures.scene import Scene, connect, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process, pytest.mark.timeout(600)]

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "operator.md"
MOMENTS = ("before", "after")
PATHS = {
    "submit": (
        steps.ADD_FINALIZER,
        steps.CHECK_NAME,
        steps.STORE_ATTEMPT,
        steps.POST,
        steps.STORE_ID,
    ),
    "adopt": (steps.POST, steps.CHECK_NAME, steps.STORE_ID),
    "cancel": (steps.READ_RECORD, steps.DELETE, steps.POLL, steps.STORE_STATUS),
    "delete": (
        steps.READ_RECORD,
        steps.STORE_STATUS,
        steps.DELETE,
        steps.POLL,
        steps.REMOVE_FINALIZER,
    ),
}
"""The requests of each way that may be its last; a step that is not met fails the test."""

OCCURRENCES = {("adopt", steps.CHECK_NAME): 2}  # the first is the check before the attempt
LANES = 4
TRIES = 3
DEATH_S = 40


@dataclass
class MortalOperator:
    """Stands where a scene expects its operator; the next one is the same object."""

    forge: Forge
    arguments: tuple[str, ...]
    folder: Path
    pid: int = 0
    starts: int = 0

    @property
    def log(self) -> Path:
        return self.folder / f"operator-{self.starts}.log"

    @property
    def plan(self) -> Path:
        return self.folder / f"plan-{self.starts}.json"

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def start(self) -> None:
        self.starts += 1
        order = {"arguments": self.arguments, "log": str(self.log), "plan": str(self.plan)}
        self.pid = self.forge.start(order)
        await self.until(lambda: "backup_operator: ready" in self.output(), 60, "ready")

    async def arm(self, step: str | None, occurrence: int, moment: str) -> None:
        plan = {"step": step, "occurrence": occurrence, "moment": moment}
        self.plan.write_text(json.dumps(plan))
        os.kill(self.pid, signal.SIGUSR1)
        await self.until(lambda: "armed" in self.walked(), 30, "armed")

    def walked(self) -> list[str]:
        """The steps since it was armed."""
        path = self.plan.with_suffix(".steps")
        return path.read_text().splitlines() if path.exists() else []

    def is_alive(self) -> bool:
        return not Path(f"{self.log}.exit").exists()

    async def until(self, holds: Callable[[], bool], within_s: float, what: str) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not holds():  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"not {what} within {within_s} s:\n{self.output()[-3000:]}")

    async def is_dead_within(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.is_alive():  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.02)
        return not self.is_alive()

    async def end(self) -> None:
        """Kill it and wait: its connections are to break while somebody still hears of it."""
        if self.pid and self.is_alive():
            os.kill(self.pid, signal.SIGKILL)
            await self.until(lambda: not self.is_alive(), 30, "dead")


@dataclass
class Lane:
    """One appliance, engine and operator after the other."""

    scene: Scene
    operator: MortalOperator
    count: int = 0

    async def walk(self, way: str, step: str | None, occurrence: int, moment: str) -> str:
        """Let a Backup go a way and its operator die on it; returns what became of it."""
        prepare, trigger, finish = WAYS[way]
        for _ in range(TRIES):
            self.count += 1
            name = f"{way}-{self.count}"
            made = self.scene.appliance.state.peek_id()
            await prepare(self.scene, name)
            await self.operator.arm(step, occurrence, moment)
            await trigger(self.scene, name)
            is_dead = step is not None and await self.operator.is_dead_within(DEATH_S)
            if is_dead:
                await self.operator.start()
            outcome = await finish(self.scene, name)
            duplicates = self.scene.appliance.state.peek_id() - made - 1
            if duplicates:
                return f"{outcome}, {duplicates} backups too many"
            if is_dead or step is None:
                return outcome
            await self.operator.end()  # a sweep told it what this step would have: once more
            await self.operator.start()
        pytest.fail(f"{way}: never came to {step}")


Act = Callable[[Scene, str], Awaitable[None]]
End = Callable[[Scene, str], Awaitable[str]]


async def nothing(scene: Scene, name: str) -> None:
    """Begin from nothing."""


async def begin(scene: Scene, name: str) -> None:
    await scene.create(name, deletionPolicy="Delete")
    await scene.running(name, within_s=60)


async def complete(scene: Scene, name: str) -> None:
    await begin(scene, name)
    scene.appliance.finish_all()
    await scene.condition(name, "Complete", within_s=60)


async def create(scene: Scene, name: str) -> None:
    await scene.create(name, deletionPolicy="Delete")


async def create_unanswered(scene: Scene, name: str) -> None:
    scene.appliance.faults.drop_answer("POST /backups")
    await create(scene, name)


async def cancel(scene: Scene, name: str) -> None:
    await scene.change(name, cancel=True)


async def delete(scene: Scene, name: str) -> None:
    await scene.delete(name)


async def succeeded(scene: Scene, name: str) -> str:
    await scene.running(name, within_s=60)
    scene.appliance.faults.clear()
    scene.appliance.finish_all()
    backup = await scene.condition(name, "Finished", within_s=60)
    assert len(scene.appliance.find_by_name(f"{name}-{scene.mark}")) == 1
    ready = find_condition(backup, "Ready")
    assert ready is not None
    return str(backup["status"]["phase"])


async def cancelled(scene: Scene, name: str) -> str:
    backup = await scene.condition(name, "Finished", within_s=60)
    assert scene.appliance.find_by_name(f"{name}-{scene.mark}") == []
    return str(backup["status"]["phase"])


async def gone(scene: Scene, name: str) -> str:
    await scene.gone(name, within_s=60)
    assert scene.appliance.find_by_name(f"{name}-{scene.mark}") == []
    return "gone"


WAYS: dict[str, tuple[Act, Act, End]] = {
    "submit": (nothing, create, succeeded),
    "adopt": (nothing, create_unanswered, succeeded),
    "cancel": (begin, cancel, cancelled),
    "delete": (complete, delete, gone),
}
RIGHT = {"submit": "Succeeded", "adopt": "Succeeded", "cancel": "Cancelled", "delete": "gone"}


@contextlib.asynccontextmanager
async def lane(sandbox: Cluster, forge: Forge, folder: Path) -> AsyncIterator[Lane]:
    namespace = f"kill-{secrets.token_hex(4)}"
    await asyncio.to_thread(folder.mkdir)
    arguments = (
        f"--kubeconfig={sandbox.kubeconfig}",
        f"--namespace={namespace}",
        "--sweep-interval=1h",
    )
    operator = MortalOperator(forge, arguments, folder)
    async with FakeAppliance() as appliance, connect(sandbox.kubeconfig) as cluster:
        path = "/api/v1/namespaces"
        await cluster.call("POST", path, {"metadata": {"name": namespace}})
        scene = Scene(cluster, appliance, operator, namespace)  # type: ignore[arg-type]
        try:
            await scene.create_engine()
            await operator.start()
            yield Lane(scene, operator)
        finally:
            await operator.end()
            await scene.clean_up()
            await cluster.call("DELETE", f"{path}/{namespace}")


async def test_a_kill_at_any_step_costs_no_backup_and_makes_no_second(
    forge: Forge, sandbox: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [
        (way, step, moment)
        for way, way_steps in PATHS.items()
        for step in way_steps
        for moment in MOMENTS
    ]
    table: dict[tuple[str, str, str], str] = {}
    waiting = iter(points)

    async def work(number: int) -> None:
        async with lane(sandbox, forge, tmp_path / f"lane-{number}") as one:
            for way, step, moment in waiting:
                occurrence = OCCURRENCES.get((way, step), 1)
                table[way, step, moment] = await one.walk(way, step, occurrence, moment)

    async with asyncio.TaskGroup() as group:
        for number in range(LANES):
            group.create_task(work(number))

    with capsys.disabled():
        sys.stdout.write(f"\n\n{render(table)}\n")
    assert {point: table.get(point) for point in points} == {
        point: RIGHT[point[0]] for point in points
    }
    assert render(table) in DOCUMENTATION.read_text()


async def test_a_way_has_no_step_that_the_table_leaves_out(
    forge: Forge, sandbox: Cluster, tmp_path: Path
) -> None:
    async with lane(sandbox, forge, tmp_path / "lane") as one:
        for way, way_steps in PATHS.items():
            assert await one.walk(way, None, 0, "") == RIGHT[way]
            known = {*way_steps, "armed", *AFTERWARDS[way]}
            assert set(one.operator.walked()) <= known
            await one.operator.end()
            await one.operator.start()


AFTERWARDS = {
    "submit": {steps.POLL, steps.STORE_STATUS},  # until it has ended
    "adopt": {steps.POLL, steps.STORE_STATUS, steps.ADD_FINALIZER, steps.STORE_ATTEMPT},
    "cancel": set[str](),
    "delete": set[str](),
}
"""Steps of the other ways, and those that follow a way's end."""


def render(table: dict[tuple[str, str, str], str]) -> str:
    """Lay the table out as Markdown."""
    lines = ["| way | step | killed before it | killed after it |", "|---|---|---|---|"]
    for way, way_steps in PATHS.items():
        for step in way_steps:
            cells = " | ".join(table.get((way, step, moment), "?") for moment in MOMENTS)
            lines.append(f"| {way} | {step} | {cells} |")
    return "\n".join(lines)
