"""Schemathesis finds nothing wrong with the engine, by the document that the engine publishes.

All of its checks are on. ``schemathesis.toml`` names what no schema can say; ``formats.py`` makes
filters and ranges that are valid, so that a refusal of one is a finding.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.cluster import Cluster
from fixtures.engine import running_engine

FOLDER = Path(__file__).parent
EXAMPLES = 4

UNTHROTTLED = (
    "import sys; from backup_engine.__main__ import main; from backup_engine.auth import throttle; "
    "throttle.FREE_FAILURES = 1_000_000; sys.exit(main(sys.argv[1:]))"
)
"""The engine without its patience: wrong credentials by the hundred are part of this test."""


@pytest.mark.cluster
@pytest.mark.process
@pytest.mark.timeout(1300)
def test_schemathesis_finds_no_failure(
    tmp_path: Path, sandbox: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    program = ("-c", UNTHROTTLED)
    with running_engine(tmp_path / "engine", sandbox.kubeconfig, program=program) as engine:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"),
            *("run", f"{engine.url}/api/openapi.json", "--tls-verify", str(engine.ca_path)),
            *("--header", f"SEC: {engine.token}", "--checks", "all", "--continue-on-failure"),
            *("--phases", "coverage,fuzzing,stateful"),
            *("--max-examples", str(EXAMPLES), "--workers", "1", "--no-color"),
            *("--generation-deterministic", "--request-timeout", "100"),
        ]
        environment = {
            "PYTHONPATH": str(FOLDER.parent),
            "SCHEMATHESIS_HOOKS": "openapi.formats",
        }
        done = subprocess.run(
            command,
            cwd=FOLDER,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
    with capsys.disabled():
        print(f"\n{summary(done.stdout)}")  # noqa: T201 - what CI is read for
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in engine.log


def summary(output: str) -> str:
    """The end of what schemathesis says, its advice left out."""
    _, _, end = output.partition("= SUMMARY =")
    return re.sub(r"\n{2,}", "\n", end.partition("\n")[2]).strip()
