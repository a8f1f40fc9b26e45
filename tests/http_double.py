"""A chat server on the loopback that does what a test tells it, down to the bytes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Act = Callable[[socket.socket], None]
"""Answers one question, on the connection that it came by."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def event(text: str, **choice: Any) -> bytes:
    """A piece of a reply, as servers send it."""
    chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def says(*pieces: str) -> Act:
    """A reply as it should be."""
    return sends(HEAD, *map(event, pieces), event("", finish_reason="stop"), b"data: [DONE]\n\n")


def sends(*parts: bytes, then: Callable[[], object] = lambda: None) -> Act:
    def act(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        then()

    return act


def status(line: str, *headers: str) -> Act:
    lines = [f"HTTP/1.1 {line}", "Content-Length: 0", "Connection: close", *headers, "", ""]
    return sends("\r\n".join(lines).encode())


@dataclass
class ChatServer:
    """Answers each question as the next of ``acts`` says, the last one again and again."""

    acts: list[Act]
    url: str = ""
    questions: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    """Request lines and headers."""
    over: threading.Event = field(default_factory=threading.Event)
    """The test is over: nothing waits any more."""

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head, _, body = self._received(connection)
            act = self.acts[min(len(self.questions), len(self.acts) - 1)]
            self.heads.append(head)
            self.questions.append(json.loads(body))
            act(connection)

    @staticmethod
    def _received(connection: socket.socket) -> tuple[str, str, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65_536)
        head, separator, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        while len(body) < int(fields["content-length"]):
            body += connection.recv(65_536)
        return head.decode(), separator.decode(), body


@contextmanager
def serving(*acts: Act) -> Iterator[ChatServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ChatServer(list(acts))
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
        try:
            yield server
        finally:
            server.over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
