"""Opens the repository of a data host: where it lies, what it is called, what opens it."""

from dataclasses import dataclass
from pathlib import Path

from backup_engine.archive.errors import ArchiveError
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.executor import HostRepository
from backup_engine.volumes.kopia import SHORT_CALL_S
from backup_engine.volumes.passwords import Passwords
from backup_engine.volumes.place import RepositoryPlace, RepositoryPlaces
from backup_engine.volumes.repository import Repository


@dataclass(frozen=True, slots=True)
class Repositories:
    """The repositories of all data hosts; ``state`` keeps kopia's configurations and caches.

    ``limit_s`` ends a kopia that reads or writes no volume.
    """

    places: RepositoryPlaces
    passwords: Passwords
    binary: str
    state: Path
    limit_s: float = SHORT_CALL_S

    async def ensure(self, host_id: int, hostname: str) -> None:
        """Create the repository of a host and its password, unless they are there.

        Only a deploy does: a backup that finds no repository must fail, for a new, empty one would
        hide that the place is wrong or lost. Raises VolumeError.
        """
        password = await self.passwords.ensure(host_id, hostname)
        await self._build(self._find(host_id, hostname), host_id, hostname, password).ensure()

    async def get(self, host_id: int, hostname: str) -> HostRepository:
        """Tell all that whoever works on the volumes of a host needs; raises VolumeError."""
        place = self._find(host_id, hostname)
        password = await self.passwords.get(host_id, hostname)
        return HostRepository(host_id, hostname, place, password)

    async def open(self, host_id: int, hostname: str) -> Repository:
        """Open the repository of a host, which must be there; raises VolumeError."""
        found = await self.get(host_id, hostname)
        repository = self._build(found.place, host_id, hostname, found.password)
        await repository.connect()
        return repository

    def _find(self, host_id: int, hostname: str) -> RepositoryPlace:
        try:
            return self.places.find(host_id, hostname)
        except ArchiveError as trouble:  # the credentials file
            raise VolumeError(trouble.reason, trouble.message) from trouble

    def _build(
        self, place: RepositoryPlace, host_id: int, hostname: str, password: str
    ) -> Repository:
        home = self.state / f"{hostname}_{host_id}"
        return Repository(self.binary, place, hostname, password, home, limit_s=self.limit_s)
