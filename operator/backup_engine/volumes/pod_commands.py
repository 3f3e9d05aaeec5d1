"""Runs commands in pods, as ``kubectl exec`` does: through the API server, over a WebSocket.

By the engine's own connection rather than the official client's, which makes a session of its own
for each call and does not renew tokens.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import aiohttp

from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.host_definition import HookDefinition
from backup_engine.selectors import build_label_selector
from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.hooks import (
    ENDED,
    PROTOCOL,
    STDERR,
    CommandEnd,
    HookPod,
    choose_pods,
    parse_end,
    shorten,
)
from backup_engine.volumes.job_calls import JobCalls, segment

KEPT_BYTES: Final = 4096  # of what a command says; less is told, the rest of it helps to redact


class PodCommands:
    """Asks the API server; each method raises VolumeError."""

    def __init__(self, cluster: ClusterConnection, calls: JobCalls) -> None:
        self._cluster = cluster
        self._calls = calls

    async def list_pods(self, hook: HookDefinition) -> tuple[HookPod, ...]:
        """List the pods that a hook is to be run in now; there is one at least."""
        text = build_label_selector(hook.selector).text
        path = f"/api/v1/namespaces/{segment(hook.namespace)}/pods"
        listed = await self._calls.get(path, {"labelSelector": text} if text else None)
        return choose_pods(hook, listed.get("items") or ())

    async def run(self, pod: HookPod, command: Sequence[str], timeout_s: float) -> CommandEnd:
        """Run a command to its end, or until its time is over; its standard output is dropped.

        Raises RepositoryUnreachableError if the API server is away: the command may have run. What
        takes too long is no longer waited for, but only its own program can end it.
        """
        told = bytearray()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(pod, command, told)
        except TimeoutError:
            return CommandEnd(None, _read(told), f"not finished within {timeout_s:g} s")

    async def _follow(self, pod: HookPod, command: Sequence[str], told: bytearray) -> CommandEnd:
        path = f"/api/v1/namespaces/{segment(pod.namespace)}/pods/{segment(pod.name)}/exec"
        asked = [
            ("container", pod.container),
            ("stdout", "true"),  # a program without anybody to write to might end by that
            ("stderr", "true"),
            *(("command", word) for word in command),
        ]
        try:
            async with self._cluster.websocket(path, asked, (PROTOCOL,)) as socket:
                async for message in socket:
                    channel, content = message.data[0], message.data[1:]
                    if channel == STDERR:
                        told += content
                        del told[:-KEPT_BYTES]
                    elif channel == ENDED:
                        return parse_end(content, _read(told))
        except aiohttp.WSServerHandshakeError as refusal:
            raise _explain(refusal.status) from refusal
        except ClusterError as trouble:
            raise RepositoryUnreachableError("ClusterUnreachable", str(trouble)) from trouble
        return CommandEnd(None, _read(told), "the connection ended before the command did")


def _read(told: bytearray) -> str:
    return shorten(told.decode(errors="replace"))


def _explain(status: int) -> VolumeError:
    match status:
        case HTTPStatus.FORBIDDEN:
            return VolumeError(
                "Forbidden",
                "the engine may not run commands in pods; grant it what is in manifests/hooks",
            )
        case HTTPStatus.NOT_FOUND:
            return VolumeError("NoPod", "the pod is gone")
        case HTTPStatus.BAD_REQUEST:
            return VolumeError("NoContainer", "the pod has no such container that runs")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return RepositoryUnreachableError(
                "ClusterUnreachable", f"the API server answered {status}"
            )
        case _:
            return VolumeError("ClusterRefused", f"the API server answered {status}")
