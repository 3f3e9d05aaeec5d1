"""An operator as its own command runs it, and what the kernel says it uses."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Running:
    """A started operator."""

    pid: int
    started_s: float


@contextlib.asynccontextmanager
async def operator(kubeconfig: Path, namespace: str, log: Path) -> AsyncIterator[Running]:
    """Run the operator's own command; yields once it leads."""
    began = time.perf_counter()
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": str(ROOT / "operator"),
        "PYTHONPYCACHEPREFIX": str(log.parent / "bytecode"),  # as an installed package has it
    }
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backup_operator", "run", f"--kubeconfig={kubeconfig}"),
            f"--namespace={namespace}",
            stdout=stream,
            stderr=stream,
            env=environment,
        )
    try:
        while "backup_operator: leading" not in read_log(log):
            if process.returncode is not None:
                raise RuntimeError(read_log(log))
            await asyncio.sleep(0.02)
        yield Running(process.pid, time.perf_counter() - began)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


def read_log(log: Path) -> str:
    """Read what an operator has said so far."""
    return log.read_text(errors="replace")


def read_rss_mb(pid: int, name: str = "VmRSS") -> float:
    """Read the resident set of a process from the kernel's account; ``VmHWM``: its peak."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def read_cpu_s(pid: int) -> float:
    """Read the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
