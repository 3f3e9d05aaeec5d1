"""Every path and method that the fake serves (spec §1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance import configuration_operations as configurations
from appliance import host_operations as hosts
from appliance import operations, restore_operations
from appliance.operations import Operation
from appliance.shapes import (
    ABOUT,
    BACKUP,
    BOOLEAN,
    CONFIGURATION,
    HOST,
    LONG,
    ONE_SERVER,
    RESTORE,
    SERVER,
    SORTABLE,
    SORTABLE_RESTORES,
    TEXT,
    TUNNEL,
    VERSION,
    Kind,
    Member,
    Shape,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One method of one path: what it takes and what it does.

    ``codes`` are those of the spec, as ``404/1001 500/1000``, for the fake's own documentation.
    """

    operation: Operation
    codes: str
    shape: Shape | None = None  # None: takes no fields
    success: int = 200
    is_list: bool = False
    sortable: frozenset[str] = frozenset()
    has_type_header: bool = False
    body: str | None = None  # name of the body parameter; None: takes no body
    body_types: Shape = field(default_factory=dict)
    keeps_null: bool = False
    is_plain_text: bool = False


_NEW_BACKUP: Shape = {"name": TEXT, "configuration_id": LONG, "description": TEXT, "host_id": LONG}
_NEW_RESTORE: Shape = {"backup_id": LONG, "groups": Member(Kind.LIST, element=TEXT)}
_CONFIGURATION: Shape = {n: one for n, one in CONFIGURATION.items() if n != "configuration_id"}
_INTERNAL = Entry(restore_operations.refuse_internal, "404/1001 500/1000", RESTORE)

_BACKUPS = "/backup_and_restore/backups"
_RESTORES = "/backup_and_restore/restores"
_SCHEDULED = "backup_and_restore/scheduled_backup_configurations"
_HOSTS = "deployment/hosts"

