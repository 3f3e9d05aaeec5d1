"""Calls that tell of the hosts of an in-cluster engine."""

from typing import Final

from pydantic import TypeAdapter

from backup_api.calls.calling import Calls
from backup_api.extensions.hosts import LIST_ENGINE_HOSTS, EngineHostRecord

_HOSTS: Final = TypeAdapter(tuple[EngineHostRecord, ...])


class EngineHostCalls(Calls):
    """Ask the in-cluster engine for its hosts with all that it knows."""

    async def list_engine_hosts(self) -> tuple[EngineHostRecord, ...]:
        """List every host by ascending id; RefusedError 404/1 from an appliance."""
        return await self._get(LIST_ENGINE_HOSTS, _HOSTS)
