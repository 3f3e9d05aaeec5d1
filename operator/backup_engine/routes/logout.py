"""``/auth/logout``: the end of a session (spec §2.4, §14 no. 6)."""

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from backup_engine.auth.gate import Gate
from backup_engine.auth.sessions import build_set_cookie
from backup_engine.routes.call import CurrentCall
from backup_engine.routes.table import LOGOUT_PATH


def build_logout_routes(gate: Gate) -> APIRouter:
    """Build the route; with other credentials than a cookie it ends nothing, and is no error."""
    router = APIRouter(include_in_schema=False)

    @router.post(LOGOUT_PATH)
    async def logout(call: CurrentCall) -> Response:
        """End the session of the caller's cookie, and have the browser forget it."""
        await gate.logout(call.headers)
        call.subject = f"session of {call.caller.name}"
        headers = {"Set-Cookie": build_set_cookie("", lifetime_s=0)}
        return PlainTextResponse("", headers=headers)

    return router
