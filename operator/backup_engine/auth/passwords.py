"""Users with passwords: HTTP basic (spec §2.2). Passwords are kept as scrypt hashes only."""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backup_engine.errors import EngineError

SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 1024  # bytes
NAME_LENGTH: Final = 255

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_COST: Final = 2**15  # with blocks of 8: 32 MiB and about a tenth of a second
_BLOCK: Final = 8
_PARALLEL: Final = 1
_MOST_MEMORY: Final = 64 * 1024 * 1024  # of one check; a line that wants more is refused
_MOST_PARALLEL: Final = 4
_HASH: Final = re.compile(
    r"scrypt\$(\d{1,8})\$(\d{1,3})\$(\d)\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)"
)


class UsersFileError(EngineError):
    """A users file that cannot be read or understood; the text never shows a hash."""


class PasswordError(EngineError):
    """A password that is not fit to be one."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A scrypt hash with its parameters."""

    cost: int
    block: int
    parallel: int
    salt: bytes = field(repr=False)
    value: bytes = field(repr=False)

    def matches(self, password: str) -> bool:
        """Tell whether ``password`` gives this hash; takes a tenth of a second of CPU."""
        given = password.encode("utf-8", "surrogateescape")[: LONGEST_PASSWORD + 1]
        value = _derive(given, self.salt, self.cost, self.block, self.parallel, len(self.value))
        return hmac.compare_digest(value, self.value) and len(given) <= LONGEST_PASSWORD


Users = Mapping[str, PasswordHash]

NOBODY: Final = PasswordHash(_COST, _BLOCK, _PARALLEL, bytes(_SALT_BYTES), bytes(_HASH_BYTES))
"""Checked for unknown users, so that the time does not tell which names exist."""


def hash_password(password: str) -> str:
    """Hash a password for the users file; raises PasswordError if it is too short or long."""
    given = password.encode("utf-8", "surrogateescape")
    if not SHORTEST_PASSWORD <= len(given) <= LONGEST_PASSWORD:
        raise PasswordError(
            f"the password has {len(given)} bytes; expected {SHORTEST_PASSWORD} to"
            f" {LONGEST_PASSWORD}"
        )
    salt = os.urandom(_SALT_BYTES)
    value = _derive(given, salt, _COST, _BLOCK, _PARALLEL, _HASH_BYTES)
    encoded = "$".join(base64.b64encode(part).decode("ascii") for part in (salt, value))
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${encoded}"


def parse_users_file(text: str, path: Path) -> Users:
    """Read ``name:hash`` lines, blank ones and ``#`` comments aside; raises UsersFileError."""
    users: dict[str, PasswordHash] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"users file {path}, line {number}"
        name, separator, written = line.strip().partition(":")
        if not separator or not name or len(name) > NAME_LENGTH or not name.isprintable():
            raise UsersFileError(f"{where}: expected name:hash, the name printable")
        if name in users:
            raise UsersFileError(f"{where}: the user {name!r} stands there twice")
        parsed = _parse_hash(written)
        if parsed is None:
            raise UsersFileError(
                f"{where}: the hash of {name!r} is none; make one with"
                " 'python -m backup_engine hash-password'"
            )
        users[name] = parsed
    if not users:
        raise UsersFileError(f"users file {path}: holds no user; expected lines 'name:hash'")
    return users


def _parse_hash(text: str) -> PasswordHash | None:
    match = _HASH.fullmatch(text)
    if match is None:
        return None
    cost, block, parallel = int(match[1]), int(match[2]), int(match[3])
    is_power = cost > 1 and cost & (cost - 1) == 0
    is_bounded = 0 < 128 * cost * block <= _MOST_MEMORY and 0 < parallel <= _MOST_PARALLEL
    try:
        salt, value = (base64.b64decode(match[part], validate=True) for part in (4, 5))
    except binascii.Error:
        return None
    if not is_power or not is_bounded or len(salt) < _SALT_BYTES or len(value) < _HASH_BYTES:
        return None
    return PasswordHash(cost, block, parallel, salt, value)


def _derive(
    password: bytes, salt: bytes, cost: int, block: int, parallel: int, length: int
) -> bytes:
    memory = 2 * 128 * cost * block + 1024 * 1024
    return hashlib.scrypt(
        password, salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=length
    )
