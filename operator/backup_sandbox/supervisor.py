"""The background process of a sandbox: parent of its components, and the one that ends them.

Started by sandbox.py with a plan in JSON and two pipes. It answers on one, with one line of JSON,
once the sandbox is ready or has failed. The other is a tie to the process that started it: the
byte DETACH cuts it, while its end (that process has exited or died) ends the sandbox.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from backup_sandbox import certificates, probe
from backup_sandbox.children import Children, PortTakenError
from backup_sandbox.components import (
    AUDIT_POLICY,
    apiserver_arguments,
    controllers_arguments,
    etcd_arguments,
)
from backup_sandbox.errors import SandboxError, StartError
from backup_sandbox.kubeconfig import build_kubeconfig
from backup_sandbox.layout import Layout
from backup_sandbox.node.start import INIT, Node, clear_away
from backup_sandbox.plan import DETACH, Plan
from backup_sandbox.ports import LOOPBACK, Ports, choose_ports
from backup_sandbox.resources import TIMEOUT_S as RESOURCES_TIMEOUT_S
from backup_sandbox.resources import build_apply_commands, build_node_commands
from backup_sandbox.state import Process, State
from backup_sandbox.versions import APISERVER, CONTROLLERS, ETCD_BINARY, KUBECTL

POLL_S = 0.05
START_TIMEOUT_S = 90.0
# The first two keep nothing of their own: etcd has every write they have confirmed.
STATELESS_GRACE_S = 0.5
ETCD_GRACE_S = 4.0
PORT_ATTEMPTS = 5


class StopRequested(BaseException):
    """A signal came, or the process that this sandbox is tied to has gone."""


class Supervisor:
    """Starts the components of one plan, watches them, and stops them all together."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._layout = Layout(Path(plan.root))
        self._tie: int | None = plan.tie
        self._parent = os.getppid()
        self._is_stopping = False
        self._state: State | None = None
        self._children = Children(self._layout, self._pause, lambda: self._store(is_ready=False))
        self._node = (
            Node(plan.node, self._layout, plan.binaries, self._children) if plan.node else None
        )

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
        address = LOOPBACK
        leaves = certificates.LEAVES
        if self._plan.node is not None:
            address = str(self._plan.node.addresses.host)
            leaves = certificates.leaves_with_node(self._plan.node.addresses)
        certificates.ensure_credentials(self._layout, datetime.now(UTC), leaves)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._start_namespaces(before.ports if before else None, address)
                ports = choose_ports(self._plan.port, before.ports if before else None, address)
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
            self._children.run(KUBECTL, command, RESOURCES_TIMEOUT_S * 2)
        if self._plan.has_controllers:
            self._start_controllers(ports)
        if self._node is not None:
            self._start_node(self._node, ports)
        self._store(is_ready=True)

    def _remember(self, ports: Ports) -> None:
        self._state = State(
            supervisor=Process.identify(os.getpid()),
            ports=ports,
            has_controllers=self._plan.has_controllers,
            has_audit=self._plan.has_audit,
            kubectl=self._plan.binaries[KUBECTL],
            node_number=None if self._plan.node is None else self._plan.node.number,
        )
        self._store(is_ready=False)

    def _start_namespaces(self, before: Ports | None, address: str) -> None:
        if self._node is None:
            return
        # Before anything is made that a later run would have to clear away.
        self._remember(before or Ports(0, 0, 0, address))
        self._node.start_namespaces()

    def _start_serving(self, ports: Ports) -> None:
        layout, binaries = self._layout, self._plan.binaries
        self._remember(ports)
        self._write_kubeconfig(layout.kubeconfig, certificates.ADMIN)
        arguments = etcd_arguments(Path(binaries[ETCD_BINARY]), layout, ports)
        self._children.spawn(ETCD_BINARY, arguments)
        if self._plan.has_audit:
            layout.audit_policy.write_text(json.dumps(AUDIT_POLICY))
        arguments = apiserver_arguments(
            Path(binaries[APISERVER]),
            layout,
            ports,
            audit=self._plan.has_audit,
            addresses=None if self._plan.node is None else self._plan.node.addresses,
        )
        self._children.spawn(APISERVER, arguments)
        if self._node is not None:
            self._node.start_runtime()
        self._wait_for(APISERVER, ports, probe.SERVING)

    def _start_controllers(self, ports: Ports) -> None:
        kubeconfig = self._layout.certificates / f"{certificates.CONTROLLERS}.kubeconfig"
        self._write_kubeconfig(kubeconfig, certificates.CONTROLLERS)
        binary = Path(self._plan.binaries[CONTROLLERS])
        self._children.spawn(CONTROLLERS, controllers_arguments(binary, self._layout, kubeconfig))
        if self._node is None:
            self._wait_for(CONTROLLERS, ports, probe.CONTROLLED)

    def _start_node(self, node: Node, ports: Ports) -> None:
        node.start_components(self._write_kubeconfig)
        kubectl = Path(self._plan.binaries[KUBECTL])
        for command in build_node_commands(kubectl, self._layout, node.describe()):
            self._children.run(KUBECTL, command, RESOURCES_TIMEOUT_S)
        node.start_provisioner(ports.server)
        self._wait_for(CONTROLLERS, ports, probe.CONTROLLED)
        node.wait_until_ready(ports.address, ports.apiserver)

    def _wait_for(self, name: str, ports: Ports, paths: Sequence[str]) -> None:
        context = probe.admin_context(self._layout)
        self._children.wait_until(
            lambda: probe.answers(ports.address, ports.apiserver, context, paths),
            START_TIMEOUT_S,
            lambda: (
                f"{name} was not ready after {START_TIMEOUT_S:.0f} s\n{self._children.tail(name)}"
            ),
        )

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
        self._children.require_running()

    def _stop(self) -> None:
        """End every component: etcd last, so that no other loses a confirmed write to it."""
        self._children.end(
            [
                # With it all pods end at once: what a node runs has to stand that anyway.
                (lambda name: name == INIT, 0.0),
                (lambda name: name not in {INIT, ETCD_BINARY}, STATELESS_GRACE_S),
                (lambda name: name == ETCD_BINARY, ETCD_GRACE_S),
            ]
        )
        if self._plan.node is not None and self._node is not None:
            self._node.wait_for_end()
            clear_away(self._layout, self._plan.node.number)

    def _store(self, *, is_ready: bool) -> None:
        if self._state is None:
            return
        self._state = replace(
            self._state,
            is_ready=is_ready,
            children=self._children.identified,
            node_init=None if self._node is None else self._node.init,
        )
        self._state.store(self._layout.state)

    def _write_kubeconfig(self, path: Path, user: str) -> None:
        assert self._state is not None  # the ports are chosen first
        certificate, key = self._layout.certificate(user), self._layout.key(user)
        authority = self._layout.certificate(certificates.AUTHORITY).read_bytes()
        server = self._state.ports.server
        text = build_kubeconfig(server, authority, certificate.read_bytes(), key.read_bytes())
        unfinished = path.with_name(f".{path.name}")
        unfinished.touch(mode=0o600)
        unfinished.write_text(text)
        unfinished.replace(path)

    def _report(self, message: Mapping[str, object]) -> None:
        try:
            os.write(self._plan.report, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            self._log(f"nobody heard: {message}")

    def _log(self, line: str) -> None:
        sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
        sys.stderr.flush()

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True


if __name__ == "__main__":
    sys.exit(Supervisor(Plan.from_json(sys.argv[1])).run())
