from pathlib import Path

import pytest

from backup_engine.archive.envelope import Header
from backup_engine.archive.errors import ArchiveDamagedError, ArchiveFormatError
from backup_engine.archive.manifest import (
    PackedMember,
    encode_document,
    ensure_readable,
    parse_document,
)
from backup_engine.archive.part import KindName, PartBuilder
from backup_engine.archive.reading import ArchiveReader, unpack
from backup_engine.archive.store import ArchiveStore
from fixtures.archive_reads import RecordingReader

HEADER = b"""{"format": {"name": "backup-operator.config-archive", "major": 1, "minor": 7},
 "backup": {"id": 1, "name": "n", "type": "CONFIG", "timeInitiatedMs": 0, "initiatedBy": null,
  "host": {"id": 1, "name": "console", "rack": "new in 1.7"}},
 "product": {"name": "backup-operator", "version": "9"},
 "cluster": {"uid": null, "kubernetesVersion": "v1"}, "encryption": "none", "mood": "new in 1.7"}"""


def a_member(codec: str = "zstd", encryption: str = "none", raw_bytes: int = 10) -> PackedMember:
    return PackedMember(
        path="parts/000001.ndjson.zst",
        offset=1024,
        size_bytes=5,
        sha256="",
        raw_bytes=raw_bytes,
        codec=codec,
        encryption=encryption,
    )


def test_a_newer_minor_version_is_read_and_its_additions_ignored() -> None:
    assert parse_document(HEADER, Header, "header.json").backup.host.name == "console"


def test_a_newer_major_version_is_refused() -> None:
    with pytest.raises(ArchiveFormatError, match=r"version 2\.7; this program reads .* 1\.x only"):
        parse_document(HEADER.replace(b'"major": 1', b'"major": 2'), Header, "header.json")


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (a_member(codec="brotli"), "CodecUnknown"),
        (a_member(encryption="rot13"), "EncryptionUnknown"),
    ],
)
def test_an_unknown_codec_or_encryption_is_refused(member: PackedMember, reason: str) -> None:
    with pytest.raises(ArchiveFormatError) as caught:
        ensure_readable(member)

    assert caught.value.reason == reason
    assert "parts/000001.ndjson.zst" in caught.value.message


def test_a_part_that_would_unpack_to_more_than_it_says_is_refused() -> None:
    builder = PartBuilder(KindName("v1", "Secret", "secrets"))
    builder.add(b"x" * 3_000_000, None, "a", "", "")
    part = builder.finish()
    assert part is not None

    with pytest.raises(ArchiveDamagedError):
        unpack(a_member(raw_bytes=100), part.content.stored)
    with pytest.raises(ArchiveFormatError):
        unpack(a_member(raw_bytes=1 << 40), part.content.stored)


async def test_objects_are_found_by_their_index(store: ArchiveStore, archive: Path) -> None:
    reader = await ArchiveReader.open(store.reader(archive.name))

    found = [line async for _, line in reader.list_objects(lambda one: one.namespace == "blue")]

    assert found == [
        '{"apiVersion":"zoo.io/v1","kind":"Widget","metadata":{"name":"größe","namespace":"blue"}}'.encode()
    ]


def test_documents_have_sorted_keys_and_end_with_a_line_feed() -> None:
    document = encode_document(parse_document(HEADER, Header, "header.json"))

    assert document.startswith(b'{\n "backup": {\n  "host"')
    assert document.endswith(b"}\n")


async def test_of_the_parts_only_those_with_wanted_objects_are_read(
    store: ArchiveStore, archive: Path
) -> None:
    source = RecordingReader(store, archive.name)
    reader = await ArchiveReader.open(source)
    source.stretches.clear()

    found = [one.name async for one, _ in reader.list_objects(lambda one: one.name == "secret-3")]

    parts = reader.manifest.parts
    read = [part.resource for part in parts if source.has_read(part)]
    assert (found, read) == (["secret-3"], ["secrets"])
    assert len(source.stretches) == len(parts) + 1  # each index, and one part
