"""The outer form of an archive: a plain POSIX ustar file, byte for byte reproducible.

Every header byte follows from path, size and time, so that a reader can demand exactly these bytes.
"""

from dataclasses import dataclass
from typing import Final

BLOCK_BYTES: Final = 512
NAME_BYTES: Final = 100
CHECKSUM_BYTES: Final = 8
LARGEST_NUMBER: Final = 8**11  # eleven octal digits
MODE: Final = b"0000600\0"  # Secrets are inside: what tar unpacks is its owner's alone
OWNER: Final = b"0000000\0"
REGULAR: Final = b"0"
MAGIC: Final = b"ustar\x0000"
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
    """Build the one header block of a regular file of ``size`` bytes, owned by uid and gid 0.

    Written out here, for a library may fill the fields that do not matter in another way tomorrow;
    docs/archive-format.md has the same table. Raises ValueError for what does not fit.
    """
    name = path.encode("ascii")
    if (
        len(name) > NAME_BYTES
        or not 0 <= size < LARGEST_NUMBER
        or not 0 <= mtime_s < LARGEST_NUMBER
    ):
        raise ValueError(
            f"member {path!r} of {size} bytes, time {mtime_s}: no room in a tar header"
        )
    front = name.ljust(NAME_BYTES, b"\0") + MODE + OWNER + OWNER
    front += f"{size:011o}\0{mtime_s:011o}\0".encode()
    back = (REGULAR + bytes(100) + MAGIC).ljust(BLOCK_BYTES - len(front) - CHECKSUM_BYTES, b"\0")
    checksum = sum(front) + sum(back) + CHECKSUM_BYTES * ord(" ")
    return front + f"{checksum:06o}\0 ".encode() + back


def build_member(path: str, content: bytes, mtime_s: int) -> bytes:
    """Build header, content and padding of one member."""
    size = len(content)
    return build_member_header(path, size, mtime_s) + content + bytes(padding_bytes(size))
