"""The calls to the API server that work on volumes needs, their trouble told as a VolumeError."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec

from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.mover_job import CONTAINER, Resource
from backup_engine.volumes.volume import Volume

REQUEST_TIMEOUT_S: Final = 30.0
GONE_WITHIN_S: Final = 60.0
LOOK_EVERY_S: Final = 1.0


class JobCalls:
    """Asks the API server; each method raises VolumeError."""

    def __init__(self, cluster: ClusterConnection, look_every_s: float = LOOK_EVERY_S) -> None:
        self._cluster = cluster
        self._look_every_s = look_every_s

    async def create_job(self, job: Resource) -> Resource:
        """Create a Job; one of that name that is there already is returned instead."""
        namespace = segment(job["metadata"]["namespace"])
        created = await self.ask(
            "POST",
            f"/apis/batch/v1/namespaces/{namespace}/jobs",
            job,
            tolerated={HTTPStatus.CONFLICT},
        )
        return created if created is not None else await self.get(job_path(job))

    async def find_pod(self, job: Resource) -> Resource | None:
        """Find the newest pod of a Job."""
        namespace = segment(job["metadata"]["namespace"])
        selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
        listed = await self.get(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": selector})
        pods = listed.get("items") or []
        return max(pods, key=_creation_of, default=None)

    async def read_last_line(self, pod: Resource) -> bytes | None:
        """Read the last line of the mover's log; None: out of reach, which is no trouble."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{segment(namespace)}/pods/{segment(name)}/log"
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                self._cluster.request(
                    "GET", path, params={"container": CONTAINER, "tailLines": "1"}
                ) as response,
            ):
                line = await response.read()
                is_told = response.status == HTTPStatus.OK
        except (ClusterError, TimeoutError, aiohttp.ClientError):
            return None
        return line if is_told else None

    async def end(self, path: str) -> None:
        """Delete a Job, its pod first, and wait until both are gone."""
        await self.dismiss(path)
        await self.until_gone(path)

    async def dismiss(self, path: str) -> None:
        """Delete a Job, its pod first, without waiting for either."""
        foreground = {"propagationPolicy": "Foreground"}
        await self.ask("DELETE", path, foreground, tolerated={HTTPStatus.NOT_FOUND})

    async def until_gone(self, path: str) -> None:
        """Wait until an object is gone."""
        try:
            async with asyncio.timeout(GONE_WITHIN_S):
                while await self.find(path) is not None:  # noqa: ASYNC110 - of another program
                    await asyncio.sleep(self._look_every_s)
        except TimeoutError as trouble:
            raise RepositoryUnreachableError(
                "MoverStays", f"{path} is not gone after {GONE_WITHIN_S:.0f} s"
            ) from trouble

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Resource:
        """Get an object or a list."""
        found = await self.ask("GET", path, params=params)
        return found if found is not None else {}

    async def find(self, path: str) -> Resource | None:
        """Find an object; None: there is none."""
        return await self.ask("GET", path, tolerated={HTTPStatus.NOT_FOUND})

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, str] | None = None,
        tolerated: set[HTTPStatus] | frozenset[HTTPStatus] = frozenset(),
    ) -> Resource | None:
        """Ask the API server; None: one of ``tolerated``."""
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                self._cluster.request(method, path, params=params, json=body) as response,
            ):
                content = await response.read()
                status = response.status
        except (ClusterError, TimeoutError, aiohttp.ClientError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise RepositoryUnreachableError("ClusterUnreachable", f"{path}: {said}") from trouble
        if status in tolerated:
            return None
        try:
            answer: Any = msgspec.json.decode(content)
        except msgspec.DecodeError as trouble:  # of a proxy, or of an API that is not there
            said = f"{path}: the answer {status} is no JSON"
            raise RepositoryUnreachableError("ClusterUnreachable", said) from trouble
        if status >= HTTPStatus.BAD_REQUEST:
            said = answer.get("message", "") if isinstance(answer, dict) else ""
            explain = _explain_status(status)
            raise explain(f"{method} {path}: the API server answered {status}: {said}")
        return answer if isinstance(answer, dict) else {}


def _explain_status(status: int) -> Callable[[str], VolumeError]:
    def explain(text: str) -> VolumeError:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return RepositoryUnreachableError("ClusterUnreachable", text)
        if status == HTTPStatus.FORBIDDEN:
            return VolumeError(
                "Forbidden", f"{text}; grant the engine what movers need (manifests/movers)"
            )
        return VolumeError("ClusterRefused", text)

    return explain


def _creation_of(pod: Resource) -> tuple[bool, str]:
    metadata = pod["metadata"]
    return "deletionTimestamp" not in metadata, metadata["creationTimestamp"]


def claim_path(volume: Volume) -> str:
    """Return the path of a claim."""
    namespace, claim = segment(volume.namespace), segment(volume.claim)
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}"


def job_path(job: Resource) -> str:
    """Return the path of a Job."""
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    return f"/apis/batch/v1/namespaces/{segment(namespace)}/jobs/{segment(name)}"


def segment(text: str) -> str:
    """Quote one segment of a path."""
    return quote(text, safe="")
