"""One appliance, one engine, and one operator after the other: each dies where it is told."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.server import FakeAppliance
from crashing.ways import Way
from fixtures.cluster import Cluster
from fixtures.operator_process import Forge
from fixtures.scene import Scene, connect

TRIES = 3
ARMED = "armed"
LOOK_S = 0.02
DEATH_IS_SEEN_S = 3.0


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
        await self.until(lambda: ARMED in self.walked(), 30, ARMED)

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
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            pytest.fail(f"not {what} within {within_s} s:\n{self.output()[-3000:]}")

    async def is_dead_before(self, ending: asyncio.Task[str]) -> bool:
        """Wait until it has died, or a little longer than until the way has come to its end."""
        while self.is_alive() and not ending.done():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(LOOK_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEATH_IS_SEEN_S):
                while self.is_alive():  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(LOOK_S)
        return not self.is_alive()

    async def end(self) -> None:
        """Kill it and wait: its connections are to break while somebody still hears of it."""
        if self.pid and self.is_alive():
            os.kill(self.pid, signal.SIGKILL)
            await self.until(lambda: not self.is_alive(), 30, "dead")


@dataclass
class Lane:
    """Where ways are walked, one after the other."""

    scene: Scene
    operator: MortalOperator
    count: int = 0

    async def walk(self, way: Way, step: str | None = None, moment: str = "") -> str:
        """Let an object go its way and the operator die on it; returns what became of it.

        ``step`` None: nobody dies.
        """
        for _ in range(TRIES):
            self.count += 1
            name = f"{way.name.replace(' ', '-')}-{self.count}"
            there = await way.count(self.scene)
            await way.prepare(self.scene, name)
            await self.operator.arm(step, way.occurrences.get(step or "", 1), moment)
            await way.trigger(self.scene, name)
            ending = asyncio.create_task(way.finish(self.scene, name))
            is_dead = step is not None and await self.operator.is_dead_before(ending)
            if is_dead:
                await self.operator.start()
            outcome = await ending
            too_many = await way.count(self.scene) - there - way.makes
            if too_many:
                return f"{outcome}, {too_many} too many"
            if is_dead or step is None:
                return outcome
            await self.operator.end()  # a sweep told it what this step would have: once more
            await self.operator.start()
        pytest.fail(f"{way}: never came to {step}")


@contextlib.asynccontextmanager
async def open_lane(sandbox: Cluster, forge: Forge, folder: Path) -> AsyncIterator[Lane]:
    """Make a namespace, an appliance and an operator for it, and remove them at the end."""
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
            await scene.create_engine(restoreNamespaces={"names": [namespace]})
            await operator.start()
            yield Lane(scene, operator)
        finally:
            await operator.end()
            await scene.clean_up()
            await cluster.call("DELETE", f"{path}/{namespace}")
