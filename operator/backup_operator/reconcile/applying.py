"""Carrying out one step at the engine, and remembering what came of it."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from backup_api.backups import LEAVING, RUNNING, BackupRecord, RecordStatus
from backup_api.client import BackupApiClient
from backup_api.deploy import DeployStatus
from backup_api.errors import (
    DeleteBackupErrors,
    ErrorClass,
    GetBackupErrors,
    StartDeployErrors,
)
from backup_api.exceptions import MalformedAnswerError, NotSentError, RefusedError
from backup_api.extensions.verification import GetVerificationErrors
from backup_api.filters import name_is
from backup_operator.decisions.engine_trouble import SERVER_ERROR, needs_new_access
from backup_operator.decisions.facts import (
    ArchiveFinding,
    DeploySeen,
    HostsSeen,
    Look,
    NotSent,
    RecordGone,
    Refusal,
)
from backup_operator.decisions.steps import (
    ChangeDescription,
    CheckName,
    DeleteRecord,
    FetchRecord,
    FetchVerification,
    FindHosts,
    LookAtDeploy,
    LookForLost,
    StartDeploy,
    Submit,
)
from backup_operator.engines.directory import KnownEngine
from backup_operator.engines.records import now as loop_now
from backup_operator.reconcile.memory import Memories

NOT_FOUND: Final = 404
MOST_NAMESAKES: Final = 1000  # scheduled runs all share one name (spec §12 no. 17)

RecordStep = FetchRecord | FetchVerification | ChangeDescription | DeleteRecord
EngineStep = CheckName | FindHosts | Submit | LookForLost | StartDeploy | LookAtDeploy | RecordStep

logger = logging.getLogger(__name__)


class EngineSteps:
    """Steps at an engine for one Backup at a time; what they yield goes to memory and table."""

    def __init__(self, memories: Memories, clock: Callable[[], datetime]) -> None:
        self._memories = memories
        self._clock = clock

    async def take(self, uid: str, engine: KnownEngine, step: EngineStep) -> None:
        """Carry out ``step`` for the Backup ``uid``.

        Raises EngineUnusableError if nothing was sent, and BackupApiError if the step has to be
        repeated; a POST of a backup raises neither once it was sent.
        """
        async with engine.link.client() as client:
            match step:
                case CheckName(name):
                    look = Look(self._clock(), await _list_namesakes(client, name))
                    self._memories.change(uid, name_check=look)
                case LookForLost(name):
                    await self._look_for_lost(uid, client, name)
                case FindHosts():
                    await self._find_hosts(uid, client)
                case Submit():
                    await self._submit(uid, client, step)
                case StartDeploy():
                    await self._start_deploy(uid, client)
                case LookAtDeploy():
                    status = await client.deploy_status()
                    self._memories.change(uid, deploy=_deploy_seen(status, self._clock()))
                case _:
                    await self._see_to_record(uid, client, engine, step)

    async def _see_to_record(
        self, uid: str, client: BackupApiClient, engine: KnownEngine, step: RecordStep
    ) -> None:
        match step:
            case FetchRecord(record_id):
                if not await engine.poller.read_unknown(record_id):
                    await _fetch(client, engine, record_id)
            case FetchVerification(record_id):
                await self._fetch_verification(uid, client, engine, record_id)
            case ChangeDescription():
                await self._change_description(uid, client, engine, step)
            case DeleteRecord():
                await _delete(client, engine, step)

    async def _submit(self, uid: str, client: BackupApiClient, step: Submit) -> None:
        memory = self._memories.recall(uid)
        clean = memory.certain_through >= step.attempt - 1
        certain_through = step.attempt if clean else memory.certain_through
        # From here on the attempt counts as lost until an answer says otherwise.
        self._memories.change(uid, unsent_attempt=0, answer=None, look=None, first_look_at=None)
        try:
            created = await client.create_backup(step.body, step.backup_type)
        except NotSentError as trouble:
            answer = NotSent(step.attempt, self._clock(), trouble.message)
            self._memories.change(uid, answer=answer, certain_through=certain_through)
            raise
        except RefusedError as trouble:
            if trouble.http_status < SERVER_ERROR:
                self._memories.change(
                    uid,
                    answer=_build_answer(trouble, step.attempt, self._clock()),
                    certain_through=certain_through,
                )
            raise
        self._memories.change(uid, created=created)

    async def _look_for_lost(self, uid: str, client: BackupApiClient, name: str) -> None:
        asked_at = self._clock()
        records = await _list_namesakes(client, name)
        first = self._memories.recall(uid).first_look_at or asked_at
        self._memories.change(uid, look=Look(asked_at, records), first_look_at=first)

    async def _find_hosts(self, uid: str, client: BackupApiClient) -> None:
        hosts = await client.list_hosts()
        ids = {host.hostname: host.id for host in hosts if host.hostname is not None}
        self._memories.change(uid, hosts=HostsSeen(self._clock(), ids))

    async def _change_description(
        self, uid: str, client: BackupApiClient, engine: KnownEngine, step: ChangeDescription
    ) -> None:
        asked_at = loop_now()
        try:
            record = await client.change_description(step.record_id, step.description)
        except RefusedError as trouble:
            if trouble.http_status == GetBackupErrors.UNKNOWN_BACKUP.http_status:
                engine.table.put(step.record_id, RecordGone(), asked_at)
            elif trouble.error_class is ErrorClass.FINAL and not needs_new_access(trouble):
                logger.warning("description of backup %s refused: %s", step.record_id, trouble)
                self._memories.change(uid, refused_description=step.description)
            raise
        engine.table.put(step.record_id, record, asked_at)

    async def _fetch_verification(
        self, uid: str, client: BackupApiClient, engine: KnownEngine, record_id: int
    ) -> None:
        try:
            told = await client.get_verification(record_id)
        except (RefusedError, MalformedAnswerError) as trouble:  # an appliance, or a proxy's page
            if needs_new_access(trouble):
                raise
            if trouble.http_status == NOT_FOUND and not _knows_verification(trouble):
                engine.link.note_no_verification()
            self._memories.change(uid, finding=ArchiveFinding(None))
            return
        self._memories.change(uid, finding=ArchiveFinding(told.reason, told.message or ""))

    async def _start_deploy(self, uid: str, client: BackupApiClient) -> None:
        try:
            status = await client.start_deploy()
        except RefusedError as trouble:
            if trouble.row not in _LOOK_AT_DEPLOY:
                seen = DeploySeen(self._clock(), is_finished=True, error=trouble.message)
                self._memories.change(uid, deploy=seen)
                raise
            status = await client.deploy_status()  # running, or nothing to do (spec §12 no. 6)
        self._memories.change(uid, deploy=_deploy_seen(status, self._clock()))


_LOOK_AT_DEPLOY: Final = frozenset(
    {StartDeployErrors.BUSY_OR_NOTHING, StartDeployErrors.NOTHING_TO_DEPLOY}
)


def _knows_verification(trouble: RefusedError | MalformedAnswerError) -> bool:
    row = trouble.row if isinstance(trouble, RefusedError) else None
    return row is GetVerificationErrors.UNKNOWN_BACKUP


def _build_answer(trouble: RefusedError, attempt: int, now: datetime) -> NotSent | Refusal:
    if needs_new_access(trouble):  # of no meaning for the backup, once the credentials are right
        return NotSent(attempt, now, trouble.message)
    return Refusal(
        attempt=attempt,
        at=now,
        http_status=trouble.http_status,
        code=trouble.code,
        row=trouble.row,
        error_class=trouble.error_class,
        message=trouble.wire_message,
    )


def _deploy_seen(status: DeployStatus, now: datetime) -> DeploySeen:
    error = None
    if status.is_finished and (status.has_errors or status.error_message):
        error = status.error_message or "the engine reports errors"
    return DeploySeen(now, status.is_finished, status.percent_complete, error)


async def _list_namesakes(client: BackupApiClient, name: str) -> tuple[BackupRecord, ...]:
    records: list[BackupRecord] = []
    async for record in client.list_backups(filter_by=name_is(name)):
        if record.name == name:  # a server without filters must not tell us tales
            records.append(record)
        if len(records) >= MOST_NAMESAKES:
            records.pop(0)
    return tuple(records)


async def _fetch(
    client: BackupApiClient, engine: KnownEngine, record_id: int
) -> RecordStatus | None:
    asked_at = loop_now()
    try:
        record = await client.get_backup(record_id)
    except RefusedError as trouble:
        if trouble.row is not GetBackupErrors.UNKNOWN_BACKUP:
            raise
        engine.table.put(record_id, RecordGone(), asked_at)
        return None
    engine.table.put(record_id, record, asked_at)
    return record.status


async def _delete(client: BackupApiClient, engine: KnownEngine, step: DeleteRecord) -> None:
    if step.only_running and await _fetch(client, engine, step.record_id) not in RUNNING:
        return  # it ended meanwhile, and a DELETE would now remove its archive
    asked_at = loop_now()
    try:
        record = await client.delete_backup(step.record_id)
    except RefusedError as trouble:
        if trouble.row is DeleteBackupErrors.UNKNOWN_BACKUP:
            engine.table.put(step.record_id, RecordGone(), asked_at)
        elif trouble.row is DeleteBackupErrors.ALREADY_LEAVING:
            await _fetch(client, engine, step.record_id)
        else:
            raise
        return
    if record.status not in LEAVING:  # some answer with the state before (spec §14 no. 16)
        leaving = RecordStatus.CANCELLING if step.only_running else RecordStatus.DELETING
        record = record.model_copy(update={"status": leaving})
    engine.table.put(step.record_id, record, asked_at)
