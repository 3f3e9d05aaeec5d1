"""Which server a case runs on, as decorators, and the endpoints with their method and a path."""

from dataclasses import dataclass
from typing import Any

import pytest

from backup_api import endpoints
from backup_api.endpoints import Endpoint
from contract.servers import BACKUPS, CONFIG, DEPLOY

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

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.endpoint.method

    @property
    def label(self) -> str:
        """How the case is named."""
        return str(self.endpoint).replace("/", " ").replace("  ", " ").strip().replace(" ", "_")


NEW_BACKUP = '{"name": "spoiled", "configuration_id": 1}'

ASKS = (
    Ask(endpoints.LIST_BACKUPS, BACKUPS),
    Ask(endpoints.CREATE_BACKUP, BACKUPS, tuple(CONFIG.items()), NEW_BACKUP),
    Ask(endpoints.GET_BACKUP, f"{BACKUPS}/999999"),
    Ask(endpoints.CHANGE_BACKUP, f"{BACKUPS}/999999", body='{"description": "d"}'),
    Ask(endpoints.DELETE_BACKUP, f"{BACKUPS}/999999"),
    Ask(endpoints.LIST_HOSTS, "/config/deployment/hosts"),
    Ask(endpoints.GET_HOST, "/config/deployment/hosts/999999"),
    Ask(endpoints.GET_DEPLOY, DEPLOY),
    Ask(endpoints.START_DEPLOY, DEPLOY, body='{"type": "INCREMENTAL"}'),
    Ask(endpoints.ABOUT, "/system/about"),
    Ask(endpoints.LIST_VERSIONS, "/help/versions"),
    Ask(endpoints.GET_VERSION, "/help/versions/999999"),
)

NOT_YET_ON_THE_ENGINE = frozenset({endpoints.GET_DEPLOY, endpoints.START_DEPLOY})
"""The engine has no staged configuration yet."""

WITH_FIELDS = tuple(ask for ask in ASKS if ask.endpoint not in NOT_YET_ON_THE_ENGINE)
WITH_BODY = tuple(ask for ask in ASKS if ask.endpoint.method == "POST")
LISTS = tuple(ask for ask in ASKS if ask.endpoint.is_list)


NO_CAPABILITY_ON_THE_ENGINE = NOT_YET_ON_THE_ENGINE | {
    ask.endpoint for ask in ASKS if not ask.path.startswith(BACKUPS)
}
"""The spec asks for a capability on the backup endpoints (§2.2) and leaves the others open."""


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
