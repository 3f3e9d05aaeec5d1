"""The members of every object the fake serves, with their types (spec §3.0, §6.0, §8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class Kind(Enum):
    """Type of a member (spec §2.6)."""

    LONG = auto()
    TEXT = auto()
    BOOLEAN = auto()
    WORD = auto()  # an enumeration
    OBJECT = auto()
    LIST = auto()


@dataclass(frozen=True, slots=True)
class Member:
    """One member; ``since`` is the major version of the API that brought it."""

    kind: Kind
    words: frozenset[str] = frozenset()
    members: Mapping[str, "Member"] = field(default_factory=dict)
    element: "Member | None" = None
    since: int = 0
    alias_of: str | None = None
    is_path: bool = False  # compared with and without its leading slash (spec §14 no. 23)


LONG = Member(Kind.LONG)
TEXT = Member(Kind.TEXT)
BOOLEAN = Member(Kind.BOOLEAN)
PATH = Member(Kind.TEXT, is_path=True)

Shape = Mapping[str, Member]


def word(*words: str, since: int = 0) -> Member:
    """Build an enumeration."""
    return Member(Kind.WORD, words=frozenset(words), since=since)


def listed_of(members: Shape) -> Member:
    """Build a list of objects."""
    return Member(Kind.LIST, element=Member(Kind.OBJECT, members=members))


RUNNING = frozenset({"INITIALIZING", "IN_PROGRESS"})
DELETABLE = RUNNING | {"FAILED", "SUCCESS", "MISSING"}
LEAVING = frozenset({"CANCELLING", "DELETING"})

BACKUP: Shape = {
    "id": LONG,
    "configuration_id": LONG,
    "host_id": LONG,
    "name": TEXT,
    "description": TEXT,
    "type": word("CONFIG", "DATA"),
    "version": TEXT,
    "build_version": TEXT,
    "time_initiated": LONG,
    "time_completed": LONG,
    "intiated_by": TEXT,
    "initiated_by": Member(Kind.TEXT, alias_of="intiated_by"),
    "status": word(*DELETABLE, *LEAVING),
    "size_on_disk": LONG,
    "content_file_path": TEXT,
    "is_valid": BOOLEAN,
    "is_version_compatible": BOOLEAN,
    "app_deployment_location": word("CONSOLE", "APPHOST", "NA", since=26),
}

SORTABLE = frozenset(BACKUP) - {
    "configuration_id",
    "build_version",
    "is_valid",
    "is_version_compatible",
    "app_deployment_location",
}

HOST: Shape = {
    "id": LONG,
    "hostname": TEXT,
    "private_ip": TEXT,
    "public_ip": TEXT,
    "appliance": Member(Kind.OBJECT, members={"id": TEXT, "type": TEXT}),
    "version": TEXT,
    "status": word(
        "Active",
        "ADDING",
        "Deleted",
        "Deleting",
        "ADD_FAILED",
        "New",
        "ADD_FAILED_VERSION_CHECK",
        "ADD_FAILED_DEPLOY_IN_PROGRESS",
        "ADD_FAILED_RETRY_CONNECTION",
        "ADD_FAILED_HA",
        "ADD_FAILED_CHECK_LOGS",
        "ADD_FAILED_QVMPROCESSOR_ALREADY_EXISTS",
    ),
    "components": Member(
        Kind.LIST,
        element=word(
            "eventcollectoringress",
            "eventcollector",
            "eventprocessor",
            "dataNode",
            "magistrate",
            "ariel_query_server",
            "ariel_proxy_server",
            "vis",
            "assetprofiler",
            "qflow",
            "hostcontext",
            "tunnel",
            "setuptunnel",
            "ecs-ec-ingress",
            "ecs-ec",
            "ecs-ep",
            "resolveragent",
            "resolver_manager",
            "offsiteSource",
            "offsiteTarget",
            "accumulator",
            "data_export",
            "offline_forwarder",
            "qvm",
            "qvmprocessor",
            "qvmscanner",
            "qvmhostedscanner",
            "qvmsiteprotector",
            "arc_builder",
            "tomcat-rm",
            "ziptie-server",
            "qrm",
            "asset_change_publisher",
            "forensicsnode",
            "forensics_realtime",
            "masterdaemon",
        ),
    ),
    "eps_rate_hardware_limit": LONG,
    "eps_allocation": LONG,
    "average_eps": LONG,
    "peak_eps": LONG,
    "fpm_rate_hardware_limit": LONG,
    "fpm_allocation": LONG,
    "average_fpm": LONG,
    "peak_fpm": LONG,
    "primary_server_id": LONG,
    "secondary_server_id": LONG,
    "license_serial_number": TEXT,
    "compression_enabled": BOOLEAN,
    "encryption_enabled": BOOLEAN,
    "email_server_id": Member(Kind.LONG, since=13),
    "proxy_server_id": Member(Kind.LONG, since=13),
    "remote_tunnel_initiation_enabled": BOOLEAN,
    "cpus": LONG,
    "total_memory": LONG,
    "app_memory": LONG,
}

OPEN_RESTORE = frozenset({"PENDING", "REQUESTING", "INITIALIZING", "IN_PROGRESS"})
RUNNING_RESTORE = OPEN_RESTORE - {"PENDING"}

GROUPS = frozenset(
    {
        "CUSTOM_RULES_CONFIG",
        "DEPLOYMENT_CONFIG",
        "USERS_CONFIG",
        "LICENSE_CONFIG",
        "QVM_CONFIG",
        "INSTALLED_APPS_CONFIG",
        "REPORT_TEMPLATES",
        "ASSETS_DATA",
        "OFFENSES_DATA",
    }
)

RESTORE: Shape = {
    "id": LONG,
    "initiated_by": TEXT,
    "host_id": LONG,
    "time_initiated": LONG,
    "time_completed": LONG,
    "status": word(*OPEN_RESTORE, "SUCCESS", "FAILED"),
    "is_cross_deployment_restore": BOOLEAN,
    "backup_id": LONG,
    "backup_name": TEXT,
    "backup_version": TEXT,
    "backup_type": word("CONFIG", "DATA"),
    "backup_filename": TEXT,
    "groups": Member(Kind.LIST, element=word(*GROUPS)),
}

SORTABLE_RESTORES = frozenset(RESTORE) - {"host_id", "status", "backup_id", "groups"}

PRIORITIES = frozenset({"LOW", "MEDIUM", "HIGH"})

CONFIGURATION: Shape = {
    "configuration_id": LONG,
    "backup_directory_path": TEXT,
    "backup_retention_period": LONG,
    "data_backup_host_configuration": listed_of(
        {
            "host_id": LONG,
            "event_data_backup_enabled": BOOLEAN,
            "flow_data_backup_enabled": BOOLEAN,
        }
    ),
    "configuration_backup_enabled": BOOLEAN,
    "data_backup_priority": word(*PRIORITIES),
    "configuration_backup_priority": word(*PRIORITIES),
    "data_backup_time_limit": LONG,
    "configuration_backup_time_limit": LONG,
}

TUNNEL: Shape = {
    "name": TEXT,
    "remote_host_id": LONG,
    "remote_hostID": Member(Kind.LONG, alias_of="remote_host_id"),  # as the prose spells it
    "remote_port": LONG,
    "local_port": LONG,
    "reverse_source": BOOLEAN,
}

SERVER: Shape = {
    "server_id": LONG,
    "managed_host_id": LONG,
    "hostname": TEXT,
    "private_ip": TEXT,
    "status": TEXT,
}

ONE_SERVER: Shape = {**SERVER, "email_server_address": TEXT}

ABOUT: Shape = {
    "build_version": TEXT,
    "external_version": TEXT,
    "release_name": TEXT,
    "fips_enabled": Member(Kind.BOOLEAN, since=16),
}

VERSION: Shape = {
    "id": LONG,
    "version": TEXT,
    "deprecated": BOOLEAN,
    "removed": BOOLEAN,
    "root_resource_ids": Member(Kind.LIST, element=LONG),
}

STORES_EVENTS = frozenset(
    {"eventprocessor", "dataNode", "ariel_query_server", "ariel_proxy_server"}
)
"""Components of a host that has something for a DATA backup (spec §13 no. 7)."""


def members_at(shape: Shape, major: int) -> Shape:
    """The members that exist in this major version of the API."""
    return {name: member for name, member in shape.items() if member.since <= major}
