"""Calls that tell what is known of archives, and have them looked at."""

from typing import Final

from pydantic import TypeAdapter

from backup_api.calls.calling import Calls
from backup_api.extensions.verification import (
    GET_VERIFICATION,
    START_VERIFICATION,
    BackupVerification,
)

_VERIFICATION: Final = TypeAdapter(BackupVerification)


class VerificationCalls(Calls):
    """Ask what is known of an archive, and have it looked at."""

    async def get_verification(self, backup_id: int) -> BackupVerification:
        """Get what is known; RefusedError 404/1 from a server without this extension."""
        return await self._get(GET_VERIFICATION, _VERIFICATION, ids={"id": backup_id})

    async def start_verification(self, backup_id: int) -> BackupVerification:
        """Ask for a look at every byte, soon; asking again while one is due changes nothing.

        Poll get_verification until ``time_requested`` is None and compare ``time_verified``.
        """
        answer = await self._exchange.send(START_VERIFICATION, ids={"id": backup_id})
        return answer.parsed(_VERIFICATION)
