"""Archives that rot, come from elsewhere, or can no longer be taken back are told."""

# ruff: noqa: ASYNC240 - the files are small, and the engine works on the same loop anyway
import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backup_api.backups import BackupRecord, BackupType
from backup_engine.archive.criteria import (
    ADDRESS_CLASH,
    CLUSTER_DIFFERS,
    PRODUCT_DIFFERS,
    ROLE_DIFFERS,
    find_criterion,
)
from backup_engine.archive.envelope import ClearBackup, ClearCluster, ClearHost, Header
from backup_engine.archive.manifest import PRODUCT_NAME, THIS_FORMAT, Product
from backup_engine.archive.pacing import ReadPace
from backup_engine.capture.discovery import Kind
from backup_engine.product import build_console
from backup_engine.records.backups import StoredBackup
from backup_engine.records.verifications import NeededKind, Verification, VerificationRecords
from backup_engine.restore.serving import ServedKind, ServedKinds
from backup_engine.runs.compatibility import build_basis, judge_compatibility
from backup_engine.runs.scanning import ScanRules
from backup_engine.runs.verifying import Expected, judge_origin
from listserver import ListServer
from localengine import LocalEngine, local_engine
from localengine.engine import PRODUCT

CONSOLE = build_console(PRODUCT)
RECORD = BackupRecord.model_validate({"id": 7, "type": BackupType.CONFIG, "host_id": CONSOLE.id})
EXPECTED = Expected(StoredBackup(RECORD, "a.tar", None, None, None), CONSOLE, "here")
CONTINUOUS = ScanRules(every_s=0.001, bytes_per_s=None, look_every_s=0.05, rest_s=0.1)


def a_header(
    *,
    kind: str = "CONFIG",
    host: tuple[int, str | None] = (CONSOLE.id, CONSOLE.hostname),
    product: str = PRODUCT_NAME,
    cluster: str | None = "here",
) -> Header:
    return Header(
        format=THIS_FORMAT,
        encryption="none",
        backup=ClearBackup(
            id=7,
            name="x",
            type=kind,
            time_initiated_ms=1,
            initiated_by=None,
            host=ClearHost(id=host[0], name=host[1]),
        ),
        product=Product(name=product, version="1"),
        cluster=ClearCluster(uid=cluster, kubernetes_version="v1.36.3"),
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (a_header(), None),
        (a_header(host=(CONSOLE.id, None)), None),
        (a_header(cluster=None), None),
        (a_header(kind="DATA"), ROLE_DIFFERS),
        (a_header(host=(99, "other")), ROLE_DIFFERS),
        (a_header(product="another-operator"), PRODUCT_DIFFERS),
        (a_header(cluster="elsewhere"), CLUSTER_DIFFERS),
    ],
)
def test_an_archive_of_another_engine_is_told_with_its_reason(
    header: Header, reason: str | None
) -> None:
    verdict = judge_origin(header, EXPECTED)

    assert (verdict.reason if verdict is not None else None) == reason
    assert reason is None or find_criterion(reason) is not None


def test_a_host_with_the_name_of_the_console_is_an_address_clash() -> None:
    record = RECORD.model_copy(update={"host_id": 99})
    expected = replace(EXPECTED, backup=replace(EXPECTED.backup, record=record))

    verdict = judge_origin(a_header(host=(99, CONSOLE.hostname)), expected)

    assert verdict is not None
    assert verdict.reason == ADDRESS_CLASH


def test_a_cluster_that_does_not_answer_is_no_reason() -> None:
    assert judge_origin(a_header(cluster="any"), replace(EXPECTED, cluster_uid=None)) is None


def served(*kinds: tuple[str, str, str]) -> ServedKinds:
    return ServedKinds(
        ServedKind(Kind(group, version, resource, "K", is_namespaced=True), has_status=False)
        for group, version, resource in kinds
    )


def test_compatible_is_what_is_served_in_any_version_or_defined_by_the_archive() -> None:
    cluster = served(("", "v1", "secrets"), ("apps", "v1", "deployments"))
    kinds = (
        NeededKind("v1", "secrets"),
        NeededKind("apps/v1beta1", "deployments"),
        NeededKind("zoo.io/v1", "apes", is_defined=True),
        NeededKind("gone.io/v1", "dodos"),
    )

    verdict = judge_compatibility(kinds, cluster)

    assert not verdict.is_compatible
    assert verdict.incompatibilities == ("dodos (gone.io/v1): not served by this cluster",)
    assert verdict.conversions == ("deployments (apps/v1beta1): restored as apps/v1",)
    assert judge_compatibility(kinds[:3], cluster).is_compatible


def test_the_basis_changes_with_what_is_served_and_with_the_program() -> None:
    one, other = served(("", "v1", "secrets")), served(("", "v2", "secrets"))

    assert build_basis(one, "1.0") == build_basis(one, "1.0")
    assert len({build_basis(one, "1.0"), build_basis(other, "1.0"), build_basis(one, "1.1")}) == 3


