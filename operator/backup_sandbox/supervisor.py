"""The background process of a sandbox: parent of its components, and the one that ends them.

Started by sandbox.py with a plan in JSON and two pipes. It answers on one, with one line of JSON,
once the sandbox is ready or has failed. The other is a tie to the process that started it: the
byte DETACH cuts it, while its end (that process has exited or died) ends the sandbox.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from backup_sandbox import certificates, probe, tether
from backup_sandbox.components import (
    AUDIT_POLICY,
    apiserver_arguments,
    controllers_arguments,
    etcd_arguments,
)
from backup_sandbox.errors import SandboxError, StartError
from backup_sandbox.kubeconfig import build_kubeconfig
from backup_sandbox.layout import Layout
from backup_sandbox.plan import DETACH, Plan
from backup_sandbox.ports import Ports, choose_ports
from backup_sandbox.progress import tail
from backup_sandbox.resources import TIMEOUT_S as RESOURCES_TIMEOUT_S
from backup_sandbox.resources import build_apply_commands
from backup_sandbox.state import Process, State, wait_until_gone
from backup_sandbox.versions import APISERVER, CONTROLLERS, ETCD_BINARY, KUBECTL

POLL_S = 0.05
START_TIMEOUT_S = 90.0
# The first two keep nothing of their own: etcd has every write they have confirmed.
STATELESS_GRACE_S = 0.5
ETCD_GRACE_S = 4.0
PORT_ATTEMPTS = 5
PORT_TAKEN = "address already in use"


class StopRequested(BaseException):
    """A signal came, or the process that this sandbox is tied to has gone."""


class PortTakenError(StartError):
    """Another program took a port between our choosing it and the component's listening."""


