"""HTTP as uvicorn and llhttp read it; what they cannot read gets the API's own error body."""

import asyncio
import uuid
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from backup_engine.errors import RefusalError
from backup_engine.routes.answers import ServerErrors, build_refusal
from backup_engine.routes.request_head import MAX_UNREAD_BYTES, judge_unreadable

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 16 * 1024 * 1024


class EngineProtocol(HttpToolsProtocol):
    """One connection."""

    url = b""  # before the first request
    _is_in_head = False
    _head_bytes = 0
    _body_left = 0
    _unheard_bytes: int | None = None  # what came after the refusal that ends the connection

    def on_message_begin(self) -> None:
        """Begin to count: the parser itself would take a head without end."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Serve the request; its body may still be coming."""
        self._is_in_head = False
        # the parser reads no body behind an offer of another protocol, which is not taken up here
        self._body_left = self._find_length() if self.parser.should_upgrade() else 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Tell the end of the body, unless the parser only believes so."""
        if not self._body_left:
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, or leave unheard what follows a refusal that ends the connection."""
        if self._unheard_bytes is not None:
            self._unheard_bytes += len(data)
            if self._unheard_bytes > LINGER_BYTES:
                self.transport.close()
            return
        self._unset_keepalive_if_required()
        left = data
        while left:
            if self._body_left:
                piece, left = left[: self._body_left], left[self._body_left :]
                self._body_left -= len(piece)
                self.on_body(piece)
                self.on_message_complete()
                continue
            try:
                self.parser.feed_data(left)
            except httptools.HttpParserUpgrade as offer:
                left = left[offer.args[0] :]
            except httptools.HttpParserError as trouble:
                self._refuse(judge_unreadable(len(self.url), 0, str(trouble)))
                return
            else:
                break
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_UNREAD_BYTES:
                self._refuse(judge_unreadable(len(self.url), self._head_bytes))

    def _find_length(self) -> int:
        """Find how long the body of a request is that offers another protocol."""
        headers = dict(self.headers)
        if b"transfer-encoding" in headers:
            raise ValueError("a body in chunks behind an offer of another protocol")
        return int(headers.get(b"content-length", b"0"))

    def _refuse(self, refusal: RefusalError) -> None:
        """Refuse what is no HTTP, or has a head without end, and close the connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.response_complete:
            cycle = None
        if cycle is None or not (self._is_in_head or cycle.response_started):
            answer = build_refusal(refusal.row, refusal.message, {"Connection": "close"})
            headers = [
                *self.server_state.default_headers,
                *answer.raw_headers,
                (b"x-request-id", uuid.uuid4().hex.encode()),
            ]
            lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
            body = bytes(answer.body)
            self.transport.write(STATUS_LINE[answer.status_code] + lines + b"\r\n" + body)
        if cycle is not None:  # the answer to a body that cannot be read is out already
            cycle.disconnected = True
            cycle.message_event.set()
        if refusal.row is ServerErrors.BAD_SYNTAX:
            self.transport.close()
            return
        # closed while more is coming, the client would see a reset instead of the answer
        self._unheard_bytes = 0
        asyncio.get_running_loop().call_later(LINGER_S, self.transport.close)
