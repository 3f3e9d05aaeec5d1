"""Carrying out one step of a Restore at its engine, and remembering what came of it."""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from backup_api.client import BackupApiClient
from backup_api.errors import ErrorClass
from backup_api.exceptions import BackupApiError, RefusedError
from backup_api.extensions.restores import PlanItem, PlanState, RestoreFailure
from backup_api.filters import status_in
from backup_api.paging import ItemRange
from backup_api.restores import (
    OPEN_RESTORE,
    DeleteRestoreErrors,
    GetRestoreErrors,
    RestoreRecord,
    RestoreStatus,
)
from backup_operator.decisions.engine_trouble import may_be_repeated
from backup_operator.decisions.facts import Refusal
from backup_operator.decisions.restore import find_ours
from backup_operator.decisions.restore_facts import (
    ComputePlan,
    CreateRestoreRecord,
    DropLostRestore,
    DropRestore,
    EngineRestoreStep,
    LaunchRestoreRecord,
    ListOpenRestores,
    LookAtRestore,
    OpenRestores,
    RestoreMemory,
    RestoreView,
    SetOptions,
)
from backup_operator.decisions.restore_plan import MOST_ITEMS, TELLING
from backup_operator.engines.directory import KnownEngine

logger = logging.getLogger(__name__)

FIRST_ITEMS: Final = ItemRange(0, MOST_ITEMS - 1)
OVER: Final = frozenset({RestoreStatus.SUCCESS, RestoreStatus.FAILED})