async def test_reading_keeps_to_its_pace() -> None:
    now = 100.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    pace = ReadPace(1000, clock=lambda: now, sleep=sleep)
    for _ in range(3):
        await pace.spend(500)
    now += 60  # a rest saves nothing up
    for _ in range(2):
        await pace.spend(500)

    assert slept == [0.5, 0.5, 0.5]


@pytest.fixture
async def scanned(tmp_path: Path, source: ListServer) -> AsyncIterator[LocalEngine]:
    async with local_engine(tmp_path, source.kubeconfig(tmp_path), scan=CONTINUOUS) as engine:
        engine.start()
        yield engine


async def known(engine: LocalEngine, backup_id: int) -> Verification:
    async with engine.database.reading() as connection:
        return await VerificationRecords(connection).find(backup_id)


async def until(engine: LocalEngine, backup_id: int, **wanted: object) -> dict[str, Any]:
    async with asyncio.timeout(100):
        while True:
            record = await engine.get(backup_id)
            if all(record[name] == value for name, value in wanted.items()):
                return record
            await asyncio.sleep(0.02)


def exchange(path: Path, content: bytes) -> None:
    """Put other bytes in an archive's place at once: it is never seen half written."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


async def test_a_bit_that_rots_is_found_by_the_deep_scan_and_its_repair_as_well(
    scanned: LocalEngine,
) -> None:
    backup_id = (await scanned.create("first")).json()["id"]
    path = Path((await scanned.until(backup_id, "SUCCESS"))["content_file_path"])
    content = path.read_bytes()
    rotten = bytearray(content)
    rotten[len(content) // 2] ^= 1

    exchange(path, bytes(rotten))
    record = await until(scanned, backup_id, is_valid=False)
    found = await known(scanned, backup_id)
    exchange(path, content)
    await until(scanned, backup_id, is_valid=True)

    assert record["status"] == "SUCCESS"
    assert find_criterion(found.reason) is not None
    assert found.time_verified is not None
    assert (await known(scanned, backup_id)).reason == "Verified"


async def test_the_deep_scan_reads_no_faster_than_its_rate(
    tmp_path: Path, source: ListServer
) -> None:
    rate = 16_000
    rules = ScanRules(bytes_per_s=rate, look_every_s=0.02)
    loop = asyncio.get_running_loop()
    async with local_engine(tmp_path, source.kubeconfig(tmp_path), scan=rules) as engine:
        engine.start()
        backup_id = (await engine.create("first")).json()["id"]
        size_bytes = (await engine.until(backup_id, "SUCCESS"))["size_on_disk"]
        begun = loop.time()
        async with engine.database.writing() as connection:
            await VerificationRecords(connection).request(backup_id, 1)
        async with asyncio.timeout(30):
            while (await known(engine, backup_id)).time_requested is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    # its first read is free, and behind its last it rests no more
    assert loop.time() - begun > size_bytes / 2 / rate


async def test_an_archive_cut_short_is_told_by_the_light_scan_alone(local: LocalEngine) -> None:
    backup_id = (await local.create("first")).json()["id"]
    path = Path((await local.until(backup_id, "SUCCESS"))["content_file_path"])
    os.truncate(path, path.stat().st_size - 512)

    record = await until(local, backup_id, is_valid=False)

    assert (record["status"], record["size_on_disk"]) == ("SUCCESS", path.stat().st_size)
    assert (await known(local, backup_id)).reason == "ManifestMissing"


async def test_a_verification_that_is_asked_for_comes_soon(local: LocalEngine) -> None:
    backup_id = (await local.create("first")).json()["id"]
    await local.until(backup_id, "SUCCESS")
    before = await known(local, backup_id)
    async with local.database.writing() as connection:
        await VerificationRecords(connection).request(backup_id, 1)

    async with asyncio.timeout(100):
        while (after := await known(local, backup_id)).time_requested is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    assert (before.reason, before.depth) == ("Verified", "CONTENTS")
    assert before.time_verified is not None
    assert after.time_verified is not None
    assert after.time_verified >= before.time_verified


async def test_compatibility_follows_what_the_cluster_serves(
    local: LocalEngine, source: ListServer
) -> None:
    backup_id = (await local.create("first")).json()["id"]
    await local.until(backup_id, "SUCCESS")
    lost = source.listings.pop()

    assert (await until(local, backup_id, is_version_compatible=False))["is_valid"] is True
    found = await known(local, backup_id)
    source.add(lost)
    await until(local, backup_id, is_version_compatible=True)

    assert any(lost.resource in told for told in found.incompatibilities)
    assert (await known(local, backup_id)).incompatibilities == ()
