"""One part in memory: objects of one kind become a packed member and its index. CPU only."""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.archive.encryption import NO_RECIPIENTS, Recipients
from backup_engine.archive.manifest import IndexEntry
from backup_engine.archive.zstandard import ZstdCompressor

ZSTD_LEVEL: Final = 3
FULL_RAW_BYTES: Final = 4 * 1024 * 1024  # a reader unpacks one whole, and holds it twice meanwhile
BLOCK_RAW_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KindName:
    """The kind all objects of a part have, as discovery names it."""

    api_version: str
    kind: str
    resource: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed member: stored bytes, their digest, and the size before packing."""

    stored: bytes
    sha256: str
    raw_bytes: int
    encryption: str


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part with its index, ready to be written."""

    kind: KindName
    objects: int
    content: Packed
    index: Packed


def pack(frame: bytes, raw_bytes: int, recipients: Recipients) -> Packed:
    """Encrypt a compressed member and take its digest."""
    stored = recipients.encrypt(frame)
    return Packed(stored, hashlib.sha256(stored).hexdigest(), raw_bytes, recipients.encryption)


class _PackedStream:
    """Collects lines and compresses them a block at a time.

    Blocks are cut by the lines alone, so the stored bytes do not depend on how the server paged.
    """

    __slots__ = ("_block", "_block_bytes", "_compressor", "_stored", "raw_bytes")

    def __init__(self) -> None:
        self._compressor = ZstdCompressor(level=ZSTD_LEVEL)
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._stored: list[bytes] = []
        self.raw_bytes = 0

    def add(self, line: bytes, length: int) -> None:
        """Append ``line`` of ``length`` bytes and a line feed."""
        self._block.append(line)
        self.raw_bytes += length + 1
        self._block_bytes += length + 1
        if self._block_bytes >= BLOCK_RAW_BYTES:
            self._compress_block()

    def finish(self, recipients: Recipients) -> Packed:
        """Close the stream and encrypt it."""
        self._compress_block()
        self._stored.append(self._compressor.flush())
        frame = b"".join(self._stored)
        self._stored.clear()  # the ciphertext needs the room
        return pack(frame, self.raw_bytes, recipients)

    def _compress_block(self) -> None:
        if not self._block:
            return
        self._block.append(b"")  # join puts line feeds between: the last line needs one too
        self._stored.append(self._compressor.compress(b"\n".join(self._block)))
        self._block.clear()
        self._block_bytes = 0


class PartBuilder:
    """Turns the objects of one kind into parts of bounded size."""

    def __init__(self, kind: KindName, recipients: Recipients = NO_RECIPIENTS) -> None:
        self._kind = kind
        self._recipients = recipients
        self._encode = msgspec.json.Encoder().encode  # IndexEntry declares its members sorted
        self._objects = 0
        self._content = _PackedStream()
        self._index = _PackedStream()

    def add(
        self,
        line: bytes,
        namespace: str | None,
        name: str,
        uid: str,
        resource_version: str,
    ) -> Part | None:
        """Append one object, its JSON on one line; return the part that it filled up, or None."""
        length = len(line)
        entry = IndexEntry(
            api_version=self._kind.api_version,
            kind=self._kind.kind,
            length=length,
            name=name,
            namespace=namespace,
            offset=self._content.raw_bytes,
            resource=self._kind.resource,
            resource_version=resource_version,
            sha256=hashlib.sha256(line).hexdigest(),
            uid=uid,
        )
        encoded = self._encode(entry)
        self._content.add(line, length)
        self._index.add(encoded, len(encoded))
        self._objects += 1
        return self.finish() if self._content.raw_bytes >= FULL_RAW_BYTES else None

    def finish(self) -> Part | None:
        """Close the part under way and return it; None if it holds nothing."""
        if not self._objects:
            return None
        content = self._content.finish(self._recipients)
        part = Part(self._kind, self._objects, content, self._index.finish(self._recipients))
        self._objects = 0
        self._content = _PackedStream()
        self._index = _PackedStream()
        return part
