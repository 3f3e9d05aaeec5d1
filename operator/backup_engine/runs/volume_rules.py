"""What the deployed configuration and the BackupHost allow a DATA backup (spec §5.0, §10)."""

from dataclasses import dataclass
from typing import Final

from backup_api.configurations import BackupConfigurationRecord, BackupPriority
from backup_engine.host_definition import HostHooks, VolumeSelection
from backup_engine.product import CONFIGURATION_ID
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.hosts import HostRecords, StoredHost
from backup_engine.volumes.kopia import Load


@dataclass(frozen=True, slots=True)
class FanOut:
    """How many volumes are worked on at once, and how much of a machine each may take."""

    abreast: int
    load: Load


FAN_OUT: Final = {
    BackupPriority.LOW: FanOut(1, Load(parallel=1, niceness=15)),
    BackupPriority.MEDIUM: FanOut(2, Load(parallel=2, niceness=5)),
    BackupPriority.HIGH: FanOut(4, Load()),
}
"""What a priority governs; HIGH leaves it to kopia, which reads a file for each core."""

_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class VolumeRules:
    """The rules of one DATA backup."""

    hostname: str
    time_limit_s: float
    fan_out: FanOut
    selections: tuple[VolumeSelection, ...]
    hooks: HostHooks


def build_volume_rules(deployed: BackupConfigurationRecord, host: StoredHost) -> VolumeRules:
    """Build the rules of a DATA backup of ``host`` under ``deployed``, which is complete."""
    assert deployed.data_backup_time_limit is not None
    assert deployed.data_backup_priority is not None
    definition = host.deployed.definition if host.deployed is not None else None
    return VolumeRules(
        host.name,
        deployed.data_backup_time_limit / _MS_PER_S,
        FAN_OUT[deployed.data_backup_priority],
        definition.volumes if definition is not None else (),
        definition.hooks if definition is not None else HostHooks(),
    )


async def read_volume_rules(database: Database, host_id: int) -> VolumeRules | None:
    """Read them off what is deployed; None: there is no such host any more."""
    async with database.reading() as connection:
        stored = await ConfigurationRecords(connection).get(CONFIGURATION_ID)
        host = await HostRecords(connection).find(host_id)
    return build_volume_rules(stored.deployed, host) if host is not None else None
