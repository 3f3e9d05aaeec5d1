"""What the wire's hosts have no members for: the BackupHost behind each, and what is pending."""

from enum import StrEnum
from typing import Annotated, Final

from backup_api.endpoints import Endpoint
from backup_api.errors import TRANSIENT, EndpointErrors
from backup_api.extensions.paths import EXTENSION_HOSTS
from backup_api.hosts import HostStatus
from backup_api.wire import WireRecord, known_word


class EngineHostType(StrEnum):
    """What a host of the in-cluster engine is made of."""

    CONSOLE = "Console"
    DATA = "Data"


class EngineHostRecord(WireRecord):
    """One host of the in-cluster engine, staged and deployed.

    ``resource_name`` and ``resource_uid`` are those of its BackupHost; None: it has none, and is
    the console as every engine has it. Generations are those of the BackupHost; None: nothing is
    staged, or deployed, of it. ``is_deploy_pending``: a deploy would change the host.
    ``deployed_status`` None: never deployed. ``reason``, a CamelCase word, and ``message`` tell
    what the last deploy found amiss; None: nothing.
    """

    id: int
    hostname: str
    type: Annotated[EngineHostType | None, known_word(EngineHostType)] = None
    resource_name: str | None = None
    resource_uid: str | None = None
    staged_generation: int | None = None
    deployed_generation: int | None = None
    staged_status: Annotated[HostStatus | None, known_word(HostStatus)] = None
    deployed_status: Annotated[HostStatus | None, known_word(HostStatus)] = None
    is_deploy_pending: bool = False
    reason: str | None = None
    message: str | None = None


class ListEngineHostsErrors(EndpointErrors):
    """Refusals of GET /backup_engine/hosts."""

    UNREADABLE = 500, 1000, TRANSIENT, "The hosts could not be read."


LIST_ENGINE_HOSTS: Final = Endpoint("GET", EXTENSION_HOSTS, 200, ListEngineHostsErrors)
