"""The transcripts of docs/transcripts.md, replayed with the real kubectl."""

import asyncio
import re
import shlex
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.journal import PATIENCE_S
from fixtures.cluster import Cluster
from fixtures.scene import Scene

pytestmark = [pytest.mark.cluster, pytest.mark.process]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transcripts.md"
TITLES = re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)
BLOCK = re.compile(r"<!-- (?P<note>.+?) -->|```console\n(?P<console>.*?)```", re.DOTALL)

VOLATILE = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"https://127\.0\.0\.1:\d+|https://console\.example\.net", "URL"),
    (r"Resource Version: +\d+", "Resource Version: NUMBER"),
    (r"\.[0-9a-f]{8}\b", ".UID8"),
    (r"\b\d+(m\d+)?s\b", "AGE"),
    (r"<(unknown|invalid)>", "AGE"),
    (r"Duration: +\S+", "Duration: AGE"),
    (r"\(x\d+ over \S+\)", ""),
    (r"Build Version: +\S+", "Build Version: BUILD"),
    (r"sha256:[0-9a-f]{64}", "DIGEST"),
    (r"Attempts: +\d+", "Attempts: NUMBER"),
    (r"_\d{4}\.|\.\d{13}\.|\d{1,2}_\d{1,2}_\d{4}", "DATE"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A lever to pull (no command), or a command with what it printed."""

    note: str
    command: str
    printed: str


def steps_of(title: str) -> Iterator[Step]:
    text = PAGE.read_text()
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for block in BLOCK.finditer(section):
        if block["note"]:
            yield Step(block["note"].strip(), "", "")
            continue
        for piece in re.split(r"^\$ ", block["console"], flags=re.MULTILINE)[1:]:
            command, _, printed = piece.partition("\n")
            while command.endswith("\\"):
                more, _, printed = printed.partition("\n")
                command = command[:-1] + more
            yield Step("", command, printed)


def named(text: str, scene: Scene) -> str:
    """Write the names of the page for those of the scene."""
    return text.replace(scene.namespace, "ops").replace(scene.engine, "console")


def normalise(text: str, scene: Scene) -> list[str]:
    text = named(text, scene)
    for pattern, word in VOLATILE:
        text = re.sub(pattern, word, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


async def run(scene: Scene, sandbox: Cluster, command: str) -> str:
    words = [
        re.sub(r'^ops$|(?<=")ops(?=")', scene.namespace, word) for word in shlex.split(command)
    ]
    words = [scene.engine if word == "console" else word for word in words]
    stdin = None
    if words[:2] == ["kubectl", "apply"]:
        stdin = manifest(scene, words[-1])
        words[-1] = "-"
    process = await asyncio.create_subprocess_exec(
        str(sandbox.kubectl),
        f"--kubeconfig={sandbox.kubeconfig}",
        *words[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate(stdin.encode() if stdin else None)
    return printed.decode()


def manifest(scene: Scene, name: str) -> str:
    """The manifests of the page, found by their file names."""
    found = re.search(rf"```yaml\n# {re.escape(name)}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, f"{PAGE.name} has no manifest {name}"
    return (
        found[1].replace("namespace: ops", f"namespace: {scene.namespace}")
        .replace("name: console}", f"name: {scene.engine}}}")
    )  # fmt: skip


async def finish(scene: Scene) -> None:
    scene.appliance.finish_all()


async def be_busy(scene: Scene) -> None:
    scene.appliance.add_backup("by-hand", status="IN_PROGRESS")


async def add_old(scene: Scene) -> None:
    scene.appliance.add_backup("before-the-upgrade")
    scene.appliance.restores.restore_seconds = None


async def finish_restore(scene: Scene) -> None:
    scene.appliance.finish_restores()


LEVERS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "the console finishes the backup": finish,
    "somebody else's backup runs on the console": be_busy,
    "the console has an old backup": add_old,
    "the console finishes the restore": finish_restore,
}
MOMENT = "a moment passes"
"""Events are posted later than what they tell: the next command may have to be repeated."""


@pytest.mark.parametrize("title", TITLES)
async def test_a_transcript_is_what_kubectl_prints(
    own_scene: Scene, sandbox: Cluster, title: str
) -> None:
    scene = own_scene
    await scene.engine_condition("Ready", "True", "Connected")
    told: list[str] = []
    raw: list[str] = []
    expected: list[str] = []
    is_early = False
    for step in steps_of(title):
        if step.note:
            is_early = step.note == MOMENT
            if not is_early:
                await LEVERS[step.note](scene)
            continue
        wanted = normalise(step.printed, scene)
        ends_at = time.monotonic() + (PATIENCE_S if is_early else 0)
        while True:
            printed = await run(scene, sandbox, step.command)
            if normalise(printed, scene) == wanted or time.monotonic() >= ends_at:
                break
        is_early = False
        raw += [f"$ {step.command}", named(printed, scene)]
        told += [f"$ {step.command}", *normalise(printed, scene)]
        expected += [f"$ {step.command}", *wanted]
    assert told == expected, "\n".join(raw)
