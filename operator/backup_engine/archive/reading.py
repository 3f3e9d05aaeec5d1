"""Reads an archive by ranges: seal, manifest, then only the members somebody asks for."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import Final, Self

import msgspec

from backup_engine.archive.errors import ArchiveDamagedError, ArchiveFormatError
from backup_engine.archive.manifest import (
    MANIFEST_PATH,
    SEAL_BYTES,
    SEAL_PATH,
    IndexEntry,
    Manifest,
    PackedMember,
    PartEntry,
    Seal,
    StoredMember,
    ensure_readable,
    parse_document,
)
from backup_engine.archive.store import StoreReader
from backup_engine.archive.tarform import BLOCK_BYTES, END_OF_TAR
from backup_engine.archive.zstandard import ZstdDecompressor, ZstdError

TAIL_BYTES: Final = BLOCK_BYTES + SEAL_BYTES + len(END_OF_TAR)
LARGEST_UNPACKED_BYTES: Final = 256 * 1024 * 1024  # parts are cut at 32 MiB; this stops bombs

_INDEX_DECODER = msgspec.json.Decoder(IndexEntry)
Wanted = Callable[[IndexEntry], bool]


class ArchiveReader:
    """One sealed archive; ``manifest`` has been checked against the seal."""

    def __init__(
        self, source: StoreReader, size_bytes: int, manifest: Manifest, seal: Seal
    ) -> None:
        self._source = source
        self.size_bytes = size_bytes
        self.manifest = manifest
        self.seal = seal

    @classmethod
    async def open(cls, source: StoreReader) -> Self:
        """Read seal and manifest.

        Raises ArchiveMissingError, ArchiveDamagedError for an archive that is cut short or whose
        manifest does not match its seal, ArchiveFormatError for one of a newer form.
        """
        size = await source.get_size()
        tail = await source.read(size - TAIL_BYTES, TAIL_BYTES) if size >= TAIL_BYTES else b""
        seal = parse_seal(tail, source.location)
        content = await read_checked(source, size, seal.manifest)
        return cls(source, size, parse_document(content, Manifest, MANIFEST_PATH), seal)

    async def read_index(self, part: PartEntry) -> list[IndexEntry]:
        """Return the index of one part, in the part's order."""
        content = await self._unpack(part.index)
        return await asyncio.to_thread(parse_index, part, content)

    async def read_part(self, part: PartEntry) -> bytes:
        """Return the lines of one part, unpacked; about 32 MiB at most."""
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

    async def _unpack(self, member: PackedMember) -> bytes:
        ensure_readable(member)
        stored = await read_checked(self._source, self.size_bytes, member)
        return await asyncio.to_thread(unpack, member, stored)


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

    Raises ArchiveDamagedError (LayoutBroken, ChecksumMismatch).
    """
    if member.offset + member.size_bytes > size_bytes:
        raise ArchiveDamagedError(
            "LayoutBroken",
            f"{member.path} should end at {member.offset + member.size_bytes}, the archive ends at"
            f" {size_bytes}",
        )
    stored = await source.read(member.offset, member.size_bytes)
    await asyncio.to_thread(ensure_digest, member, stored)
    return stored


def ensure_digest(member: StoredMember, stored: bytes) -> None:
    """Raise ArchiveDamagedError unless ``stored`` are the bytes that were written."""
    found = hashlib.sha256(stored).hexdigest()
    if len(stored) != member.size_bytes or found != member.sha256:
        raise ArchiveDamagedError(
            "ChecksumMismatch",
            f"{member.path}: expected {member.size_bytes} bytes with SHA-256 {member.sha256}, found"
            f" {len(stored)} bytes with {found}",
        )


def unpack(member: PackedMember, stored: bytes) -> bytes:
    """Unpack a member; raises ArchiveDamagedError if it is not what the manifest promises."""
    if member.raw_bytes > LARGEST_UNPACKED_BYTES:
        raise ArchiveFormatError(
            "PartTooLarge",
            f"{member.path} would unpack to {member.raw_bytes} bytes; at most"
            f" {LARGEST_UNPACKED_BYTES} are allowed",
        )
    unpacker = ZstdDecompressor()
    try:
        content = unpacker.decompress(stored, max_length=member.raw_bytes + 1)
    except ZstdError as trouble:
        raise ArchiveDamagedError("PartUnreadable", f"{member.path}: {trouble}") from trouble
    if len(content) != member.raw_bytes or not unpacker.eof or unpacker.unused_data:
        raise ArchiveDamagedError(
            "PartUnreadable",
            f"{member.path}: expected one zstd frame of {member.raw_bytes} bytes, found"
            f" {len(content)} bytes or more than one frame",
        )
    return content
