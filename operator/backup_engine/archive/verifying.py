"""Checks every byte of an archive: tar headers, digests, signature, indexes, objects, counts."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Final

from backup_engine.archive.encryption import NO_IDENTITIES, Identities
from backup_engine.archive.envelope import (
    HEADER_PATH,
    SEAL_BYTES,
    SEAL_PATH,
    SIGNATURE_PATH,
    TABLE_PATH,
    Header,
    MemberTable,
    Seal,
    build_header,
    build_table_paths,
    encode_seal,
)
from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveFormatError,
    ArchiveLockedError,
    ArchiveMissingError,
    ArchiveUntrustedError,
)
from backup_engine.archive.manifest import (
    FORMAT_MINOR,
    IndexEntry,
    Manifest,
    Origin,
    PartEntry,
    StoredMember,
    ensure_readable,
    parse_document,
)
from backup_engine.archive.pacing import UNPACED, ReadPace
from backup_engine.archive.reading import (
    SealedArchive,
    ensure_bounded,
    ensure_digest,
    open_frame,
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
from backup_engine.archive.trust import Trust
from backup_engine.archive.writing import build_table, build_totals

VERIFIED: Final = "Verified"
VERIFIED_STORED: Final = "StoredBytesVerified"


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on one archive; ``reason`` is a stable CamelCase word.

    A valid one is Verified, or StoredBytesVerified: encrypted, and checked without decrypting.
    ``header`` is what a valid archive tells of its origin in clear.
    """

    is_valid: bool
    reason: str
    message: str
    header: Header | None = field(default=None, compare=False)


async def verify_archive(
    store: ArchiveStore,
    name: str,
    *,
    trust: Trust | None = None,
    identities: Identities = NO_IDENTITIES,
    pace: ReadPace = UNPACED,
) -> Verification:
    """Check the whole archive and tell the first thing wrong with it (spec §3.0, ``is_valid``).

    ``pace`` bounds how fast it is read. With ``trust`` the signature is judged. Without identities
    the contents of an encrypted archive are not looked at, but each stored byte still is. Reads all
    of it once, one part in memory.
    Raises StorageError if the store cannot be read: that says nothing about the archive.
    """
    try:
        sealed = await SealedArchive.open(store.reader(name, pace))
        table = await sealed.read_table(trust)
        judged = _describe_signature(sealed, trust)
        if sealed.is_encrypted and not identities.keys:
            header = await _verify_stored(sealed, table)
            return Verification(
                is_valid=True,
                reason=VERIFIED_STORED,
                message=f"{len(table.members)} members checked without decrypting, {judged}",
                header=header,
            )
        header, manifest = await _verify_contents(sealed, table, identities)
    except (
        ArchiveMissingError,
        ArchiveDamagedError,
        ArchiveFormatError,
        ArchiveLockedError,
        ArchiveUntrustedError,
    ) as trouble:
        return Verification(is_valid=False, reason=trouble.reason, message=trouble.message)
    totals = manifest.totals
    return Verification(
        is_valid=True,
        reason=VERIFIED,
        message=f"{totals.objects} objects of {totals.kinds} kinds in {totals.parts} parts,"
        f" {judged}",
        header=header,
    )


def _describe_signature(sealed: SealedArchive, trust: Trust | None) -> str:
    if sealed.seal.signature is None:
        return "not signed"
    return "signature not judged" if trust is None else "signature trusted"


async def _verify_stored(sealed: SealedArchive, table: MemberTable) -> Header:
    """Check all that can be checked without a key; return the header."""
    header = await _verify_layout(sealed, table)
    for member in list_members(sealed, table):
        await _read_member(sealed.source, member, _get_mtime_s(header))
    return header


