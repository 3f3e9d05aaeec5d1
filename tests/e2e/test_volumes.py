"""DATA backups of a PostgreSQL on a real kubelet, whatever dies in the midst of them."""

import asyncio
import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.repository import Repository
from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.versions import KOPIA_BINARY
from e2e.installation import VOLUMES_OVERLAY, list_archives
from e2e.kubectl import NAMESPACE, ROLLOUT_S, Kubectl, until
from e2e.resources import a_backup, a_claim, ours, start_database
from fixtures.s3_server import S3Server

MOVERS = "app.kubernetes.io/component=mover"
BULK_MIB = 150
HOOKS = "manifests/hooks"
CHECKPOINT = {
    "namespace": "orders",
    "selector": {"matchLabels": {"app": "data"}},
    "command": ["psql", "--username=postgres", "--command=CHECKPOINT"],
}

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]


@pytest.mark.timeout(900)
def test_the_rows_of_a_database_come_back_from_a_backup_of_its_volume(
    kubectl: Kubectl, bucket: S3Server
) -> None:
    literals = (f"--from-literal={name}={value}" for name, value in bucket.environment.items())
    kubectl("create", "secret", "generic", "-n", NAMESPACE, "backup-engine-bucket", *literals)
    kubectl("apply", "--server-side", "-k", VOLUMES_OVERLAY)
    kubectl("create", "namespace", "orders")
    kubectl.apply(a_claim("data", "orders"))
    ask = start_database(kubectl, "data", "orders")
    ask("CREATE TABLE orders AS SELECT n, md5(n::text) AS note FROM generate_series(1, 20000) n")
    kubectl("apply", "--server-side", "-k", HOOKS)
    every_row = "SELECT count(*), md5(string_agg(n || note, ',' ORDER BY n)) FROM orders"
    before = ask(every_row)
    kubectl.roll_out()
    kubectl.apply(
        ours(
            "BackupHost",
            "orders",
            {
                "type": "Data",
                "volumes": [{"namespace": "orders", "claimNames": ["data"]}],
                "hooks": {"before": [CHECKPOINT]},
            },
        ),
        ours(
            "BackupConfiguration",
            "in-cluster",
            {"dataBackupPriority": "HIGH", "dataBackupHostConfiguration": [{"hostname": "orders"}]},
        ),
    )
    settled = ("wait", "--for=condition=Ready", f"--timeout={ROLLOUT_S}s")
    kubectl(*settled, "backuphost/orders", "backupconfiguration/in-cluster")
    kubectl.apply(a_backup("rows", backupType="DATA", hostname="orders"))
    kubectl.wait("Complete", "backup/rows", ROLLOUT_S)

    ask("DROP TABLE orders")
    volume = {"namespace": "orders", "claim": "data"}
    wanted = {"volumes": [{**volume, "targetClaim": "restored", "createClaim": True}]}
    kubectl.apply(ours("Restore", "rows", {"backupRef": {"name": "rows"}, **wanted}, "ops"))
    kubectl.wait("Planned", "restore/rows")
    digest = kubectl.get("restore", "-n", "ops", "rows")["status"]["plan"]["digest"]
    approval = json.dumps({"spec": {"mode": "Apply", "approvedPlan": digest}})
    kubectl("patch", "restore/rows", "-n", "ops", "--type=merge", "--patch", approval)
    kubectl.wait("Complete", "restore/rows", ROLLOUT_S)
    (told,) = kubectl.get("restore", "-n", "ops", "rows")["status"]["volumes"]
    assert told["filesDone"] == told["filesTotal"] > 0

    assert before.startswith("20000|")
    assert start_database(kubectl, "restored", "orders")(every_row) == before
    left = kubectl("get", "jobs,secrets", "-n", "orders", "-o=name").stdout
    assert left == "", "movers left something behind"


def test_a_mover_that_is_killed_is_followed_by_another(
    kubectl: Kubectl, bucket: S3Server, snapshots: Callable[[str], int]
) -> None:
    write_bulk(kubectl)
    with mover_at_work(kubectl, bucket, "mover-killed") as mover:
        kubectl("delete", "pod", mover, "-n", "orders", "--grace-period=0", "--force")

    kubectl.wait("Complete", "backup/mover-killed", ROLLOUT_S)
    assert snapshots("mover-killed") == 1


