"""Deployment hosts on the wire (spec §6)."""

from enum import StrEnum
from typing import Annotated, Final

from backup_api.wire import WireRecord, known_word

CONSOLE_COMPONENT: Final = "magistrate"
"""Runs on the Console only, and so tells which host the Console is (spec §6.0)."""


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

    id: str | None = None
    type: str | None = None


class HostRecord(WireRecord):
    """One managed host as the server reports it (spec §6.0); None means not known."""

    id: int
    hostname: str | None = None
    private_ip: str | None = None
    public_ip: str | None = None
    appliance: Appliance | None = None
    version: str | None = None
    status: Annotated[HostStatus | None, known_word(HostStatus)] = None
    components: tuple[str, ...] | None = None
    eps_rate_hardware_limit: int | None = None  # events per second
    eps_allocation: int | None = None
    average_eps: int | None = None
    peak_eps: int | None = None
    fpm_rate_hardware_limit: int | None = None  # flows per minute
    fpm_allocation: int | None = None
    average_fpm: int | None = None
    peak_fpm: int | None = None
    primary_server_id: int | None = None
    secondary_server_id: int | None = None
    license_serial_number: str | None = None
    compression_enabled: bool | None = None
    encryption_enabled: bool | None = None
    email_server_id: int | None = None
    proxy_server_id: int | None = None
    remote_tunnel_initiation_enabled: bool | None = None
    cpus: int | None = None
    total_memory: int | None = None  # kB
    app_memory: int | None = None  # kB

    @property
    def is_console(self) -> bool:
        """Whether this host is the Console (spec §6.0)."""
        return CONSOLE_COMPONENT in (self.components or ())
