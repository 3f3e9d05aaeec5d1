"""Reads an archive by ranges: seal, manifest, then only the members somebody asks for."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import Final, Self

import msgspec

from backup_engine.archive.encryption import NO_IDENTITIES, Identities
from backup_engine.archive.envelope import (
    SEAL_BYTES,
    SEAL_PATH,
    TABLE_PATH,
    MemberTable,
    Seal,
)
from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveFormatError,
    ArchiveUntrustedError,
)
from backup_engine.archive.manifest import (
    ENCRYPTION_AGE,
    MANIFEST_PATH,
    IndexEntry,
    Manifest,
    PackedMember,
    PartEntry,
    StoredMember,
    ensure_known_encryption,
    ensure_readable,
    parse_document,
)
from backup_engine.archive.store import StoreReader
from backup_engine.archive.tarform import BLOCK_BYTES, END_OF_TAR
from backup_engine.archive.trust import Trust, ensure_signature
from backup_engine.archive.zstandard import ZstdDecompressor, ZstdError

TAIL_BYTES: Final = BLOCK_BYTES + SEAL_BYTES + len(END_OF_TAR)
LARGEST_UNPACKED_BYTES: Final = 256 * 1024 * 1024  # eight times any part; this stops bombs

_INDEX_DECODER = msgspec.json.Decoder(IndexEntry)
Wanted = Callable[[IndexEntry], bool]


class SealedArchive:
    """What can be read of an archive without a key: its seal, and any stored bytes."""

    def __init__(self, source: StoreReader, size_bytes: int, seal: Seal, seal_block: bytes) -> None:
        self.source = source
        self.size_bytes = size_bytes
        self.seal = seal
        self.seal_block = seal_block

    @classmethod
    async def open(cls, source: StoreReader) -> Self:
        """Read the seal; raises ArchiveMissingError, ArchiveDamagedError, ArchiveFormatError."""
        size = await source.get_size()
        tail = await source.read(size - TAIL_BYTES, TAIL_BYTES) if size >= TAIL_BYTES else b""
        seal = parse_seal(tail, source.location)
        ensure_known_encryption(seal.encryption, seal.manifest.path)
        return cls(source, size, seal, tail[BLOCK_BYTES : BLOCK_BYTES + SEAL_BYTES])

    @property
    def is_encrypted(self) -> bool:
        """Whether parts, indexes and manifest need a key."""
        return self.seal.encryption == ENCRYPTION_AGE

    async def read_member(self, member: StoredMember) -> bytes:
        """Return the stored bytes of a member; raises ArchiveDamagedError if they changed."""
        return await read_checked(self.source, self.size_bytes, member)

    async def read_table(self, trust: Trust | None) -> MemberTable:
        """Return the table of members, its signature checked if there is ``trust``.

        Raises ArchiveUntrustedError; SignatureMissing if one is required.
        """
        content = await self.read_member(self.seal.members)
        table = parse_document(content, MemberTable, TABLE_PATH)
        place = self.seal.signature
        if trust is not None and place is None and trust.is_signature_required:
            raise ArchiveUntrustedError(
                "SignatureMissing",
                f"{self.source.location} is not signed, and only signed archives are accepted",
            )
        if trust is not None and place is not None:
            stored = await self.read_member(place)
            await asyncio.to_thread(ensure_signature, content, stored, table.valid_at_ms, trust)
        if not table.members or table.members[-1] != self.seal.manifest:
            raise ArchiveDamagedError(
                "LayoutBroken", f"{TABLE_PATH} and {SEAL_PATH} name different manifests"
            )
        return table

    async def read_manifest(self, identities: Identities) -> Manifest:
        """Return the manifest, decrypted if need be; raises ArchiveLockedError without a key."""
        content = await self.read_member(self.seal.manifest)
        path = self.seal.manifest.path
        if self.is_encrypted:
            content = await asyncio.to_thread(identities.decrypt, path, content)
        return parse_document(content, Manifest, MANIFEST_PATH)


class ArchiveReader:
    """One sealed archive; ``manifest`` has been checked against the seal."""

    def __init__(self, sealed: SealedArchive, manifest: Manifest, identities: Identities) -> None:
        self._sealed = sealed
        self._identities = identities
        self.size_bytes = sealed.size_bytes
        self.manifest = manifest
        self.seal = sealed.seal

    @classmethod
    async def open(
        cls,
        source: StoreReader,
        *,
        trust: Trust | None = None,
        identities: Identities = NO_IDENTITIES,
    ) -> Self:
        """Read seal and manifest; with ``trust`` check the signature of all that follows.

        Raises ArchiveMissingError, ArchiveDamagedError for an archive that is cut short or whose
        manifest does not match its seal, ArchiveFormatError for one of a newer form,
        ArchiveLockedError if no identity opens it, ArchiveUntrustedError for its signature.
        """
        sealed = await SealedArchive.open(source)
        if trust is not None:
            await sealed.read_table(trust)
        return cls(sealed, await sealed.read_manifest(identities), identities)

    async def read_index(self, part: PartEntry) -> list[IndexEntry]:
        """Return the index of one part, in the part's order."""
        content = await self._unpack(part.index)
        return await asyncio.to_thread(parse_index, part, content)

    async def read_part(self, part: PartEntry) -> bytes:
        """Return the lines of one part, unpacked; a few MiB."""
        return await self._unpack(part)

    async def list_objects(self, wanted: Wanted) -> AsyncGenerator[tuple[IndexEntry, bytes], None]:
        """Yield index entry and JSON of every wanted object, in the archive's order.

        A part is fetched only if its index names a wanted object.
        """
        for part in self.manifest.parts:
            entries = [entry for entry in await self.read_index(part) if wanted(entry)]
            if not entries:
                continue
            content = await self.read_part(part)
            for entry in entries:
                yield entry, content[entry.offset : entry.offset + entry.length]

    async def read_frame(self, member: PackedMember) -> bytes:
        """Return a part or index decrypted, but still compressed."""
        ensure_readable(member)
        stored = await self._sealed.read_member(member)
        return await asyncio.to_thread(open_frame, member, stored, self._identities)

    async def _unpack(self, member: PackedMember) -> bytes:
        return await asyncio.to_thread(unpack, member, await self.read_frame(member))


