"""How the in-cluster engine introduces itself: GET /backup_engine."""

from typing import Final

from backup_api.endpoints import Endpoint
from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.extensions.paths import EXTENSIONS
from backup_api.wire import WireRecord

HOSTS_EXTENSION: Final = "hosts"
"""Hosts come from BackupHosts, and are told of in full (``extensions/hosts.py``)."""

RESTORES_EXTENSION: Final = "restores"
"""Options, plan, progress and failures of restores are served (``extensions/restores.py``)."""

ARCHIVES_EXTENSION: Final = "archives"
"""Archives can be browsed, compared and downloaded (``extensions/archives.py``)."""

VERIFICATION_EXTENSION: Final = "verification"
"""What is known of archives is told, and asked for anew (``extensions/verification.py``)."""

VOLUMES_EXTENSION: Final = "volumes"
"""Volumes of DATA backups are told one by one, and restored (``extensions/volumes.py``)."""


class EngineDescription(WireRecord):
    """What an in-cluster engine is, and which extensions it serves."""

    product: str
    version: str | None = None
    extensions: tuple[str, ...] = ()


class DescribeEngineErrors(EndpointErrors):
    """Refusals of GET /backup_engine; an appliance has no such path."""

    NO_ENGINE = 404, 1001, FINAL, "This server is no in-cluster engine."
    UNREADABLE = 500, 1000, TRANSIENT, "The engine could not describe itself."


DESCRIBE_ENGINE: Final = Endpoint("GET", EXTENSIONS, 200, DescribeEngineErrors)
