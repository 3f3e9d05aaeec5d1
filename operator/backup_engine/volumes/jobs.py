"""Works on volumes by Jobs in their namespaces, which any engine finds again by their names."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec

from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.host_definition import VolumeSelection
from backup_engine.selectors import build_label_selector
from backup_engine.volumes.claims import build_chosen, choose_placement
from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.executor import HostRepository, RestoreRun, SnapshotRun
from backup_engine.volumes.kopia import Report
from backup_engine.volumes.mover_job import (
    BACKUP_LABEL,
    CONTAINER,
    MoverReport,
    MoverSettings,
    Placement,
    Resource,
    build_backup_label,
    build_claim,
    build_mover_secret,
    build_restore_job,
    build_restore_name,
    build_snapshot_job,
)
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.volume import ChosenVolume, Volume, build_policy, merge_chosen

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 30.0
LOOK_EVERY_S: Final = 1.0
START_WITHIN_S: Final = 600.0
GONE_WITHIN_S: Final = 60.0
AWAY_FOR_S: Final = 300.0

_NO_MESSAGE: Final = "the mover's pod left no message: it was evicted, killed, or its node is gone"


class JobExecutor:
    """Has a Job work on each volume, in the namespace of its claim.

    A Job that is there already, left by an engine that is gone, is taken over. All Jobs end by
    their own deadline, too, should no engine come back.
    """

    def __init__(
        self,
        cluster: ClusterConnection,
        settings: MoverSettings,
        start_within_s: float = START_WITHIN_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._start_within_s = start_within_s
        self._look_every_s = look_every_s

    async def check(self) -> None:
        """See that the API server answers."""
        await self._get("/apis/batch/v1")

    async def list_volumes(self, selections: Sequence[VolumeSelection]) -> tuple[ChosenVolume, ...]:
        """List the claims that match; those that are not bound are in it with their trouble."""
        chosen: list[ChosenVolume] = []
        for selection in selections:
            policy = build_policy(selection)
            if selection.claim_names is not None:
                for name in selection.claim_names:
                    volume = Volume(selection.namespace, name)
                    claim = await self._find(_claim_path(volume))
                    trouble = f"{volume}: there is no such claim"
                    chosen.append(
                        build_chosen(claim, policy)
                        if claim is not None
                        else ChosenVolume(volume, policy, trouble)
                    )
                continue
            text = build_label_selector(selection.selector).text
            path = f"/api/v1/namespaces/{_segment(selection.namespace)}/persistentvolumeclaims"
            listed = await self._get(path, {"labelSelector": text} if text else None)
            chosen += [build_chosen(each, policy) for each in listed.get("items") or ()]
        return merge_chosen(chosen)

    async def settle(self, repository: HostRepository) -> None:
        """Do nothing: a Job that still runs is taken over by the run that goes on."""

    async def snapshot(self, run: SnapshotRun, report: Report) -> None:
        """Have a Job take a snapshot."""
        job = await self._find_job(run.volume, build_snapshot_job(run, self._settings, _ANYWHERE))
        if job is None:
            placement = await self._choose_placement(run.volume)
            job = build_snapshot_job(run, self._settings, placement)
        await self._carry_out(job, run.volume, run.repository, run.time_limit_s, report)

    async def prepare(self, run: RestoreRun) -> None:
        """See that the target's claim is absent, or there, as the run wants it.

        Whether it is empty, the mover sees.
        """
        found = await self._find(_claim_path(run.target))
        if run.is_new and found is not None and not run.is_resumed:
            raise VolumeError(
                "TargetExists", f"{run.target}: the claim exists already; choose another name"
            )
        if not run.is_new and found is None:
            raise VolumeError("TargetMissing", f"{run.target}: there is no such claim")

    async def restore(self, run: RestoreRun, report: Report) -> None:
        """Have a Job write a snapshot; a new claim is made first."""
        if run.is_new and await self._find(_claim_path(run.target)) is None:
            claim = build_claim(run, await self._find(_claim_path(run.source)))
            if claim["spec"]["resources"]["requests"]["storage"] is None:
                raise VolumeError(
                    "SizeMissing",
                    f"{run.target}: the claim {run.source} is gone; give the size of the new one",
                )
            path = f"/api/v1/namespaces/{_segment(run.target.namespace)}/persistentvolumeclaims"
            await self._ask("POST", path, claim, tolerated={HTTPStatus.CONFLICT})
        job = await self._find_job(run.target, build_restore_job(run, self._settings, _ANYWHERE))
        if job is None:
            job = build_restore_job(run, self._settings, await self._choose_placement(run.target))
        await self._carry_out(job, run.target, run.repository, run.time_limit_s, report)

    async def abandon(self, restore_id: int, number: int, snapshot_id: str, target: Volume) -> None:
        """Delete the Job of one volume of a restore, and wait until it is gone."""
        name = build_restore_name(restore_id, number, snapshot_id)
        await self._end(_job_path({"metadata": {"namespace": target.namespace, "name": name}}))

    async def discard(self, archive_name: str) -> None:
        """Delete the Jobs of a backup, wherever they are, and wait until they are gone."""
        label = f"{BACKUP_LABEL}={build_backup_label(archive_name)}"
        listed = await self._get("/apis/batch/v1/jobs", {"labelSelector": label})
        for job in listed.get("items") or ():
            await self._end(_job_path(job))

    async def _choose_placement(self, volume: Volume) -> Placement:
        claim = await self._find(_claim_path(volume))
        if claim is None:
            raise VolumeError("VolumeMissing", f"{volume}: there is no such claim")
        pods = await self._get(f"/api/v1/namespaces/{_segment(volume.namespace)}/pods")
        return choose_placement(volume, claim, pods.get("items") or ())

    async def _find_job(self, volume: Volume, wanted: Resource) -> Resource | None:
        """Find the Job of an earlier start; one that is on its way out is waited for."""
        path = _job_path(wanted)
        found = await self._find(path)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            logger.info("%s: its former Job is going away", volume)
            await self._until_gone(path)
            return None
        return found

    async def _carry_out(
        self,
        job: Resource,
        volume: Volume,
        host: HostRepository,
        time_limit_s: float,
        report: Report,
    ) -> None:
        path = _job_path(job)
        try:
            if "uid" not in job["metadata"]:
                job = await self._create(job)
            secrets = f"/api/v1/namespaces/{_segment(volume.namespace)}/secrets"
            secret = build_mover_secret(job, host)  # behind the Job, which owns it
            await self._ask("POST", secrets, secret, tolerated={HTTPStatus.CONFLICT})
            async with asyncio.timeout(time_limit_s + self._start_within_s):
                done = await self._follow(job, volume, report)
        except (VolumeError, TimeoutError):
            # whoever is told that it is over must not find something that goes on writing; a
            # cancellation alone ends no Job: the engine may only be on its way to another start
            await self._end_quietly(path)
            raise
        await self._end(path)
        if done.reason:
            raise VolumeError(done.reason, done.message)

    async def _create(self, job: Resource) -> Resource:
        namespace = _segment(job["metadata"]["namespace"])
        created = await self._ask(
            "POST",
            f"/apis/batch/v1/namespaces/{namespace}/jobs",
            job,
            tolerated={HTTPStatus.CONFLICT},
        )
        return created if created is not None else await self._get(_job_path(job))

    async def _follow(self, job: Resource, volume: Volume, report: Report) -> MoverReport:
        """Wait until the Job has ended, and return what its mover said."""
        loop = asyncio.get_running_loop()
        began = heard = loop.time()
        has_started = False
        while True:
            try:
                seen = await self._find(_job_path(job))
                pod = await self._find_pod(job)
                heard = loop.time()
            except RepositoryUnreachableError:  # the API server is away; the mover goes on
                if loop.time() - heard > AWAY_FOR_S:
                    raise
                await asyncio.sleep(self._look_every_s)
                continue
            if seen is None:
                raise VolumeError("MoverGone", f"{volume}: somebody deleted the mover's Job")
            if (ended := find_end(seen, pod, volume)) is not None:
                return ended
            has_started = has_started or is_started(pod)
            if not has_started and loop.time() - began > self._start_within_s:
                raise VolumeError("MoverNotStarted", explain_waiting(pod, volume))
            if has_started and pod is not None:
                await self._report_progress(pod, report)
            await asyncio.sleep(self._look_every_s)

    async def _find_pod(self, job: Resource) -> Resource | None:
        namespace = _segment(job["metadata"]["namespace"])
        selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
        listed = await self._get(
            f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": selector}
        )
        pods = listed.get("items") or []
        return pods[-1] if pods else None

    async def _report_progress(self, pod: Resource, report: Report) -> None:
        """Hand the last line of the mover on, if it is one; a log out of reach is no trouble."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{_segment(namespace)}/pods/{_segment(name)}/log"
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
            return
        if is_told and (progress := parse_line(line)) is not None:
            report(progress)

    async def _end_quietly(self, path: str) -> None:
        try:
            await self._end(path)
        except VolumeError as trouble:
            logger.warning("a mover's Job could not be ended: %s", trouble)

    async def _end(self, path: str) -> None:
        """Delete a Job, its pod first, and wait until both are gone."""
        foreground = {"propagationPolicy": "Foreground"}
        await self._ask("DELETE", path, foreground, tolerated={HTTPStatus.NOT_FOUND})
        await self._until_gone(path)

    async def _until_gone(self, path: str) -> None:
        try:
            async with asyncio.timeout(GONE_WITHIN_S):
                while await self._find(path) is not None:  # noqa: ASYNC110 - of another program
                    await asyncio.sleep(self._look_every_s)
        except TimeoutError as trouble:
            raise RepositoryUnreachableError(
                "MoverStays", f"{path} is not gone after {GONE_WITHIN_S:.0f} s"
            ) from trouble

    async def _get(self, path: str, params: Mapping[str, str] | None = None) -> Resource:
        found = await self._ask("GET", path, params=params)
        return found if found is not None else {}

    async def _find(self, path: str) -> Resource | None:
        return await self._ask("GET", path, tolerated={HTTPStatus.NOT_FOUND})

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, str] | None = None,
        tolerated: set[HTTPStatus] | frozenset[HTTPStatus] = frozenset(),
    ) -> Resource | None:
        """Ask the API server; None: one of ``tolerated``. Raises VolumeError."""
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                self._cluster.request(method, path, params=params, json=body) as response,
            ):
                answer: Any = await response.json(content_type=None)
                status = response.status
        except (ClusterError, TimeoutError, aiohttp.ClientError, ValueError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise RepositoryUnreachableError("ClusterUnreachable", f"{path}: {said}") from trouble
        if status in tolerated:
            return None
        if status >= HTTPStatus.BAD_REQUEST:
            said = answer.get("message", "") if isinstance(answer, dict) else ""
            explain = _explain_status(status)
            raise explain(f"{method} {path}: the API server answered {status}: {said}")
        return answer if isinstance(answer, dict) else {}


_ANYWHERE: Final = Placement()


def find_end(
    job: Mapping[str, Any], pod: Mapping[str, Any] | None, volume: Volume
) -> MoverReport | None:
    """Find out how a mover ended; None: it has not. Pure.

    The pod's own word counts before the Job's, which knows less; without either a Job that has
    failed is told by its condition.
    """
    conditions = {
        each["type"]: each
        for each in (job.get("status") or {}).get("conditions") or ()
        if each.get("status") == "True"
    }
    if "Complete" not in conditions and "Failed" not in conditions:
        return None
    if (told := _read_report(pod)) is not None:
        return told
    if "Complete" in conditions:
        return MoverReport()  # the repository tells whether the snapshot is there
    why = conditions["Failed"]
    reason = "TimeLimitExceeded" if why.get("reason") == "DeadlineExceeded" else "MoverFailed"
    said = why.get("message") or _NO_MESSAGE
    return MoverReport(reason, f"{volume}: {said}")


def is_started(pod: Mapping[str, Any] | None) -> bool:
    """Tell whether the mover's container has begun. Pure."""
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or ()
    return any(
        "running" in (each.get("state") or {}) or "terminated" in (each.get("state") or {})
        for each in statuses
    )


def explain_waiting(pod: Mapping[str, Any] | None, volume: Volume) -> str:
    """Say why a mover has not started: what the scheduler or the kubelet says of its pod. Pure."""
    if pod is None:
        return f"{volume}: the mover's Job has no pod; a quota or an admission policy forbids it"
    status = pod.get("status") or {}
    waiting = [
        f"{told.get('reason', '')}: {told.get('message', '')}"
        for each in status.get("containerStatuses") or ()
        if (told := (each.get("state") or {}).get("waiting"))
    ]
    unmet = [
        f"{each.get('reason', '')}: {each.get('message', '')}"
        for each in status.get("conditions") or ()
        if each.get("status") == "False" and each.get("message")
    ]
    said = "; ".join(waiting + unmet) or f"its pod is {status.get('phase', 'Pending')}"
    return f"{volume}: the mover did not start: {said}"


def parse_line(line: bytes) -> Progress | None:
    """Read one line of a mover's log; None: it is not progress. Pure."""
    try:
        return msgspec.json.decode(line.strip() or b"null", type=Progress, strict=True)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _read_report(pod: Mapping[str, Any] | None) -> MoverReport | None:
    for each in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated") or {}
        try:
            return msgspec.json.decode(ended.get("message") or "", type=MoverReport)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue  # cut off, or not the mover's own
    return None


def _explain_status(status: int) -> Callable[[str], VolumeError]:
    def explain(text: str) -> VolumeError:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return RepositoryUnreachableError("ClusterUnreachable", text)
        if status == HTTPStatus.FORBIDDEN:
            return VolumeError("Forbidden", f"{text}; grant the engine what movers need")
        return VolumeError("ClusterRefused", text)

    return explain


def _claim_path(volume: Volume) -> str:
    namespace, claim = _segment(volume.namespace), _segment(volume.claim)
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}"


def _job_path(job: Resource) -> str:
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    return f"/apis/batch/v1/namespaces/{_segment(namespace)}/jobs/{_segment(name)}"


def _segment(text: str) -> str:
    return quote(text, safe="")
