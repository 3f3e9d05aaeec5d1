"""``/healthz`` and ``/readyz``, for probes without credentials."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from backup_engine.records.database import Database
from backup_engine.routes.answers import build_answer
from backup_engine.routes.table import LIVE_PATH, READY_PATH


def build_health_routes(database: Database, is_leaving: Callable[[], bool]) -> APIRouter:
    """Build the routes; ready means that the tables are up to date and the database answers.

    An engine that ``is_leaving`` serves on for a while, and is not ready.
    """
    router = APIRouter(include_in_schema=False)

    @router.get(LIVE_PATH)
    async def live() -> Response:
        """Tell that the process serves requests."""
        return build_answer({"status": "ok"})

    @router.get(READY_PATH)
    async def ready() -> Response:
        """Tell whether requests can be answered in earnest."""
        if is_leaving():
            return build_answer({"status": "the engine is about to stop"}, 503)
        if await database.is_ready():
            return build_answer({"status": "ok"})
        return build_answer({"status": "the database does not answer"}, 503)

    return router
