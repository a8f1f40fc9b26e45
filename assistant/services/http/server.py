"""An HTTP server on the assistant's own event loop, behind a guard.

The server is uvicorn. The guard checks the token, refuses pages from other origins, and limits sizes, times,
and the number of connections, so that clients can't exhaust resources that the assistant itself needs.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 32
LARGEST_BODY_BYTES = 25_000_000
"""OpenAI's own limit for audio files."""

LARGEST_EVENT_BYTES = 1_000_000
"""Largest WebSocket message: 15 s of audio."""

_HEAD_WITHIN_S = 10.0
"""Time limit for the first request on a connection."""
_BODY_WITHIN_S = 60.0
_IDLE_S = 30.0
"""A connection without a request for this long is closed."""
_LARGEST_HEAD_BYTES = 16_384
_ENDS_WITHIN_S = 2

_PORT = re.compile(r":\d+$")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class _Connection(H11Protocol):
    """A connection that is closed if a request doesn't begin in time.

    There are at most MOST_CONNECTIONS: a new one takes the place of one that has asked nothing yet.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            silent = (each for each in self.connections if isinstance(each, _Connection) and each.is_silent)
            next((each for each in silent if each is not self), self).transport.abort()
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_head()

    @property
    def is_silent(self) -> bool:
        """True while no request has begun."""
        return self.cycle is None and self.transport.get_protocol() is self

    def _expect_head(self) -> None:
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            loop = asyncio.get_running_loop()
            self._late = loop.call_later(_HEAD_WITHIN_S, self._close_if_late, self.cycle)

    def _close_if_late(self, before: object) -> None:
        self._late = None
        is_http = self.transport.get_protocol() is self  # and not a WebSocket by now
        if is_http and self.cycle is before and not self.transport.is_closing():
            self.transport.abort()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the assistant."""
        yield


@asynccontextmanager
async def serve(listener: socket.socket, app: ASGIApp, *, token: str | None) -> AsyncIterator[None]:
    """Answer requests on ``listener`` with ``app`` while the block lasts."""
    server = _Server(
        uvicorn.Config(
            Guard(app, token),
            http=_Connection,
            ws="websockets-sansio",
            ws_max_size=LARGEST_EVENT_BYTES,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=round(_IDLE_S),
            timeout_graceful_shutdown=_ENDS_WITHIN_S,
            h11_max_incomplete_event_size=_LARGEST_HEAD_BYTES,
        )
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    host, port = listener.getsockname()[:2]
    log.info("http=listening address=%s port=%d token=%s", host, port, "yes" if token else "no")
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


class Guard:
    """Passes a request to ``app`` only if it is allowed, and limits its body."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        headers = Headers(scope=scope)
        reason = self._refusal(headers)
        if scope["type"] == "websocket":
            if reason:
                await send({"type": "websocket.close", "code": 1008, "reason": reason[2]})
            else:
                await self._app(scope, receive, send)
            return
        if reason:
            await _refuse(send, *reason)
            return
        body = _Body(receive, headers)
        if body.is_too_large:
            await _refuse(send, 413, "too_large", f"A request may have at most {LARGEST_BODY_BYTES} bytes.")
            return
        await self._app(scope, body.receive, send)

    def _refusal(self, headers: Headers) -> tuple[int, str, str] | None:
        """Return status, code, and reason if the request is refused."""
        if self._token is not None:
            given = headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                return 401, "invalid_api_key", "The token in services.http.token_file is required."
        elif _PORT.sub("", headers.get("host", "")) not in _LOCAL_NAMES:
            return 403, "wrong_host", "Without a token, only local programs have access."
        if "origin" in headers:
            return 403, "wrong_origin", "Pages from other sites have no access."
        return None


class _Body:
    """A request's body, within its size and time limits."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._bytes = 0
        self._until_s = asyncio.get_running_loop().time() + _BODY_WITHIN_S
        self._is_whole = False
        told = headers.get("content-length", "0")
        self.is_too_large = not told.isdecimal() or int(told) > LARGEST_BODY_BYTES

    async def receive(self) -> Message:
        """Return the next message (ASGI); a client that sends too much or too slowly is treated as
        disconnected.
        """
        if self._is_whole:
            return await self._receive()
        left_s = self._until_s - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left_s))
        except asyncio.TimeoutError:
            return {"type": "http.disconnect"}
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._bytes > LARGEST_BODY_BYTES:
            return {"type": "http.disconnect"}
        return message


async def _refuse(send: Send, status: int, code: str, reason: str) -> None:
    content: dict[str, Any] = {"error": {"message": reason, "type": "invalid_request_error", "code": code}}
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
