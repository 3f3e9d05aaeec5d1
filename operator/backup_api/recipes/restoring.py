"""Restoring (spec §9 "Restore"): the API goes away in the middle, and perhaps the token with it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from backup_api.backups import BackupRecord, BackupType, RecordStatus
from backup_api.client import BackupApiClient
from backup_api.errors import ErrorClass
from backup_api.exceptions import BackupApiError, LostAnswerError, RefusedError
from backup_api.filters import status_in
from backup_api.recipes.exceptions import (
    CredentialsWantedError,
    NotRestorableError,
    RestoreGoneError,
    RestoreInTheWayError,
)
from backup_api.recipes.waiting import Waiting, is_passing
from backup_api.restores import (
    OPEN_RESTORE,
    CreateRestore,
    GetRestoreErrors,
    LaunchRestoreErrors,
    RestoreGroup,
    RestoreRecord,
    RestoreStatus,
)

Remember = Callable[[RestoreRecord], Awaitable[None]]

LOCKED_OUT_POLLS: Final = 10
"""How often 401 may come in a row before the credentials are given up (spec §9 "lasting")."""


@dataclass(frozen=True, slots=True)
class RestoreWish:
    """What to restore. ``may_drop_pending``: a stale PENDING restore of others may be deleted."""

    backup_id: int
    groups: tuple[RestoreGroup, ...]
    may_drop_pending: bool = False


def find_obstacle(backup: BackupRecord) -> str | None:
    """Say why a backup cannot be restored (spec §4.2, codes 1004 to 1007); None: it can."""
    if backup.type is not BackupType.CONFIG:
        return f"it is of type {backup.type}, and only CONFIG can be restored"
    if backup.status is not RecordStatus.SUCCESS:
        return f"it is {backup.status}, not SUCCESS"
    if not backup.is_valid:
        return "its archive is not valid"
    if not backup.is_version_compatible:
        return "its version is not compatible with this system"
    return None


def find_latest(backups: Iterable[BackupRecord]) -> BackupRecord | None:
    """Find the latest backup that can be restored; None: there is none."""
    able = [backup for backup in backups if find_obstacle(backup) is None]
    return max(able, key=lambda backup: (backup.time_initiated or 0, backup.id), default=None)


class Way(Enum):
    """What stands between a wish and its restore."""

    CLEAR = auto()
    OURS = auto()  # the record that a lost answer was about
    STALE = auto()  # a PENDING one that may be dropped
    BLOCKED = auto()


def decide_way(existing: RestoreRecord | None, wish: RestoreWish, *, was_asked: bool) -> Way:
    """Decide what to do about the open restore, of which there is at most one (spec §4.0).

    ``was_asked``: our POST went out and its answer was lost, so a PENDING record of the same
    backup and groups is taken for ours.
    """
    if existing is None:
        return Way.CLEAR
    if existing.status is not RestoreStatus.PENDING:
        return Way.BLOCKED
    is_same = existing.backup_id == wish.backup_id and set(existing.groups or ()) == set(
        wish.groups
    )
    if was_asked and is_same:
        return Way.OURS
    return Way.STALE if wish.may_drop_pending else Way.BLOCKED


class Look(Enum):
    """What one poll of a running restore tells."""

    OVER = auto()
    GO_ON = auto()
    LOCKED_OUT = auto()  # 401: wants new credentials, if it lasts
    GONE = auto()


def judge(answer: RestoreRecord | BackupApiError) -> Look | None:
    """Judge one poll; None: trouble that waiting does not mend.

    While services are stopped anything may answer: nothing, a proxy's page, a 5xx, a 401 of a
    server that has not read its users yet.
    """
    if isinstance(answer, RestoreRecord):
        over = {RestoreStatus.SUCCESS, RestoreStatus.FAILED}
        return Look.OVER if answer.status in over else Look.GO_ON
    if not isinstance(answer, RefusedError):
        return Look.GO_ON
    if answer.row is GetRestoreErrors.UNKNOWN_RESTORE:
        return Look.GONE
    if answer.http_status == HTTPStatus.UNAUTHORIZED:
        return Look.LOCKED_OUT
    return Look.GO_ON if is_passing(answer) else None


async def restore(
    client: BackupApiClient, wish: RestoreWish, waiting: Waiting, remember: Remember
) -> RestoreRecord:
    """Restore a backup and return the record, SUCCESS or FAILED.

    ``remember`` gets the PENDING record before it is launched: its id and ``backup_filename`` are
    what is left to find it by, for ``backup_id`` turns null (spec §4.0). ``waiting.limit_s`` is
    for each wait and should be hours. Raises what prepare, launch and follow raise.
    """
    pending = await prepare(client, wish)
    await remember(pending)
    await launch(client, pending.id, waiting)
    return await follow(client, pending.id, waiting)


async def prepare(client: BackupApiClient, wish: RestoreWish) -> RestoreRecord:
    """Create the PENDING restore, nothing being stopped yet.

    Raises NotRestorableError, RestoreInTheWayError, BackupApiError.
    """
    obstacle = find_obstacle(await client.get_backup(wish.backup_id))
    if obstacle is not None:
        raise NotRestorableError(f"backup {wish.backup_id} cannot be restored: {obstacle}")
    await _clear_way(client, wish)
    body = CreateRestore(backup_id=wish.backup_id, groups=tuple(g.value for g in wish.groups))
    try:
        return await client.create_restore(body)
    except BackupApiError as trouble:
        if not is_passing(trouble):
            raise
        existing = await _find_open(client)
        if existing is not None and decide_way(existing, wish, was_asked=True) is Way.OURS:
            return existing
        raise


async def _clear_way(client: BackupApiClient, wish: RestoreWish) -> None:
    existing = await _find_open(client)
    if existing is None:
        return
    if decide_way(existing, wish, was_asked=False) is not Way.STALE:
        message = f"restore {existing.id} of {existing.backup_filename} is {existing.status}"
        raise RestoreInTheWayError(message)
    await client.delete_restore(existing.id)


async def _find_open(client: BackupApiClient) -> RestoreRecord | None:
    async for record in client.list_restores(filter_by=status_in(OPEN_RESTORE)):
        return record
    return None


async def launch(client: BackupApiClient, restore_id: int, waiting: Waiting) -> None:
    """Launch a PENDING restore, waiting while a job is in its way (409/1014 to 1016).

    After a lost answer the record tells whether it was launched; it is launched at most once, for
    422/1012 answers a second attempt. Raises NotInTimeError, BackupApiError.
    """
    may_be_launched = False

    async def attempt() -> bool | None:
        nonlocal may_be_launched
        try:
            await client.launch_restore(restore_id)
        except RefusedError as refusal:
            if refusal.row is LaunchRestoreErrors.NOT_PENDING:
                return True  # by an earlier attempt whose answer was lost
            if refusal.http_status == HTTPStatus.UNAUTHORIZED and may_be_launched:
                return True  # the restore may have replaced the credentials: follow will tell
            if refusal.error_class is ErrorClass.BUSY:
                return None
            raise
        except LostAnswerError:
            may_be_launched = True
            raise
        return True

    await waiting.until(f"the launch of restore {restore_id}", attempt)


async def follow(client: BackupApiClient, restore_id: int, waiting: Waiting) -> RestoreRecord:
    """Poll a launched restore until it is SUCCESS or FAILED, through the time without an API.

    May be called again after a crash, or with a client that has new credentials. Raises
    CredentialsWantedError when 401 is all that comes for longer than ten polls, RestoreGoneError,
    NotInTimeError, BackupApiError.
    """
    locked_out = 0

    async def look() -> RestoreRecord | None:
        nonlocal locked_out
        answer: RestoreRecord | BackupApiError
        try:
            answer = await client.get_restore(restore_id)
        except BackupApiError as trouble:
            answer = trouble
        verdict = judge(answer)
        locked_out = locked_out + 1 if verdict is Look.LOCKED_OUT else 0
        if verdict is Look.OVER and isinstance(answer, RestoreRecord):
            return answer
        _raise_for(verdict, answer, restore_id, locked_out)
        return None

    return await waiting.until(f"the end of restore {restore_id}", look)


def _raise_for(
    verdict: Look | None,
    answer: RestoreRecord | BackupApiError,
    restore_id: int,
    locked_out: int,
) -> None:
    cause = answer if isinstance(answer, BackupApiError) else None
    if verdict is Look.GONE:
        raise RestoreGoneError(f"restore {restore_id} has no record any more") from cause
    if verdict is Look.LOCKED_OUT and locked_out >= LOCKED_OUT_POLLS:
        message = f"the credentials are not valid since the restart for restore {restore_id}"
        raise CredentialsWantedError(message) from cause
    if verdict is None and cause is not None:
        raise cause
