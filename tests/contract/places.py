"""Which server a case runs on, as decorators, and the endpoints with their method and a path."""

from dataclasses import dataclass
from typing import Any

import pytest

from backup_api import endpoints
from backup_api.endpoints import Endpoint
from contract.servers import (
    BACKUPS,
    CONFIG,
    DEPLOY,
    HOSTS,
    RESTORES,
    SCHEDULED,
    SERVERS,
    STAGED_HOSTS,
    STAGED_SCHEDULED,
)

APPLIANCE = "appliance"
ENGINE = pytest.param("engine", marks=pytest.mark.cluster)

BOTH = (APPLIANCE, ENGINE)

on_the_appliance = pytest.mark.parametrize("server", [APPLIANCE], indirect=True)
"""Only the fake can be brought into the state of this case."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to one endpoint that would succeed, but for what the case spoils."""

    endpoint: Endpoint
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    parameter: str = ""  # what a refused body is called (spec §13 no. 26)
    field: str = "id"  # a member that the answer has

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.endpoint.method

    @property
    def label(self) -> str:
        """How the case is named."""
        return str(self.endpoint).replace("/", " ").replace("  ", " ").strip().replace(" ", "_")


NEW_BACKUP = '{"name": "spoiled", "configuration_id": 1}'
NOBODY = "999999"  # an id that nothing has
ENDPOINT_DESCRIPTIONS = "/help/endpoints"
RESOURCE_DESCRIPTIONS = "/help/resources"

ASKS = (
    Ask(endpoints.LIST_BACKUPS, BACKUPS),
    Ask(endpoints.CREATE_BACKUP, BACKUPS, tuple(CONFIG.items()), NEW_BACKUP, "backup"),
    Ask(endpoints.GET_BACKUP, f"{BACKUPS}/{NOBODY}"),
    Ask(
        endpoints.CHANGE_BACKUP,
        f"{BACKUPS}/{NOBODY}",
        body='{"description": "d"}',
        parameter="backup",
    ),
    Ask(endpoints.DELETE_BACKUP, f"{BACKUPS}/{NOBODY}"),
    Ask(endpoints.LIST_RESTORES, RESTORES),
    Ask(
        endpoints.CREATE_RESTORE,
        RESTORES,
        body=f'{{"backup_id": {NOBODY}, "groups": ["LICENSE_CONFIG"]}}',
        parameter="restore",
    ),
    Ask(endpoints.GET_RESTORE, f"{RESTORES}/{NOBODY}"),
    Ask(
        endpoints.LAUNCH_RESTORE,
        f"{RESTORES}/{NOBODY}",
        body='{"status": "REQUESTING"}',
        parameter="restore",
    ),
    Ask(endpoints.DELETE_RESTORE, f"{RESTORES}/{NOBODY}"),
    Ask(endpoints.HA_ACTION, "/backup_and_restore/haAction/any"),
    Ask(endpoints.UPDATE_IPTABLES, "/backup_and_restore/updateiptablesprefile", body="{}"),
    Ask(endpoints.LIST_CONFIGURATIONS, SCHEDULED, field="configuration_id"),
    Ask(endpoints.GET_CONFIGURATION, f"{SCHEDULED}/{NOBODY}", field="configuration_id"),
    Ask(endpoints.LIST_STAGED_CONFIGURATIONS, STAGED_SCHEDULED, field="configuration_id"),
    Ask(
        endpoints.GET_STAGED_CONFIGURATION,
        f"{STAGED_SCHEDULED}/{NOBODY}",
        field="configuration_id",
    ),
    Ask(
        endpoints.CHANGE_CONFIGURATION,
        f"{STAGED_SCHEDULED}/{NOBODY}",
        body='{"configuration_backup_enabled": true}',
        parameter="backupConfiguration",
        field="configuration_id",
    ),
    Ask(endpoints.LIST_HOSTS, HOSTS),
    Ask(endpoints.GET_HOST, f"{HOSTS}/{NOBODY}"),
    Ask(
        endpoints.CHANGE_ALLOCATION,
        f"{HOSTS}/{NOBODY}",
        body='{"eps_allocation": 500}',
        parameter="host",
    ),
    Ask(endpoints.LIST_STAGED_HOSTS, STAGED_HOSTS),
    Ask(endpoints.GET_STAGED_HOST, f"{STAGED_HOSTS}/{NOBODY}"),
    Ask(endpoints.LIST_TUNNELS, f"{HOSTS}/{NOBODY}/tunnels", field="name"),
    Ask(endpoints.LIST_STAGED_TUNNELS, f"{STAGED_HOSTS}/{NOBODY}/tunnels", field="name"),
    Ask(
        endpoints.CHANGE_TUNNEL,
        f"{STAGED_HOSTS}/{NOBODY}/tunnels/any",
        body='{"reverse_source": true}',
        field="name",
    ),
    Ask(endpoints.GET_DEPLOY, DEPLOY),
    Ask(endpoints.START_DEPLOY, DEPLOY, body='{"type": "INCREMENTAL"}', parameter="deploy_status"),
    Ask(endpoints.ABOUT, "/system/about", field="external_version"),
    Ask(endpoints.LIST_SERVERS, SERVERS, field="server_id"),
    Ask(endpoints.GET_SERVER, f"{SERVERS}/{NOBODY}", field="server_id"),
    Ask(endpoints.LIST_ENDPOINT_DESCRIPTIONS, ENDPOINT_DESCRIPTIONS),
    Ask(endpoints.GET_ENDPOINT_DESCRIPTION, f"{ENDPOINT_DESCRIPTIONS}/{NOBODY}"),
    Ask(endpoints.LIST_RESOURCE_DESCRIPTIONS, RESOURCE_DESCRIPTIONS),
    Ask(endpoints.GET_RESOURCE_DESCRIPTION, f"{RESOURCE_DESCRIPTIONS}/{NOBODY}"),
    Ask(endpoints.LIST_VERSIONS, "/help/versions"),
    Ask(endpoints.GET_VERSION, f"/help/versions/{NOBODY}"),
)

