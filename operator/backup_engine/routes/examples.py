"""Examples for the OpenAPI document: requests that work, and what is answered (spec §3 to §8)."""

from collections.abc import Mapping
from typing import Any, Final

from backup_api import endpoints
from backup_api.endpoints import Endpoint

_FILE: Final = "backup.pre-upgrade_2025.11.console_1.23_11_2025.config.1763856000000.tar"
_BACKUP: Final = {
    "id": 118,
    "configuration_id": 1,
    "host_id": 1,
    "name": "pre-upgrade_2025.11",
    "description": "before the maintenance window",
    "type": "CONFIG",
    "version": "1.0.0",
    "build_version": "1.0.0",
    "time_initiated": 1763856000000,
    "time_completed": 1763856012345,
    "intiated_by": "API_user: backup-bot",
    "status": "SUCCESS",
    "size_on_disk": 734003,
    "content_file_path": f"/archives/{_FILE}",
    "is_valid": True,
    "is_version_compatible": True,
}
_NEW_BACKUP: Final = {
    **_BACKUP,
    "time_completed": None,
    "status": "INITIALIZING",
    "size_on_disk": 0,
    "content_file_path": None,
    "is_valid": False,
}
_RESTORE: Final = {
    "id": 7,
    "initiated_by": "API_user: backup-bot",
    "host_id": 1,
    "time_initiated": 1763870000000,
    "time_completed": None,
    "status": "PENDING",
    "is_cross_deployment_restore": False,
    "backup_id": 118,
    "backup_name": "pre-upgrade_2025.11",
    "backup_version": "1.0.0",
    "backup_type": "CONFIG",
    "backup_filename": _FILE,
    "groups": ["DEPLOYMENT_CONFIG", "USERS_CONFIG"],
}
_CONFIGURATION: Final = {
    "configuration_id": 1,
    "backup_directory_path": "/archives",
    "backup_retention_period": 604800000,
    "data_backup_host_configuration": [],
    "configuration_backup_enabled": True,
    "data_backup_priority": "LOW",
    "configuration_backup_priority": "MEDIUM",
    "data_backup_time_limit": 61200000,
    "configuration_backup_time_limit": 10800000,
}
_DEPLOY: Final = {
    "type": "INCREMENTAL",
    "status": "IN_PROGRESS",
    "percent_complete": 40,
    "initiated_by": "API_user: backup-bot",
    "initiated_from": "console",
    "hosts": [{"ip": None, "host_status": "IN_PROGRESS", "status": "IN_PROGRESS"}],
}

BODIES: Final[Mapping[Endpoint, Any]] = {
    endpoints.CREATE_BACKUP: {
        "name": "pre-upgrade_2025.11",
        "configuration_id": 1,
        "description": "before the maintenance window",
    },
    endpoints.CHANGE_BACKUP: {"description": "kept for the auditors"},
    endpoints.CREATE_RESTORE: {"backup_id": 118, "groups": _RESTORE["groups"]},
    endpoints.LAUNCH_RESTORE: {"status": "REQUESTING"},
    endpoints.CHANGE_CONFIGURATION: {"backup_retention_period": 1209600000},
    endpoints.CHANGE_ALLOCATION: {"eps_allocation": 5000},
    endpoints.CHANGE_TUNNEL: {"reverse_source": True},
    endpoints.START_DEPLOY: {"type": "INCREMENTAL"},
}
"""A body for each request that takes one."""

ANSWERS: Final[Mapping[Endpoint, Any]] = {
    endpoints.LIST_BACKUPS: [{**_BACKUP, "app_deployment_location": "CONSOLE"}],
    endpoints.CREATE_BACKUP: _NEW_BACKUP,
    endpoints.GET_BACKUP: _BACKUP,
    endpoints.CHANGE_BACKUP: {**_BACKUP, "description": "kept for the auditors"},
    endpoints.DELETE_BACKUP: {**_BACKUP, "status": "DELETING"},
    endpoints.LIST_RESTORES: [_RESTORE],
    endpoints.CREATE_RESTORE: _RESTORE,
    endpoints.GET_RESTORE: _RESTORE,
    endpoints.LAUNCH_RESTORE: {**_RESTORE, "status": "REQUESTING"},
    endpoints.LIST_CONFIGURATIONS: [_CONFIGURATION],
    endpoints.GET_CONFIGURATION: _CONFIGURATION,
    endpoints.LIST_STAGED_CONFIGURATIONS: [_CONFIGURATION],
    endpoints.GET_STAGED_CONFIGURATION: _CONFIGURATION,
    endpoints.CHANGE_CONFIGURATION: {**_CONFIGURATION, "backup_retention_period": 1209600000},
    endpoints.GET_DEPLOY: _DEPLOY,
    endpoints.START_DEPLOY: {**_DEPLOY, "status": "INITIALIZING", "percent_complete": 0},
}
"""An answer for each endpoint whose model does not tell enough."""

FILTERS: Final[Mapping[Endpoint, str]] = {
    endpoints.LIST_BACKUPS: 'type = CONFIG and status in ("SUCCESS", "MISSING")',
    endpoints.LIST_RESTORES: 'groups contains "DEPLOYMENT_CONFIG"',
    endpoints.LIST_HOSTS: 'components contains "magistrate"',
    endpoints.LIST_STAGED_HOSTS: 'status = "Active"',
    endpoints.LIST_ENDPOINT_DESCRIPTIONS: 'path = "/backup_and_restore/backups"',
    endpoints.LIST_VERSIONS: "deprecated = false",
}
"""A filter for each list that has a usual one."""

_OWN_ID: Final = "$response.body#/id"

LINKS: Final[Mapping[Endpoint, Mapping[str, str]]] = {
    endpoints.CREATE_BACKUP: dict.fromkeys(
        ("get_backup", "change_backup", "delete_backup"), _OWN_ID
    ),
}
"""Where the ids come from that other operations take, by operation id."""
