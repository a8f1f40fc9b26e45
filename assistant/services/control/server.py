"""The control socket: one order a line in, one answer a line out, both JSON.

It knows how orders travel, not what they mean; only ``watch`` is its own: whoever sends it gets
every line that is published from then on. Whatever comes in is answered or dropped, and nobody
who does not read holds anybody up.
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
"""An order holds a few sentences at most."""

MAX_CLIENTS = 16
"""A display, a button, some shells; more is a mistake."""

_BACKLOG = 16
"""Clients who wait for their connection to be taken."""

_ORDERS_PER_S, _ORDERS_AT_ONCE = 60, 100
"""Of one client: a person who talks goes before any number of orders."""

MAX_BACKLOG_BYTES = 65_536
"""Whoever has left so much unread, beyond what the kernel holds, does not read."""

SILENT_S = 60.0
"""Whoever neither orders nor watches for so long is dropped."""


class ControlServer:
    """Takes orders at a Unix socket. ``answer`` says what an order comes to, or raises AssistantError."""

    def __init__(self, answer: Callable[[Document], Awaitable[Document]]) -> None:
        self._answer = answer
        self._connections: Connections | None = None
        self._lock: int | None = None
        self._path: Path | None = None
        self._watchers: set[asyncio.StreamWriter] = set()
        self._published: Document = {}

    async def open(self, path: Path) -> None:
        """Listen at ``path``, for its owner and group only; what a crash left there is replaced.

        Raises AlreadyRunning when another process listens there, ControlError when nobody can.
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
                f"The control socket {path} cannot be made: {error.strerror or error}.",
                "Make its folder one that the assistant may write to, with a path of at most 100 letters.",
            ) from error

    def publish(self, document: Document) -> None:
        """Tell whoever watches, now and whoever begins later."""
        self._published = document
        for watcher in list(self._watchers):
            self._send(watcher, document)

    async def close(self) -> None:
        """Hang up and take the socket away."""
        if self._connections:
            await self._connections.close()
        if self._path:
            self._path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _attend(self, client: Connection) -> None:
        """Answer one client's orders until it has no more."""
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
            await pace.wait()  # one who orders without end does not keep the others waiting
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
        except Exception as error:  # a defect of one order must not end the service
            # Its message may hold what was said; its kind does not.
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
    """A lock that the kernel takes back however its owner ends. Raises AlreadyRunning."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise AlreadyRunning(
            "An assistant is running here already.",
            "Talk to that one (`assistant ctl status`), or end it before you start another.",
        ) from error
    return lock


def _order(line: bytes) -> dict[str, object]:
    """Raises OrderInvalid for everything that is no JSON object with an "order" in it."""
    try:
        order = json.loads(line)
    except (ValueError, RecursionError):
        order = None
    if not isinstance(order, dict) or not isinstance(order.get("order"), str):
        raise OrderInvalid("That is no order.", 'Send one JSON object a line, such as {"order": "status"}.')
    return order


def _refusal(error: AssistantError) -> Document:
    return {"ok": False, "code": error.code, "problem": error.problem, "next_step": error.next_step}


def _too_long() -> AssistantError:
    return OrderInvalid(f"An order has at most {MAX_LINE_BYTES} bytes.", "Send a shorter one.")


def _too_many() -> AssistantError:
    return ControlError(f"{MAX_CLIENTS} others are connected already.", "Close some of them.")


def _defect(error: Exception) -> AssistantError:
    return AssistantError(
        f"A defect: {type(error).__name__}.", "Please report it, with the log lines around it."
    )