def test_engine_and_operator_that_are_killed_find_their_backups_again(
    kubectl: Kubectl, bucket: S3Server, snapshots: Callable[[str], int]
) -> None:
    write_bulk(kubectl)
    before = list_archives(kubectl)
    with mover_at_work(kubectl, bucket, "engine-killed"):
        kubectl.apply(*(a_backup(f"killed-{number}") for number in range(3)))
        kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--grace-period=0", "--force")

    kubectl.roll_out()
    kubectl.wait("Complete", "backup/engine-killed", ROLLOUT_S)
    for number in range(3):
        kubectl.wait("Complete", f"backup/killed-{number}", ROLLOUT_S)
    assert snapshots("engine-killed") == 1
    assert len(list_archives(kubectl) - before) == 3


def test_a_backup_outlasts_that_its_node_is_drained(
    kubectl: Kubectl, bucket: S3Server, snapshots: Callable[[str], int]
) -> None:
    write_bulk(kubectl)
    with mover_at_work(kubectl, bucket, "drained"):
        # not by eviction: with one node the budget would hold the last operator for ever
        kubectl("drain", "sandbox", "--delete-emptydir-data", "--disable-eviction", "--timeout=90s")
    kubectl("uncordon", "sandbox")

    kubectl.roll_out()
    kubectl.wait("Complete", "backup/drained", ROLLOUT_S)
    assert snapshots("drained") == 1
    kubectl.apply(a_backup("after-the-drain"))
    kubectl.wait("Complete", "backup/after-the-drain")
    kubectl("delete", "namespace", "orders", "--timeout=60s")


def write_bulk(kubectl: Kubectl) -> None:
    """Give the database's volume bytes to read for seconds, which no snapshot has yet."""
    claim = kubectl.get("pvc", "-n", "orders", "data")["spec"]["volumeName"]
    folder = Path(kubectl.get("pv", claim)["spec"]["hostPath"]["path"])
    with (folder / "bulk").open("wb") as bulk:
        for _ in range(BULK_MIB):
            bulk.write(os.urandom(1 << 20))
    (folder / "bulk").chmod(0o644)


@contextmanager
def mover_at_work(kubectl: Kubectl, bucket: S3Server, name: str) -> Iterator[str]:
    """Begin a DATA backup, and hold its mover in mid-run until the block ends; yields its pod."""
    kubectl.apply(a_backup(name, backupType="DATA", hostname="orders"))
    listed = ("get", "pods", "-n", "orders", "-l", MOVERS, "-o=name")
    running = ("--field-selector=status.phase=Running",)
    until(lambda: bool(kubectl(*listed, *running).stdout), ROLLOUT_S, "a mover runs")
    with bucket.frozen():
        (pod,) = kubectl(*listed, *running).stdout.split()
        yield pod.removeprefix("pod/")


@pytest.fixture
def snapshots(kubectl: Kubectl, bucket: S3Server, tmp_path: Path) -> Callable[[str], int]:
    """Count the snapshots of a Backup, as a kopia of one's own finds them in the bucket."""

    def count(name: str) -> int:
        secret = kubectl.get("secret", "-n", NAMESPACE, "backup-engine-repository-orders")
        password = base64.b64decode(secret["data"]["password"]).decode()
        status = kubectl.get("backup", "-n", "ops", name)["status"]
        places = RepositoryPlaces("s3://backups/volumes", environment=bucket.environment)
        place = places.find(status["hostId"], "orders")
        binary = str(ensure_binaries([KOPIA_BINARY], os.environ)[KOPIA_BINARY])
        repository = Repository(binary, place, "orders", password, tmp_path)
        archive_name = status["contentFilePath"].rpartition("/")[2]

        async def look() -> int:
            await repository.connect()
            return len(await repository.list_snapshots(archive_name))

        return asyncio.run(look())

    return count
