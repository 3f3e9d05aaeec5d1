"""The plan of a restore of volumes: made anew each time, and stored nowhere."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backup_api.extensions.volume_plans import PlannedVolume, VolumePlan
from backup_api.extensions.volumes import CreateVolumeRestore, CreateVolumeRestoreErrors
from backup_engine.errors import RefusalError
from backup_engine.records.database import Database
from backup_engine.records.volume_restores import WantedVolume
from backup_engine.volume_wishes import Source, check_source, check_wishes, find_source
from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.executor import Executor
from backup_engine.volumes.targets import TargetSeen, TargetWish, judge_target
from backup_engine.volumes.volume import Volume

ABREAST: Final = 8

_UNDIGESTED: Final = {"used_by", "message"}  # what comes and goes while nothing else changes


@dataclass(frozen=True, slots=True)
class VolumePlanner:
    """Plans restores; ``executor`` None: this engine has nothing to work on volumes with."""

    database: Database
    executor: Executor | None = None

    async def plan(self, body: CreateVolumeRestore) -> VolumePlan:
        """Plan what ``body`` asks for; raises RefusalError as creating it does."""
        executor = self.executor
        if executor is None:
            raise no_executor()
        check_source(body)
        async with self.database.reading() as connection:
            source = await find_source(connection, body)
        wanted = check_wishes(body.volumes, source.kept)
        turn = asyncio.Semaphore(ABREAST)

        async def look(one: WantedVolume) -> TargetSeen | VolumeError:
            async with turn:
                return await _look(executor, _build_wish(one))

        seen = await asyncio.gather(*(look(one) for one in wanted))
        return build_plan(source, wanted, seen)


def build_plan(
    source: Source, wanted: Sequence[WantedVolume], seen: Sequence[TargetSeen | VolumeError]
) -> VolumePlan:
    """Build the plan from what was seen at each target, or why it could not be. Pure."""
    volumes = tuple(
        _build_volume(source, one, there) for one, there in zip(wanted, seen, strict=True)
    )
    record = source.backup.record
    told = VolumePlan(
        backup_id=source.backup.id,
        digest="",
        backup_name=record.name,
        backup_time=record.time_initiated,
        host_id=record.host_id,
        hostname=source.hostname,
        volumes=volumes,
    )
    facts = told.model_dump(
        mode="json", exclude={"digest": True, "volumes": {"__all__": _UNDIGESTED}}
    )
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return told.model_copy(update={"digest": f"sha256:{digest}"})


def no_executor() -> RefusalError:
    """Build the refusal of an engine that cannot work on volumes."""
    message = "Start the engine with --mover-image, or with --volumes-dir"
    return RefusalError(CreateVolumeRestoreErrors.NO_EXECUTOR, message)


async def _look(executor: Executor, wish: TargetWish) -> TargetSeen | VolumeError:
    try:
        return await executor.look(wish)
    except RepositoryUnreachableError as trouble:  # says nothing about the target
        raise RefusalError(CreateVolumeRestoreErrors.NOT_CREATED, str(trouble)) from trouble
    except VolumeError as trouble:
        return trouble


def _build_wish(one: WantedVolume) -> TargetWish:
    wish = one.wish
    return TargetWish(
        source=Volume(wish.namespace or "", wish.claim or ""),
        target=Volume(wish.target_namespace or "", wish.target_claim or ""),
        is_new=wish.create_claim,
        has_paths=bool(wish.paths),
        size_bytes=wish.size,
        storage_class=wish.storage_class,
    )


def _build_volume(
    source: Source, one: WantedVolume, seen: TargetSeen | VolumeError
) -> PlannedVolume:
    wish = _build_wish(one)
    kept = source.kept[wish.source]
    trouble = seen if isinstance(seen, VolumeError) else judge_target(wish, seen, kept.size)
    there = seen if isinstance(seen, TargetSeen) else None
    return PlannedVolume(
        namespace=wish.source.namespace,
        claim=wish.source.claim,
        target_namespace=wish.target.namespace,
        target_claim=wish.target.claim,
        create_claim=wish.is_new,
        storage_class=there.storage_class if there is not None else wish.storage_class,
        claim_size=there.capacity_bytes if there is not None else wish.size_bytes,
        paths=one.wish.paths,
        snapshot_id=one.snapshot_id,
        size=kept.size,
        files=kept.files,
        target=there.state if there is not None else None,
        used_by=there.used_by if there is not None else (),
        reason=trouble.reason if trouble is not None else None,
        message=trouble.message if trouble is not None else None,
    )
