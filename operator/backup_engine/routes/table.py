"""Which paths and methods are served, and what each asks of its caller."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from backup_api import endpoints
from backup_api.endpoints import API_ROOT, JSON, PLAIN_TEXT, Endpoint
from backup_api.extensions import (
    archives,
    engine,
    hooks,
    restores,
    verification,
    volume_plans,
    volumes,
)
from backup_api.extensions.hosts import LIST_ENGINE_HOSTS
from backup_engine.auth.callers import Resource, Right, Verb

OPENAPI_PATH: Final = f"{API_ROOT}/openapi.json"
LOGOUT_PATH: Final = f"{API_ROOT}/auth/logout"
LIVE_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"
_NO_CONTENT: Final = 204


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, from the root of the server.

    ``endpoint`` None: not part of the appliance's API. ``right`` None: any known caller may.
    """

    method: str
    path: str
    endpoint: Endpoint | None = None
    right: Right | None = None
    media_types: tuple[str, ...] = (JSON,)  # of the answer, the usual one first; none: no body


@dataclass(frozen=True, slots=True)
class Match:
    """A served path: its operations by method, and the values of its placeholders."""

    operations: Mapping[str, Operation]
    ids: Mapping[str, str]

    @property
    def allow(self) -> str:
        """Value of an ``Allow`` header."""
        return ", ".join(sorted(self.operations))


_SEE_BACKUPS: Final = Right(Verb.GET, Resource.BACKUPS)
_SEE_CONFIGURATIONS: Final = Right(Verb.GET, Resource.CONFIGURATIONS)
_CHANGE_HOSTS: Final = Right(Verb.UPDATE, Resource.HOSTS)
_SEE_RESTORES: Final = Right(Verb.GET, Resource.RESTORES)
_PREPARE_RESTORES: Final = Right(Verb.CREATE, Resource.RESTORES)
_SEE_ARCHIVES: Final = Right(Verb.GET, Resource.ARCHIVES)

RIGHTS: Final[Mapping[Endpoint, Right | None]] = {
    endpoints.LIST_BACKUPS: _SEE_BACKUPS,
    endpoints.CREATE_BACKUP: Right(Verb.CREATE, Resource.BACKUPS),
    endpoints.GET_BACKUP: _SEE_BACKUPS,
    endpoints.CHANGE_BACKUP: Right(Verb.UPDATE, Resource.BACKUPS),
    endpoints.DELETE_BACKUP: Right(Verb.DELETE, Resource.BACKUPS),
    endpoints.LIST_RESTORES: _SEE_RESTORES,
    endpoints.CREATE_RESTORE: _PREPARE_RESTORES,
    endpoints.GET_RESTORE: _SEE_RESTORES,
    endpoints.LAUNCH_RESTORE: Right(Verb.UPDATE, Resource.RESTORES),
    endpoints.DELETE_RESTORE: Right(Verb.DELETE, Resource.RESTORES),
    endpoints.LIST_CONFIGURATIONS: _SEE_CONFIGURATIONS,
    endpoints.GET_CONFIGURATION: _SEE_CONFIGURATIONS,
    endpoints.LIST_STAGED_CONFIGURATIONS: _SEE_CONFIGURATIONS,
    endpoints.GET_STAGED_CONFIGURATION: _SEE_CONFIGURATIONS,
    endpoints.CHANGE_CONFIGURATION: Right(Verb.UPDATE, Resource.CONFIGURATIONS),
    endpoints.GET_DEPLOY: Right(Verb.GET, Resource.DEPLOYS),
    endpoints.START_DEPLOY: Right(Verb.CREATE, Resource.DEPLOYS),
    endpoints.ABOUT: None,
    endpoints.LIST_ENDPOINT_DESCRIPTIONS: None,
    endpoints.GET_ENDPOINT_DESCRIPTION: None,
    endpoints.LIST_RESOURCE_DESCRIPTIONS: None,
    endpoints.GET_RESOURCE_DESCRIPTION: None,
    endpoints.LIST_VERSIONS: None,
    endpoints.GET_VERSION: None,
    endpoints.LIST_HOSTS: None,
    endpoints.GET_HOST: None,
    endpoints.CHANGE_ALLOCATION: _CHANGE_HOSTS,
    endpoints.LIST_STAGED_HOSTS: None,
    endpoints.GET_STAGED_HOST: None,
    endpoints.LIST_TUNNELS: None,
    endpoints.LIST_STAGED_TUNNELS: None,
    endpoints.CHANGE_TUNNEL: _CHANGE_HOSTS,
    endpoints.LIST_SERVERS: None,
    endpoints.GET_SERVER: None,
    endpoints.HA_ACTION: _CHANGE_HOSTS,
    endpoints.UPDATE_IPTABLES: _CHANGE_HOSTS,
}
"""The endpoints that this engine serves, with the right that each needs."""

