"""``/backup_engine``: how the engine introduces itself; an appliance has no such path."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.extensions.engine import DESCRIBE_ENGINE, EngineDescription
from backup_engine.product import Product
from backup_engine.routes.answers import build_answer
from backup_engine.routes.call import CurrentCall
from backup_engine.routes.documentation import document

PRODUCT: Final = "backup-engine"


def build_engine_routes(product: Product, extensions: Sequence[str]) -> APIRouter:
    """Build the route; ``extensions`` are the names of those that are served."""
    router = APIRouter(tags=["engine"])
    description = EngineDescription(
        product=PRODUCT, version=product.version, extensions=tuple(extensions)
    )

    @router.api_route(**document(DESCRIBE_ENGINE, EngineDescription, has_fields=False))
    async def describe_engine(call: CurrentCall) -> Response:  # noqa: ARG001 - FastAPI checks it is there
        """Tell that this is an in-cluster engine, and what it serves beyond the appliance's API."""
        return build_answer(description.model_dump(mode="json"), DESCRIBE_ENGINE.success)

    return router
