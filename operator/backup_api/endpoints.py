"""The endpoints of the API and their refusals, as data (spec §1)."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from backup_api import configurations, documentation, errors, hosts, restores, servers, tunnels
from backup_api.errors import EndpointErrors, ErrorClass, FrameworkErrors

SERVER_ERROR: Final = 500

API_ROOT: Final = "/api"
"""Base path of every endpoint (spec §2.1)."""

JSON: Final = "application/json"
PLAIN_TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of spec §1: method, path below ``/api``, success status and its own refusals."""

    method: str
    path: str
    success: int
    refusals: type[EndpointErrors]
    is_list: bool = False  # takes Range and filter
    is_sortable: bool = False
    media_type: str = JSON  # of the answer; a refusal is JSON even where this is not
    alternatives: tuple[str, ...] = ()  # further media types that Accept can ask for

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def media_types(self) -> tuple[str, ...]:
        """Every media type of the answer, the usual one first."""
        return self.media_type, *self.alternatives

    @property
    def is_safe(self) -> bool:
        """Whether a lost answer may simply be asked for again (spec §2.11)."""
        return self.method == "GET"

    def url_path(self, **ids: int | str) -> str:
        """Path from the root of the server, the ids filled in and quoted."""
        quoted = {name: quote(str(value), safe="") for name, value in ids.items()}
        return API_ROOT + self.path.format(**quoted)

    def find_refusal(self, http_status: int, code: int) -> EndpointErrors | None:
        """The row that a refusal of this endpoint stands for; None if the spec has none."""
        for table in (self.refusals, FrameworkErrors):
            for row in table:
                if (row.http_status, row.code) == (http_status, code):
                    return row
        return None

    def error_class(self, http_status: int, code: int) -> ErrorClass:
        """What a client can do; an unknown code is judged by its HTTP status (spec §13 no. 13)."""
        row = self.find_refusal(http_status, code)
        if row is not None:
            return row.error_class
        return ErrorClass.TRANSIENT if http_status >= SERVER_ERROR else ErrorClass.FINAL


BACKUPS: Final = "/backup_and_restore/backups"
RESTORES: Final = "/backup_and_restore/restores"
CONFIGURATIONS: Final = "/config/backup_and_restore/scheduled_backup_configurations"
STAGED_CONFIGURATIONS: Final = "/staged_config/backup_and_restore/scheduled_backup_configurations"
HOSTS: Final = "/config/deployment/hosts"
STAGED_HOSTS: Final = "/staged_config/deployment/hosts"
TUNNELS: Final = HOSTS + "/{id}/tunnels"
STAGED_TUNNELS: Final = STAGED_HOSTS + "/{id}/tunnels"
DEPLOY_STATUS: Final = "/staged_config/deploy_status"
SERVERS: Final = "/system/servers"

LIST_BACKUPS: Final = Endpoint("GET", BACKUPS, 200, errors.ListBackupsErrors, True, True)
CREATE_BACKUP: Final = Endpoint("POST", BACKUPS, 201, errors.CreateBackupErrors)
GET_BACKUP: Final = Endpoint("GET", BACKUPS + "/{id}", 200, errors.GetBackupErrors)
CHANGE_BACKUP: Final = Endpoint("POST", BACKUPS + "/{id}", 200, errors.ChangeBackupErrors)
DELETE_BACKUP: Final = Endpoint("DELETE", BACKUPS + "/{id}", 202, errors.DeleteBackupErrors)

LIST_RESTORES: Final = Endpoint("GET", RESTORES, 200, restores.ListRestoresErrors, True, True)
CREATE_RESTORE: Final = Endpoint("POST", RESTORES, 201, restores.CreateRestoreErrors)
GET_RESTORE: Final = Endpoint("GET", RESTORES + "/{id}", 200, restores.GetRestoreErrors)
LAUNCH_RESTORE: Final = Endpoint("POST", RESTORES + "/{id}", 200, restores.LaunchRestoreErrors)
DELETE_RESTORE: Final = Endpoint(
    "DELETE", RESTORES + "/{id}", 204, restores.DeleteRestoreErrors, media_type=PLAIN_TEXT
)

HA_ACTION: Final = Endpoint(
    "GET", "/backup_and_restore/haAction/{flag}", 200, restores.InternalOperationErrors
)
"""Known so that a server can refuse it; a GET with side effects, never called (spec §4.6)."""

UPDATE_IPTABLES: Final = Endpoint(
    "POST", "/backup_and_restore/updateiptablesprefile", 200, restores.InternalOperationErrors
)
"""Known so that a server can refuse it; never called (spec §4.6)."""