class RestoreSteps:
    """Steps at an engine; each yields the memory as it is from then on, so that no fact is lost."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def take(
        self, engine: KnownEngine, memory: RestoreMemory, step: EngineRestoreStep
    ) -> AsyncIterator[RestoreMemory]:
        """Carry out ``step``.

        Raises EngineUnusableError if nothing was sent, and BackupApiError if the step has to be
        repeated. A POST whose answer is lost raises it too; what came of it a look will tell.
        """
        async with engine.link.client() as client:
            match step:
                case ListOpenRestores():
                    at = self._clock()
                    records = await _list_open(client)
                    first = memory.first_look_at or at
                    yield replace(memory, look=OpenRestores(at, records), first_look_at=first)
                case CreateRestoreRecord():
                    # From here on the attempt counts as lost until an answer says otherwise.
                    memory = replace(memory, unsent_attempt=0, refusal=None, look=None)
                    yield memory
                    yield await self._create(client, memory, step)
                case LookAtRestore(restore_id):
                    yield replace(memory, view=await self._look(client, restore_id))
                case SetOptions(restore_id, options):
                    try:
                        await client.set_restore_options(restore_id, options)
                    except RefusedError as trouble:
                        refusal = self._refusal(trouble, 0)
                        if refusal.error_class is not ErrorClass.FINAL or may_be_repeated(trouble):
                            raise
                        yield replace(memory, options_refusal=refusal)
                        return
                    yield replace(memory, view=await self._look(client, restore_id))
                case ComputePlan(restore_id):
                    await client.start_plan(restore_id)
                    yield replace(memory, view=await self._look(client, restore_id))
                case LaunchRestoreRecord(restore_id):
                    yield replace(memory, view=None)  # if the answer is lost, the record tells
                    yield await self._launch(client, memory, restore_id)
                case DropRestore() | DropLostRestore():
                    await _drop(client, step, self._clock())
                    yield replace(memory, view=RestoreView(self._clock(), None))

    async def _create(
        self, client: BackupApiClient, memory: RestoreMemory, step: CreateRestoreRecord
    ) -> RestoreMemory:
        try:
            created = await client.create_restore(step.body)
        except RefusedError as trouble:
            if may_be_repeated(trouble):
                raise
            look = memory.look
            if trouble.error_class is ErrorClass.BUSY:  # tell which one is in the way
                look = OpenRestores(self._clock(), await _list_open(client))
            return replace(memory, refusal=self._refusal(trouble, step.attempt), look=look)
        return replace(memory, created=created)

    async def _launch(
        self, client: BackupApiClient, memory: RestoreMemory, restore_id: int
    ) -> RestoreMemory:
        before = memory.view
        memory = replace(memory, view=None)
        try:
            record = await client.launch_restore(restore_id)
        except RefusedError as trouble:
            if may_be_repeated(trouble):
                raise
            return replace(memory, launch_refusal=self._refusal(trouble, 1))
        # Nothing more is asked here: the services of an appliance are about to stop.
        is_in_cluster = before is not None and before.is_in_cluster
        view = RestoreView(self._clock(), record, is_in_cluster)
        return replace(memory, view=view, launch_refusal=None)

    async def _look(self, client: BackupApiClient, restore_id: int) -> RestoreView:
        at = self._clock()
        try:
            record = await client.get_restore(restore_id)
        except RefusedError as trouble:
            if trouble.row is not GetRestoreErrors.UNKNOWN_RESTORE:
                raise
            return RestoreView(at, None)
        if await client.find_engine() is None:
            is_pending = record.status is RestoreStatus.PENDING
            backup = None
            if is_pending and record.backup_id is not None:
                backup = await client.get_backup(record.backup_id)
            return RestoreView(at, record, backup=backup)
        return await _look_into(client, RestoreView(at, record, is_in_cluster=True), record)

    def _refusal(self, trouble: RefusedError, attempt: int) -> Refusal:
        return Refusal(
            attempt=attempt,
            at=self._clock(),
            http_status=trouble.http_status,
            code=trouble.code,
            row=trouble.row,
            error_class=trouble.error_class,
            message=trouble.wire_message,
        )


async def _look_into(
    client: BackupApiClient, view: RestoreView, record: RestoreRecord
) -> RestoreView:
    """Ask an in-cluster engine for what its extension tells of a restore."""
    if record.status is RestoreStatus.PENDING:
        plan = await client.get_plan(record.id)
        items = await _list_telling(client, record.id) if plan.state is PlanState.READY else ()
        options = await client.get_restore_options(record.id)
        return replace(view, options=options, plan=plan, items=items)
    progress = await client.get_restore_progress(record.id)
    failures: tuple[RestoreFailure, ...] = ()
    if progress.failed or record.status in OVER:
        failures = (await client.list_restore_failures_page(record.id, FIRST_ITEMS)).records
    return replace(view, progress=progress, failures=failures)


async def _list_telling(client: BackupApiClient, restore_id: int) -> tuple[PlanItem, ...]:
    """List the items to look at first: what is in conflict before what is changed or new."""
    items: list[PlanItem] = []
    for action in TELLING:
        if len(items) < MOST_ITEMS:
            page = await client.list_plan_items_page(restore_id, FIRST_ITEMS, action=action)
            items += page.records
    return tuple(items[:MOST_ITEMS])


async def _list_open(client: BackupApiClient) -> tuple[RestoreRecord, ...]:
    return tuple(
        [record async for record in client.list_restores(filter_by=status_in(OPEN_RESTORE))]
    )


async def _drop(
    client: BackupApiClient, step: DropRestore | DropLostRestore, now: datetime
) -> None:
    """Drop a record; silence is met once only, for an object that is to go is not held back."""
    try:
        if isinstance(step, DropRestore):
            await _drop_pending(client, step.restore_id)
            return
        there = OpenRestores(now, await _list_open(client))
        ours = find_ours(step.wanted, step.submission, there)
        if ours is not None:
            await _drop_pending(client, ours.id)
    except RefusedError as trouble:
        gone = {GetRestoreErrors.UNKNOWN_RESTORE, DeleteRestoreErrors.UNKNOWN_RESTORE}
        if trouble.row not in {*gone, DeleteRestoreErrors.FINISHED}:
            raise
    except BackupApiError as silence:
        logger.warning("the record of a restore may have been left behind: %s", silence)


async def _drop_pending(client: BackupApiClient, restore_id: int) -> None:
    record = await client.get_restore(restore_id)
    if record.status is RestoreStatus.PENDING:  # dropping the record of another stops nothing
        await client.delete_restore(restore_id)