SERVED_BY_THE_ENGINE = frozenset(
    {
        endpoints.LIST_BACKUPS,
        endpoints.CREATE_BACKUP,
        endpoints.GET_BACKUP,
        endpoints.CHANGE_BACKUP,
        endpoints.DELETE_BACKUP,
        endpoints.LIST_RESTORES,
        endpoints.CREATE_RESTORE,
        endpoints.GET_RESTORE,
        endpoints.LAUNCH_RESTORE,
        endpoints.DELETE_RESTORE,
        endpoints.HA_ACTION,
        endpoints.UPDATE_IPTABLES,
        endpoints.LIST_CONFIGURATIONS,
        endpoints.GET_CONFIGURATION,
        endpoints.LIST_STAGED_CONFIGURATIONS,
        endpoints.GET_STAGED_CONFIGURATION,
        endpoints.CHANGE_CONFIGURATION,
        endpoints.LIST_HOSTS,
        endpoints.GET_HOST,
        endpoints.CHANGE_ALLOCATION,
        endpoints.LIST_STAGED_HOSTS,
        endpoints.GET_STAGED_HOST,
        endpoints.LIST_TUNNELS,
        endpoints.LIST_STAGED_TUNNELS,
        endpoints.CHANGE_TUNNEL,
        endpoints.GET_DEPLOY,
        endpoints.START_DEPLOY,
        endpoints.ABOUT,
        endpoints.LIST_SERVERS,
        endpoints.GET_SERVER,
        endpoints.LIST_ENDPOINT_DESCRIPTIONS,
        endpoints.GET_ENDPOINT_DESCRIPTION,
        endpoints.LIST_RESOURCE_DESCRIPTIONS,
        endpoints.GET_RESOURCE_DESCRIPTION,
        endpoints.LIST_VERSIONS,
        endpoints.GET_VERSION,
    }
)

NOT_YET_ON_THE_ENGINE = frozenset(endpoints.ENDPOINTS) - SERVED_BY_THE_ENGINE
"""Rows of spec §1 that the engine does not serve yet."""

_FIELDLESS = endpoints.NEVER_CALLED | {
    endpoints.DELETE_RESTORE,
    endpoints.GET_DEPLOY,
    endpoints.START_DEPLOY,
}

WITH_FIELDS = tuple(ask for ask in ASKS if ask.endpoint not in _FIELDLESS)
WITH_BODY = tuple(
    ask
    for ask in ASKS
    if ask.endpoint.method == "POST" and ask.endpoint is not endpoints.UPDATE_IPTABLES
)
WITH_JSON = tuple(ask for ask in ASKS if ask.endpoint is not endpoints.DELETE_RESTORE)
LISTS = tuple(ask for ask in ASKS if ask.endpoint.is_list)


NO_CAPABILITY_ON_THE_ENGINE = NOT_YET_ON_THE_ENGINE | {
    endpoints.LIST_HOSTS,
    endpoints.GET_HOST,
    endpoints.LIST_STAGED_HOSTS,
    endpoints.GET_STAGED_HOST,
    endpoints.LIST_TUNNELS,
    endpoints.LIST_STAGED_TUNNELS,
    endpoints.LIST_SERVERS,
    endpoints.GET_SERVER,
    endpoints.ABOUT,
    endpoints.LIST_ENDPOINT_DESCRIPTIONS,
    endpoints.GET_ENDPOINT_DESCRIPTION,
    endpoints.LIST_RESOURCE_DESCRIPTIONS,
    endpoints.GET_RESOURCE_DESCRIPTION,
    endpoints.LIST_VERSIONS,
    endpoints.GET_VERSION,
}
"""The spec asks for a capability on the backup endpoints (§2.2) and leaves the others open."""


def ids_named(name: str, *, positive: bool = False) -> list[Any]:
    """Ids in a path that nothing has (spec §14 no. 13), the first case called ``name``.

    ``positive``: without those that an endpoint refuses by a code of their own.
    """
    others = ["abc", "1.5", str(2**63), *([] if positive else ["0", "-1"])]
    return [pytest.param(NOBODY, id=name), *others]


def where_served(*needed: Endpoint) -> pytest.MarkDecorator:
    """Run a case on the servers that serve all these endpoints."""
    both = SERVED_BY_THE_ENGINE.issuperset(needed)
    return pytest.mark.parametrize("server", BOTH if both else [APPLIANCE], indirect=True)


def on_each(
    asks: tuple[Ask, ...], not_on_the_engine: frozenset[Endpoint] = NOT_YET_ON_THE_ENGINE
) -> pytest.MarkDecorator:
    """Run a case for each of these endpoints on each server that has it."""
    cases: list[Any] = []
    for ask in asks:
        cases.append(pytest.param(APPLIANCE, ask, id=f"{APPLIANCE}-{ask.label}"))
        if ask.endpoint not in not_on_the_engine:
            marks = pytest.mark.cluster
            cases.append(pytest.param("engine", ask, id=f"engine-{ask.label}", marks=marks))
    return pytest.mark.parametrize(("server", "ask"), cases, indirect=["server"])
