"""docs/api.md: its console is run as it stands, against an engine on a real API server."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fixtures.cluster import Cluster
from fixtures.engine import EngineProcess, running_engine

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ENGINE_PAGE = PAGE.with_name("engine.md")
VERSION = re.compile(r"\d+\.\d+\.\d+[\w.]*")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """Each command of the page, and what it prints."""
    found: list[tuple[str, str]] = []
    for block in blocks("console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            found.append((command, printed.strip()))
    return found


def run(engine: EngineProcess, setup: str, command: str) -> str:
    script = f"set -o pipefail\n{setup}\n{command}\n"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=engine.data_dir.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not done.stderr, f"{command}: {done.stderr}"
    return "\n".join(line for line in done.stdout.splitlines() if line)


@pytest.mark.cluster
@pytest.mark.process
def test_every_command_prints_what_the_page_says(tmp_path: Path, sandbox: Cluster) -> None:
    setup = blocks("sh")[1]
    assert len(steps()) > 15
    with running_engine(tmp_path / "state", sandbox.kubeconfig) as engine:
        setup = setup.replace("https://127.0.0.1:8443", engine.url)
        for command, expected in steps():
            printed = run(engine, setup, command)
            assert VERSION.sub("V", printed) == VERSION.sub("V", expected), command


@pytest.mark.cluster
@pytest.mark.process
async def test_the_python_of_the_page_runs(shared_engine: EngineProcess) -> None:
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own documentation

    found = await names["main"](shared_engine.url, shared_engine.token, shared_engine.ca_pem)

    assert isinstance(found, list)


@pytest.mark.cluster
@pytest.mark.process
def test_the_curl_commands_of_the_engines_page_work(shared_engine: EngineProcess) -> None:
    page = ENGINE_PAGE.read_text()
    commands = re.findall(r"^    (curl (?:.*\\\n)*.*)$", page, re.MULTILINE)
    assert len(commands) > 1
    name = "curl-" + shared_engine.data_dir.parent.name
    for command in commands:
        script = command.replace("https://127.0.0.1:8443", shared_engine.url)
        script = script.replace("state/", f"{shared_engine.data_dir}/").replace(
            '"first"', f'"{name}"'
        )
        printed = run(shared_engine, "", script.replace("curl ", "curl --silent --fail ", 1))
        assert json.loads(printed)