ROUTES: Mapping[str, Mapping[str, Entry]] = {
    _BACKUPS: {
        "GET": Entry(
            operations.list_backups,
            "422/1018 500/1000 500/1021",
            BACKUP,
            is_list=True,
            sortable=SORTABLE,
        ),
        "POST": Entry(
            operations.create_backup,
            "409/1005 409/1011 409/1015 409/1016 422/1002 422/1003 422/1004 422/1006 422/1007 "
            "422/1008 422/1009 422/1010 422/1012 422/1013 422/1014 500/1000",
            BACKUP,
            201,
            has_type_header=True,
            body="backup",
            body_types=_NEW_BACKUP,
        ),
    },
    _BACKUPS + "/{id}": {
        "GET": Entry(operations.get_backup, "404/1001 500/1000", BACKUP),
        "POST": Entry(
            operations.change_backup,
            "404/1001 422/1008 500/1000",
            BACKUP,
            body="backup",
            body_types={"description": TEXT},
        ),
        "DELETE": Entry(operations.delete_backup, "404/1001 422/1017 500/1000", BACKUP, 202),
    },
    _RESTORES: {
        "GET": Entry(
            restore_operations.list_restores,
            "422/1018 500/1000",
            RESTORE,
            is_list=True,
            sortable=SORTABLE_RESTORES,
        ),
        "POST": Entry(
            restore_operations.create_restore,
            "409/1011 422/1002 422/1003 422/1004 422/1005 422/1006 422/1007 422/1008 422/1009 "
            "422/1010 422/1019 500/1000",
            RESTORE,
            201,
            body="restore",
            body_types=_NEW_RESTORE,
        ),
    },
    _RESTORES + "/{id}": {
        "GET": Entry(restore_operations.get_restore, "404/1001 500/1000", RESTORE),
        "POST": Entry(
            restore_operations.launch_restore,
            "404/1001 409/1014 409/1015 409/1016 422/1012 422/1013 422/1030 422/1031 422/1032 "
            "422/1033 422/1034 422/1035 422/1036 422/1037 500/1000",
            RESTORE,
            body="restore",
            body_types={"status": TEXT},
        ),
        "DELETE": Entry(
            restore_operations.delete_restore,
            "404/1001 422/1017 500/1000",
            success=204,
            is_plain_text=True,
        ),
    },
    "/backup_and_restore/haAction/{flag}": {"GET": _INTERNAL},
    "/backup_and_restore/updateiptablesprefile": {"POST": _INTERNAL},
    f"/config/{_SCHEDULED}": {
        "GET": Entry(configurations.listing_configurations(False), "500/1000", CONFIGURATION)
    },
    f"/config/{_SCHEDULED}/{{id}}": {
        "GET": Entry(
            configurations.getting_configuration(False), "404/1001 500/1000", CONFIGURATION
        )
    },
    f"/staged_config/{_SCHEDULED}": {
        "GET": Entry(configurations.listing_configurations(True), "500/1000", CONFIGURATION)
    },
    f"/staged_config/{_SCHEDULED}/{{id}}": {
        "GET": Entry(
            configurations.getting_configuration(True), "404/1001 500/1000", CONFIGURATION
        ),
        "POST": Entry(
            configurations.change_configuration,
            "404/1001 422/1002 422/1003 422/1004 422/1005 422/1006 422/1007 422/1008 422/1009 "
            "422/1010 500/1000",
            CONFIGURATION,
            body="backupConfiguration",
            body_types=_CONFIGURATION,
            keeps_null=True,
        ),
    },
    f"/config/{_HOSTS}": {
        "GET": Entry(hosts.listing_hosts(hosts.DEPLOYED), "500/1001", HOST, is_list=True)
    },
    f"/config/{_HOSTS}/{{id}}": {
        "GET": Entry(hosts.getting_host(hosts.DEPLOYED), "404/1002 422/1003 500/1004", HOST),
        "POST": Entry(
            hosts.change_allocation,
            "404/1010 417/1011 417/1012 417/1013 417/1014 417/1016 417/1017 417/1018 417/1019 "
            "417/1020 422/1009 422/1022 422/1023 422/1024 500/1021",
            HOST,
            body="host",
            body_types={"eps_allocation": LONG, "fpm_allocation": LONG},
        ),
    },
    f"/config/{_HOSTS}/{{id}}/tunnels": {
        "GET": Entry(
            hosts.listing_tunnels(hosts.DEPLOYED_TUNNELS), "404/1009 422/1010", TUNNEL, is_list=True
        )
    },
    f"/staged_config/{_HOSTS}": {
        "GET": Entry(hosts.listing_hosts(hosts.STAGED), "500/1005", HOST, is_list=True)
    },
    f"/staged_config/{_HOSTS}/{{id}}": {
        "GET": Entry(hosts.getting_host(hosts.STAGED), "404/1006 422/1007 500/1008", HOST)
    },
    f"/staged_config/{_HOSTS}/{{id}}/tunnels": {
        "GET": Entry(
            hosts.listing_tunnels(hosts.STAGED_TUNNELS), "404/1009 422/1010", TUNNEL, is_list=True
        )
    },
    f"/staged_config/{_HOSTS}/{{id}}/tunnels/{{name}}": {
        "POST": Entry(
            hosts.change_tunnel,
            "404/1012 404/1013 422/1010 422/1011 422/1014 422/1016",
            TUNNEL,
            body="tunnel",
            body_types={"reverse_source": BOOLEAN},
        )
    },
    "/staged_config/deploy_status": {
        "GET": Entry(configurations.get_deploy_status, "500/1020"),
        "POST": Entry(
            configurations.start_deploy,
            "409/1002 409/1003 409/1004 422/1005 500/1020",
            body="deploy_status",
            body_types={"type": TEXT},
        ),
    },
    "/system/about": {"GET": Entry(operations.about, "500/1020", ABOUT)},
    "/system/servers": {"GET": Entry(hosts.list_servers, "500/1020", SERVER, is_list=True)},
    "/system/servers/{server_id}": {
        "GET": Entry(hosts.get_server, "404/1002 422/1005 500/1020", ONE_SERVER)
    },
    "/help/versions": {"GET": Entry(operations.versions, "500/1020", VERSION, is_list=True)},
    "/help/versions/{id}": {"GET": Entry(operations.get_version, "404/1002 500/1020", VERSION)},
}
