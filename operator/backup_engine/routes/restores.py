"""``/backup_and_restore/restores`` (spec §4)."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.endpoints import (
    CREATE_RESTORE,
    DELETE_RESTORE,
    GET_RESTORE,
    LAUNCH_RESTORE,
    LIST_RESTORES,
)
from backup_api.errors import EndpointErrors
from backup_api.restores import (
    SORTABLE_RESTORES,
    CreateRestore,
    DeleteRestoreErrors,
    GetRestoreErrors,
    LaunchRestore,
    LaunchRestoreErrors,
    ListRestoresErrors,
    RestoreGroup,
    RestoreRecord,
)
from backup_engine.query.shapes import Listing, Members, Plain, PlainType, build_members
from backup_engine.restores import Restores
from backup_engine.routes.call import Call, CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_element, answer_page
from backup_engine.routes.parameters import (
    convert_body,
    convert_fields,
    convert_filter,
    convert_id,
    convert_range,
    convert_sort,
)

# the contract's model takes any group, as a client must; a filter knows the words (spec §14 no. 9)
_GROUPS: Final = Listing(Plain(PlainType.CHOICE, frozenset(each.value for each in RestoreGroup)))
MEMBERS: Final = Members({**build_members(RestoreRecord).shapes, "groups": _GROUPS})


def build_restore_routes(restores: Restores) -> APIRouter:
    """Build the routes; each converts, calls one use case and answers."""
    router = APIRouter(tags=["restores"])

    @router.api_route(**document(LIST_RESTORES, list[RestoreRecord]))
    async def list_restores(call: CurrentCall) -> Response:
        """List restores (spec §4.1)."""
        query = call.query()
        selection = convert_fields(query.get("fields"), MEMBERS)
        items = convert_range(call.headers.get("range"))
        wrong = ListRestoresErrors.WRONG_SORT
        order = convert_sort(query.get("sort"), MEMBERS, SORTABLE_RESTORES, wrong)
        condition = convert_filter(query.get("filter"), MEMBERS)
        page = await restores.list_page(condition, order, items)
        elements = (each.model_dump(mode="json") for each in page.records)
        return answer_page(LIST_RESTORES, elements, selection, page.first, page.total or 0)

    @router.api_route(**document(CREATE_RESTORE, RestoreRecord, body=CreateRestore))
    async def create_restore(call: CurrentCall) -> Response:
        """Create a PENDING restore (spec §4.2)."""
        selection = convert_fields(call.headers.get("fields"), MEMBERS)
        body = convert_body(call.body, CreateRestore, "restore")
        record = await restores.create(body, call.caller.name)
        call.subject = _subject(record)
        return answer_element(CREATE_RESTORE, record.model_dump(mode="json"), selection)

    @router.api_route(**document(GET_RESTORE, RestoreRecord))
    async def get_restore(call: CurrentCall) -> Response:
        """Get one restore (spec §4.3)."""
        selection = convert_fields(call.query().get("fields"), MEMBERS)
        record = await restores.get(convert_restore_id(call, GetRestoreErrors.UNKNOWN_RESTORE))
        return answer_element(GET_RESTORE, record.model_dump(mode="json"), selection)

    @router.api_route(**document(LAUNCH_RESTORE, RestoreRecord, body=LaunchRestore))
    async def launch_restore(call: CurrentCall) -> Response:
        """Launch a PENDING restore (spec §4.4)."""
        selection = convert_fields(call.headers.get("fields"), MEMBERS)
        body = convert_body(call.body, LaunchRestore, "restore")
        restore_id = convert_restore_id(call, LaunchRestoreErrors.UNKNOWN_RESTORE)
        record = await restores.launch(restore_id, body)
        call.subject = _subject(record)
        return answer_element(LAUNCH_RESTORE, record.model_dump(mode="json"), selection)

    @router.api_route(**document(DELETE_RESTORE, None, has_fields=False))
    async def delete_restore(call: CurrentCall) -> Response:
        """Drop the record of a restore that is not over (spec §4.5)."""
        restore_id = convert_restore_id(call, DeleteRestoreErrors.UNKNOWN_RESTORE)
        await restores.delete(restore_id)
        call.subject = f"restore {restore_id} dropped"
        return Response(status_code=DELETE_RESTORE.success, media_type=DELETE_RESTORE.media_type)

    return router


def convert_restore_id(call: Call, unknown: EndpointErrors) -> int:
    """Read the id in the path; raises RefusalError with ``unknown``."""
    return convert_id(call.ids["id"], unknown, unknown)


def _subject(record: RestoreRecord) -> str:
    return f"restore {record.id} of {record.backup_filename} {record.status}"
