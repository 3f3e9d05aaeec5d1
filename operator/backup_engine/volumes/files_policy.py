"""What kopia is to keep of a volume, and how: all that is in it, compressed. Pure."""

from typing import Final

import msgspec

COMPRESSION: Final = "zstd-fastest"

_NO_FILE: Final = "/"  # no file has that name; an empty list would be kopia's default one

ARGUMENTS: Final = (
    f"--compression={COMPRESSION}",
    # what somebody in a pod calls a cache, or ignorable, is in the volume all the same
    "--ignore-cache-dirs=false",
    "--remove-dot-ignore=.kopiaignore",
    f"--add-dot-ignore={_NO_FILE}",
)
"""What ``kopia policy set`` is told."""


class _Files(msgspec.Struct, frozen=True, rename="camel"):
    ignore_dot_files: tuple[str, ...] = ()
    ignore_cache_dirs: bool = True


class _Compression(msgspec.Struct, frozen=True, rename="camel"):
    compressor_name: str = ""


class _Policy(msgspec.Struct, frozen=True, rename="camel"):
    files: _Files = _Files()
    compression: _Compression = _Compression()


WANTED: Final = _Policy(_Files((_NO_FILE,), ignore_cache_dirs=False), _Compression(COMPRESSION))


def is_policy_set(text: bytes) -> bool:
    """Read ``kopia policy show --json``: whether all is as ARGUMENTS ask.

    What is not understood is not: to set it once more does no harm.
    """
    try:
        return msgspec.json.decode(text, type=_Policy) == WANTED
    except (msgspec.DecodeError, msgspec.ValidationError):
        return False
