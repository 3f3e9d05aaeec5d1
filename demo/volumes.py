"""The demo's DATA backup: a volume that is a directory, backed up by a Backup and restored."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_api.exceptions import BackupApiError
from backup_api.extensions.volumes import (
    CreateVolumeRestore,
    VolumeRestoreRecord,
    VolumeRestoreStatus,
    VolumeWish,
)
from backup_api.recipes.deploying import deploy
from backup_api.recipes.exceptions import RecipeError
from backup_api.recipes.waiting import Waiting
from programs import DemoError

HOST = "demo-volumes"
CLAIM = "orders"
COPY = "orders-restored"
FILES = 40
FILE_BYTES = 100_000
PATIENCE = Waiting(limit_s=120.0, first_s=0.2, longest_s=1.0)

Resource = dict[str, object]


def fill_volume(folder: Path) -> str:
    """Write a few megabytes of files, the same in every run; returns their digest."""
    source = random.Random(7)  # noqa: S311 - sample bytes, no secret
    for number in range(FILES):
        path = folder / f"part-{number % 4}" / f"{number:02}.dat"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(FILE_BYTES))
    return digest_of(folder)


def digest_of(folder: Path) -> str:
    """Return the digest of all files below ``folder`` with their paths."""
    told = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        told.update(f"{path.relative_to(folder)}\0".encode())
        told.update(path.read_bytes())
    return told.hexdigest()


def build_host(engine: str, namespace: str) -> Resource:
    """Build the BackupHost of the demo's volume."""
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupHost",
        "metadata": {"name": HOST},
        "spec": {
            "type": "Data",
            "engineRef": {"name": engine},
            "volumes": [{"namespace": namespace, "claimNames": [CLAIM]}],
        },
    }


def build_configuration(engine: str) -> Resource:
    """Build the BackupConfiguration that enables the host."""
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupConfiguration",
        "metadata": {"name": "demo"},
        "spec": {
            "engineRef": {"name": engine},
            "deploy": "Auto",
            "dataBackupPriority": "HIGH",
            "dataBackupHostConfiguration": [{"hostname": HOST}],
        },
    }


def deploy_host(url: str, data_dir: Path) -> None:
    """Wait until the engine has seen the BackupHost, and deploy it; raises DemoError."""

    async def work(client: BackupApiClient) -> None:
        async def look() -> bool | None:
            hosts = await client.list_engine_hosts()
            return any(host.hostname == HOST for host in hosts) or None

        await PATIENCE.until(f"host {HOST}", look)
        done = await deploy(client, PATIENCE)
        states = ", ".join(f"{host.ip} {host.status}" for host in done.hosts or ())
        print(f"POST /staged_config/deploy_status  ->  {states}: its repository is made")

    _run(url, data_dir, work)


def restore_volume(url: str, data_dir: Path, backup_id: int, namespace: str) -> None:
    """Restore the volume to a new claim; raises DemoError."""

    async def work(client: BackupApiClient) -> None:
        for volume in await client.list_backup_volumes(backup_id):
            told = f"{volume.status}, {volume.files} files, {volume.size} bytes"
            print(
                f"GET …/backups/{backup_id}/volumes  ->  {volume.namespace}/{volume.claim} {told}"
            )
        wish = VolumeWish(namespace=namespace, claim=CLAIM, target_claim=COPY, create_claim=True)
        begun = await client.create_volume_restore(
            CreateVolumeRestore(backup_id=backup_id, volumes=(wish,))
        )
        print(f"POST /backup_engine/volume_restores  ->  {begun.id}, {begun.status}")

        async def look() -> VolumeRestoreRecord | None:
            found = await client.get_volume_restore(begun.id)
            return found if found.time_completed is not None else None

        done = await PATIENCE.until(f"restore {begun.id}", look)
        print(f"GET …/volume_restores/{begun.id}  ->  {done.status}")
        if done.status is not VolumeRestoreStatus.SUCCESS:
            raise DemoError(f"the volume was not restored: {done.volumes[0].message}")

    _run(url, data_dir, work)


def _run(url: str, data_dir: Path, work: Callable[[BackupApiClient], Awaitable[None]]) -> None:
    trust = Trust((data_dir / "tls" / "ca.crt").read_text())
    token = SecToken((data_dir / "token").read_text().strip())

    async def run() -> None:
        async with BackupApiClient(ClientOptions(url, token, trust)) as client:
            await work(client)

    try:
        asyncio.run(run())
    except (BackupApiError, RecipeError) as trouble:
        raise DemoError(str(trouble)) from trouble
