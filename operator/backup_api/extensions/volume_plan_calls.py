"""The call that plans a restore of volumes."""

from typing import Final

from pydantic import TypeAdapter

from backup_api.calls.calling import Calls
from backup_api.extensions.volume_plans import PLAN_VOLUME_RESTORE, VolumePlan
from backup_api.extensions.volumes import CreateVolumeRestore

_PLAN: Final = TypeAdapter(VolumePlan)


class VolumePlanCalls(Calls):
    """Ask what a restore of volumes would do."""

    async def plan_volume_restore(self, body: CreateVolumeRestore) -> VolumePlan:
        """Plan a restore; refusals are those of creating it. Harmless to repeat."""
        return await self._post(PLAN_VOLUME_RESTORE, _PLAN, body)
