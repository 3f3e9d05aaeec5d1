"""Starting and stopping a sandbox, from the command line or from a test."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from backup_sandbox import certificates
from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.cache import exclusive
from backup_sandbox.errors import SandboxError, StartError
from backup_sandbox.layout import Layout
from backup_sandbox.node.addresses import Addresses, choose_addresses
from backup_sandbox.node.images import import_arguments
from backup_sandbox.node.namespaces import enter, find_routes
from backup_sandbox.node.requirements import require_node_machine
from backup_sandbox.node.start import IMPORT_TIMEOUT_S, NodePlan, clear_away
from backup_sandbox.plan import DETACH, Plan
from backup_sandbox.progress import say, step, tail
from backup_sandbox.resources import TIMEOUT_S as RESOURCES_TIMEOUT_S
from backup_sandbox.resources import build_apply_commands
from backup_sandbox.state import Process, State, wait_until_gone
from backup_sandbox.versions import needed_binaries

POLL_S = 0.2
READY_TIMEOUT_S = 400.0  # more than all the supervisor's own limits together
STOP_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 5.0
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Options:
    """What a sandbox shall be; ``port`` None means any free one."""

    port: int | None = None
    controllers: bool = False
    audit: bool = False  # keep an audit log
    crds: tuple[Path, ...] = ()  # files or folders, applied before the controllers start
    node: bool = False  # with it always controllers
    images: tuple[Path, ...] = ()  # archives for the node


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: how to reach it, and which processes it is made of."""

    root: Path
    server: str
    kubeconfig: Path
    kubectl: Path
    ca_certificate: Path
    client_certificate: Path
    client_key: Path
    logs: Path
    pids: Mapping[str, int]  # by component name; the supervisor is "supervisor"

    @classmethod
    def from_state(cls, layout: Layout, state: State) -> Self:
        """Return the view of a sandbox that ``state`` describes."""
        return cls(
            root=layout.root,
            server=state.ports.server,
            kubeconfig=layout.kubeconfig,
            kubectl=Path(state.kubectl),
            ca_certificate=layout.certificate(certificates.AUTHORITY),
            client_certificate=layout.certificate(certificates.ADMIN),
            client_key=layout.key(certificates.ADMIN),
            logs=layout.logs,
            pids={
                SUPERVISOR: state.supervisor.pid,
                **{name: child.pid for name, child in state.children.items()},
            },
        )


def start_detached(root: Path, options: Options) -> Sandbox:
    """Start the sandbox in ``root``, or find it running; it outlives this process.

    Raises SandboxError if it runs with other options or does not start.
    """
    layout = _prepared(root, options)
    with exclusive(layout.lock, f"waiting for another start or stop of {layout.root}"):
        if (state := _find_running(layout)) is not None:
            _require_same(state, options, layout)
            _apply(layout, Path(state.kubectl), options.crds)
            _import(state, options.images)
        else:
            child = _Tied(layout, options)
            try:
                state = child.wait_until_ready()
            except BaseException:
                child.end()
                raise
            child.let_go()
    return Sandbox.from_state(layout, state)


@contextmanager
def running_sandbox(
    root: Path,
    *,
    port: int | None = None,
    controllers: bool = False,
    audit: bool = False,
    crds: Sequence[Path] = (),
    node: bool = False,
    images: Sequence[Path] = (),
) -> Iterator[Sandbox]:
    """Run a sandbox in ``root`` for the length of a block; it also ends if this process dies.

    Raises SandboxError if ``root`` has a running one, or if this one does not start or has ended
    before the block did.
    """
    options = Options(port, controllers, audit, tuple(crds), node, tuple(images))
    layout = _prepared(root, options)
    with exclusive(layout.lock, f"waiting for another start or stop of {layout.root}"):
        if _find_running(layout) is not None:
            raise SandboxError(f"{layout.root} has a running sandbox: stop it first")
        child = _Tied(layout, options)
        try:
            state = child.wait_until_ready()
        except BaseException:
            child.end()
            raise
    try:
        yield Sandbox.from_state(layout, state)
        child.require_running()
    finally:
        child.end()