def parse_seal(tail: bytes, location: str) -> Seal:
    """Read the seal out of the archive's last ``TAIL_BYTES``; raises ArchiveDamagedError."""
    block = tail[BLOCK_BYTES : BLOCK_BYTES + SEAL_BYTES]
    is_whole = len(tail) == TAIL_BYTES and tail.endswith(END_OF_TAR)
    if not is_whole or not tail.startswith(SEAL_PATH.encode()):
        raise ArchiveDamagedError(
            "ManifestMissing",
            f"{location} does not end with a seal: it was cut short, or packed anew by another"
            " program",
        )
    return parse_document(block, Seal, SEAL_PATH)


def parse_index(part: PartEntry, content: bytes) -> list[IndexEntry]:
    """Read the lines of an unpacked index; raises ArchiveDamagedError (IndexUnreadable)."""
    try:
        return _INDEX_DECODER.decode_lines(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
        raise ArchiveDamagedError("IndexUnreadable", f"{part.index.path}: {trouble}") from trouble


async def read_checked(source: StoreReader, size_bytes: int, member: StoredMember) -> bytes:
    """Read the stored bytes of a member out of an archive of ``size_bytes``.

    Raises ArchiveDamagedError (LayoutBroken, ChecksumMismatch), ArchiveFormatError for a member
    that would not fit into memory.
    """
    ensure_bounded(member)
    if member.offset + member.size_bytes > size_bytes:
        raise ArchiveDamagedError(
            "LayoutBroken",
            f"{member.path} should end at {member.offset + member.size_bytes}, the archive ends at"
            f" {size_bytes}",
        )
    stored = await source.read(member.offset, member.size_bytes)
    await asyncio.to_thread(ensure_digest, member, stored)
    return stored


def ensure_bounded(member: StoredMember) -> None:
    """Raise ArchiveFormatError unless the stored bytes of a member may be held in memory."""
    if member.size_bytes > LARGEST_UNPACKED_BYTES:
        raise ArchiveFormatError(
            "PartTooLarge",
            f"{member.path} has {member.size_bytes} bytes; at most {LARGEST_UNPACKED_BYTES} are"
            " allowed",
        )


def ensure_digest(member: StoredMember, stored: bytes) -> None:
    """Raise ArchiveDamagedError unless ``stored`` are the bytes that were written."""
    found = hashlib.sha256(stored).hexdigest()
    if len(stored) != member.size_bytes or found != member.sha256:
        raise ArchiveDamagedError(
            "ChecksumMismatch",
            f"{member.path}: expected {member.size_bytes} bytes with SHA-256 {member.sha256}, found"
            f" {len(stored)} bytes with {found}",
        )


def open_frame(member: PackedMember, stored: bytes, identities: Identities) -> bytes:
    """Decrypt the stored bytes of a part or index, if they are encrypted."""
    if member.encryption == ENCRYPTION_AGE:
        return identities.decrypt(member.path, stored)
    return stored


def unpack(member: PackedMember, frame: bytes) -> bytes:
    """Decompress a member; raises ArchiveDamagedError if it is not what the manifest promises."""
    if member.raw_bytes > LARGEST_UNPACKED_BYTES:
        raise ArchiveFormatError(
            "PartTooLarge",
            f"{member.path} would unpack to {member.raw_bytes} bytes; at most"
            f" {LARGEST_UNPACKED_BYTES} are allowed",
        )
    unpacker = ZstdDecompressor()
    try:
        content = unpacker.decompress(frame, max_length=member.raw_bytes + 1)
    except ZstdError as trouble:
        raise ArchiveDamagedError("PartUnreadable", f"{member.path}: {trouble}") from trouble
    if len(content) != member.raw_bytes or not unpacker.eof or unpacker.unused_data:
        raise ArchiveDamagedError(
            "PartUnreadable",
            f"{member.path}: expected one zstd frame of {member.raw_bytes} bytes, found"
            f" {len(content)} bytes or more than one frame",
        )
    return content
