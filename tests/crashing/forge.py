"""Starts mortal operators by forking, for importing all modules each time takes seconds.

Reads one JSON object a line (``arguments``, ``log``, ``plan``) and answers with the process id.
A child reads its plan when it gets SIGUSR1: ``step``, ``occurrence`` and ``moment``; it writes
each step from then on to ``plan`` + ``.steps``, and kills itself where the plan says.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx2

from backup_operator import app
from backup_operator.__main__ import build_parser
from backup_operator.cluster.api import Body, ClusterApi
from backup_operator.settings import read_settings
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


def run_child(order: dict[str, Any]) -> None:
    """Be an operator until the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    fate = Fate(Path(order["plan"]))
    signal.signal(signal.SIGUSR1, fate.arm)
    make_mortal(fate)
    arguments = build_parser().parse_args(["run", *order["arguments"]])
    given = {name: value for name, value in vars(arguments).items() if name != "command"}
    asyncio.run(app.run_operator(read_settings(given)))


def main() -> None:
    """Fork an operator for each order, until there are no more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead need not be waited for
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                run_child(json.loads(line))
                status = 0
            finally:
                os._exit(status)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
