"""Accepts connections within limits, so that no outsider can use up what the assistant itself needs.

It tracks who is connected and how long each client has been idle; the service handles what they send. It
reserves descriptors for microphone, control socket and files. When all places are taken, the longest-idle
client is dropped in favor of the next one.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

log = logging.getLogger(__name__)

MOST_CLIENTS = 64
MOST_FROM_ONE_HOST = 48
KEPT_BACK = 64
"""Descriptors reserved for ourselves."""

LONGEST_LINE_BYTES = 65_536

_IDLE_S = 1.0
"""A client that was active this recently is not dropped."""

_PAUSE_S = 1.0
"""After a failed accept, usually for lack of descriptors or memory."""

_LOG_EVERY_S = 60.0

_ACCEPTS_PER_S, _ACCEPTS_AT_ONCE = 50, 100
"""A client that reconnects over and over must not keep the loop from its sound."""


class Connection:
    """One client. ``busy`` is true while it is being answered; ``note`` records activity."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader = reader
        self.writer = writer
        self.host = host
        self.busy = False
        self._loop = asyncio.get_running_loop()
        self.active_s = self._loop.time()

    def note(self) -> None:
        self.active_s = self._loop.time()

    @property
    def idle_s(self) -> float:
        return 0.0 if self.busy else self._loop.time() - self.active_s

    def hang_up(self) -> None:
        self.writer.transport.abort()


class Pace:
    """Allows ``burst`` events at once, and ``per_s`` per second in the long run."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._each_s = 1 / per_s
        self._burst_s = burst / per_s
        self._until_s = 0.0

    async def wait(self) -> None:
        """Wait until the next event is allowed, while other tasks run."""
        now_s = asyncio.get_running_loop().time()
        self._until_s = max(now_s, self._until_s + self._each_s)
        await asyncio.sleep(max(0.0, self._until_s - now_s - self._burst_s))


class Connections:
    """Clients connected through ``listeners``, each served by ``attend`` in its own task.

    There are at most ``most`` of them, or without it, as many as the process's descriptors allow. ``refuse``
    tells a surplus client why; without it, the client is just disconnected.
    """

    def __init__(
        self,
        name: str,
        listeners: Sequence[socket.socket],
        attend: Callable[[Connection], Awaitable[None]],
        *,
        most: int | None = None,
        refuse: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._name = name
        self._attend = attend
        self._refuse = refuse
        self._pace = Pace(_ACCEPTS_PER_S, _ACCEPTS_AT_ONCE)
        self._clients: dict[asyncio.Task[None], Connection] = {}
        self._told_s = -_LOG_EVERY_S
        self._unsaid = 0
        self._listeners = listeners
        self._most = most or _most_clients()
        self._accepting = [asyncio.ensure_future(self._accept(listener)) for listener in listeners]

    async def close(self) -> None:
        """Disconnect everyone and stop listening."""
        tasks = [*self._accepting, *self._clients]
        for connection in self._clients.values():
            connection.hang_up()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)  # noqa: FBT003
        while True:
            await self._pace.wait()
            try:
                accepted, address = await loop.sock_accept(listener)
            except OSError as error:
                self._tell("accept_failed", error.strerror or str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            host = str(address[0]) if isinstance(address, tuple) else ""
            attend: Callable[[Connection], Awaitable[None]] | None = self._attend
            if not self._has_room(host):
                self._tell("refused", "too many clients")
                attend = self._refuse if len(self._clients) < 2 * self._most else None
            if attend is None:
                accepted.close()
                continue
            with suppress(OSError):
                await self._welcome(accepted, host, attend)

    async def _welcome(
        self, accepted: socket.socket, host: str, attend: Callable[[Connection], Awaitable[None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST_LINE_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted)
        connection = Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop), host)
        task = asyncio.ensure_future(self._serve(connection, attend))
        self._clients[task] = connection
        task.add_done_callback(lambda done: self._clients.pop(done, None))

    async def _serve(self, connection: Connection, attend: Callable[[Connection], Awaitable[None]]) -> None:
        try:
            await attend(connection)
            with suppress(ConnectionError):
                connection.writer.close()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            connection.hang_up()
        except Exception as error:  # noqa: BLE001 - whatever a client sends, it ends its own connection only
            self._tell("client_dropped", repr(error)[:200])
            connection.hang_up()

    def _has_room(self, host: str) -> bool:
        """Make room if necessary, first among the clients of a host that has too many."""
        hosts = Counter(connection.host for connection in self._clients.values())
        if hosts[host] >= min(MOST_FROM_ONE_HOST, self._most):
            return self._drop_idle([each for each in self._clients.values() if each.host == host])
        return len(self._clients) < self._most or self._drop_idle(list(self._clients.values()))

    def _drop_idle(self, among: Sequence[Connection]) -> bool:
        longest = max(among, key=lambda each: each.idle_s, default=None)
        if longest is None or longest.idle_s < _IDLE_S:
            return False
        longest.note()
        longest.hang_up()
        self._tell("client_dropped", "idle while others wait")
        return True

    def _tell(self, what: str, reason: str) -> None:
        """Log it, but at most once a minute."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_s < _LOG_EVERY_S:
            self._unsaid += 1
            return
        log.warning("%s=%s reason=%r more_before=%d", self._name, what, reason, self._unsaid)
        self._told_s, self._unsaid = now_s, 0


def _most_clients() -> int:
    """Return the limit that leaves us half of the descriptors beyond our own needs."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return MOST_CLIENTS
    return max(4, min(MOST_CLIENTS, (allowed - KEPT_BACK) // 2))