class Supervisor:
    """Starts the components of one plan, watches them, and stops them all together."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._layout = Layout(Path(plan.root))
        self._tie: int | None = plan.tie
        self._parent = os.getppid()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._log_begins: dict[str, int] = {}
        self._is_stopping = False
        self._state: State | None = None

    def run(self) -> int:
        """Run the sandbox until something ends it; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)
        try:
            self._start()
            self._report({"ready": True})
            while True:
                self._pause()
        except StopRequested:
            self._stop()
            self._log("stopped")
            return 0
        except SandboxError as trouble:
            self._log(str(trouble))
            self._stop()
            self._report({"error": str(trouble)})
            return 3
        finally:
            self._stop()

    def _start(self) -> None:
        before = State.find(self._layout.state)
        certificates.ensure_credentials(self._layout, datetime.now(UTC))
        for attempt in range(1, PORT_ATTEMPTS + 1):
            ports = choose_ports(self._plan.port, before.ports if before else None)
            try:
                self._start_serving(ports)
                break
            except PortTakenError as taken:
                self._log(f"{taken}\nattempt {attempt} of {PORT_ATTEMPTS}")
                self._stop()
                before = None
        else:
            raise StartError(f"no free ports after {PORT_ATTEMPTS} attempts: {self._layout.logs}")
        kubectl = Path(self._plan.binaries[KUBECTL])
        # Before the controllers: they learn of later kinds only every 30 s, and garbage
        # collection stands still for these kinds until then.
        for command in build_apply_commands(
            kubectl, self._layout, [Path(p) for p in self._plan.crds]
        ):
            self._run(command)
        if self._plan.has_controllers:
            self._start_controllers(ports)
        self._store(is_ready=True)

    def _start_serving(self, ports: Ports) -> None:
        layout, binaries = self._layout, self._plan.binaries
        self._state = State(
            supervisor=Process.identify(os.getpid()),
            ports=ports,
            has_controllers=self._plan.has_controllers,
            has_audit=self._plan.has_audit,
            kubectl=binaries[KUBECTL],
        )
        self._store(is_ready=False)
        self._write_kubeconfig(layout.kubeconfig, certificates.ADMIN, ports)
        self._spawn(ETCD_BINARY, etcd_arguments(Path(binaries[ETCD_BINARY]), layout, ports))
        if self._plan.has_audit:
            layout.audit_policy.write_text(json.dumps(AUDIT_POLICY))
        self._spawn(
            APISERVER,
            apiserver_arguments(
                Path(binaries[APISERVER]), layout, ports, audit=self._plan.has_audit
            ),
        )
        self._wait_for(APISERVER, ports, probe.SERVING)

    def _start_controllers(self, ports: Ports) -> None:
        kubeconfig = self._layout.certificates / f"{certificates.CONTROLLERS}.kubeconfig"
        self._write_kubeconfig(kubeconfig, certificates.CONTROLLERS, ports)
        binary = Path(self._plan.binaries[CONTROLLERS])
        self._spawn(CONTROLLERS, controllers_arguments(binary, self._layout, kubeconfig))
        self._wait_for(CONTROLLERS, ports, probe.CONTROLLED)

    def _spawn(self, name: str, command: Sequence[str]) -> None:
        tied = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *command]
        with self._layout.log(name).open("ab") as log:
            self._log_begins[name] = log.tell()
            self._children[name] = subprocess.Popen(
                tied,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._layout.root,
                process_group=0,
            )
        self._store(is_ready=False)

    def _wait_for(self, name: str, ports: Ports, paths: Sequence[str]) -> None:
        context = probe.admin_context(self._layout)
        self._wait_until(
            lambda: probe.answers(ports.apiserver, context, paths),
            START_TIMEOUT_S,
            lambda: f"{name} was not ready after {START_TIMEOUT_S:.0f} s\n{self._tail(name)}",
        )

    def _run(self, command: Sequence[str]) -> None:
        log = self._layout.log(KUBECTL)
        with log.open("ab") as output:
            begin = output.tell()
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            self._wait_until(
                lambda: child.poll() is not None,
                RESOURCES_TIMEOUT_S * 2,
                lambda: f"no end of {' '.join(command)}",
            )
        finally:
            child.kill()
            child.wait()
        if child.returncode != 0:
            raise StartError(f"{' '.join(command)} failed:\n{tail(log, begin)}")

    def _wait_until(
        self, condition: Callable[[], bool], timeout_s: float, complaint: Callable[[], str]
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise StartError(complaint())
            self._pause()

    def _pause(self) -> None:
        """Let a little time pass; raises StopRequested or StartError if it is time to end."""
        ready, _, _ = select.select([] if self._tie is None else [self._tie], [], [], POLL_S)
        if ready and self._tie is not None:
            if os.read(self._tie, 1) != DETACH:
                raise StopRequested
            self._tie = None
        # A copy of the pipe may live on in a fork of our parent, but nobody fakes a parent.
        is_orphan = self._tie is not None and os.getppid() != self._parent
        if self._is_stopping or is_orphan:
            raise StopRequested
        for name, child in self._children.items():
            if (code := child.poll()) is not None:
                end = self._tail(name)
                kind = PortTakenError if PORT_TAKEN in end else StartError
                raise kind(f"{name} ended by itself with exit code {code}:\n{end}")

    def _stop(self) -> None:
        """End every component: etcd last, so that no other loses a confirmed write to it."""
        children = {name: Process.identify(child.pid) for name, child in self._children.items()}
        etcd = [process for name, process in children.items() if name == ETCD_BINARY]
        others = [process for name, process in children.items() if name != ETCD_BINARY]
        for processes, grace_s in ((others, STATELESS_GRACE_S), (etcd, ETCD_GRACE_S)):
            for process in processes:
                process.send(signal.SIGTERM)
            for process in wait_until_gone(processes, grace_s):
                process.send(signal.SIGKILL)
        for child in self._children.values():
            child.wait()
        self._children = {}
        self._store(is_ready=False)

    def _store(self, *, is_ready: bool) -> None:
        if self._state is None:
            return
        children = {name: Process.identify(child.pid) for name, child in self._children.items()}
        self._state = replace(self._state, is_ready=is_ready, children=children)
        self._state.store(self._layout.state)

    def _write_kubeconfig(self, path: Path, user: str, ports: Ports) -> None:
        certificate, key = self._layout.certificate(user), self._layout.key(user)
        authority = self._layout.certificate(certificates.AUTHORITY).read_bytes()
        text = build_kubeconfig(ports.server, authority, certificate.read_bytes(), key.read_bytes())
        unfinished = path.with_name(f".{path.name}")
        unfinished.touch(mode=0o600)
        unfinished.write_text(text)
        unfinished.replace(path)

    def _report(self, message: Mapping[str, object]) -> None:
        try:
            os.write(self._plan.report, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            self._log(f"nobody heard: {message}")

    def _tail(self, name: str) -> str:
        return tail(self._layout.log(name), self._log_begins[name])

    def _log(self, line: str) -> None:
        sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
        sys.stderr.flush()

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True


if __name__ == "__main__":
    sys.exit(Supervisor(Plan.from_json(sys.argv[1])).run())
