"""``/backup_engine/backups/{id}/volumes``, its hooks, and ``…/volume_restores`` (docs/data.md)."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.extensions.hooks import LIST_BACKUP_HOOKS, BackupHook, ListBackupHooksErrors
from backup_api.extensions.volume_plans import PLAN_VOLUME_RESTORE, VolumePlan
from backup_api.extensions.volumes import (
    CANCEL_VOLUME_RESTORE,
    CREATE_VOLUME_RESTORE,
    GET_VOLUME_RESTORE,
    LIST_BACKUP_VOLUMES,
    LIST_VOLUME_RESTORES,
    BackupVolume,
    CancelVolumeRestoreErrors,
    CreateVolumeRestore,
    ListBackupVolumesErrors,
    ReadVolumeRestoreErrors,
    VolumeRestoreRecord,
)
from backup_engine.query.shapes import build_members
from backup_engine.routes.call import CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_element, answer_fixed_list, answer_whole
from backup_engine.routes.parameters import convert_body, convert_fields, convert_id
from backup_engine.volume_restores import VolumeRestores

HOOK: Final = build_members(BackupHook)
VOLUME: Final = build_members(BackupVolume)
PLAN: Final = build_members(VolumePlan)
RESTORE: Final = build_members(VolumeRestoreRecord)


def build_volume_routes(restores: VolumeRestores) -> APIRouter:
    """Build the routes; each converts, calls one use case and answers."""
    router = APIRouter(tags=["volumes"])

    @router.api_route(**document(LIST_BACKUP_VOLUMES, list[BackupVolume]))
    async def list_backup_volumes(call: CurrentCall) -> Response:
        """List the volumes of a DATA backup, and how far each is."""
        selection = convert_fields(call.query().get("fields"), VOLUME)
        unknown = ListBackupVolumesErrors.UNKNOWN_BACKUP
        volumes = await restores.list_volumes(convert_id(call.ids["id"], unknown, unknown))
        elements = [each.model_dump(mode="json") for each in volumes]
        return answer_whole(LIST_BACKUP_VOLUMES, elements, selection)

    @router.api_route(**document(LIST_BACKUP_HOOKS, list[BackupHook]))
    async def list_backup_hooks(call: CurrentCall) -> Response:
        """List the hooks of a DATA backup in the order of their running, and how each went."""
        selection = convert_fields(call.query().get("fields"), HOOK)
        unknown = ListBackupHooksErrors.UNKNOWN_BACKUP
        hooks = await restores.list_hooks(convert_id(call.ids["id"], unknown, unknown))
        elements = [each.model_dump(mode="json") for each in hooks]
        return answer_whole(LIST_BACKUP_HOOKS, elements, selection)

    @router.api_route(**document(LIST_VOLUME_RESTORES, list[VolumeRestoreRecord]))
    async def list_volume_restores(call: CurrentCall) -> Response:
        """List the restores of volumes by ascending id."""
        elements = [each.model_dump(mode="json") for each in await restores.list_all()]
        return answer_fixed_list(call, LIST_VOLUME_RESTORES, elements, RESTORE)

    @router.api_route(**document(PLAN_VOLUME_RESTORE, VolumePlan, body=CreateVolumeRestore))
    async def plan_volume_restore(call: CurrentCall) -> Response:
        """Tell what a restore of volumes would do; nothing is stored, or changed."""
        selection = convert_fields(call.headers.get("fields"), PLAN)
        body = convert_body(call.body, CreateVolumeRestore, "volume_restore", is_exact=True)
        plan = await restores.planner.plan(body)
        return answer_element(PLAN_VOLUME_RESTORE, plan.model_dump(mode="json"), selection)

    @router.api_route(
        **document(CREATE_VOLUME_RESTORE, VolumeRestoreRecord, body=CreateVolumeRestore)
    )
    async def create_volume_restore(call: CurrentCall) -> Response:
        """Begin a restore of volumes of a DATA backup."""
        selection = convert_fields(call.headers.get("fields"), RESTORE)
        body = convert_body(call.body, CreateVolumeRestore, "volume_restore", is_exact=True)
        record = await restores.create(body, call.caller.name)
        call.subject = f"volume restore {record.id} of backup {record.backup_id}"
        return answer_element(CREATE_VOLUME_RESTORE, record.model_dump(mode="json"), selection)

    @router.api_route(**document(GET_VOLUME_RESTORE, VolumeRestoreRecord))
    async def get_volume_restore(call: CurrentCall) -> Response:
        """Get one restore of volumes, and how far it is."""
        selection = convert_fields(call.query().get("fields"), RESTORE)
        unknown = ReadVolumeRestoreErrors.UNKNOWN_RESTORE
        record = await restores.get(convert_id(call.ids["id"], unknown, unknown))
        return answer_element(GET_VOLUME_RESTORE, record.model_dump(mode="json"), selection)

    @router.api_route(**document(CANCEL_VOLUME_RESTORE, VolumeRestoreRecord))
    async def cancel_volume_restore(call: CurrentCall) -> Response:
        """Stop a restore of volumes; what it has written stays."""
        selection = convert_fields(call.query().get("fields"), RESTORE)
        unknown = CancelVolumeRestoreErrors.UNKNOWN_RESTORE
        record = await restores.cancel(convert_id(call.ids["id"], unknown, unknown))
        call.subject = f"volume restore {record.id} {record.status}"
        return answer_element(CANCEL_VOLUME_RESTORE, record.model_dump(mode="json"), selection)

    return router
