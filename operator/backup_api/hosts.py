"""Deployment hosts on the wire (spec §6)."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.wire import JsonDict, WireRecord, WireRequest, known_word

CONSOLE_COMPONENT: Final = "magistrate"
"""Runs on the Console only, and so tells which host the Console is (spec §6.0)."""

STORES_DATA: Final = frozenset(
    {"eventprocessor", "dataNode", "ariel_query_server", "ariel_proxy_server"}
)
"""Components of a host that has something for a DATA backup (spec §13 no. 7)."""

EPS_BLOCK: Final = 500  # events per second; codes 1011
FPM_BLOCK: Final = 10_000  # flows per minute; code 1012
LEAST_ALLOCATION: Final = 200  # codes 1013, 1014


class HostStatus(StrEnum):
    """State of a managed host; spelling and case are the wire's (spec §6.0)."""

    ACTIVE = "Active"
    ADDING = "ADDING"
    DELETED = "Deleted"
    DELETING = "Deleting"
    ADD_FAILED = "ADD_FAILED"
    NEW = "New"
    ADD_FAILED_VERSION_CHECK = "ADD_FAILED_VERSION_CHECK"
    ADD_FAILED_DEPLOY_IN_PROGRESS = "ADD_FAILED_DEPLOY_IN_PROGRESS"
    ADD_FAILED_RETRY_CONNECTION = "ADD_FAILED_RETRY_CONNECTION"
    ADD_FAILED_HA = "ADD_FAILED_HA"
    ADD_FAILED_CHECK_LOGS = "ADD_FAILED_CHECK_LOGS"
    ADD_FAILED_QVMPROCESSOR_ALREADY_EXISTS = "ADD_FAILED_QVMPROCESSOR_ALREADY_EXISTS"


class Appliance(WireRecord):
    """Type of the machine behind a host (spec §6.0)."""

    id: str | None = Field(None, description="number of the type")
    type: str | None = Field(None, description="what the machine is")


_EPS: Final = "events per second"
_FPM: Final = "flows per minute"


class HostRecord(WireRecord):
    """One managed host as the server reports it (spec §6.0); None means not known."""

    id: int = Field(description="the host_id of backups")
    hostname: str | None = None
    private_ip: str | None = Field(None, description="address that deploys name it by")
    public_ip: str | None = None
    appliance: Appliance | None = None
    version: str | None = Field(None, description="installed product version")
    status: Annotated[HostStatus | None, known_word(HostStatus)] = Field(
        None, description="only an Active host can be backed up"
    )
    components: tuple[str, ...] | None = Field(
        None, description="what runs there; magistrate tells the Console"
    )
    eps_rate_hardware_limit: int | None = Field(None, description=_EPS)
    eps_allocation: int | None = Field(None, description=_EPS)
    average_eps: int | None = Field(None, description=_EPS)
    peak_eps: int | None = Field(None, description=_EPS)
    fpm_rate_hardware_limit: int | None = Field(None, description=_FPM)
    fpm_allocation: int | None = Field(None, description=_FPM)
    average_fpm: int | None = Field(None, description=_FPM)
    peak_fpm: int | None = Field(None, description=_FPM)
    primary_server_id: int | None = Field(None, description="id in /system/servers")
    secondary_server_id: int | None = Field(None, description="with HA only")
    license_serial_number: str | None = Field(None, description="of a serialized licence")
    compression_enabled: bool | None = None
    encryption_enabled: bool | None = None
    email_server_id: int | None = None
    proxy_server_id: int | None = None
    remote_tunnel_initiation_enabled: bool | None = Field(
        None, description="tunnels are opened from the far end"
    )
    cpus: int | None = Field(None, description="number of CPUs")
    total_memory: int | None = Field(None, description="kB")
    app_memory: int | None = Field(None, description="memory for applications, kB")

    @property
    def is_console(self) -> bool:
        """Whether this host is the Console (spec §6.0)."""
        return CONSOLE_COMPONENT in (self.components or ())

    @property
    def stores_data(self) -> bool:
        """Whether it stores events or flows, so that DATA backups make sense (spec §13 no. 7)."""
        return not STORES_DATA.isdisjoint(self.components or ())


def _blocks(block: int) -> JsonDict:
    return {"multipleOf": block, "minimum": LEAST_ALLOCATION}


class ChangeAllocation(WireRequest):
    """Body of POST /config/deployment/hosts/{id}; in force at once (spec §6.2).

    Absent or null: unchanged; a body with neither is 422/1009 (spec §14 no. 21).
    """

    eps_allocation: int | None = Field(None, description=_EPS, json_schema_extra=_blocks(EPS_BLOCK))
    fpm_allocation: int | None = Field(None, description=_FPM, json_schema_extra=_blocks(FPM_BLOCK))


class ChangeAllocationErrors(EndpointErrors):
    """Refusals of POST /config/deployment/hosts/{id} (spec §6.2).

    1022 to 1024 have no published text (spec §13 no. 13).
    """

    UNKNOWN_HOST = 404, 1010, FINAL, "There is no host with this id."
    EPS_NO_MULTIPLE = 417, 1011, FINAL, "The EPS are no multiple of the EPS block."
    FPM_NO_MULTIPLE = 417, 1012, FINAL, "The FPM are no multiple of the FPM block."
    EPS_TOO_LOW = 417, 1013, FINAL, "The EPS are below the minimum."
    FPM_TOO_LOW = 417, 1014, FINAL, "The FPM are below the minimum."
    SERIALIZED_LICENCE = 417, 1016, FINAL, "The licence of the host fixes its allocation."
    EPS_ABOVE_HARDWARE = 417, 1017, FINAL, "The EPS are above the hardware limit."
    FPM_ABOVE_HARDWARE = 417, 1018, FINAL, "The FPM are above the hardware limit."
    EPS_ABOVE_POOL = 417, 1019, FINAL, "The EPS are above what the licence pool has left."
    FPM_ABOVE_POOL = 417, 1020, FINAL, "The FPM are above what the licence pool has left."
    INVALID = 422, 1009, FINAL, "The parameters are not valid."
    REFUSED_1022 = 422, 1022, FINAL
    REFUSED_1023 = 422, 1023, FINAL
    REFUSED_1024 = 422, 1024, FINAL
    NOT_UPDATED = 500, 1021, TRANSIENT, "The host could not be updated."


class ListStagedHostsErrors(EndpointErrors):
    """Refusals of GET /staged_config/deployment/hosts (spec §6.1)."""

    UNREADABLE = 500, 1005, TRANSIENT, "The staged hosts could not be read."


class GetStagedHostErrors(EndpointErrors):
    """Refusals of GET /staged_config/deployment/hosts/{id} (spec §6.1)."""

    UNKNOWN_HOST = 404, 1006, FINAL, "There is no staged host with this id."
    WRONG_ID = 422, 1007, FINAL, "The host id is zero or negative."
    UNREADABLE = 500, 1008, TRANSIENT, "The staged host could not be read."
