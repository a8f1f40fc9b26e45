"""One HTTP request whose response is read line by line, with timeouts that hold.

Name lookup, connecting and reading happen on a separate thread, because nothing can interrupt them: without a
network, a name lookup alone may take ten seconds. The caller waits for lines as long as it chooses, and
returns at once when canceled. Redirects are not followed and proxies are not used, so what was said goes only
to the given address. This uses only the standard library: an HTTP package would not add a deadline for name
lookups either.
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
"""A token with its JSON takes 300 bytes; anything longer is not a valid answer."""
MAX_ANSWER_BYTES = 4_000_000
"""Thousands of tokens."""
_READ_TIMEOUT_S = 60.0
"""Frees the thread even if shutting down its socket goes unnoticed."""


def json_headers(secret: str | None) -> dict[str, str]:
    """Headers for a JSON request, with ``secret`` as bearer token (RFC 6750) if given."""
    said = {"Content-Type": "application/json"}
    return said if secret is None else {**said, "Authorization": f"Bearer {secret}"}


class CallFailed(Exception):
    """The request failed or its response broke off. The text gives a short reason."""


class Call:
    """A request in progress. Read ``status`` first, then each ``line``; always ``close`` it.

    A caller that is waiting when ``cancel`` is set gets CallFailed at once. Raises CallFailed for an
    invalid URL.
    """

    def __init__(
        self, url: str, body: bytes, headers: Mapping[str, str], *, connect_timeout_s: float, cancel: Cancel
    ) -> None:
        self._items: queue.SimpleQueue[int | bytes | CallFailed | None] = queue.SimpleQueue()
        self._let_go = threading.Event()
        try:
            self._connection = _connection(url, connect_timeout_s)
        except ValueError:
            raise CallFailed("the URL is invalid") from None
        self._stream: socket.socket | None = None
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        cancel.on_set(lambda: self._items.put(CallFailed("cancelled")))
        talking = threading.Thread(target=self._talk, args=(target, body, headers), daemon=True)
        talking.start()

    def status(self, timeout_s: float) -> int:
        """Return the HTTP status. Raises CallFailed on failure or timeout."""
        status = self._next(timeout_s)
        if not isinstance(status, int):
            raise CallFailed("it sent no HTTP status")
        return status

    def line(self, timeout_s: float) -> bytes | None:
        """Return the next line without its line ending, or None after the last. Raises CallFailed on failure
        or timeout.
        """
        line = self._next(timeout_s)
        return line if isinstance(line, bytes) else None

    def rest(self, timeout_s: float) -> bytes:
        """Return the rest of the body. Raises CallFailed on failure or timeout."""
        deadline_s = time.monotonic() + timeout_s
        lines = []
        while (line := self.line(deadline_s - time.monotonic())) is not None:
            lines.append(line)
        return b"\n".join(lines)

    def close(self) -> None:
        """Close the connection; the thread ends as soon as it notices."""
        self._let_go.set()
        if self._stream is not None:
            with suppress(OSError):
                # The plain socket, because TLS would first wait for its closing handshake.
                socket.socket.shutdown(self._stream, socket.SHUT_RDWR)

    def _next(self, timeout_s: float) -> int | bytes | None:
        try:
            item = self._items.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            raise CallFailed("it did not answer in time") from None
        if isinstance(item, CallFailed):
            raise item
        return item

    def _talk(self, target: str, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            self._connection.connect()
            # http.client forgets its socket once the response has begun.
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
                raise CallFailed("its answer is too long")
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
    """Return a short reason that includes nothing from the server or the settings."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"it does not speak HTTP ({type(error).__name__})"
