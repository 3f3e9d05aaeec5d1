"""Locks, ports, process identities and the tie between a process and its parent."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_sandbox import tether
from backup_sandbox.errors import SandboxError, StartError
from backup_sandbox.ports import PORTS, Ports, choose_ports
from backup_sandbox.state import Process, State, wait_until_gone

SLEEP = ["/bin/sleep", "60"]
SOURCE = str(Path(tether.__file__).parents[1])

HOLD_THE_LOCK = """
import sys
from pathlib import Path
from backup_sandbox.cache import BinaryCache
from backup_sandbox.versions import this_platform

journal = Path(sys.argv[2])
with BinaryCache(Path(sys.argv[1]), this_platform()).lock():
    with journal.open("a") as lines:
        lines.write("in\\n")
    sys.stdin.read()  # until it is closed
    with journal.open("a") as lines:
        lines.write("out\\n")
"""

# A parent that ties a sleeper to itself and tells its number.
TIE_A_SLEEPER = """
import subprocess, sys, os, time
tied = [sys.executable, "-I", "-c", sys.argv[1], str(os.getpid()), "/bin/sleep", "60"]
child = subprocess.Popen(tied)
print(child.pid, flush=True)
time.sleep(60)
"""


def until(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition has not come true in time"
        time.sleep(0.05)


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def locker(root: Path) -> list[str]:
    """Hold the lock until its standard input is closed."""
    return [sys.executable, "-c", HOLD_THE_LOCK, str(root), str(root / "journal")]


def lines_of(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.mark.process
def test_two_builders_never_overlap_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    with running(locker(tmp_path)) as first:
        until(lambda: lines_of(tmp_path / "journal") == ["in"])
        with running(locker(tmp_path)) as second:
            assert second.stderr is not None
            talk = second.stderr.readline()
            assert "waiting for another build to end" in talk
            first.communicate(timeout=200)
            second.communicate(timeout=200)

    assert lines_of(tmp_path / "journal") == ["in", "out", "in", "out"]


@pytest.mark.process
def test_the_lock_of_a_killed_builder_is_free(tmp_path: Path) -> None:
    with running(locker(tmp_path)) as first:
        until(lambda: lines_of(tmp_path / "journal") == ["in"])
        first.kill()
        with running(locker(tmp_path)) as second:
            second.communicate(timeout=200)

    assert lines_of(tmp_path / "journal") == ["in", "in", "out"]


@pytest.mark.process
@pytest.mark.parametrize("way", ["run_tied", "run_watched"])
def test_a_tied_command_dies_with_its_killed_parent(way: str) -> None:
    if way == "run_tied" and sys.platform != "linux":
        pytest.skip("the kernel's signal on a parent's death is Linux's own")
    tied = Path(tether.__file__).read_text().replace("sys.exit(main(sys.argv[1:]))", "")
    tied += f"    sys.exit({way}(int(sys.argv[1]), sys.argv[2:]))\n"
    with running([sys.executable, "-c", TIE_A_SLEEPER, tied]) as parent:
        assert parent.stdout is not None
        child = Process.identify(int(parent.stdout.readline()))
        until(lambda: bool(sleepers(child.pid)))
        family = [child, *(Process.identify(pid) for pid in sleepers(child.pid))]
        parent.kill()

        assert wait_until_gone(family, timeout_s=60) == []


def sleepers(pid: int) -> list[int]:
    """Return the processes that run ``sleep`` among ``pid`` and its children."""
    listing = subprocess.run(
        ["/bin/ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    family = [row for row in rows if str(pid) in row[:2]]
    return [int(row[0]) for row in family if row[2].endswith("sleep")]


@pytest.mark.process
def test_a_later_process_with_the_same_number_is_a_stranger() -> None:
    with running(SLEEP) as child:
        alive = Process.identify(child.pid)
        namesake = Process(child.pid, "started at another time")

        assert alive.is_alive()
        assert not namesake.is_alive()
        namesake.send(signal.SIGKILL)
        assert child.poll() is None


@pytest.mark.process
def test_a_zombie_counts_as_ended() -> None:
    with running(SLEEP) as child:
        process = Process.identify(child.pid)
        child.send_signal(signal.SIGKILL)

        assert wait_until_gone([process], timeout_s=60) == []


def test_a_process_that_has_ended_before_it_was_identified_is_not_alive() -> None:
    assert not Process(os.getpid(), "").is_alive()


def test_a_state_is_read_back_as_it_was_stored(tmp_path: Path) -> None:
    state = State(
        supervisor=Process(1, "a"),
        ports=Ports(1, 2, 3),
        has_controllers=True,
        has_audit=False,
        kubectl="/kubectl",
        is_ready=True,
        children={"etcd": Process(2, "b")},
    )
    state.store(tmp_path / "state.json")

    assert State.find(tmp_path / "state.json") == state
    assert State.find(tmp_path / "absent.json") is None


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"supervisor": {"pid": 1}})])
def test_a_state_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)

    with pytest.raises(SandboxError, match="not the state of a sandbox"):
        State.find(tmp_path / "state.json")


def test_ports_of_before_are_chosen_again_if_they_are_free() -> None:
    before = choose_ports(None, None)

    assert choose_ports(None, before) == before
    assert len({before.apiserver, before.etcd, before.etcd_peer}) == 3


def test_ports_are_none_that_whoever_connects_could_be_given() -> None:
    chosen = choose_ports(None, None)

    assert {chosen.apiserver, chosen.etcd, chosen.etcd_peer} <= set(PORTS)
    assert max(PORTS) < 30_000  # NodePorts, and from 32768 on what Linux gives to clients


def test_a_taken_port_is_given_up_unless_it_was_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert choose_ports(None, Ports(port, port, port)).apiserver != port
        with pytest.raises(StartError, match=f"port {port} on 127.0.0.1 is taken"):
            choose_ports(port, None)
