"""What an in-cluster engine adds to restores: options, plan, progress, failures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.errors import EndpointErrors
from backup_api.extensions.restores import (
    ChangePlanErrors,
    ListPlanItemsErrors,
    PlanItem,
    PlanState,
    ReadRestoreExtensionErrors,
    RestoreFailure,
    RestoreOptions,
    RestorePlan,
    RestoreProgress,
    SetRestoreOptionsErrors,
)
from backup_api.paging import ItemRange, Page
from backup_api.restores import RestoreStatus
from backup_engine.errors import RefusalError
from backup_engine.query.binding import Bound
from backup_engine.records.database import Database
from backup_engine.records.restore_plans import RestorePlanRecords
from backup_engine.records.restores import RestoreRecords, StoredRestore
from backup_engine.restore.wire import WrongOptionError, parse_options

_WRONG_OPTIONS: Final = {
    "namespace_mapping": SetRestoreOptionsErrors.WRONG_MAPPING,
    "include": SetRestoreOptionsErrors.WRONG_INCLUDE,
    "exclude": SetRestoreOptionsErrors.WRONG_EXCLUDE,
    "with_status": SetRestoreOptionsErrors.WRONG_STATUS_KIND,
    "approved_plan": SetRestoreOptionsErrors.WRONG_DIGEST,
}


@dataclass(frozen=True, slots=True)
class RestoreExtension:
    """The use cases; each that leaves work to do, or ends some, wakes the restorer."""

    database: Database
    wake_restorer: Callable[[], None]

    async def get_options(self, restore_id: int) -> RestoreOptions:
        """Get what a restore may do; raises RefusalError."""
        return (await self._get(restore_id)).options

    async def set_options(self, restore_id: int, options: RestoreOptions) -> RestoreOptions:
        """Replace what a PENDING restore may do; raises RefusalError.

        A plan of other options is dropped: it is of no use any more.
        """
        async with self.database.writing() as connection:
            stored = await _get_pending(connection, restore_id, SetRestoreOptionsErrors)
            try:
                parse_options(stored.record.groups or (), options)
            except WrongOptionError as trouble:
                raise RefusalError(_WRONG_OPTIONS[trouble.member], trouble.message) from trouble
            await RestoreRecords(connection).set_options(restore_id, options)
            if without_approval(options) != without_approval(stored.options):
                await RestorePlanRecords(connection).drop(restore_id)
        self.wake_restorer()
        return options

    async def start_plan(self, restore_id: int) -> RestorePlan:
        """Have the plan of a PENDING restore computed; raises RefusalError."""
        async with self.database.writing() as connection:
            await _get_pending(connection, restore_id, ChangePlanErrors)
            started = await RestorePlanRecords(connection).start(restore_id)
        self.wake_restorer()
        return started.plan

    async def drop_plan(self, restore_id: int) -> RestorePlan:
        """Forget the plan of a PENDING restore, or stop its computation; raises RefusalError."""
        async with self.database.writing() as connection:
            await _get_pending(connection, restore_id, ChangePlanErrors)
            dropped = await RestorePlanRecords(connection).drop(restore_id)
        self.wake_restorer()
        return dropped.plan

    async def get_plan(self, restore_id: int) -> RestorePlan:
        """Get the plan without its items; raises RefusalError."""
        async with self.database.reading() as connection:
            await _get(connection, restore_id, ReadRestoreExtensionErrors.UNKNOWN_RESTORE)
            return (await RestorePlanRecords(connection).get(restore_id)).plan

    async def list_plan_items(
        self, restore_id: int, condition: Bound | None, items: ItemRange | None
    ) -> Page[PlanItem]:
        """List the items of a READY plan; raises RefusalError."""
        async with self.database.reading() as connection:
            await _get(connection, restore_id, ListPlanItemsErrors.UNKNOWN_RESTORE)
            records = RestorePlanRecords(connection)
            stored = await records.get(restore_id)
            if stored.is_computing:
                message = f"The plan of restore {restore_id} is being computed; ask again later"
                raise RefusalError(ListPlanItemsErrors.PLAN_COMPUTING, message)
            if stored.plan.state is not PlanState.READY:
                message = f"The plan of restore {restore_id} is {stored.plan.state}; POST …/plan"
                raise RefusalError(ListPlanItemsErrors.NO_PLAN, message)
            return await records.list_items(stored, condition, items)

    async def get_progress(self, restore_id: int) -> RestoreProgress:
        """Get how far a restore is, or got; raises RefusalError."""
        return (await self._get(restore_id)).progress

    async def list_failures(
        self, restore_id: int, condition: Bound | None, items: ItemRange | None
    ) -> Page[RestoreFailure]:
        """List what could not be restored, so far; raises RefusalError."""
        async with self.database.reading() as connection:
            await _get(connection, restore_id, ReadRestoreExtensionErrors.UNKNOWN_RESTORE)
            return await RestoreRecords(connection).list_failures(restore_id, condition, items)

    async def _get(self, restore_id: int) -> StoredRestore:
        async with self.database.reading() as connection:
            unknown = ReadRestoreExtensionErrors.UNKNOWN_RESTORE
            return await _get(connection, restore_id, unknown)


def without_approval(options: RestoreOptions) -> RestoreOptions:
    """Return what of the options a plan depends on."""
    return options.model_copy(update={"approved_plan": None})


async def _get(
    connection: AsyncConnection, restore_id: int, unknown: EndpointErrors, *, locked: bool = False
) -> StoredRestore:
    stored = await RestoreRecords(connection).find(restore_id, locked=locked)
    if stored is None:
        raise RefusalError(unknown, f"Restore {restore_id} was not found")
    return stored


async def _get_pending(
    connection: AsyncConnection,
    restore_id: int,
    refusals: type[SetRestoreOptionsErrors] | type[ChangePlanErrors],
) -> StoredRestore:
    # locked, else it could be launched between this look and what follows from it
    stored = await _get(connection, restore_id, refusals.UNKNOWN_RESTORE, locked=True)
    if stored.record.status is not RestoreStatus.PENDING:
        message = f"Restore {restore_id} is {stored.record.status}, not PENDING"
        raise RefusalError(refusals.NOT_PENDING, message)
    return stored
