"""One question to a server over HTTP, its answer line by line, with time-outs that hold.

Looking a name up, connecting and reading are done by a thread of their own, because nothing can
interrupt them: without a network, a name alone may take ten seconds. Who asked waits for lines,
no longer than it likes, and lets go at once when cancelled. Redirects are not followed and no
proxy is asked, so what was said goes to the one address that was given. The standard library does
it all: an HTTP package would bring no deadline for names either.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from assistant.runtime.cancel import Cancel

MAX_LINE_BYTES = 65_536
"""A token with its JSON around it takes 300; what is longer is not meant for us."""
MAX_ANSWER_BYTES = 4_000_000
"""Thousands of tokens."""
_READ_TIMEOUT_S = 60.0
"""Frees the thread when even the shutdown of its socket is not noticed."""


def json_headers(secret: str | None) -> dict[str, str]:
    """Of a question in JSON to a server that wants ``secret`` as a bearer token (RFC 6750), or none."""
    said = {"Content-Type": "application/json"}
    return said if secret is None else {**said, "Authorization": f"Bearer {secret}"}


class CallFailed(Exception):
    """There is no answer, or no more of it. Its text says why, in a few words."""


class Call:
    """A question on its way. First ask for its ``status``, then for each ``line``; ``close`` it in any case.

    Whoever waits when ``cancel`` is set gets CallFailed at once.
    """

    def __init__(
        self, url: str, body: bytes, headers: Mapping[str, str], *, connect_timeout_s: float, cancel: Cancel
    ) -> None:
        self._items: queue.SimpleQueue[int | bytes | CallFailed | None] = queue.SimpleQueue()
        self._let_go = threading.Event()
        self._connection = _connection(url, connect_timeout_s)
        self._stream: socket.socket | None = None
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        cancel.on_set(lambda: self._items.put(CallFailed("cancelled")))
        talking = threading.Thread(target=self._talk, args=(target, body, headers), daemon=True)
        talking.start()

    def status(self, timeout_s: float) -> int:
        """The answer's HTTP status. Raises CallFailed, also when it is late."""
        status = self._next(timeout_s)
        if not isinstance(status, int):
            raise CallFailed("no HTTP status")
        return status

    def line(self, timeout_s: float) -> bytes | None:
        """The next line without its end; None after the last. Raises CallFailed, also when it is late."""
        line = self._next(timeout_s)
        return line if isinstance(line, bytes) else None

    def rest(self, timeout_s: float) -> bytes:
        """All that is left. Raises CallFailed, also when it is late."""
        deadline_s = time.monotonic() + timeout_s
        lines = []
        while (line := self.line(deadline_s - time.monotonic())) is not None:
            lines.append(line)
        return b"\n".join(lines)

    def close(self) -> None:
        """Let go: the connection ends, and with it the thread, as soon as it has noticed."""
        self._let_go.set()
        if self._stream is not None:
            with suppress(OSError):
                # Of the plain socket: TLS would first want to say goodbye.
                socket.socket.shutdown(self._stream, socket.SHUT_RDWR)

    def _next(self, timeout_s: float) -> int | bytes | None:
        try:
            item = self._items.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            raise CallFailed("no answer in time") from None
        if isinstance(item, CallFailed):
            raise item
        return item

    def _talk(self, target: str, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            self._connection.connect()
            # Kept, because http.client forgets its socket as soon as the answer has begun.
            self._stream = self._connection.sock
            if not self._let_go.is_set():
                self._stream.settimeout(_READ_TIMEOUT_S)
                self._connection.request("POST", target, body, dict(headers))
                with self._connection.getresponse() as answer:
                    self._listen(answer)
        except CallFailed as failure:
            self._items.put(failure)
        except Exception as error:  # noqa: BLE001 - a hostile server makes http.client raise whatever it can
            self._items.put(CallFailed(_reason(error)))
        finally:
            self._connection.close()

    def _listen(self, answer: http.client.HTTPResponse) -> None:
        self._items.put(answer.status)
        left = MAX_ANSWER_BYTES
        while line := answer.readline(MAX_LINE_BYTES + 1):
            left -= len(line)
            if len(line) > MAX_LINE_BYTES or left < 0:
                raise CallFailed("an answer without end")
            self._items.put(line.rstrip(b"\r\n"))
        self._items.put(None)


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout_s, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)


def _reason(error: Exception) -> str:
    """Why, without anything that the server or the settings hold."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not to be trusted"
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"no HTTP ({type(error).__name__})"
