"""Checks every byte of an archive: tar headers, digests, indexes, each object, the counts."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveFormatError,
    ArchiveMissingError,
)
from backup_engine.archive.manifest import (
    HEADER_PATH,
    SEAL_BYTES,
    SEAL_PATH,
    Header,
    IndexEntry,
    Manifest,
    PackedMember,
    PartEntry,
    Seal,
    StoredMember,
    ensure_readable,
    parse_document,
)
from backup_engine.archive.reading import (
    ArchiveReader,
    ensure_digest,
    parse_index,
    unpack,
)
from backup_engine.archive.store import ArchiveStore, StoreReader
from backup_engine.archive.tarform import (
    BLOCK_BYTES,
    END_OF_TAR,
    build_member_header,
    padding_bytes,
)
from backup_engine.archive.writing import build_totals

VERIFIED = "Verified"


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on one archive; ``reason`` is a stable CamelCase word, Verified if valid."""

    is_valid: bool
    reason: str
    message: str


async def verify_archive(store: ArchiveStore, name: str) -> Verification:
    """Check the whole archive and tell the first thing wrong with it (spec §3.0, ``is_valid``).

    Reads all of it once, one part in memory. Raises StorageError if the store cannot be read: that
    says nothing about the archive.
    """
    source = store.reader(name)
    try:
        archive = await ArchiveReader.open(source)
        await _verify_members(source, archive)
    except (ArchiveMissingError, ArchiveDamagedError, ArchiveFormatError) as trouble:
        return Verification(is_valid=False, reason=trouble.reason, message=trouble.message)
    totals = archive.manifest.totals
    return Verification(
        is_valid=True,
        reason=VERIFIED,
        message=f"{totals.objects} objects of {totals.kinds} kinds in {totals.parts} parts",
    )


async def _verify_members(source: StoreReader, archive: ArchiveReader) -> None:
    manifest = archive.manifest
    members = list(iterate_members(manifest, archive.seal))
    mtime_s = manifest.backup.time_initiated_ms // 1000
    ensure_layout(members, archive.size_bytes)
    if archive.seal.format != manifest.format:
        raise ArchiveDamagedError("HeaderMismatch", "seal and manifest name different formats")
    parts = iter(manifest.parts)
    part: PartEntry | None = None
    lines = b""
    for member in members:
        stored = await _read_member(source, member, mtime_s)
        if member.path == HEADER_PATH:
            ensure_header(stored, manifest)
        if not isinstance(member, PackedMember):
            continue
        ensure_readable(member)
        content = await asyncio.to_thread(unpack, member, stored)
        if part is None:  # a part and its index take turns
            part, lines = next(parts), content
        else:
            await asyncio.to_thread(ensure_objects, part, lines, content)
            part, lines = None, b""
    ensure_counts(manifest)


async def _read_member(source: StoreReader, member: StoredMember, mtime_s: int) -> bytes:
    """Read a member with the header in front and the padding behind, and check all three."""
    padding = padding_bytes(member.size_bytes)
    whole = await source.read(
        member.offset - BLOCK_BYTES, BLOCK_BYTES + member.size_bytes + padding
    )
    stored = whole[BLOCK_BYTES : BLOCK_BYTES + member.size_bytes]
    header = build_member_header(member.path, member.size_bytes, mtime_s)
    if whole[:BLOCK_BYTES] != header or whole[BLOCK_BYTES + member.size_bytes :] != bytes(padding):
        raise ArchiveDamagedError(
            "LayoutBroken", f"{member.path}: its tar header or padding was changed or is missing"
        )
    if member.path != SEAL_PATH:  # the seal holds digests and has none
        await asyncio.to_thread(ensure_digest, member, stored)
    return stored


def iterate_members(manifest: Manifest, seal: Seal) -> Iterator[StoredMember]:
    """Yield all members in the order they must have in the file."""
    yield manifest.header
    for part in manifest.parts:
        yield part
        yield part.index
    yield seal.manifest
    last = seal.manifest
    if seal.signature is not None:
        last = seal.signature
        yield last
    end = last.offset + last.size_bytes
    offset = end + padding_bytes(end) + BLOCK_BYTES
    yield StoredMember(path=SEAL_PATH, offset=offset, size_bytes=SEAL_BYTES, sha256="")


def ensure_layout(members: list[StoredMember], size_bytes: int) -> None:
    """Raise ArchiveDamagedError unless the members fill the file without gap or overlap."""
    starts = [member.offset - BLOCK_BYTES for member in members]
    ends = [member.offset + member.size_bytes for member in members]
    ends = [end + padding_bytes(end) for end in ends]
    touching = all(end == start for end, start in zip(ends[:-1], starts[1:], strict=True))
    if starts[0] != 0 or not touching or ends[-1] + len(END_OF_TAR) != size_bytes:
        raise ArchiveDamagedError(
            "LayoutBroken",
            f"the members of the manifest do not fill the archive's {size_bytes} bytes without gap",
        )


def ensure_header(stored: bytes, manifest: Manifest) -> None:
    """Raise ArchiveDamagedError if header and manifest tell different stories."""
    header = parse_document(stored, Header, HEADER_PATH)
    told = (header.format, header.backup, header.product, header.cluster)
    if told != (manifest.format, manifest.backup, manifest.product, manifest.cluster):
        raise ArchiveDamagedError(
            "HeaderMismatch", f"{HEADER_PATH} names another backup or cluster than the manifest"
        )


def ensure_objects(part: PartEntry, lines: bytes, index: bytes) -> None:
    """Raise ArchiveDamagedError unless the index describes the part's lines one by one."""
    entries = parse_index(part, index)
    if len(entries) != part.objects:
        raise ArchiveDamagedError(
            "CountMismatch",
            f"{part.path}: the manifest counts {part.objects} objects, its index {len(entries)}",
        )
    ends = [0, *(entry.offset + entry.length + 1 for entry in entries)]
    offsets = [*(entry.offset for entry in entries), len(lines)]
    if ends != offsets:
        raise ArchiveDamagedError(
            "IndexMismatch", f"{part.index.path}: its lines do not fill {part.path} without gap"
        )
    for entry in entries:
        ensure_object(part, entry, lines)


def ensure_object(part: PartEntry, entry: IndexEntry, lines: bytes) -> None:
    """Raise ArchiveDamagedError unless one object is where, and what, its index entry says."""
    end = entry.offset + entry.length
    line = lines[entry.offset : end]
    is_intact = lines[end : end + 1] == b"\n" and hashlib.sha256(line).hexdigest() == entry.sha256
    if not is_intact or (entry.api_version, entry.resource) != (part.api_version, part.resource):
        raise ArchiveDamagedError(
            "IndexMismatch",
            f"{part.path}: {entry.kind} {entry.namespace or ''}/{entry.name} at {entry.offset} is"
            " not the object that was captured",
        )


def ensure_counts(manifest: Manifest) -> None:
    """Raise ArchiveDamagedError unless totals, lists and parts agree."""
    listed = sum(entry.objects for entry in manifest.lists)
    if build_totals(manifest.parts) != manifest.totals or listed != manifest.totals.objects:
        raise ArchiveDamagedError(
            "CountMismatch",
            f"the lists gave {listed} objects, the totals say {manifest.totals.objects}, the parts"
            f" hold {sum(part.objects for part in manifest.parts)}",
        )
