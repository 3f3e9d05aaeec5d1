"""What a deploy does to a host before it is in force: see that it can work (spec §7)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from backup_api.configurations import BackupConfigurationRecord
from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.places import ArchivePlaces
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.introduction import discover
from backup_engine.capture.policy import SuccessPolicy
from backup_engine.capture.scope import list_misses
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.host_definition import HostDefinition, HostType
from backup_engine.records.deploys import HostToDeploy
from backup_engine.runs.data_backups import DataBackups
from backup_engine.runs.rules import build_policy, build_scope
from backup_engine.volumes.errors import VolumeError

_OK: Final = 200
_ASK_BRIEFLY: Final = RetryPolicy(attempts=2, busy_attempts=2)
_WHATEVER_IS_DOWN: Final = SuccessPolicy(tolerate_unavailable=("*",))

NO_EXECUTOR: Final = "NoExecutor"
NOT_READY: Final = "NotReady"
TIMED_OUT: Final = "TimedOut"
MISSPELT: Final = "UnknownKind"


@dataclass(frozen=True, slots=True)
class Remark:
    """What people should know of a host that can work all the same; ``reason`` is CamelCase."""

    reason: str
    message: str


PrepareHost = Callable[[HostToDeploy, BackupConfigurationRecord], Awaitable[Remark | None]]
"""Makes sure that a host can work by a configuration; raises HostNotReadyError."""


class HostNotReadyError(Exception):
    """A host cannot work as deployed; ``reason`` is a CamelCase word, the text says why."""

    def __init__(self, message: str, reason: str = NOT_READY) -> None:
        self.reason = reason
        self.message = message
        super().__init__(message)


class Preparation:
    """What a deploy does to a host: see that it can work.

    For the console that means that cluster and archive directory answer; kinds that it names and
    the cluster does not serve are remarked on. For a data host it means that its volumes can be
    worked on, and that its repository is there: it is made here, and nowhere else.
    """

    def __init__(
        self, cluster: ClusterConnection, places: ArchivePlaces, data: DataBackups | None = None
    ) -> None:
        self._cluster = cluster
        self._places = places
        self._data = data

    async def __call__(
        self, host: HostToDeploy, configuration: BackupConfigurationRecord
    ) -> Remark | None:
        """Look at what the host needs; raises HostNotReadyError that names the host."""
        if host.version is None:  # to be deleted: nothing has to be there for that
            return None
        definition = host.version.definition
        if definition.type is HostType.DATA:
            await self._prepare_volumes(host)
            return None
        await self._look(host.name, configuration)
        return await self._find_misspelt(host.name, definition)

    async def _prepare_volumes(self, host: HostToDeploy) -> None:
        if self._data is None:
            raise HostNotReadyError(
                f"{host.name}: this engine has nothing to work on volumes with; start it with"
                " --mover-image, or with --volumes-dir where volumes are directories",
                NO_EXECUTOR,
            )
        try:
            await self._data.check(host.id, host.name)
        except (VolumeError, OSError) as trouble:
            reason = trouble.reason if isinstance(trouble, VolumeError) else NOT_READY
            raise HostNotReadyError(f"{host.name}: {trouble}", reason) from trouble

    async def _look(self, name: str, configuration: BackupConfigurationRecord) -> None:
        path = configuration.backup_directory_path
        try:
            store = self._places.open(path)
            if path is None:  # the engine's own, which it makes if it is not there
                await store.ensure_no_leftovers()
            await store.list_names()
            async with self._cluster.request("GET", "/version") as response:
                if response.status != _OK:
                    raise HostNotReadyError(f"{name}: the API server answered {response.status}")
        except (ArchiveError, ClusterError, aiohttp.ClientError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise HostNotReadyError(f"{name}: {said}") from trouble

    async def _find_misspelt(self, name: str, definition: HostDefinition) -> Remark | None:
        """Find names of kinds that no capture would find, if the host names any."""
        scope = build_scope(definition.scope).describe(None)
        policy = build_policy(definition.success_policy).describe()
        if not list_misses(scope, policy, ()):
            return None
        try:
            discovered = await discover(self._cluster, _ASK_BRIEFLY, policy=_WHATEVER_IS_DOWN)
        except (CaptureError, ClusterError) as trouble:
            reason = trouble.reason if isinstance(trouble, CaptureError) else NOT_READY
            raise HostNotReadyError(f"{name}: {trouble}", reason) from trouble
        served = [kind.key for kind in discovered.kinds]
        served += [skip.key for skip in discovered.skipped]
        misses = list_misses(scope, policy, served)
        return Remark(MISSPELT, "; ".join(misses)) if misses else None
