"""The ``SEC`` cookie of users who came with a password (spec §14 no. 6). Pure."""

import base64
import binascii
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from typing import Final

from backup_engine.auth.passwords import PasswordHash

COOKIE: Final = "SEC"
LIFETIME_S: Final = 3600

_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Session:
    """What a cookie says; ``mac`` must be checked before any of it is believed."""

    id: str
    until_s: int  # epoch seconds
    user: str
    mac: str = field(repr=False)

    @property
    def text(self) -> str:
        """The cookie's value."""
        return f"{_signed_text(self.id, self.until_s, self.user)}.{self.mac}"

    def is_genuine(self, key: bytes, password: PasswordHash) -> bool:
        """Tell whether this engine made it, for the password that the user still has."""
        return hmac.compare_digest(
            self.mac.encode(), _sign(key, password, self.id, self.until_s, self.user).encode()
        )


def build_session(key: bytes, user: str, password: PasswordHash, now_s: int) -> Session:
    """Build a session of ``user``; a changed password ends it, for it is part of the signature."""
    session_id, until_s = uuid.uuid4().hex, now_s + LIFETIME_S
    return Session(session_id, until_s, user, _sign(key, password, session_id, until_s, user))


def parse_session(text: str) -> Session | None:
    """Read a cookie's value; None if it is none of ours."""
    parts = text.split(".")
    if len(parts) != _PARTS or not parts[1].isdecimal() or not parts[1].isascii():
        return None
    try:
        user = base64.urlsafe_b64decode(parts[2].encode("ascii")).decode("utf-8")
        return Session(parts[0], int(parts[1][:18]), user, parts[3])
    except (binascii.Error, ValueError):  # no base64, no UTF-8
        return None


def find_cookie(header: str | None) -> str | None:
    """Find the value of the cookie in a ``Cookie`` header."""
    for pair in (header or "").split(";"):
        name, _, value = pair.partition("=")
        if name.strip() == COOKIE:
            return value.strip().strip('"')
    return None


def build_set_cookie(value: str, lifetime_s: int = LIFETIME_S) -> str:
    """Build a ``Set-Cookie`` header; no other site's page can make a browser send the cookie."""
    attributes = "Path=/; HttpOnly; Secure; SameSite=Strict"
    return f"{COOKIE}={value}; Max-Age={lifetime_s}; {attributes}"


def _signed_text(session_id: str, until_s: int, user: str) -> str:
    encoded = base64.urlsafe_b64encode(user.encode("utf-8")).decode("ascii")
    return f"{session_id}.{until_s}.{encoded}"


def _sign(key: bytes, password: PasswordHash, session_id: str, until_s: int, user: str) -> str:
    text = _signed_text(session_id, until_s, user).encode("utf-8")
    return hmac.new(key + password.value, text, hashlib.sha256).hexdigest()
