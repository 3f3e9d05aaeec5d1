"""``/staged_config/deploy_status`` (spec §7)."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.deploy import DeployStatus
from backup_api.endpoints import GET_DEPLOY, START_DEPLOY
from backup_engine.deploys import DeployOrder, Deploys
from backup_engine.query.shapes import JsonValue
from backup_engine.routes.answers import build_answer
from backup_engine.routes.call import CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.parameters import convert_body

_PROSE_ONLY: Final = {"error_message", "has_errors"}
"""Members that live systems do not send (spec §7.0)."""


def build_deploy_routes(deploys: Deploys) -> APIRouter:
    """Build the routes; neither takes ``fields``."""
    router = APIRouter(tags=["deploys"])

    @router.api_route(**document(GET_DEPLOY, DeployStatus, has_fields=False))
    async def get_deploy(call: CurrentCall) -> Response:  # noqa: ARG001 - FastAPI checks it is there
        """Get the running deploy, or else the last one (spec §7.1)."""
        return build_answer(_element(await deploys.get()), GET_DEPLOY.success)

    @router.api_route(**document(START_DEPLOY, DeployStatus, body=DeployOrder, has_fields=False))
    async def start_deploy(call: CurrentCall) -> Response:
        """Deploy what is staged (spec §7.2)."""
        order = convert_body(call.body, DeployOrder, "deploy_status")
        status = await deploys.start(order, call.caller.name)
        call.subject = f"deploy {status.type}"
        return build_answer(_element(status), START_DEPLOY.success)

    return router


def _element(status: DeployStatus) -> JsonValue:
    return status.model_dump(mode="json", exclude=_PROSE_ONLY)