def stop_sandbox(root: Path, *, purge: bool = False) -> None:
    """Stop exactly the processes of the sandbox in ``root``, if any; may be run again.

    With ``purge`` its files go too, and the folder if nothing else is in it.
    Raises SandboxError if a process survives.
    """
    layout = Layout(root.absolute())
    if State.find(layout.state) is None:
        say(f"there is no sandbox in {layout.root}")
        return
    with exclusive(layout.lock, f"waiting for another start or stop of {layout.root}"):
        if (state := State.find(layout.state)) is not None:
            _end_processes(state, layout, is_gentle=not purge)
        if purge:
            _remove(layout)


def _prepared(root: Path, options: Options) -> Layout:
    if options.node:
        require_node_machine()  # before anything is made
    layout = Layout(root.absolute())
    foreign = [entry for entry in (layout.kubeconfig, layout.etcd) if entry.exists()]
    if foreign and State.find(layout.state) is None:
        raise SandboxError(f"{foreign[0]} is not of a sandbox: choose another folder than {root}")
    try:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.logs.mkdir(exist_ok=True)
    except OSError as problem:
        raise SandboxError(f"{layout.root} cannot hold a sandbox: {problem}") from problem
    return layout


def _find_running(layout: Layout) -> State | None:
    """Return the state of the running sandbox; what is left of a broken one is ended."""
    state = State.find(layout.state)
    if state is None or state.is_running():
        return state
    _end_processes(state, layout, is_gentle=False)
    return None


def _require_same(state: State, options: Options, layout: Layout) -> None:
    if options.port is not None and options.port != state.ports.apiserver:
        raise SandboxError(
            f"the sandbox in {layout.root} runs on port {state.ports.apiserver}, not "
            f"{options.port}: leave --port out, or stop it first"
        )
    if options.controllers and not state.has_controllers:
        raise SandboxError(f"the sandbox in {layout.root} runs without controllers: stop it first")
    if options.node and state.node_init is None:
        raise SandboxError(f"the sandbox in {layout.root} runs without a node: stop it first")
    if options.images and state.node_init is None:
        raise SandboxError(f"the sandbox in {layout.root} has no node to import images to")
    if options.audit and not state.has_audit:
        raise SandboxError(f"the sandbox in {layout.root} keeps no audit log: stop it first")


def _apply(layout: Layout, kubectl: Path, crds: Sequence[Path]) -> None:
    for command in build_apply_commands(kubectl, layout, crds):
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=RESOURCES_TIMEOUT_S * 2,
        )
        if answer.returncode != 0:
            raise SandboxError(f"{' '.join(command)} failed: {answer.stderr.strip()}")


def _import(state: State, archives: Sequence[Path]) -> None:
    for archive in archives:
        assert state.node_init is not None  # _require_same
        command = enter(state.node_init.pid, import_arguments(archive.absolute()))
        answer = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=IMPORT_TIMEOUT_S
        )
        if answer.returncode != 0:
            raise SandboxError(f"{archive} cannot be imported: {answer.stderr.strip()}")


def _plan_node(layout: Layout, options: Options) -> NodePlan | None:
    """Return what the supervisor is told of the node; None without one.

    Raises SandboxError if this machine cannot carry one, or if the folder's objects were made in a
    cluster of the other sort: certificates and the Services' addresses differ.
    """
    before = State.find(layout.state)
    was_made = layout.certificates.exists() and before is not None
    if was_made and before is not None and options.node != (before.node_number is not None):
        sort = "without a node" if options.node else "with a node"
        raise SandboxError(
            f"the sandbox in {layout.root} was made {sort}, and stays so: choose another folder, "
            f"or delete it with down --dir {layout.root} --purge"
        )
    if not options.node:
        return None
    cni = require_node_machine()
    if before is not None and before.node_number is not None:
        addresses = Addresses(before.node_number)
    else:
        addresses = choose_addresses(str(layout.root), find_routes())
    archives = [str(archive.absolute()) for archive in options.images]
    return NodePlan(number=addresses.number, cni=str(cni), images=archives)


