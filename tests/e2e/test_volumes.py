"""DATA backups of a PostgreSQL on a real kubelet, whatever dies in the midst of them."""

import asyncio
import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.repository import Repository
from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.versions import KOPIA_BINARY
from e2e.installation import VOLUMES_OVERLAY, list_archives
from e2e.kubectl import FINISH_S, NAMESPACE, ROLLOUT_S, Kubectl, until
from e2e.resources import a_backup, a_claim, ours, start_database
from fixtures.s3_server import S3Server

MOVERS = "app.kubernetes.io/component=mover"
BULK_MIB = 150
TRIES = 3
HOOKS = "manifests/hooks"
CHECKPOINT = {
    "namespace": "orders",
    "selector": {"matchLabels": {"app": "data"}},
    "command": ["psql", "--username=postgres", "--command=CHECKPOINT"],
}

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


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
    left = ("get", "jobs,secrets", "-n", "orders", "-o=name")
    until(lambda: kubectl(*left).stdout == "", FINISH_S, "movers leave nothing behind")


def test_a_mover_that_is_killed_is_followed_by_another(
    kubectl: Kubectl, bucket: S3Server, snapshots: Callable[[str], int]
) -> None:
    with mover_at_work(kubectl, bucket, "mover-killed") as (name, mover):
        kubectl("delete", "pod", mover, "-n", "orders", "--grace-period=0", "--force")

    kubectl.wait("Complete", f"backup/{name}", ROLLOUT_S)
    assert snapshots(name) == 1


def test_engine_and_operator_that_are_killed_find_their_backups_again(
    kubectl: Kubectl, bucket: S3Server, snapshots: Callable[[str], int]
) -> None:
    before = list_archives(kubectl)
    with mover_at_work(kubectl, bucket, "engine-killed") as (name, _):
        kubectl.apply(*(a_backup(f"killed-{number}") for number in range(3)))
        kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--grace-period=0", "--force")

    kubectl.roll_out()
    kubectl.wait("Complete", f"backup/{name}", ROLLOUT_S)
    for number in range(3):
        kubectl.wait("Complete", f"backup/killed-{number}", ROLLOUT_S)
    assert snapshots(name) == 1
    assert len(list_archives(kubectl) - before) == 3


def test_a_backup_outlasts_that_its_node_is_drained(
    kubectl: Kubectl, bucket: S3Server, snapshots: Callable[[str], int]
) -> None:
    with mover_at_work(kubectl, bucket, "drained") as (name, _):
        # not by eviction: with one node the budget would hold the last operator for ever
        kubectl("drain", "sandbox", "--delete-emptydir-data", "--disable-eviction", "--timeout=90s")
    kubectl("uncordon", "sandbox")

    kubectl.roll_out()
    kubectl.wait("Complete", f"backup/{name}", ROLLOUT_S)
    assert snapshots(name) == 1
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
def mover_at_work(kubectl: Kubectl, bucket: S3Server, name: str) -> Iterator[tuple[str, str]]:
    """Begin a DATA backup, and hold its mover in mid-run until the block ends.

    Yields the name of the backup, and the mover's pod. A mover that had ended before anybody could
    hold it, on a machine that stalled, is followed by another backup.
    """
    running = (
        *("get", "pods", "-n", "orders", "-l", MOVERS, "-o=name"),
        "--field-selector=status.phase=Running",
    )
    for attempt in range(TRIES):
        backup = f"{name}-{attempt}"
        write_bulk(kubectl)
        kubectl.apply(a_backup(backup, backupType="DATA", hostname="orders"))
        until(partial(is_to_be_held, kubectl, running, backup), ROLLOUT_S, "a mover runs")
        with bucket.frozen():
            pods = kubectl(*running).stdout.split()
            if pods:
                (pod,) = pods
                yield backup, pod.removeprefix("pod/")
                return
        kubectl.wait("Complete", f"backup/{backup}", ROLLOUT_S)
    pytest.fail("no mover could be held")


def is_to_be_held(kubectl: Kubectl, running: tuple[str, ...], name: str) -> bool:
    """Whether a mover runs, or has ended."""
    if kubectl(*running).stdout:
        return True
    told = kubectl.get("backup", "-n", "ops", name).get("status", {}).get("conditions", ())
    return any((one["type"], one["status"]) == ("Complete", "True") for one in told)


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
