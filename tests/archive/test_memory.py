"""Memory does not grow with the archive, also when everything is encrypted."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from fixtures.s3_server import S3Server

pytest_plugins = ["fixtures.s3"]

WRITE_AND_VERIFY = """
import asyncio, json, os, re, sys
from backup_engine.archive.encryption import Recipients, load_identities
from backup_engine.archive.manifest import *
from backup_engine.archive.part import KindName, PartBuilder
from backup_engine.archive.protection import Protection
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.archive.writing import ArchiveWriter, build_origin
from pathlib import Path

NAME = "backup.x.console_1.23_11_2026.config.1.tar"

async def main(url, identity, recipient, parts):
    store = ArchiveStore.open(url)
    protection = Protection(Recipients([recipient]))
    kind = KindName("v1", "Secret", "secrets")
    origin = build_origin(
        BackupFacts(id=1, name="x", type="CONFIG", time_initiated_ms=1, initiated_by=None,
                    host=Host(id=1, name="console")),
        Product(name="backup-operator", version="0"),
        ClusterIdentity(uid=None, kubernetes_version="v1"),
    )
    builder = PartBuilder(kind, protection.recipients)
    written = objects = 0
    async with store.writer(NAME) as place:
        archive = ArchiveWriter(place, origin, protection)
        await archive.begin()
        while written < parts:
            name = f"object-{objects}"
            part = builder.add(os.urandom(250_000).hex().encode(), None, name, "", "")
            objects += 1
            if part is not None:
                await archive.add(part)
                written += 1
        await archive.commit(Scope(namespaces=None), [ListEntry(
            api_version="v1", kind="Secret", resource="secrets", namespace=None,
            resource_version="1", is_consistent=True, objects=objects)], [])
    verdict = await verify_archive(store, NAME, identities=load_identities([Path(identity)]))
    assert verdict.reason == "Verified", verdict
    # not ru_maxrss, which a child takes over from the process that started it
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps([await store.find_size(NAME), peak]))

asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
"""
UPLOAD = """
import asyncio, os, re, sys
from pathlib import Path
from backup_engine.allocation import unmap_large_buffers
from backup_engine.archive.store import ArchiveStore

def read(what):
    return int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

async def main(url, pieces):
    store = ArchiveStore.open(url)
    async with store.resumable_writer("backup.x.console_1.23_11_2026.config.1.tar", "us") as place:
        await place.write(os.urandom(1000))
        await place.flush()  # what obstore needs for its first request is no part of the growth
        before = read("VmRSS")
        for number in range(pieces):
            await place.write(os.urandom(1024 * 1024))
            place.cut(number)
            if number % 8 == 0:
                await place.flush()
        await place.flush()
        await place.publish()
    print(read("VmHWM") - before)

unmap_large_buffers()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
MIB = 1024 * 1024
LARGEST_UPLOAD_MIB = 48  # two segments being read, three pieces of the upload, their copies
LARGEST_GROWTH_MIB = 72  # what threads leave unused; 36 parts more are 85 packed, 170 unpacked
LARGEST_MIB = 280  # Python with all of it imported is 50, a part with its copies the rest


def test_writing_and_verifying_an_encrypted_archive_takes_the_memory_of_one_part(
    tmp_path: Path,
) -> None:
    from_file = tmp_path / "key"
    made = subprocess.run(
        [sys.executable, "-m", "backup_engine", "archive", "keygen", "--output", str(from_file)],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    peaks = []
    for parts in (12, 48):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                WRITE_AND_VERIFY,
                (tmp_path / str(parts)).as_uri(),
                str(from_file),
                made.stdout.strip(),
                str(parts),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=200,
        )
        size, peak = json.loads(done.stdout)
        assert size > parts * 2 * MIB
        peaks.append(peak)

    assert peaks[1] < peaks[0] + LARGEST_GROWTH_MIB
    assert peaks[1] < LARGEST_MIB


def test_uploading_takes_the_memory_of_a_few_pieces(s3_server: S3Server) -> None:
    bucket = f"memory-{secrets.token_hex(4)}"
    s3_server.make_bucket(bucket)
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, f"s3://{bucket}", "64"],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, **s3_server.environment},
    )

    assert float(done.stdout) < LARGEST_UPLOAD_MIB
