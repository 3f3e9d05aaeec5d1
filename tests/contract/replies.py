"""Raw requests and replies, so that no client of ours can smooth anything over."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

ERROR_MEMBERS = {"http_response", "code", "description", "details", "message"}
FIRST_ENDPOINT_CODE = 1000


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it came."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """The body."""
        return json.loads(self.content)

    @property
    def ids(self) -> list[int]:
        """The ids of a list."""
        return [record["id"] for record in self.json]

    @property
    def names(self) -> list[str]:
        """The names of a list."""
        return [record["name"] for record in self.json]

    def assert_is(self, status: int) -> Self:
        """Check the status; the failure shows the body."""
        assert self.status == status, f"HTTP {self.status}: {self.content[:500]!r}"
        assert self.headers["Content-Type"].startswith("application/json")
        return self

    def assert_refused(self, status: int, code: int | None, holds: str = "") -> Self:
        """Check the error body member by member (spec §2.11).

        ``code`` None: the spec names none, so any code of the framework will do.
        """
        self.assert_is(status)
        body = self.json
        assert set(body) == ERROR_MEMBERS
        assert set(body["http_response"]) == {"code", "message"}
        assert body["http_response"]["code"] == status
        assert body["http_response"]["message"]
        assert isinstance(body["details"], dict)
        assert isinstance(body["description"], str)
        assert body["message"]
        assert holds.lower() in body["message"].lower()
        if code is None:
            assert 0 <= body["code"] < FIRST_ENDPOINT_CODE
        else:
            assert body["code"] == code, body
        return self


class RawClient:
    """Sends exactly what it is told; an async context manager.

    No header is added but Host and Content-Length; the client's own credentials are sent unless
    ``credentials`` says otherwise.
    """

    def __init__(self, url: str, ca_pem: str, credentials: Mapping[str, str]) -> None:
        self.url = url
        self.context = ssl.create_default_context(cadata=ca_pem)
        self.credentials = dict(credentials)
        self._http = httpx2.AsyncClient(
            verify=self.context,
            timeout=100.0,
            limits=httpx2.Limits(max_connections=32),
            trust_env=False,
        )
        self._http.headers.clear()

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | str = "",
        headers: Mapping[str, str] | None = None,
        body: object = None,
        raw: bytes | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request. ``path`` is below ``/api``; a text ``query`` goes out as it is."""
        text = (
            query
            if isinstance(query, str)
            else "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        )
        content = json.dumps(body).encode() if body is not None else raw
        who = self.credentials if credentials is None else credentials
        self._http.cookies.clear()
        answer = await self._http.request(
            method,
            f"{self.url}/api{path}" + (f"?{text}" if text else ""),
            headers={**who, **(headers or {})},
            content=content or None,
        )
        return Reply(answer.status_code, answer.headers, answer.content)
