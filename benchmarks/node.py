"""Measure on a real kubelet how soon node and image are ready, and what a mover costs.

The sandbox's node runs the image that `make image` wrote: first, how long it takes from cached
binaries to a Running pod, the image imported on the way. The engine starts several times: from its
pod being made to its being Ready, by the API server's whole seconds, and from the start of its
process to the first 200 of /readyz. Then DATA backups of one volume, and of many at once, to a real
S3 server on this machine, beside the bare kopia command line on the same files to the same server:
what is left is what the Job, its pod and the engine's bookkeeping cost.

Usage: python benchmarks/node.py [--image build/image.tar] [--volumes 20] [--rounds 3] [--json FILE]
"""

import argparse
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from backup_sandbox import running_sandbox
from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.node.addresses import Addresses
from backup_sandbox.state import State
from backup_sandbox.versions import KOPIA_BINARY
from e2e.kubectl import NAMESPACE, Kubectl
from e2e.resources import Resource, a_backup, a_claim, ours
from fixtures.s3_server import S3Server, find_weed, running_server

LONGEST_OVERHEAD_S = 5.0
LONGEST_NODE_S = 60.0
NODE = "node: cached binaries to Running pod"
IMAGE = "backup-operator:0.1.0"
FILES = 20
FILE_BYTES = 50_000
PLACE = "bench"
ENGINE = ("-n", NAMESPACE, "-l", "app.kubernetes.io/name=backup-engine")
UNVERIFIED = ssl._create_unverified_context()  # noqa: S323, SLF001 - nothing secret is asked
STARTED = (
    "import os, time; ticks = int(open('/proc/1/stat').read().rpartition(') ')[2].split()[19]);"
    "up = float(open('/proc/uptime').read().split()[0]);"
    "print(time.time() - up + ticks / os.sysconf('SC_CLK_TCK'))"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result; seconds are medians."""

    what: str
    seconds: float
    bare_s: float | None = None
    overhead_s: float | None = None


def measure_help(kubectl: Kubectl, program: str) -> float:
    """Run a program of the image that only says how it is called; returns seconds."""
    timed = (
        "import subprocess, time; began = time.perf_counter();"
        f"subprocess.run(['{program}', '--help'], check=True, capture_output=True);"
        "print(time.perf_counter() - began)"
    )
    return float(kubectl.in_engine(timed).stdout)


def measure_pod(kubectl: Kubectl) -> float:
    """Return the seconds, whole ones, from the engine's pod being made to its being Ready."""
    (pod,) = kubectl.get("pods", *ENGINE)["items"]
    (ready,) = (each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    began, ended = (
        datetime.fromisoformat(each)
        for each in (pod["metadata"]["creationTimestamp"], ready["lastTransitionTime"])
    )
    return (ended - began).total_seconds()


def measure_start(kubectl: Kubectl) -> tuple[float, float]:
    """Have the engine's pod made anew; returns seconds to readiness: its process's, its pod's."""
    (old,) = kubectl.get("pods", *ENGINE)["items"]
    kubectl("delete", "pod", old["metadata"]["name"], "-n", NAMESPACE, "--wait=true")
    address = None
    while address is None:
        pods = kubectl.get("pods", *ENGINE)["items"]
        address = next((each["status"].get("podIP") for each in pods), None)
    while not is_ready(f"https://{address}:8443/readyz"):
        time.sleep(0.01)
    ready = time.time()
    kubectl.roll_out("backup-engine")
    return ready - float(kubectl.in_engine(STARTED).stdout), measure_pod(kubectl)


def is_ready(url: str) -> bool:
    """Tell whether the engine says so itself."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=UNVERIFIED) as answer:  # noqa: S310
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def start_pod(kubectl: Kubectl) -> None:
    """Have a first pod of our image run."""
    program = ("--command", "--", "python3", "-c", "import time; time.sleep(1e6)")
    kubectl("run", "first", f"--image={IMAGE}", "--restart=Never", *program)
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/first", "--timeout=120s")


def a_holder(names: Sequence[str], image: str) -> Resource:
    """Build a pod that has all the claims, as an application would."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holder", "namespace": PLACE},
        "spec": {
            "containers": [
                {
                    "name": "holder",
                    "image": image,
                    "command": ["python3", "-c", "import time; time.sleep(1e6)"],
                    "volumeMounts": [{"name": name, "mountPath": f"/v/{name}"} for name in names],
                }
            ],
            "volumes": [
                {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names
            ],
        },
    }


def fill(folder: Path) -> None:
    """Write files anew that nobody has stored."""
    for number in range(FILES):
        (folder / str(number)).write_bytes(os.urandom(FILE_BYTES))


def measure_backup(kubectl: Kubectl, name: str, hostname: str) -> float:
    """Make a DATA backup; returns seconds by the engine's own record."""
    kubectl.apply(a_backup(name, backupType="DATA", hostname=hostname))
    kubectl.wait("Complete", f"backup/{name}", 170)
    status = kubectl.get("backup", "-n", "ops", name)["status"]
    began, ended = (
        datetime.fromisoformat(status[field]) for field in ("timeInitiated", "timeCompleted")
    )
    return (ended - began).total_seconds()


class Bare:
    """The bare kopia command line on the same files and the same server."""

    def __init__(self, home: Path, bucket: S3Server) -> None:
        self._home = home
        self._binary = str(ensure_binaries([KOPIA_BINARY], os.environ)[KOPIA_BINARY])
        self._environment = {**os.environ, **bucket.environment, "KOPIA_PASSWORD": "benchmark"}
        endpoint = bucket.endpoint.removeprefix("http://")
        place = ("--bucket=backups", "--prefix=bare/", f"--endpoint={endpoint}", "--disable-tls")
        self._run("repository", "create", "s3", *place, "--region=us-east-1")
        self._run("policy", "set", "--global", "--compression=zstd-fastest")

    def snapshot(self, folder: Path) -> float:
        """Take a snapshot; returns seconds."""
        began = time.perf_counter()
        self._run("snapshot", "create", str(folder), "--no-auto-maintenance")
        return time.perf_counter() - began

    def _run(self, *arguments: str) -> None:
        own = (f"--config-file={self._home / 'config'}", "--disable-file-logging", "--no-progress")
        subprocess.run(
            [self._binary, *arguments, *own],
            check=True,
            env={**self._environment, "HOME": str(self._home)},
            capture_output=True,
        )


def install(kubectl: Kubectl, bucket: S3Server, volumes: int) -> list[Path]:
    """Install the engine, and hosts of one and of all volumes; returns the volumes' folders."""
    names = [f"volume-{number:02}" for number in range(volumes)]
    for namespace in ("ops", PLACE):
        kubectl("create", "namespace", namespace)
    kubectl("apply", "--server-side", "-k", "manifests/system")
    literals = [f"--from-literal={name}={value}" for name, value in bucket.environment.items()]
    kubectl("create", "secret", "generic", "-n", NAMESPACE, "backup-engine-bucket", *literals)
    kubectl("apply", "--server-side", "-k", "manifests/overlays/volumes")
    kubectl("apply", "-f", "manifests/samples/backupengine.yaml")
    kubectl.apply(*(a_claim(name, PLACE) for name in names))
    kubectl.apply(a_holder(names, IMAGE))
    kubectl("wait", "--for=condition=Ready", "pod/holder", "-n", PLACE, "--timeout=120s")
    kubectl.roll_out()
    selections: dict[str, dict[str, object]] = {
        "one": {"claimNames": names[:1]},
        "all": {"selector": {}},
    }
    kubectl.apply(
        *(
            ours(
                "BackupHost",
                name,
                {"type": "Data", "volumes": [{"namespace": PLACE, **chosen}]},
            )
            for name, chosen in selections.items()
        ),
        ours(
            "BackupConfiguration",
            "in-cluster",
            {
                "dataBackupPriority": "HIGH",
                "dataBackupHostConfiguration": [{"hostname": name} for name in selections],
            },
        ),
    )
    kubectl(
        *("wait", "--for=condition=Ready", "--timeout=120s"),
        *("backuphost/one", "backuphost/all", "backupconfiguration/in-cluster"),
    )
    bound = (kubectl.get("pvc", "-n", PLACE, name)["spec"]["volumeName"] for name in names)
    return [Path(kubectl.get("pv", each)["spec"]["hostPath"]["path"]) for each in bound]


def measure(kubectl: Kubectl, bucket: S3Server, volumes: int, rounds: int, home: Path) -> list[Row]:
    """Install and measure all."""
    folders = install(kubectl, bucket, volumes)
    starts = [measure_start(kubectl) for _ in range(rounds)]
    bare = Bare(home, bucket)
    seconds: dict[str, list[float]] = {"one": [], "all": []}
    plain: dict[str, list[float]] = {"one": [], "all": []}
    for number in range(rounds + 1):  # the first is to warm up
        for name, chosen in (("one", folders[:1]), ("all", folders)):
            for folder in chosen:
                fill(folder)
            plain[name].append(sum(bare.snapshot(folder) for folder in chosen))
            seconds[name].append(measure_backup(kubectl, f"{name}-{number}", name))
    processes, pods = (statistics.median(each) for each in zip(*starts, strict=True))
    rows = [
        Row("engine: pod made to Ready", pods),
        Row("engine: process to /readyz", round(processes, 2)),
    ]
    for program in ("backup-engine", "backup-operator"):
        shown = (measure_help(kubectl, program) for _ in range(rounds))
        rows.append(Row(f"{program} --help", round(statistics.median(shown), 2)))
    for name, count in (("one", 1), ("all", volumes)):
        taken, alone = (statistics.median(each[name][1:]) for each in (seconds, plain))
        overhead = (taken - alone) / count
        what = f"DATA backup, {count} volume{'s' if count > 1 else ''}"
        rows.append(Row(what, round(taken, 2), round(alone, 2), round(overhead, 2)))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit code 1 if a mover or the node takes too long, 3 without an image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, default=Path("build/image.tar"))
    parser.add_argument("--volumes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    if not arguments.image.is_file():
        sys.stderr.write(f"benchmarks/node.py: no {arguments.image}; run `make image` first\n")
        return 3
    weed = find_weed()
    if weed is None:
        sys.stderr.write("benchmarks/node.py: no weed; run `make install` first\n")
        return 3
    with tempfile.TemporaryDirectory(prefix="node-benchmark-") as place:
        root = Path(place)
        for name in ("s3", "bare"):
            (root / name).mkdir()
        began = time.perf_counter()
        with running_sandbox(root / "sandbox", node=True, images=[arguments.image]) as sandbox:
            kubectl = Kubectl(sandbox)
            start_pod(kubectl)
            first = Row(NODE, round(time.perf_counter() - began, 1))
            kubectl("delete", "pod", "first", "--grace-period=0", "--force")
            state = State.find(root / "sandbox" / "state.json")
            assert state is not None
            assert state.node_number is not None
            address = str(Addresses(state.node_number).host)
            with running_server(weed, root / "s3", address) as bucket:
                bucket.make_bucket("backups")
                home = root / "bare"
                rows = [
                    first,
                    *measure(kubectl, bucket, arguments.volumes, arguments.rounds, home),
                ]
    print(f"{'what':<36}{'seconds':>9}{'bare s':>9}{'overhead of each s':>20}")
    for row in rows:
        rest = "" if row.bare_s is None else f"{row.bare_s:>9.2f}{row.overhead_s:>20.2f}"
        print(f"{row.what:<36}{row.seconds:>9.2f}{rest}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    slow = [row.what for row in rows if (row.overhead_s or 0.0) > LONGEST_OVERHEAD_S]
    if slow:
        print(f"over the budget of {LONGEST_OVERHEAD_S} s for each volume: {'; '.join(slow)}")
    if first.seconds > LONGEST_NODE_S:
        slow.append(first.what)
        print(f"over the budget of {LONGEST_NODE_S} s: {first.what}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
