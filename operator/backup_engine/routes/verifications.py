"""``/backup_engine/backups/{id}/verification``: whether an archive is any good, and why not."""

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.errors import EndpointErrors
from backup_api.extensions.verification import (
    GET_VERIFICATION,
    START_VERIFICATION,
    BackupVerification,
    GetVerificationErrors,
    StartVerificationErrors,
)
from backup_engine.query.shapes import build_members
from backup_engine.routes.call import Call, CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_element
from backup_engine.routes.parameters import convert_fields, convert_id
from backup_engine.verifications import Verifications

_MEMBERS = build_members(BackupVerification)


def build_verification_routes(verifications: Verifications) -> APIRouter:
    """Build the routes; each converts, calls one use case and answers."""
    router = APIRouter(tags=["archives"])

    @router.api_route(**document(GET_VERIFICATION, BackupVerification))
    async def get_verification(call: CurrentCall) -> Response:
        """Get what is known of the archive of a backup."""
        selection = convert_fields(call.query().get("fields"), _MEMBERS)
        found = await verifications.get(_backup_id(call, GetVerificationErrors.UNKNOWN_BACKUP))
        return answer_element(GET_VERIFICATION, found.model_dump(mode="json"), selection)

    @router.api_route(**document(START_VERIFICATION, BackupVerification))
    async def start_verification(call: CurrentCall) -> Response:
        """Have every byte of an archive looked at, soon."""
        selection = convert_fields(call.headers.get("fields"), _MEMBERS)
        backup_id = _backup_id(call, StartVerificationErrors.UNKNOWN_BACKUP)
        asked = await verifications.start(backup_id)
        call.subject = f"backup {backup_id}"
        return answer_element(START_VERIFICATION, asked.model_dump(mode="json"), selection)

    return router


def _backup_id(call: Call, unknown: EndpointErrors) -> int:
    return convert_id(call.ids["id"], unknown, unknown)