def _end_processes(state: State, layout: Layout, *, is_gentle: bool) -> None:
    if is_gentle:
        state.supervisor.send(signal.SIGTERM)  # it ends the others, in order
        wait_until_gone([state.supervisor], STOP_TIMEOUT_S)
    for process in state.processes:
        process.send(signal.SIGKILL)
    if left := wait_until_gone(state.processes, KILL_TIMEOUT_S):
        numbers = ", ".join(str(process.pid) for process in left)
        raise SandboxError(f"processes {numbers} of {layout.root} survive SIGKILL: are they yours?")
    if state.node_number is not None:  # if the supervisor was killed, nobody has done it yet
        clear_away(layout, state.node_number)


def _remove(layout: Layout) -> None:
    for entry in layout.entries:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    if any(layout.root.iterdir()):
        say(f"{layout.root} stays, for it holds other files too")
    else:
        layout.root.rmdir()


class _Tied:
    """A supervisor that ends with this process until it is let go."""

    def __init__(self, layout: Layout, options: Options) -> None:
        node = _plan_node(layout, options)
        needed = needed_binaries(controllers=options.controllers, node=options.node)
        binaries = ensure_binaries(needed, os.environ)
        self._layout = layout
        self._log = layout.log(SUPERVISOR)
        tie, self._tie = os.pipe()
        self._report, report = os.pipe()
        plan = Plan(
            root=str(layout.root),
            binaries={name: str(path) for name, path in binaries.items()},
            port=options.port,
            has_controllers=options.controllers or options.node,
            has_audit=options.audit,
            crds=[str(path.absolute()) for path in options.crds],
            tie=tie,
            report=report,
            node=node,
        )
        # The package may have been found through sys.path alone, which no child inherits.
        source = str(Path(__file__).parent.parent)
        inherited = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([source, inherited] if inherited else [source])
        with self._log.open("ab") as log:
            self._log_begin = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backup_sandbox.supervisor", plan.to_json()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=layout.root,
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=(tie, report),
                start_new_session=True,
            )
        os.close(tie)
        os.close(report)

    def wait_until_ready(self) -> State:
        """Wait for the supervisor's answer; raises StartError if it is not a good one."""
        with step(f"starting the sandbox in {self._layout.root}") as running:
            while not select.select([self._report], [], [], POLL_S)[0]:
                running.tick()
                if running.elapsed_s > READY_TIMEOUT_S:
                    raise StartError(f"no word from the supervisor: see {self._log}")
            with os.fdopen(self._report) as report:
                line = report.readline()
            if not line:
                raise StartError(
                    f"the supervisor has died:\n{tail(self._log, self._log_begin)}\n"
                    f"All of it is in {self._log}"
                )
            if "error" in (answer := json.loads(line)):
                raise StartError(f"{answer['error']}\nThe logs are in {self._layout.logs}")
        if (state := State.find(self._layout.state)) is None:
            raise StartError(f"{self._layout.state} has vanished")
        return state

    def require_running(self) -> None:
        """Raise StartError if the supervisor has ended by itself."""
        if self._process.poll() is not None:
            raise StartError(
                f"the sandbox in {self._layout.root} has ended by itself:\n"
                f"{tail(self._log, self._log_begin)}"
            )

    def let_go(self) -> None:
        """Let the supervisor outlive this process."""
        os.write(self._tie, DETACH)
        os.close(self._tie)
        # Nobody will wait for it any more, which Popen would complain about.
        self._process.returncode = 0

    def end(self) -> None:
        """End the supervisor, and with it the sandbox; raises SandboxError if it survives."""
        os.close(self._tie)
        process = Process.identify(self._process.pid)
        if wait_until_gone([process], STOP_TIMEOUT_S):
            process.send(signal.SIGKILL)  # its children die with it (tether.py)
        try:
            self._process.wait(KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired as survival:
            raise SandboxError(f"process {process.pid} survives SIGKILL") from survival


def wait_for_end(sandbox: Sandbox) -> None:
    """Block until the sandbox has ended by itself."""
    state = State.find(Layout(sandbox.root).state)
    while state is not None and state.supervisor.is_alive():
        time.sleep(POLL_S)