async def _verify_contents(
    sealed: SealedArchive, table: MemberTable, identities: Identities
) -> tuple[Header, Manifest]:
    try:
        manifest = await sealed.read_manifest(identities)
    except ArchiveLockedError:
        await _verify_stored(sealed, table)  # damage is the graver news
        raise
    header = await _verify_layout(sealed, table)
    ensure_origin(header, manifest, sealed.seal.encryption)
    if build_table(manifest, sealed.seal.manifest, table.valid_at_ms) != table:
        raise ArchiveDamagedError(
            "ManifestMismatch", f"{TABLE_PATH} and manifest name different members"
        )
    places = [place for part in manifest.parts for place in (part, part.index)]
    packed = {place.path: place for place in places}
    parts = iter(manifest.parts)
    part: PartEntry | None = None
    lines = b""
    for member in list_members(sealed, table):
        stored = await _read_member(sealed.source, member, _get_mtime_s(header))
        place = packed.get(member.path)
        if place is None:
            continue
        ensure_readable(place)
        if place.encryption != sealed.seal.encryption:
            raise ArchiveDamagedError(
                "ManifestMismatch", f"{place.path} is not encrypted like the rest of the archive"
            )
        frame = await asyncio.to_thread(open_frame, place, stored, identities)
        content = await asyncio.to_thread(unpack, place, frame)
        if part is None:  # a part and its index take turns
            part, lines = next(parts), content
        else:
            await asyncio.to_thread(ensure_objects, part, lines, content)
            part, lines = None, b""
    ensure_counts(manifest)
    return header, manifest


async def _verify_layout(sealed: SealedArchive, table: MemberTable) -> Header:
    """Check names, order and places of all members, and the seal to its last byte."""
    seal = sealed.seal
    ensure_paths(table, seal)
    ensure_layout(list_members(sealed, table), sealed.size_bytes)
    if seal.format.minor <= FORMAT_MINOR and encode_seal(seal) != sealed.seal_block:
        raise ArchiveDamagedError("LayoutBroken", f"{SEAL_PATH} is not written as it must be")
    header = parse_document(await sealed.read_member(table.members[0]), Header, HEADER_PATH)
    if not seal.format == table.format == header.format or header.encryption != seal.encryption:
        raise ArchiveDamagedError(
            "HeaderMismatch", f"{HEADER_PATH}, {TABLE_PATH} and {SEAL_PATH} name different forms"
        )
    return header


def _get_mtime_s(header: Header) -> int:
    return header.backup.time_initiated_ms // 1000


async def _read_member(source: StoreReader, member: StoredMember, mtime_s: int) -> bytes:
    """Read a member with the header in front and the padding behind, and check all three."""
    ensure_bounded(member)
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


def list_members(sealed: SealedArchive, table: MemberTable) -> list[StoredMember]:
    """Return all members in the order they must have in the file."""
    seal = sealed.seal
    last = seal.signature or seal.members
    end = last.offset + last.size_bytes
    offset = end + padding_bytes(end) + BLOCK_BYTES
    return [
        *table.members,
        *(member for member in (seal.members, seal.signature) if member is not None),
        StoredMember(path=SEAL_PATH, offset=offset, size_bytes=SEAL_BYTES, sha256=""),
    ]


def ensure_paths(table: MemberTable, seal: Seal) -> None:
    """Raise ArchiveDamagedError unless the members have the names that the form gives them."""
    paths = [member.path for member in table.members]
    is_ours = paths == build_table_paths((len(paths) - 2) // 2, seal.encryption)
    signature = seal.signature
    is_ours &= signature is None or signature.path == SIGNATURE_PATH
    if not is_ours or seal.members.path != TABLE_PATH:
        raise ArchiveDamagedError(
            "LayoutBroken", f"{TABLE_PATH}: members are missing, too many or in another order"
        )


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


def ensure_origin(header: Header, manifest: Manifest, encryption: str) -> None:
    """Raise ArchiveDamagedError if header and manifest tell different stories."""
    origin = Origin(
        format=manifest.format,
        backup=manifest.backup,
        product=manifest.product,
        cluster=manifest.cluster,
    )
    if build_header(origin, encryption) != header:
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
