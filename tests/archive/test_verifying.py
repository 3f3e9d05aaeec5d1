import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import Verification, verify_archive

STRIDE = 11  # of the bytes flipped one after the other; odd, so that every column is met


def content_of(archive: Path) -> bytes:
    return archive.read_bytes()


async def verdict_on(content: bytes, archive: Path) -> Verification:
    """Verify ``content`` under the name of ``archive``, in a store of its own."""
    name = archive.name
    store = ArchiveStore.open("memory:///")
    async with store.writer(name) as place:
        await place.write(content)
    return await verify_archive(store, name)


async def test_a_whole_archive_is_valid(store: ArchiveStore, archive: Path) -> None:
    assert await verify_archive(store, archive.name) == Verification(
        is_valid=True, reason="Verified", message="9 objects of 3 kinds in 3 parts, not signed"
    )


async def test_an_archive_that_is_not_there_is_not_valid(store: ArchiveStore) -> None:
    verdict = await verify_archive(store, "backup.x.y_1.1_1_2026.config.0.tar")

    assert (verdict.is_valid, verdict.reason) == (False, "ArchiveMissing")


async def test_a_bit_flipped_anywhere_is_found(archive: Path) -> None:
    content = content_of(archive)
    seal = range(len(content) - 2560, len(content) - 1024)  # what no digest covers, byte for byte
    missed = []
    for place in {*range(0, len(content), STRIDE), *seal}:
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        if (await verdict_on(bytes(flipped), archive)).is_valid:
            missed.append(place)

    assert missed == []


@given(draw=st.data())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_no_change_of_any_kind_goes_unnoticed(archive: Path, draw: st.DataObject) -> None:
    content = content_of(archive)
    begin = draw.draw(st.integers(0, len(content) - 1))
    end = draw.draw(st.integers(begin, min(len(content), begin + 600)))
    changed = content[:begin] + draw.draw(st.binary(max_size=20)) + content[end:]

    assert (await verdict_on(changed, archive)).is_valid is (changed == content)


@pytest.mark.parametrize("kept", [0, 511, 512, 5000, -512, -1024, -2048, -2560])
async def test_an_archive_cut_short_has_no_manifest(archive: Path, kept: int) -> None:
    verdict = await verdict_on(content_of(archive)[:kept], archive)

    assert (verdict.is_valid, verdict.reason) == (False, "ManifestMissing")


async def test_the_first_damaged_member_is_named(archive: Path) -> None:
    content = bytearray(content_of(archive))
    part = content.index(b"\x28\xb5\x2f\xfd")  # the magic number of a zstd frame
    content[part + 20] ^= 1

    verdict = await verdict_on(bytes(content), archive)

    assert verdict.reason == "ChecksumMismatch"
    assert "parts/000001.ndjson.zst" in verdict.message


@pytest.mark.parametrize(
    ("found", "forged", "reason"),
    [
        (b'"major":1,"minor":1', b'"major":2,"minor":1', "FormatUnknown"),
        (b"backup-operator.config-archive", b"another-operators.data-archive", "FormatUnknown"),
        (b'"sizeBytes"', b'"sizeBites"', "ManifestIncomplete"),
        (b'{"encryption":', b'{"encryption"x', "ManifestUnreadable"),
    ],
)
async def test_a_seal_that_cannot_be_understood_is_told_apart(
    archive: Path, found: bytes, forged: bytes, reason: str
) -> None:
    content = content_of(archive)
    seal = content.rindex(b'{"encryption":')

    verdict = await verdict_on(content[:seal] + content[seal:].replace(found, forged, 1), archive)

    assert verdict.reason == reason


def test_the_seal_is_a_line_of_json_in_two_blocks(archive: Path) -> None:
    block = content_of(archive)[-2048:-1024]

    assert block.endswith(b" \n")
    assert json.loads(block)["manifest"]["path"] == "manifest.json"
