"""A reader written from docs/archive-format.md alone understands what we write."""

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from backup_engine.archive.encryption import Recipients, load_identities
from backup_engine.archive.errors import ArchiveDamagedError, ArchiveLockedError
from backup_engine.archive.manifest import (
    BackupFacts,
    ClusterIdentity,
    Host,
    ListEntry,
    Product,
    Scope,
)
from backup_engine.archive.part import KindName, PartBuilder
from backup_engine.archive.protection import Protection
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.archive.writing import ArchiveWriter, build_origin
from backup_engine.archive.zstandard import ZstdDecompressor
from strangersreader import DamagedError, StrangersReader

WriteArchive = Callable[..., Awaitable[str]]
VECTORS = Path(__file__).parent / "vectors"
FIRST, SECOND = (VECTORS / f"{name}.identity.txt" for name in ("first", "second"))
RECIPIENT = FIRST.read_text().partition("public key: ")[2].split()[0]
TINY = "backup.tiny.c_1.1_1_1970.config.0.tar"


def unpack(vector: str) -> bytes:
    packed = base64.b64decode((VECTORS / f"{vector}.tar.zst.b64").read_bytes())
    return ZstdDecompressor().decompress(packed)


async def write_tiny() -> bytes:
    """Write the smallest archive there is: one object of a few bytes."""
    kind = KindName("v1", "ConfigMap", "configmaps")
    backup = BackupFacts(
        id=1,
        name="tiny",
        type="CONFIG",
        time_initiated_ms=0,
        initiated_by=None,
        host=Host(id=1, name="c"),
    )
    product = Product(name="backup-operator", version="0")
    cluster = ClusterIdentity(uid=None, kubernetes_version="v1")
    store = ArchiveStore.open("memory:///")
    async with store.writer(TINY) as place:
        archive = ArchiveWriter(place, build_origin(backup, product, cluster))
        await archive.begin()
        builder = PartBuilder(kind)
        builder.add(b'{"metadata":{"name":"a"}}', None, "a", "", "")
        part = builder.finish()
        assert part is not None
        await archive.add(part)
        listed = ListEntry(
            api_version="v1",
            kind="ConfigMap",
            resource="configmaps",
            namespace=None,
            resource_version="1",
            is_consistent=True,
            objects=1,
        )
        await archive.commit(Scope(namespaces=None), [listed], [])
    return await store.read_range(TINY, 0, archive.size_bytes)


@pytest.mark.parametrize(
    ("vector", "identity"),
    [("plain", None), ("signed", None), ("encrypted", FIRST), ("encrypted", SECOND)],
)
def test_the_stranger_reads_archives_written_long_ago(vector: str, identity: Path | None) -> None:
    reader = StrangersReader(unpack(vector), identity)

    reader.check_stored_bytes()
    assert [one["metadata"]["name"] for one in reader.objects()] == ["größe", "plain"]
    assert bool(reader.seal["signature"]) is (vector != "plain")


@pytest.mark.parametrize("identity", [None, FIRST])
async def test_the_stranger_reads_what_is_written_today(
    store: ArchiveStore, write_archive: WriteArchive, archives: Path, identity: Path | None
) -> None:
    protection = Protection(Recipients([RECIPIENT] if identity else []))
    name = await write_archive(store, protection)
    reader = StrangersReader((archives / name).read_bytes(), identity)

    reader.check_stored_bytes()
    found = [(one["kind"], one["metadata"]["name"]) for one in reader.objects()]
    assert len(found) == 9
    assert found[0] == ("Namespace", "blue")
    assert found[-2:] == [("Widget", "größe"), ("Widget", "wheel")]


async def test_the_stranger_finds_every_changed_byte_that_it_can_find_without_a_key() -> None:
    content = await write_tiny()
    StrangersReader(content).check_stored_bytes()
    missed = []
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        try:
            StrangersReader(bytes(changed)).check_stored_bytes()
        except (DamagedError, LookupError):  # a member of a document that is gone, too
            continue
        missed.append(place)

    assert missed == []


class OneArchive(ArchiveStore):
    """A store of one archive in memory: quick enough for every bit of it."""

    def __init__(self) -> None:
        super().__init__("memory:///", Path("/"))
        self.content = b""

    async def find_size(self, name: str) -> int | None:
        assert name == TINY
        return len(self.content)

    async def read_range(self, name: str, offset: int, length: int) -> bytes:
        assert name == TINY
        return self.content[offset : offset + length]


async def test_a_bit_flipped_at_any_byte_of_a_tiny_archive_is_found() -> None:
    content = await write_tiny()
    store = OneArchive()
    store.content = content
    assert (await verify_archive(store, TINY)).is_valid
    missed = []
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place * 5 % 8)
        store.content = bytes(changed)
        if (await verify_archive(store, TINY)).is_valid:
            missed.append(place)

    assert missed == []


def test_a_bit_flipped_in_an_encrypted_part_is_found_by_its_key_as_well() -> None:
    reader = StrangersReader(unpack("encrypted"), FIRST)
    identities = load_identities([FIRST])
    place = reader.manifest()["parts"][0]
    stored = reader.member(place)
    missed = []
    for position in range(len(stored)):
        changed = bytearray(stored)
        changed[position] ^= 1
        try:
            identities.decrypt("x", bytes(changed))
        except (ArchiveDamagedError, ArchiveLockedError):
            continue
        missed.append(position)

    assert missed == []
    assert identities.decrypt("x", stored) != stored
