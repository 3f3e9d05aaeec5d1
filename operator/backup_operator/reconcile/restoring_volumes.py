"""Carrying out one step of a Restore of volumes at its engine, and remembering what came of it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

from backup_api.client import BackupApiClient
from backup_api.errors import ErrorClass
from backup_api.exceptions import MalformedAnswerError, RefusedError
from backup_api.extensions.engine import VOLUMES_EXTENSION
from backup_api.extensions.volumes import (
    CancelVolumeRestoreErrors,
    CreateVolumeRestore,
    ReadVolumeRestoreErrors,
)
from backup_api.filters import key_is
from backup_operator.decisions.engine_trouble import may_be_repeated
from backup_operator.decisions.facts import Refusal
from backup_operator.decisions.restore_facts import (
    CancelVolumes,
    CreateVolumes,
    FindVolumes,
    LookAtVolumes,
    PlanVolumes,
    RestoreMemory,
    VolumeRestoreStep,
    VolumesPlanned,
    VolumesView,
)
from backup_operator.engines.directory import KnownEngine

Clock = Callable[[], datetime]


class VolumeSteps:
    """Steps at an engine; each yields the memory as it is from then on, so that no fact is lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def take(
        self, engine: KnownEngine, memory: RestoreMemory, step: VolumeRestoreStep
    ) -> AsyncIterator[RestoreMemory]:
        """Carry out ``step``.

        Raises EngineUnusableError if nothing was sent, and BackupApiError if the step has to be
        repeated.
        """
        clock = self._clock
        async with engine.link.client() as client:
            match step:
                case PlanVolumes(body):
                    yield replace(memory, planned=await _plan(client, body, clock))
                case CreateVolumes(body):
                    memory = replace(memory, unsent_attempt=0)  # from here on it may have arrived
                    yield memory
                    yield await _create(client, memory, body, clock)
                case FindVolumes(key):
                    lost = await _find(client, key, clock)
                    first = memory.first_look_at or lost.at
                    yield replace(memory, lost=lost, first_look_at=first)
                case LookAtVolumes(restore_id):
                    yield replace(memory, volumes=await _look(client, restore_id, clock))
                case CancelVolumes(restore_id):
                    yield replace(memory, volumes=await _cancel(client, restore_id, clock))


async def _create(
    client: BackupApiClient, memory: RestoreMemory, body: CreateVolumeRestore, clock: Clock
) -> RestoreMemory:
    try:
        return replace(memory, restored=await client.create_volume_restore(body))
    except RefusedError as trouble:
        return replace(memory, refusal=_refusal(trouble, clock))


async def _find(client: BackupApiClient, key: str, clock: Clock) -> VolumesView:
    at = clock()
    listed = await client.list_volume_restores(key_is(key))
    return VolumesView(at, next((each for each in listed if each.key == key), None))


async def _plan(client: BackupApiClient, body: CreateVolumeRestore, clock: Clock) -> VolumesPlanned:
    at = clock()
    engine = await client.find_engine()
    if engine is None or VOLUMES_EXTENSION not in engine.extensions:
        return VolumesPlanned(at)
    try:
        return VolumesPlanned(at, await client.plan_volume_restore(body))
    except (RefusedError, MalformedAnswerError) as trouble:
        if trouble.http_status == HTTPStatus.NOT_FOUND:  # an engine that makes no such plans yet
            return VolumesPlanned(at)
        if not isinstance(trouble, RefusedError):
            raise
        return VolumesPlanned(at, refusal=_refusal(trouble, clock))


async def _look(client: BackupApiClient, restore_id: int, clock: Clock) -> VolumesView:
    at = clock()
    try:
        return VolumesView(at, await client.get_volume_restore(restore_id))
    except RefusedError as trouble:
        if trouble.row is not ReadVolumeRestoreErrors.UNKNOWN_RESTORE:
            raise
        return VolumesView(at, None)


async def _cancel(client: BackupApiClient, restore_id: int, clock: Clock) -> VolumesView:
    at = clock()
    try:
        return VolumesView(at, await client.cancel_volume_restore(restore_id))
    except RefusedError as trouble:
        over = {CancelVolumeRestoreErrors.ENDED, CancelVolumeRestoreErrors.UNKNOWN_RESTORE}
        if trouble.row not in over:
            raise
        return await _look(client, restore_id, clock)


def _refusal(trouble: RefusedError, clock: Clock) -> Refusal:
    """Build the refusal of a request that is final; raises ``trouble`` if it may be repeated."""
    if may_be_repeated(trouble) or trouble.error_class is not ErrorClass.FINAL:
        raise trouble
    return Refusal(
        attempt=1,
        at=clock(),
        http_status=trouble.http_status,
        code=trouble.code,
        row=trouble.row,
        error_class=trouble.error_class,
        message=trouble.wire_message,
    )
