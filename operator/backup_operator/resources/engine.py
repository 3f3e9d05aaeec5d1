"""BackupEngine: one server of the backup API, an appliance or ours (architecture §2.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field

from backup_operator.resources.durations import Between, Duration
from backup_operator.resources.engine_access import AllowedNamespaces, EngineAuth, EngineTls
from backup_operator.resources.group import DEFAULT_ENGINE_ANNOTATION
from backup_operator.resources.parts import (
    Conditions,
    Integer,
    ObjectMetadata,
    ObjectStatus,
    ResourcePart,
    Timestamp,
)
from backup_operator.resources.reading import parse_spec, read_status
from backup_operator.resources.rules import LIST_MAP_KEYS, LIST_TYPE, CelRule, Matches, broken

ENGINE_URL = Matches(
    r"^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$",
    "https://host or https://host:port, without user, path, query or trailing '/'",
)
PORT_WORDS = "an address with a port from 1 to 65535, if any"
VERSION_NUMBER = Matches(
    r"^[0-9]{1,3}\.[0-9]{1,3}$", "a version of the API in quotes, such as '26.0'"
)

_PORT = re.compile(r":([0-9]+)$")
HIGHEST_PORT = 65535


def _check_port(url: str) -> str:
    port = _PORT.search(url)
    if port is not None and not 1 <= int(port[1]) <= HIGHEST_PORT:
        raise broken(PORT_WORDS)
    return url


class Circuit(StrEnum):
    """Whether requests flow: Open holds them back, HalfOpen lets one through to try."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


class BackupEngineSpec(ResourcePart):
    """Where a server of the backup API is, how to authenticate, and who may use it."""

    url: Annotated[
        str,
        Field(min_length=9, max_length=300),
        ENGINE_URL,
        AfterValidator(_check_port),
        CelRule(
            "!self.matches(':[0-9]+$') || self.matches(':0*([1-9][0-9]{0,3}|[1-5][0-9]{4}"
            "|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$')",
            f"must be {PORT_WORDS}",
        ),
    ] = Field(
        description=(
            "Address of the engine as `https://host[:port]`; the client adds `/api` itself."
        )
    )
    auth: EngineAuth = Field(description="Credentials of the operator at the engine: one of three.")
    tls: EngineTls | None = Field(
        default=None,
        description="Trust in the engine's certificate; absent: the authorities of the system.",
    )
    api_version: Annotated[str, Field(max_length=7), VERSION_NUMBER] | None = Field(
        default=None,
        description=(
            "Version of the API to speak, such as '26.0'; absent: the newest that both sides know."
        ),
    )
    allowed_namespaces: AllowedNamespaces | None = Field(
        default=None,
        description="Namespaces whose Backups may use the engine; absent: all.",
    )
    restore_namespaces: AllowedNamespaces | None = Field(
        default=None,
        description=(
            "Namespaces whose Restores may use the engine; absent: none. A restore reaches far"
            " beyond its namespace, to all that the engine may write, and its plan shows what is"
            " there: name only namespaces whose users may have that."
        ),
    )
    volume_restore_namespaces: AllowedNamespaces | None = Field(
        default=None,
        description=(
            "Namespaces that may restore their own volumes: a Restore in one of them may name"
            " `volumes` that were backed up from that very namespace, and restore them into it."
            " Absent: none but those of `restoreNamespaces`, which may restore any into any."
        ),
    )
    poll_interval: Annotated[Duration, Between("1s", "10m")] = Field(
        default=timedelta(seconds=5),
        description="How often running backups are looked at, from 1s to 10m.",
    )
    requests_per_second: Annotated[Integer, Field(ge=1, le=100)] = Field(
        default=10, description="Most requests that the engine gets from the operator in a second."
    )


class EngineHost(ResourcePart):
    """A host of the engine."""

    id: Integer = Field(description="Id of the host: the `hostId` of a Backup.")
    hostname: str | None = Field(
        default=None, description="Name of the host: the `hostname` of a Backup."
    )
    status: str | None = Field(
        default=None, description="State of the host as the engine says it; Active can be used."
    )
    components: tuple[str, ...] = Field(
        default=(),
        description="What runs on the host; `magistrate` is on the console only.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )


class BackupEngineStatus(ObjectStatus):
    """What the operator knows about the engine."""

    product_version: str | None = Field(
        default=None, description="Version of the product behind the API."
    )
    release_name: str | None = Field(
        default=None, description="Name of the product's release, for people."
    )
    api_version: str | None = Field(
        default=None, description="Version of the API that is spoken, such as `26.0`."
    )
    hosts: tuple[EngineHost, ...] = Field(
        default=(),
        description="Hosts that the engine can back up.",
        json_schema_extra={LIST_TYPE: "map", LIST_MAP_KEYS: ["id"]},
    )
    running_backups: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="Number of backups that run at the engine, whoever started them."
    )
    last_contact_time: Timestamp | None = Field(
        default=None, description="When the engine last answered."
    )
    circuit: Circuit | None = Field(
        default=None,
        description=(
            "Whether requests flow: Closed, or Open while the engine is down and left in peace,"
            " or HalfOpen while one request tries."
        ),
    )
    conditions: Conditions = Field(
        default=(),
        description=(
            "State of the object, one entry for each type: Ready says whether the engine answers"
            " and lets the operator in; Reconciling and Stalled are for tools that follow kstatus."
        ),
    )


@dataclass(frozen=True, slots=True)
class BackupEngineResource:
    """A BackupEngine as the cluster holds it.

    ``unreadable_status`` lists paths of stored status that broke a rule and count as absent.
    """

    metadata: ObjectMetadata
    spec: BackupEngineSpec
    status: BackupEngineStatus
    unreadable_status: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read a raw object; raises InvalidSpecError if metadata or spec break a rule."""
        status, unreadable = read_status(BackupEngineStatus, body)
        return cls(
            ObjectMetadata.from_body(body), parse_spec(BackupEngineSpec, body), status, unreadable
        )

    @property
    def is_default(self) -> bool:
        """Whether Backups without an ``engineRef`` use this engine."""
        return self.metadata.annotations.get(DEFAULT_ENGINE_ANNOTATION) == "true"

    def allows_restores(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether Restores of ``namespace``, which has these labels, may use the engine."""
        allowed = self.spec.restore_namespaces
        return allowed is not None and allowed.include(namespace, labels)

    def allows_volume_restores(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether ``namespace`` may have its own volumes restored into itself."""
        allowed = self.spec.volume_restore_namespaces
        return allowed is not None and allowed.include(namespace, labels)

    def allows(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether Backups of ``namespace``, which has these labels, may use the engine."""
        allowed = self.spec.allowed_namespaces
        return allowed is None or allowed.include(namespace, labels)
