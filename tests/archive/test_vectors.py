"""Archives written long ago are still read."""

import base64
from collections.abc import Sequence
from pathlib import Path

import pytest

from backup_engine.archive.encryption import load_identities
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.trust import load_trust
from backup_engine.archive.verifying import verify_archive
from backup_engine.archive.zstandard import ZstdDecompressor

VECTORS = Path(__file__).parent / "vectors"
FIRST, SECOND = (VECTORS / f"{name}.identity.txt" for name in ("first", "second"))
NAME = "backup.vector.console_1.23_11_2026.config.1795435200000.tar"
LINES = [
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"größe","namespace":"default"},"data":{"n":"1"}}',
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"plain","namespace":"default"},"data":{"n":"1"}}',
]


def unpack(vector: str, archives: Path) -> ArchiveStore:
    packed = base64.b64decode((VECTORS / f"{vector}.tar.zst.b64").read_bytes())
    archives.mkdir()
    (archives / NAME).write_bytes(ZstdDecompressor().decompress(packed))
    return ArchiveStore.open(archives.as_uri())


@pytest.mark.parametrize(
    ("vector", "keys"),
    [("plain", []), ("signed", []), ("encrypted", [FIRST]), ("encrypted", [SECOND])],
)
async def test_an_archive_of_format_1_0_is_read(
    archives: Path, vector: str, keys: Sequence[Path]
) -> None:
    store = unpack(vector, archives)
    identities = load_identities(keys)
    trust = load_trust(VECTORS, is_signature_required=vector != "plain")

    verdict = await verify_archive(store, NAME, trust=trust, identities=identities)
    reader = await ArchiveReader.open(store.reader(NAME), trust=trust, identities=identities)
    lines = [line.decode() async for _, line in reader.list_objects(lambda _: True)]

    assert (verdict.is_valid, verdict.reason) == (True, "Verified")
    assert lines == LINES
    assert reader.manifest.cluster.kubernetes_version == "v1.36.3"
    assert [skip.reason for skip in reader.manifest.skipped] == ["Ephemeral"]
