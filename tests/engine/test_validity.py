"""Why an archive is not valid, as a client of the API is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from backup_engine.archive.manifest import (
    BackupFacts,
    ClusterIdentity,
    Host,
    ListEntry,
    Manifest,
    Product,
    Scope,
    encode_document,
)
from backup_engine.archive.part import KindName, PartBuilder
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.writing import ArchiveWriter, build_origin
from backup_engine.records.tables import BACKUPS
from backup_engine.runs.safekeeping import Safekeeping
from listserver import ListServer
from localengine import LocalEngine, local_engine

KIND = KindName("v1", "ConfigMap", "configmaps")
LINE = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"n"}}'
LISTED = ListEntry(
    api_version="v1",
    kind="ConfigMap",
    resource="configmaps",
    namespace=None,
    resource_version="1",
    is_consistent=True,
    objects=1,
)


def unchanged(manifest: bytes) -> bytes:
    return manifest


@dataclass(frozen=True)
class Forged:
    """How an archive differs from the engine's own, whose digests and signature are all right."""

    kind: str = "CONFIG"
    host: Host = field(default_factory=lambda: Host(id=1, name="console"))
    product: str = "backup-operator"
    cluster: str = "cluster-uid"
    change: Callable[[bytes], bytes] = unchanged
    signer: str | None = "signing"  # directory of its keys
    record_host: int = 1


class ForgingWriter(ArchiveWriter):
    """Writes another manifest than it should, with digest and signature of the other one."""

    change: Callable[[bytes], bytes] = staticmethod(unchanged)

    def _encode_manifest(self, manifest: Manifest) -> bytes:
        return self.change(encode_document(manifest))


@pytest.fixture
async def signing_engine(tmp_path: Path, source: ListServer) -> AsyncIterator[LocalEngine]:
    safekeeping = Safekeeping(SigningDirectory(tmp_path / "signing"), is_signature_required=True)
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(tmp_path, kubeconfig, safekeeping=safekeeping) as engine:
        engine.start()
        yield engine


async def put_in_place(engine: LocalEngine, record: dict[str, Any], forged: Forged) -> None:
    """Write the forged archive and move it to where the record's own one lies."""
    final = Path(record["content_file_path"])
    protection = UNPROTECTED
    if forged.signer is not None:
        signing = SigningDirectory(engine.directory / forged.signer)
        protection = Protection(signer=signing.ensure_signer(datetime.now(UTC)))
    facts = BackupFacts(
        id=record["id"],
        name=record["name"],
        type=forged.kind,
        time_initiated_ms=record["time_initiated"],
        initiated_by=None,
        host=forged.host,
    )
    product = Product(name=forged.product, version="1.2.3")
    cluster = ClusterIdentity(uid=forged.cluster, kubernetes_version="v1.36.3")
    beside = engine.directory / "forged"
    async with ArchiveStore.open(beside.as_uri()).writer(final.name) as place:
        archive = ForgingWriter(place, build_origin(facts, product, cluster), protection)
        archive.change = forged.change
        await archive.begin()
        builder = PartBuilder(KIND)
        builder.add(LINE, "n", "m", "uid", "1")
        part = builder.finish()
        assert part is not None
        await archive.add(part)
        await archive.commit(Scope(namespaces=None), [LISTED], [])
    if forged.record_host != record["host_id"]:
        async with engine.database.writing() as connection:
            await connection.execute(update(BACKUPS).values(host_id=forged.record_host))
    (beside / final.name).replace(final)


@pytest.mark.parametrize(
    ("forged", "reason", "criterion"),
    [
        pytest.param(Forged(), "Verified", None, id="sound"),
        pytest.param(
            Forged(change=lambda told: told.replace(b'"totals"', b'"Totals"')),
            "ManifestIncomplete",
            "MANIFEST_INCOMPLETE",
            id="the manifest lacks properties",
        ),
        pytest.param(
            Forged(change=lambda told: told[:-10]),
            "ManifestUnreadable",
            "MANIFEST_UNREADABLE",
            id="the manifest is unreadable",
        ),
        pytest.param(
            Forged(kind="DATA"),
            "ClusterRoleDiffers",
            "CLUSTER_ROLE",
            id="an archive of another kind of host",
        ),
        pytest.param(
            Forged(product="another-operator"),
            "ProductDiffers",
            "PRODUCT_NAME",
            id="the product's name differs",
        ),
        pytest.param(
            Forged(cluster="another-deployment"),
            "ClusterDiffers",
            "CLUSTER_NAME",
            id="the cluster differs: an archive of another deployment",
        ),
        pytest.param(
            Forged(host=Host(id=7, name="console"), record_host=7),
            "AddressClash",
            "ADDRESS",
            id="another host has the console's name",
        ),
        pytest.param(
            Forged(signer="signing-of-others"),
            "SignerUnknown",
            "SIGNATURE",
            id="signed by somebody else",
        ),
        pytest.param(Forged(signer=None), "SignatureMissing", "SIGNATURE", id="not signed"),
    ],
)
async def test_the_api_tells_why_an_archive_is_not_valid(
    signing_engine: LocalEngine, forged: Forged, reason: str, criterion: str | None
) -> None:
    backup_id = (await signing_engine.create("first")).json()["id"]
    record = await signing_engine.until(backup_id, "SUCCESS")
    await put_in_place(signing_engine, record, forged)
    path = f"/api/backup_engine/backups/{backup_id}/verification"

    before = (await signing_engine.send("POST", path)).json()
    async with asyncio.timeout(100):
        while (told := (await signing_engine.send("GET", path)).json())["time_requested"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    assert before["verdict"] == "VALID"
    assert (told["reason"], told["criterion"]) == (reason, criterion), told["message"]
    assert told["verdict"] == ("INVALID" if criterion else "VALID")
    assert (await signing_engine.get(backup_id))["is_valid"] is (criterion is None)
