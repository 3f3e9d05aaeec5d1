"""The endpoints of the API and their refusals, as data (spec §1, §3, §6 to §8)."""

from dataclasses import dataclass
from typing import Final

from backup_api import errors
from backup_api.errors import EndpointErrors, ErrorClass, FrameworkErrors

SERVER_ERROR: Final = 500

API_ROOT: Final = "/api"
"""Base path of every endpoint (spec §2.1)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of spec §1: method, path below ``/api``, success status and its own refusals."""

    method: str
    path: str
    success: int
    refusals: type[EndpointErrors]
    is_list: bool = False  # takes Range and filter
    is_sortable: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_safe(self) -> bool:
        """Whether a lost answer may simply be asked for again (spec §2.11)."""
        return self.method == "GET"

    def url_path(self, **ids: int | str) -> str:
        """Path from the root of the server, the ids filled in."""
        return API_ROOT + self.path.format(**ids)

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


BACKUPS = "/backup_and_restore/backups"
HOSTS = "/config/deployment/hosts"
DEPLOY_STATUS = "/staged_config/deploy_status"

LIST_BACKUPS: Final = Endpoint("GET", BACKUPS, 200, errors.ListBackupsErrors, True, True)
CREATE_BACKUP: Final = Endpoint("POST", BACKUPS, 201, errors.CreateBackupErrors)
GET_BACKUP: Final = Endpoint("GET", BACKUPS + "/{id}", 200, errors.GetBackupErrors)
CHANGE_BACKUP: Final = Endpoint("POST", BACKUPS + "/{id}", 200, errors.ChangeBackupErrors)
DELETE_BACKUP: Final = Endpoint("DELETE", BACKUPS + "/{id}", 202, errors.DeleteBackupErrors)
LIST_HOSTS: Final = Endpoint("GET", HOSTS, 200, errors.ListHostsErrors, True)
GET_HOST: Final = Endpoint("GET", HOSTS + "/{id}", 200, errors.GetHostErrors)
GET_DEPLOY: Final = Endpoint("GET", DEPLOY_STATUS, 200, errors.GetDeployErrors)
START_DEPLOY: Final = Endpoint("POST", DEPLOY_STATUS, 200, errors.StartDeployErrors)
ABOUT: Final = Endpoint("GET", "/system/about", 200, errors.AboutErrors)
LIST_VERSIONS: Final = Endpoint("GET", "/help/versions", 200, errors.ListVersionsErrors, True)
GET_VERSION: Final = Endpoint("GET", "/help/versions/{id}", 200, errors.GetVersionErrors)

ENDPOINTS: Final = (
    LIST_BACKUPS,
    CREATE_BACKUP,
    GET_BACKUP,
    CHANGE_BACKUP,
    DELETE_BACKUP,
    LIST_HOSTS,
    GET_HOST,
    GET_DEPLOY,
    START_DEPLOY,
    ABOUT,
    LIST_VERSIONS,
    GET_VERSION,
)
"""Every endpoint that this version of the project speaks."""
