"""Servers behind the hosts on the wire (spec §8)."""

from pydantic import Field

from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.wire import WireRecord


class ServerRecord(WireRecord):
    """One server; an HA host has two (spec §8). ``email_server_address``: single GET only."""

    server_id: int
    managed_host_id: int | None = Field(None, description="host that it stands behind")
    hostname: str | None = None
    private_ip: str | None = None
    status: str | None = Field(None, description="ACTIVE, or a word of the host's status")
    email_server_address: str | None = Field(None, description="not in the list")


class ListServersErrors(EndpointErrors):
    """Refusals of GET /system/servers (spec §8)."""

    UNREADABLE = 500, 1020, TRANSIENT, "The servers could not be read."


class GetServerErrors(EndpointErrors):
    """Refusals of GET /system/servers/{server_id} (spec §8)."""

    UNKNOWN_SERVER = 404, 1002, FINAL, "There is no server with this id."
    WRONG_ID = 422, 1005, FINAL, "The server id is not valid."
    UNREADABLE = 500, 1020, TRANSIENT, "The server could not be read."
