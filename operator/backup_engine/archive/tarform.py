"""The outer form of an archive: a plain POSIX ustar file, byte for byte reproducible.

Every header byte follows from path, size and time, so that a reader can demand exactly these bytes.
"""

import tarfile
from dataclasses import dataclass
from typing import Final

BLOCK_BYTES: Final = tarfile.BLOCKSIZE
END_OF_TAR: Final = bytes(2 * BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the content of one member lies in the tar file; both numbers in bytes."""

    offset: int
    size: int

    @property
    def header_offset(self) -> int:
        """Offset of the header block in front of the content."""
        return self.offset - BLOCK_BYTES

    @property
    def end(self) -> int:
        """Offset behind content and padding, where the next header begins."""
        return self.offset + self.size + padding_bytes(self.size)


def padding_bytes(size: int) -> int:
    """Return how many zero bytes fill up ``size`` bytes to whole blocks."""
    return -size % BLOCK_BYTES


def build_member_header(path: str, size: int, mtime_s: int) -> bytes:
    """Build the one header block of a regular file of ``size`` bytes, owned by uid and gid 0."""
    member = tarfile.TarInfo(path)
    member.size = size
    member.mtime = mtime_s
    member.mode = 0o600  # Secrets are inside: what tar unpacks is its owner's alone
    return member.tobuf(format=tarfile.USTAR_FORMAT, encoding="ascii", errors="strict")


def build_member(path: str, content: bytes, mtime_s: int) -> bytes:
    """Build header, content and padding of one member."""
    size = len(content)
    return build_member_header(path, size, mtime_s) + content + bytes(padding_bytes(size))
