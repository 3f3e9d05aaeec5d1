"""The call that tells an in-cluster engine from an appliance."""

from http import HTTPStatus
from typing import Final

from pydantic import TypeAdapter

from backup_api.calls.calling import Calls
from backup_api.exceptions import MalformedAnswerError, RefusedError
from backup_api.extensions.engine import DESCRIBE_ENGINE, EngineDescription

_DESCRIPTION: Final = TypeAdapter(EngineDescription)


class EngineCalls(Calls):
    """Ask a server whether it is an in-cluster engine."""

    async def find_engine(self) -> EngineDescription | None:
        """Find out what the in-cluster engine serves; None: the server is an appliance (404)."""
        try:
            return await self._get(DESCRIBE_ENGINE, _DESCRIPTION)
        except (RefusedError, MalformedAnswerError) as trouble:  # an appliance may answer HTML
            if trouble.http_status == HTTPStatus.NOT_FOUND:
                return None
            raise
