"""Starts real operators by forking, for importing all modules each time takes seconds.

Reads one JSON object a line (``arguments``, ``log``, and if wanted ``environment`` and ``plan``)
and answers with the process id. The exit code comes to be in ``log`` + ``.exit``. With a plan the
child is mortal: at SIGUSR1 it reads ``step``, ``occurrence`` and ``moment`` from it, writes each
step from then on to ``plan`` + ``.steps``, and kills itself where the plan says.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import httpx2

from backup_operator import app
from backup_operator.__main__ import main as run_program
from backup_operator.cluster.api import Body, ClusterApi
from crashing.steps import name_cluster_step, name_engine_step


class Fate:
    """Whether this process dies now."""

    def __init__(self, plan: Path) -> None:
        self._plan = plan
        self._wanted: tuple[str, int, str] | None = None
        self._seen: dict[str, int] = {}
        self._is_armed = False

    def arm(self, *_: object) -> None:
        """Read the plan; steps count from now on."""
        plan = json.loads(self._plan.read_text())
        if plan["step"] is not None:
            self._wanted = (plan["step"], plan["occurrence"], plan["moment"])
        self._seen = {}
        self._is_armed = True
        self._note("armed")

    def meet(self, step: str, moment: str) -> None:
        """Die, if the plan says so."""
        if not self._is_armed:
            return
        if moment == "before":
            self._seen[step] = self._seen.get(step, 0) + 1
            self._note(step)
        if self._wanted == (step, self._seen.get(step, 0), moment):
            os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, line: str) -> None:
        with self._plan.with_suffix(".steps").open("a") as stream:
            stream.write(f"{line}\n")


def make_mortal(fate: Fate) -> None:
    """Wrap both edges of the operator in this process."""

    class MortalCluster(ClusterApi):
        async def _request(
            self, method: str, path: str, body: Body | None = None, *rest: str, **named: str
        ) -> Body:
            step = name_cluster_step(method, path, body)
            if step is None:
                return await super()._request(method, path, body, *rest, **named)
            fate.meet(step, "before")
            answer = await super()._request(method, path, body, *rest, **named)
            fate.meet(step, "after")
            return answer

    vars(app)["ClusterApi"] = MortalCluster
    send = httpx2.AsyncHTTPTransport.handle_async_request

    async def mortal_send(
        self: httpx2.AsyncHTTPTransport, request: httpx2.Request
    ) -> httpx2.Response:
        step = name_engine_step(request.method, str(request.url), request.headers.get("Range", ""))
        if step is None:
            return await send(self, request)
        fate.meet(step, "before")
        try:
            return await send(self, request)
        finally:
            fate.meet(step, "after")  # be it that the answer was lost

    httpx2.AsyncHTTPTransport.handle_async_request = mortal_send  # type: ignore[method-assign]


def run_child(order: dict[str, Any]) -> int:
    """Be an operator until the end; returns its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order.get("environment") or {})
    if order.get("plan"):
        fate = Fate(Path(order["plan"]))
        signal.signal(signal.SIGUSR1, fate.arm)
        make_mortal(fate)
    return run_program(["run", *order["arguments"]])


def bury(logs: dict[int, str]) -> None:
    """Write the exit codes of those who have ended beside their logs, as a shell has them."""
    while logs:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        code = os.waitstatus_to_exitcode(status)
        Path(f"{logs.pop(child)}.exit").write_text(str(code))


def main() -> None:
    """Fork an operator for each order, until there are no more."""
    logs: dict[int, str] = {}
    signal.signal(signal.SIGCHLD, lambda *_: bury(logs))
    for line in sys.stdin:
        order = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # until its log is known
        child = os.fork()
        if not child:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            code = 1
            try:
                code = run_child(order)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except Exception:  # noqa: BLE001 - the last word of a child
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        logs[child] = order["log"]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
