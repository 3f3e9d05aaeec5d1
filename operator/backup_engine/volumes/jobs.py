"""Works on volumes by Jobs in their namespaces, which any engine finds again by their names."""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from backup_api.extensions.volume_targets import TargetState
from backup_engine.cluster import ClusterConnection
from backup_engine.host_definition import VolumeSelection
from backup_engine.selectors import build_label_selector
from backup_engine.volumes.claims import (
    build_chosen,
    choose_placement,
    see_claim,
    see_new_claim,
)
from backup_engine.volumes.copying import Copying
from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.executor import HostRepository, RestoreRun, SnapshotRun
from backup_engine.volumes.job_calls import LOOK_EVERY_S, JobCalls, claim_path, job_path, segment
from backup_engine.volumes.kopia import Report
from backup_engine.volumes.mover_job import (
    BACKUP_LABEL,
    SNAPSHOT_CLASS,
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
from backup_engine.volumes.mover_state import (
    explain_waiting,
    find_end,
    is_over,
    is_started,
    parse_line,
)
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.targets import (
    TargetSeen,
    TargetWish,
    size_missing,
    target_exists,
    target_missing,
)
from backup_engine.volumes.volume import ChosenVolume, Volume, build_policy, merge_chosen

logger = logging.getLogger(__name__)

START_WITHIN_S: Final = 600.0
FIRST_LOOK_S: Final = 0.25  # most volumes have little that is new; who takes long is looked at less
AWAY_FOR_S: Final = 300.0


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
        self._calls = JobCalls(cluster, look_every_s)
        self._settings = settings
        self._copying = Copying(self._calls, start_within_s, look_every_s)
        self._start_within_s = start_within_s
        self._look_every_s = look_every_s

    async def check(self) -> None:
        """See that the API server answers."""
        await self._calls.get("/apis/batch/v1")

    async def list_volumes(self, selections: Sequence[VolumeSelection]) -> tuple[ChosenVolume, ...]:
        """List the claims that match; those that are not bound are in it with their trouble."""
        chosen: list[ChosenVolume] = []
        for selection in selections:
            policy = build_policy(selection)
            if selection.claim_names is not None:
                for name in selection.claim_names:
                    volume = Volume(selection.namespace, name)
                    claim = await self._calls.find(claim_path(volume))
                    trouble = f"{volume}: there is no such claim"
                    chosen.append(
                        build_chosen(claim, policy)
                        if claim is not None
                        else ChosenVolume(volume, policy, trouble)
                    )
                continue
            text = build_label_selector(selection.selector).text
            path = f"/api/v1/namespaces/{segment(selection.namespace)}/persistentvolumeclaims"
            listed = await self._calls.get(path, {"labelSelector": text} if text else None)
            chosen += [build_chosen(each, policy) for each in listed.get("items") or ()]
        return merge_chosen(chosen)

    async def settle(self, repository: HostRepository) -> None:
        """Do nothing: a Job that still runs is taken over by the run that goes on."""

    async def snapshot(self, run: SnapshotRun, report: Report) -> None:
        """Have a Job take a snapshot, of the volume or of a snapshot that its storage makes."""
        job = await self._find_job(run.volume, build_snapshot_job(run, self._settings, _ANYWHERE))
        if job is None:
            snapshot_class = await self._copying.find_class(run)
            is_elsewhere = snapshot_class is not None  # nobody else has the copy
            placement = _ANYWHERE if is_elsewhere else await self._choose_placement(run.volume)
            job = build_snapshot_job(run, self._settings, placement, snapshot_class)
        await self._carry_out(job, run.volume, run.repository, run.time_limit_s, report)

    async def look(self, wish: TargetWish) -> TargetSeen:
        """See whether the claim is there, what it holds at most, and which pods have it."""
        found = await self._calls.find(claim_path(wish.target))
        if wish.is_new:
            return see_new_claim(wish, found, await self._calls.find(claim_path(wish.source)))
        if found is None:
            return TargetSeen(TargetState.ABSENT)
        namespace = segment(wish.target.namespace)
        pods = await self._calls.get(f"/api/v1/namespaces/{namespace}/pods")
        return see_claim(wish.target, found, pods.get("items") or ())

    async def prepare(self, run: RestoreRun) -> None:
        """See that the target's claim is absent, or there, as the run wants it.

        Whether it is empty, the mover sees.
        """
        found = await self._calls.find(claim_path(run.target))
        if run.is_new and found is not None and not run.is_resumed:
            raise target_exists(run.target)
        if not run.is_new and found is None:
            raise target_missing(run.target)

    async def restore(self, run: RestoreRun, report: Report) -> None:
        """Have a Job write a snapshot; a new claim is made first."""
        if run.is_new and await self._calls.find(claim_path(run.target)) is None:
            claim = build_claim(run, await self._calls.find(claim_path(run.source)))
            if claim["spec"]["resources"]["requests"]["storage"] is None:
                raise size_missing(run.target, run.source)
            path = f"/api/v1/namespaces/{segment(run.target.namespace)}/persistentvolumeclaims"
            await self._calls.ask("POST", path, claim, tolerated={HTTPStatus.CONFLICT})
        job = await self._find_job(run.target, build_restore_job(run, self._settings, _ANYWHERE))
        if job is None:
            job = build_restore_job(run, self._settings, await self._choose_placement(run.target))
        await self._carry_out(job, run.target, run.repository, run.time_limit_s, report)
        await self._calls.until_gone(job_path(job))  # nothing of ours has the claim any more

    async def abandon(self, restore_id: int, number: int, snapshot_id: str, target: Volume) -> None:
        """Delete the Job of one volume of a restore, and wait until it is gone."""
        name = build_restore_name(restore_id, number, snapshot_id)
        await self._calls.end(job_path({"metadata": {"namespace": target.namespace, "name": name}}))

    async def discard(self, archive_name: str) -> None:
        """Delete the Jobs of a backup, wherever they are, and wait until they are gone."""
        label = f"{BACKUP_LABEL}={build_backup_label(archive_name)}"
        listed = await self._calls.get("/apis/batch/v1/jobs", {"labelSelector": label})
        for job in listed.get("items") or ():
            await self._calls.end(job_path(job))

    async def _choose_placement(self, volume: Volume) -> Placement:
        claim = await self._calls.find(claim_path(volume))
        if claim is None:
            raise VolumeError("VolumeMissing", f"{volume}: there is no such claim")
        pods = await self._calls.get(f"/api/v1/namespaces/{segment(volume.namespace)}/pods")
        return choose_placement(volume, claim, pods.get("items") or ())

    async def _find_job(self, volume: Volume, wanted: Resource) -> Resource | None:
        """Find the Job of an earlier start; one that is on its way out is waited for."""
        path = job_path(wanted)
        found = await self._calls.find(path)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            logger.info("%s: its former Job is going away", volume)
            await self._calls.until_gone(path)
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
        path = job_path(job)
        try:
            if "uid" not in job["metadata"]:
                job = await self._calls.create_job(job)
            secrets = f"/api/v1/namespaces/{segment(volume.namespace)}/secrets"
            secret = build_mover_secret(job, host)  # behind the Job, which owns it
            await self._calls.ask("POST", secrets, secret, tolerated={HTTPStatus.CONFLICT})
            if SNAPSHOT_CLASS in (job["metadata"].get("annotations") or {}) and not is_over(job):
                await self._copying.provide(job, volume)
            async with asyncio.timeout(time_limit_s + self._start_within_s):
                done = await self._follow(job, volume, report)
        except (VolumeError, TimeoutError):
            # whoever is told that it is over must not find something that goes on writing; a
            # cancellation alone ends no Job: the engine may only be on its way to another start
            await self._end_quietly(path)
            raise
        await self._calls.dismiss(path)  # its container has ended
        if done.reason:
            raise VolumeError(done.reason, done.message)
        if done.files or done.bytes:  # of a restore
            report(Progress(done.files, done.bytes))

    async def _follow(self, job: Resource, volume: Volume, report: Report) -> MoverReport:
        """Wait until the Job has ended, and return what its mover said."""
        loop = asyncio.get_running_loop()
        began = heard = loop.time()
        followed: str | None = None  # a pod that was killed is followed by another
        has_started = False
        while True:
            try:
                seen = await self._calls.find(job_path(job))
                pod = await self._calls.find_pod(job)
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
            if pod is not None and pod["metadata"]["uid"] != followed:
                followed, has_started, began = pod["metadata"]["uid"], False, loop.time()
            has_started = has_started or is_started(pod)
            if not has_started and loop.time() - began > self._start_within_s:
                raise VolumeError("MoverNotStarted", explain_waiting(pod, volume))
            if has_started and pod is not None:
                line = await self._calls.read_last_line(pod)
                if line is not None and (progress := parse_line(line)) is not None:
                    report(progress)
            await asyncio.sleep(min(self._look_every_s, FIRST_LOOK_S + (heard - began) / 10))

    async def _end_quietly(self, path: str) -> None:
        try:
            await self._calls.end(path)
        except VolumeError as trouble:
            logger.warning("a mover's Job could not be ended: %s", trouble)


_ANYWHERE: Final = Placement()
