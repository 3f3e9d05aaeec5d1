"""Who may ask: authorized services, a user, and the cookie of a user (spec §2.2, §14 no. 6)."""

import base64
import binascii
import secrets
import uuid
from dataclasses import dataclass

from appliance.wire import Refusal, Request


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller; ``new_cookie`` is to be set by the answer."""

    label: str
    is_capable: bool = True
    new_cookie: str | None = None


class Callers:
    """Knows the valid secrets."""

    def __init__(self) -> None:
        self.token = str(uuid.uuid4())
        self.powerless_token = str(uuid.uuid4())
        self.username = "admin"
        self.password = secrets.token_urlsafe(12)
        self._cookies: set[str] = set()

    def rotate_token(self) -> str:
        """Replace the token; the old one is worth nothing from now on."""
        self.token = str(uuid.uuid4())
        return self.token

    def authenticate(self, request: Request) -> Caller:
        """Find out who asks: 401/18 for nobody, 403/26 for somebody without the capability."""
        caller = self._find_caller(request)
        if caller is None:
            raise Refusal(401, 18, "No SEC header present in request or it is not valid")
        if not caller.is_capable:
            raise Refusal(403, 26, "The caller has insufficient capabilities")
        return caller

    def _find_caller(self, request: Request) -> Caller | None:
        sent = request.headers.get("SEC")
        if sent is not None:  # counts before basic credentials, even when it is wrong
            known = {
                self.token: Caller("API_user: backup-bot"),
                self.powerless_token: Caller("API_user: onlooker", is_capable=False),
            }
            return known.get(sent)
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return self._find_user(encoded)
        if request.cookies.get("SEC") in self._cookies:
            return Caller(self.username)
        return None

    def _find_user(self, encoded: str) -> Caller | None:
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        if pair != f"{self.username}:{self.password}":
            return None
        cookie = str(uuid.uuid4())
        self._cookies.add(cookie)
        return Caller(self.username, new_cookie=cookie)
