"""Tells the C library to give large buffers back as soon as they are free.

glibc raises the size from which it maps a buffer of its own whenever such a one is freed, up to
32 MiB; from then on parts and pages leave holes in the heaps of all threads, which stay resident
for good. With a fixed size they are unmapped at once.
"""

import ctypes
import sys
from typing import Final

MAPPED_FROM_BYTES: Final = 256 * 1024  # a page of a list or a block of a part is larger

_M_MMAP_THRESHOLD: Final = -3  # <malloc.h>


def unmap_large_buffers() -> bool:
    """Set this for the whole process; False where the C library is not glibc, and nothing is."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl has neither the habit nor the remedy
        return False
    return bool(library.mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES))