EXTENSION_RIGHTS: Final[Mapping[Endpoint, Right | None]] = {
    LIST_ENGINE_HOSTS: None,
    archives.DOWNLOAD_ARCHIVE: _SEE_ARCHIVES,
    archives.LIST_KINDS: _SEE_ARCHIVES,
    archives.LIST_NAMESPACES: _SEE_ARCHIVES,
    archives.LIST_OBJECTS: _SEE_ARCHIVES,
    archives.GET_OBJECT: _SEE_ARCHIVES,
    archives.DIFF_LIVE: _SEE_ARCHIVES,
    archives.DIFF_ARCHIVES: _SEE_ARCHIVES,
    verification.GET_VERIFICATION: _SEE_ARCHIVES,
    verification.START_VERIFICATION: Right(Verb.UPDATE, Resource.ARCHIVES),
    engine.DESCRIBE_ENGINE: None,
    restores.GET_RESTORE_OPTIONS: _SEE_RESTORES,
    restores.SET_RESTORE_OPTIONS: _PREPARE_RESTORES,
    restores.START_PLAN: _PREPARE_RESTORES,
    restores.GET_PLAN: _SEE_RESTORES,
    restores.DROP_PLAN: _PREPARE_RESTORES,
    restores.LIST_PLAN_ITEMS: _SEE_RESTORES,
    restores.GET_RESTORE_PROGRESS: _SEE_RESTORES,
    restores.LIST_RESTORE_FAILURES: _SEE_RESTORES,
    volumes.LIST_BACKUP_VOLUMES: _SEE_BACKUPS,
    hooks.LIST_BACKUP_HOOKS: _SEE_BACKUPS,
    volume_plans.PLAN_VOLUME_RESTORE: _PREPARE_RESTORES,
    volumes.LIST_VOLUME_RESTORES: _SEE_RESTORES,
    volumes.CREATE_VOLUME_RESTORE: _PREPARE_RESTORES,
    volumes.GET_VOLUME_RESTORE: _SEE_RESTORES,
    volumes.CANCEL_VOLUME_RESTORE: Right(Verb.DELETE, Resource.RESTORES),
}
"""What this engine serves beyond the appliance's API; ``/help`` keeps to that."""


def list_operations() -> tuple[Operation, ...]:
    """List everything that is served."""
    api = (
        Operation(
            endpoint.method,
            API_ROOT + endpoint.path,
            endpoint,
            right,
            # without a body there is nothing to accept (spec §14 no. 15)
            endpoint.media_types if endpoint.success != _NO_CONTENT else (),
        )
        for endpoint, right in {**RIGHTS, **EXTENSION_RIGHTS}.items()
    )
    others = (Operation("GET", path) for path in (OPENAPI_PATH, LIVE_PATH, READY_PATH))
    logout = Operation("POST", LOGOUT_PATH, media_types=(PLAIN_TEXT,))
    return (*api, *others, logout)


def is_api_path(path: str) -> bool:
    """Tell whether ``path`` lies below ``/api``, where nothing is told to strangers."""
    return path == API_ROOT or path.startswith(f"{API_ROOT}/")


def strip_slash(path: str) -> str:
    """Take one trailing slash away (spec §14 no. 22)."""
    return path[:-1] if path.endswith("/") and path != "/" else path


class ServedTable:
    """Finds the operations of a path."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            methods = by_path.setdefault(operation.path, {})
            methods[operation.method] = operation
            if operation.method == "GET":
                methods["HEAD"] = operation  # spec §14 no. 22
        self._fixed = {
            path: Match(methods, {}) for path, methods in by_path.items() if "{" not in path
        }
        self._open: dict[int, list[tuple[re.Pattern[str], Mapping[str, Operation]]]] = {}
        for path, methods in by_path.items():
            if "{" in path:  # filed by depth, for a placeholder spans no slash
                self._open.setdefault(path.count("/"), []).append((_pattern(path), methods))

    def find(self, path: str) -> Match | None:
        """Find what is served at ``path``, its trailing slash stripped; None: nothing."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed
        for pattern, operations in self._open.get(path.count("/"), ()):
            match = pattern.fullmatch(path)
            if match is not None:
                return Match(operations, match.groupdict())
        return None


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", path)  # literal and placeholder in turn
    return re.compile(
        "".join(
            f"(?P<{piece}>[^/]+)" if position % 2 else re.escape(piece)
            for position, piece in enumerate(pieces)
        )
    )
