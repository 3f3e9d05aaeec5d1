"""Has the storage make a snapshot of a volume, and a claim of that for a mover to read."""

import asyncio
import logging
from http import HTTPStatus

from backup_engine.host_definition import VolumeSnapshotMode
from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.executor import SnapshotRun
from backup_engine.volumes.job_calls import JobCalls, claim_path, segment
from backup_engine.volumes.mover_job import Resource
from backup_engine.volumes.volume import Volume
from backup_engine.volumes.volume_snapshots import (
    API,
    build_copy,
    build_volume_snapshot,
    choose_class,
    explain_unready,
    is_ready,
)

logger = logging.getLogger(__name__)


class Copying:
    """Asks the API server; each method raises VolumeError."""

    def __init__(self, calls: JobCalls, ready_within_s: float, look_every_s: float) -> None:
        self._calls = calls
        self._ready_within_s = ready_within_s
        self._look_every_s = look_every_s

    async def find_class(self, run: SnapshotRun) -> str | None:
        """Find the VolumeSnapshotClass to be used; None: the volume itself is read."""
        if run.volume_snapshot is VolumeSnapshotMode.NEVER:
            return None
        driver = await self._find_driver(run.volume)
        listed = await self._calls.find(f"{API}/volumesnapshotclasses")
        classes = (listed or {}).get("items") or ()  # a cluster may not know snapshots at all
        if run.volume_snapshot is VolumeSnapshotMode.IF_POSSIBLE and driver is None:
            return None
        chosen = choose_class(run.volume, driver, classes, run.volume_snapshot_class)
        if chosen is None and run.volume_snapshot is VolumeSnapshotMode.ALWAYS:
            raise VolumeError(
                "NoVolumeSnapshotClass",
                f"{run.volume}: no VolumeSnapshotClass belongs to its driver"
                f" {driver or '(it has none)'}; make one, or set volumeSnapshot to IfPossible",
            )
        return chosen

    async def provide(self, job: Resource, volume: Volume) -> None:
        """Make the claim that ``job`` waits for; what an earlier start has made is gone on with."""
        namespace = segment(volume.namespace)
        snapshots = f"{API}/namespaces/{namespace}/volumesnapshots"
        wanted = build_volume_snapshot(job, volume)
        await self._calls.ask("POST", snapshots, wanted, tolerated={HTTPStatus.CONFLICT})
        await self._until_ready(f"{snapshots}/{segment(job['metadata']['name'])}", volume)
        source = await self._calls.find(claim_path(volume))
        if source is None:
            raise VolumeError("VolumeMissing", f"{volume}: there is no such claim")
        claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        copy = build_copy(job, source)
        await self._calls.ask("POST", claims, copy, tolerated={HTTPStatus.CONFLICT})

    async def _until_ready(self, path: str, volume: Volume) -> None:
        seen: Resource | None = None
        try:
            async with asyncio.timeout(self._ready_within_s):
                while True:
                    try:
                        seen = await self._calls.find(path)
                    except RepositoryUnreachableError as trouble:
                        logger.warning("%s: its VolumeSnapshot cannot be seen: %s", volume, trouble)
                    else:
                        if seen is None:
                            raise VolumeError(
                                "VolumeSnapshotGone", f"{volume}: its VolumeSnapshot was deleted"
                            )
                        if is_ready(seen):
                            return
                    await asyncio.sleep(self._look_every_s)
        except TimeoutError as trouble:
            raise VolumeError(
                "VolumeSnapshotNotReady",
                f"{volume}: its VolumeSnapshot is not ready after {self._ready_within_s:g} s:"
                f" {explain_unready(seen)}",
            ) from trouble

    async def _find_driver(self, volume: Volume) -> str | None:
        """Find the CSI driver of a bound claim; None: its volume has none."""
        claim = await self._calls.find(claim_path(volume))
        if claim is None:
            raise VolumeError("VolumeMissing", f"{volume}: there is no such claim")
        name = str(claim["spec"].get("volumeName") or "")
        found = await self._calls.find(f"/api/v1/persistentvolumes/{segment(name)}")
        driver = ((found or {}).get("spec") or {}).get("csi", {}).get("driver")
        return str(driver) if driver is not None else None
