"""``/backup_and_restore/backups`` (spec §3)."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.backups import (
    SORTABLE,
    BackupRecord,
    BackupType,
    ChangeBackup,
    CreateBackup,
)
from backup_api.endpoints import (
    CHANGE_BACKUP,
    CREATE_BACKUP,
    DELETE_BACKUP,
    GET_BACKUP,
    LIST_BACKUPS,
)
from backup_api.errors import (
    ChangeBackupErrors,
    DeleteBackupErrors,
    EndpointErrors,
    GetBackupErrors,
    ListBackupsErrors,
)
from backup_engine.api_versions import LOCATION_SINCE
from backup_engine.backups import Backups
from backup_engine.query.shapes import build_members
from backup_engine.routes.call import Call, CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_element, answer_page
from backup_engine.routes.parameters import (
    convert_body,
    convert_choice,
    convert_fields,
    convert_filter,
    convert_id,
    convert_range,
    convert_sort,
)

_TYPE_HEADER: Final = {"backup_type": {"type": "string", "enum": list(BackupType)}}
_LOCATION: Final = frozenset({"app_deployment_location"})

LISTED: Final = build_members(BackupRecord)
"""Members of a backup in the list of version 26.0 (spec §3.0)."""

MEMBERS: Final = build_members(BackupRecord, without=_LOCATION)
"""Members of a backup everywhere else."""


def build_backup_routes(backups: Backups) -> APIRouter:
    """Build the routes; each converts, calls one use case and answers."""
    router = APIRouter(tags=["backups"])

    @router.api_route(**document(LIST_BACKUPS, list[BackupRecord]))
    async def list_backups(call: CurrentCall) -> Response:
        """List backups (spec §3.1)."""
        has_location = call.version >= LOCATION_SINCE
        members = LISTED if has_location else MEMBERS
        query = call.query()
        selection = convert_fields(query.get("fields"), members)
        items = convert_range(call.headers.get("range"))
        order = convert_sort(query.get("sort"), members, SORTABLE, ListBackupsErrors.WRONG_SORT)
        condition = convert_filter(query.get("filter"), members)
        kept = members.shapes if selection is None else selection
        page = await backups.list_page(condition, order, items, kept)
        return answer_page(LIST_BACKUPS, page.records, None, page.first, page.total or 0)

    @router.api_route(
        **document(CREATE_BACKUP, BackupRecord, body=CreateBackup, headers=_TYPE_HEADER)
    )
    async def create_backup(call: CurrentCall) -> Response:
        """Start an on-demand backup (spec §3.2)."""
        backup_type = convert_choice(call.headers.get("backup_type"), "backup_type", BackupType)
        selection = convert_fields(call.headers.get("fields"), MEMBERS)
        body = convert_body(call.body, CreateBackup, "backup")
        record = await backups.create(body, backup_type, call.caller.name)
        call.subject = _subject(record)
        return answer_element(CREATE_BACKUP, _element(record), selection)

    @router.api_route(**document(GET_BACKUP, BackupRecord))
    async def get_backup(call: CurrentCall) -> Response:
        """Get one backup (spec §3.3)."""
        selection = convert_fields(call.query().get("fields"), MEMBERS)
        kept = MEMBERS.shapes if selection is None else selection
        backup_id = _backup_id(call, GetBackupErrors.UNKNOWN_BACKUP)
        return answer_element(GET_BACKUP, await backups.get(backup_id, kept), None)

    @router.api_route(**document(CHANGE_BACKUP, BackupRecord, body=ChangeBackup))
    async def change_backup(call: CurrentCall) -> Response:
        """Change the description (spec §3.4)."""
        selection = convert_fields(call.headers.get("fields"), MEMBERS)
        body = convert_body(call.body, ChangeBackup, "backup")
        backup_id = _backup_id(call, ChangeBackupErrors.UNKNOWN_BACKUP)
        record = await backups.change(backup_id, body)
        call.subject = _subject(record)
        return answer_element(CHANGE_BACKUP, _element(record), selection)

    @router.api_route(**document(DELETE_BACKUP, BackupRecord))
    async def delete_backup(call: CurrentCall) -> Response:
        """Cancel a running backup, or delete one with its archive (spec §3.5)."""
        selection = convert_fields(call.query().get("fields"), MEMBERS)
        record = await backups.delete(_backup_id(call, DeleteBackupErrors.UNKNOWN_BACKUP))
        call.subject = _subject(record)
        return answer_element(DELETE_BACKUP, _element(record), selection)

    return router


def _backup_id(call: Call, unknown: EndpointErrors) -> int:
    return convert_id(call.ids["id"], unknown, unknown)


def _element(record: BackupRecord) -> dict[str, object]:
    return record.model_dump(mode="json", exclude=set(_LOCATION))


def _subject(record: BackupRecord) -> str:
    return f"backup {record.id} {record.name} {record.status}"
