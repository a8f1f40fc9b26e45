"""The control socket: one command per line in, one answer per line out, both JSON.

It transports commands without knowing what they mean, except ``watch``: a client that sends it receives every
line published from then on. All input is answered or dropped, and a client that doesn't read delays nobody.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from assistant.core.errors import AlreadyRunning, AssistantError, ControlError, OrderInvalid
from assistant.runtime.unix_socket import listening
from assistant.services.connections import LONGEST_LINE_BYTES, Connection, Connections, Pace

log = logging.getLogger(__name__)

Document = Mapping[str, object]

MAX_LINE_BYTES = LONGEST_LINE_BYTES
"""A command has a few sentences at most."""

MAX_CLIENTS = 16
"""A display, a button, a few shells; more is a mistake."""

_BACKLOG = 16
"""Clients waiting for their connection to be accepted."""

_ORDERS_PER_S, _ORDERS_AT_ONCE = 60, 100
"""Per client, because speech has priority over any number of commands."""

MAX_BACKLOG_BYTES = 65_536
"""A client with this much unread data, beyond what the kernel buffers, isn't reading."""

SILENT_S = 60.0
"""A client that sends nothing and doesn't watch is dropped after this long."""


class ControlServer:
    """Accepts commands on a Unix socket. ``answer`` carries one out and returns its result, or raises
    AssistantError.
    """

    def __init__(self, answer: Callable[[Document], Awaitable[Document]]) -> None:
        self._answer = answer
        self._connections: Connections | None = None
        self._lock: int | None = None
        self._path: Path | None = None
        self._watchers: set[asyncio.StreamWriter] = set()
        self._published: Document = {}

    async def open(self, path: Path) -> None:
        """Listen at ``path``, for its owner and group only; a leftover from a crash is replaced.

        Raises AlreadyRunning if another process listens there, ControlError if that is impossible.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(path.with_name(f"{path.name}.lock"))
            listener = listening(path)
            listener.listen(_BACKLOG)
            self._connections = Connections(
                "control", [listener], self._attend, most=MAX_CLIENTS, refuse=self._refuse
            )
            self._path = path
        except OSError as error:
            raise ControlError(
                f"The control socket {path} cannot be created: {error.strerror or error}.",
                "Give the assistant write permission for its folder, and keep the path under 100 characters.",
            ) from error

    def publish(self, document: Document) -> None:
        """Send a line to all current and later watchers."""
        self._published = document
        for watcher in list(self._watchers):
            self._send(watcher, document)

    async def close(self) -> None:
        """Disconnect all clients and remove the socket."""
        if self._connections:
            await self._connections.close()
        if self._path:
            self._path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _attend(self, client: Connection) -> None:
        """Answer one client's commands until it has no more."""
        pace = Pace(_ORDERS_PER_S, _ORDERS_AT_ONCE)
        try:
            await self._orders_of(client, pace)
            with suppress(ConnectionError):
                client.writer.close()
                await client.writer.wait_closed()
        finally:
            self._watchers.discard(client.writer)

    async def _refuse(self, client: Connection) -> None:
        self._send(client.writer, _refusal(_too_many()))

    async def _orders_of(self, client: Connection, pace: Pace) -> None:
        writer = client.writer
        while True:
            timeout = asyncio.get_running_loop().call_later(SILENT_S, self._drop_silent, writer)
            try:
                line = await client.reader.readuntil()
            except asyncio.IncompleteReadError as end:
                line = end.partial
            except asyncio.LimitOverrunError:
                return self._send(writer, _refusal(_too_long()))
            finally:
                timeout.cancel()
            if not line:
                return None
            client.busy = True
            if line.strip():
                await self._obey(line, writer)
            await pace.wait()  # a client that sends commands nonstop must not block the others
            client.busy = writer in self._watchers
            client.note()

    async def _obey(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            order = _order(line)
            if order["order"] == "watch":
                self._watchers.add(writer)
                self._send(writer, self._published)
            else:
                self._send(writer, {"ok": True, **await self._answer(order)})
        except AssistantError as error:
            self._send(writer, _refusal(error))
        except Exception as error:  # a bug in one command must not end the service
            # The error's message may contain speech; its class doesn't.
            log.error("order=failed error=%s", type(error).__name__)
            log.debug("order=failed", exc_info=True)
            self._send(writer, _refusal(_defect(error)))

    def _send(self, writer: asyncio.StreamWriter, document: Document) -> None:
        if writer.transport.is_closing():
            return
        writer.write(json.dumps(document).encode() + b"\n")
        if writer.transport.get_write_buffer_size() > MAX_BACKLOG_BYTES:
            log.warning("client=dropped reason=does_not_read")
            writer.transport.abort()

    def _drop_silent(self, writer: asyncio.StreamWriter) -> None:
        if writer not in self._watchers:
            writer.transport.abort()


def _locked(path: Path) -> int:
    """Take a lock that the kernel releases however its owner ends. Raises AlreadyRunning."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise AlreadyRunning(
            "An assistant is already running.",
            "Use that one (`assistant ctl status`), or stop it before you start another.",
        ) from error
    return lock


def _order(line: bytes) -> dict[str, object]:
    """Parse a command. Raises OrderInvalid for anything but a JSON object with an "order" in it."""
    try:
        order = json.loads(line)
    except (ValueError, RecursionError):
        order = None
    if not isinstance(order, dict) or not isinstance(order.get("order"), str):
        raise OrderInvalid(
            "That is not a command.", '\'Send one JSON object per line, such as {"order": "status"}.\''
        )
    return order


def _refusal(error: AssistantError) -> Document:
    return {"ok": False, "code": error.code, "problem": error.problem, "next_step": error.next_step}


def _too_long() -> AssistantError:
    return OrderInvalid(f"A command can have at most {MAX_LINE_BYTES} bytes.", "Send a shorter one.")


def _too_many() -> AssistantError:
    return ControlError(f"{MAX_CLIENTS} clients are already connected.", "Disconnect some of them.")


def _defect(error: Exception) -> AssistantError:
    return AssistantError(
        f"A defect: {type(error).__name__}.", "This is a bug. Please report it, with the log lines around it."
    )
