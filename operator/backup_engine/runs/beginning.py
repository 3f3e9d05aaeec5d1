"""How a backup begins: the record that a request or a nightly run asks for."""

from dataclasses import dataclass
from typing import Final

from backup_api.backups import AppDeploymentLocation, BackupType
from backup_api.hosts import HostRecord
from backup_engine.archive.names import build_archive_name
from backup_engine.product import CONFIGURATION_ID, Product
from backup_engine.records.backups import NewBackup

_APPLICATIONS_AT: Final = {
    BackupType.CONFIG: AppDeploymentLocation.CONSOLE,
    BackupType.DATA: AppDeploymentLocation.NA,
}


@dataclass(frozen=True, slots=True)
class WantedBackup:
    """What somebody asks for; the rest of the record follows from host and time."""

    name: str
    type: BackupType
    initiated_by: str
    description: str | None = None
    is_on_demand: bool = True


def build_new_backup(
    wanted: WantedBackup, host: HostRecord, product: Product, directory: str | None, now_ms: int
) -> NewBackup:
    """Build the record of a backup that begins now; ``directory`` None: where the settings say."""
    return NewBackup(
        name=wanted.name,
        configuration_id=CONFIGURATION_ID,
        host_id=host.id,
        description=wanted.description,
        type=wanted.type,
        version=product.version,
        build_version=product.build_version,
        time_initiated=now_ms,
        initiated_by=wanted.initiated_by,
        app_deployment_location=_APPLICATIONS_AT[wanted.type],
        archive_name=build_archive_name(
            wanted.name, host.hostname or "", host.id, now_ms, wanted.type
        ),
        archive_directory=directory,
        is_on_demand=wanted.is_on_demand,
    )
