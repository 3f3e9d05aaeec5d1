"""Tunnels between hosts on the wire (spec §6.3)."""

from pydantic import AliasChoices, Field

from backup_api.errors import FINAL, EndpointErrors
from backup_api.wire import WireRecord, WireRequest, requiring


class TunnelRecord(WireRecord):
    """One tunnel of a host; the prose spells one member ``remote_hostID`` (spec §6.3)."""

    name: str
    remote_host_id: int | None = Field(
        default=None, validation_alias=AliasChoices("remote_host_id", "remote_hostID")
    )
    remote_port: int | None = None
    local_port: int | None = None
    reverse_source: bool | None = Field(None, description="the far end opens it")


class ChangeTunnel(WireRequest):
    """Body of POST …/tunnels/{name}; it needs a deploy to take effect (spec §6.3)."""

    model_config = requiring("reverse_source")

    reverse_source: bool | None = Field(
        None, description="the far end opens it", json_schema_extra={"type": "boolean"}
    )


class ListTunnelsErrors(EndpointErrors):
    """Refusals of both lists of tunnels (spec §6.3, §14 no. 24)."""

    UNKNOWN_HOST = 404, 1009, FINAL, "There is no such host."
    WRONG_HOST_ID = 422, 1010, FINAL, "The host id is zero or negative."


class ChangeTunnelErrors(EndpointErrors):
    """Refusals of POST …/tunnels/{name} (spec §6.3, §14 no. 24)."""

    UNKNOWN_TUNNEL = 404, 1012, FINAL, "There is no such tunnel."
    UNKNOWN_HOST = 404, 1013, FINAL, "There is no such host."
    WRONG_TUNNEL_NAME = 422, 1010, FINAL, "The tunnel name is not valid."
    WRONG_HOST_ID = 422, 1011, FINAL, "The host id is zero or negative."
    CONSOLE_TUNNEL = 422, 1014, FINAL, "A Console is at one end of the tunnel."
    INVALID = 422, 1016, FINAL, "The parameters are not valid."