LIST_CONFIGURATIONS: Final = Endpoint(
    "GET", CONFIGURATIONS, 200, configurations.ListConfigurationsErrors
)
GET_CONFIGURATION: Final = Endpoint(
    "GET", CONFIGURATIONS + "/{id}", 200, configurations.GetConfigurationErrors
)
LIST_STAGED_CONFIGURATIONS: Final = Endpoint(
    "GET", STAGED_CONFIGURATIONS, 200, configurations.ListConfigurationsErrors
)
GET_STAGED_CONFIGURATION: Final = Endpoint(
    "GET", STAGED_CONFIGURATIONS + "/{id}", 200, configurations.GetConfigurationErrors
)
CHANGE_CONFIGURATION: Final = Endpoint(
    "POST", STAGED_CONFIGURATIONS + "/{id}", 200, configurations.ChangeConfigurationErrors
)

LIST_HOSTS: Final = Endpoint("GET", HOSTS, 200, errors.ListHostsErrors, True)
GET_HOST: Final = Endpoint("GET", HOSTS + "/{id}", 200, errors.GetHostErrors)
CHANGE_ALLOCATION: Final = Endpoint("POST", HOSTS + "/{id}", 200, hosts.ChangeAllocationErrors)
LIST_STAGED_HOSTS: Final = Endpoint("GET", STAGED_HOSTS, 200, hosts.ListStagedHostsErrors, True)
GET_STAGED_HOST: Final = Endpoint("GET", STAGED_HOSTS + "/{id}", 200, hosts.GetStagedHostErrors)

LIST_TUNNELS: Final = Endpoint("GET", TUNNELS, 200, tunnels.ListTunnelsErrors, True)
LIST_STAGED_TUNNELS: Final = Endpoint("GET", STAGED_TUNNELS, 200, tunnels.ListTunnelsErrors, True)
CHANGE_TUNNEL: Final = Endpoint("POST", STAGED_TUNNELS + "/{name}", 200, tunnels.ChangeTunnelErrors)

GET_DEPLOY: Final = Endpoint("GET", DEPLOY_STATUS, 200, errors.GetDeployErrors)
START_DEPLOY: Final = Endpoint("POST", DEPLOY_STATUS, 200, errors.StartDeployErrors)

ABOUT: Final = Endpoint("GET", "/system/about", 200, errors.AboutErrors)
LIST_SERVERS: Final = Endpoint("GET", SERVERS, 200, servers.ListServersErrors, True)
GET_SERVER: Final = Endpoint("GET", SERVERS + "/{server_id}", 200, servers.GetServerErrors)

LIST_ENDPOINT_DESCRIPTIONS: Final = Endpoint(
    "GET", "/help/endpoints", 200, documentation.ListDescriptionsErrors, True
)
GET_ENDPOINT_DESCRIPTION: Final = Endpoint(
    "GET", "/help/endpoints/{endpoint_id}", 200, documentation.GetDescriptionErrors
)
LIST_RESOURCE_DESCRIPTIONS: Final = Endpoint(
    "GET", "/help/resources", 200, documentation.ListDescriptionsErrors, True
)
GET_RESOURCE_DESCRIPTION: Final = Endpoint(
    "GET", "/help/resources/{resource_id}", 200, documentation.GetDescriptionErrors
)
LIST_VERSIONS: Final = Endpoint("GET", "/help/versions", 200, errors.ListVersionsErrors, True)
GET_VERSION: Final = Endpoint("GET", "/help/versions/{id}", 200, errors.GetVersionErrors)

ENDPOINTS: Final = (
    LIST_BACKUPS,
    CREATE_BACKUP,
    GET_BACKUP,
    CHANGE_BACKUP,
    DELETE_BACKUP,
    LIST_RESTORES,
    CREATE_RESTORE,
    GET_RESTORE,
    LAUNCH_RESTORE,
    DELETE_RESTORE,
    HA_ACTION,
    UPDATE_IPTABLES,
    LIST_CONFIGURATIONS,
    GET_CONFIGURATION,
    LIST_STAGED_CONFIGURATIONS,
    GET_STAGED_CONFIGURATION,
    CHANGE_CONFIGURATION,
    LIST_HOSTS,
    GET_HOST,
    CHANGE_ALLOCATION,
    LIST_STAGED_HOSTS,
    GET_STAGED_HOST,
    LIST_TUNNELS,
    LIST_STAGED_TUNNELS,
    CHANGE_TUNNEL,
    GET_DEPLOY,
    START_DEPLOY,
    ABOUT,
    LIST_SERVERS,
    GET_SERVER,
    LIST_ENDPOINT_DESCRIPTIONS,
    GET_ENDPOINT_DESCRIPTION,
    LIST_RESOURCE_DESCRIPTIONS,
    GET_RESOURCE_DESCRIPTION,
    LIST_VERSIONS,
    GET_VERSION,
)
"""Every row of spec §1."""

NEVER_CALLED: Final = frozenset({HA_ACTION, UPDATE_IPTABLES})
"""Rows that a server refuses and the client has no method for (spec §4.6)."""
