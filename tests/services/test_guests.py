"""Clients from outside use up nothing that the assistant needs, and a person in the room goes first."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.core.errors import EngineTimeout, SettingsError
from assistant.core.state import State
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.services import connections
from assistant.services import guests as guests_module
from assistant.services.connections import Connection, Connections, Pace
from assistant.services.guests import Guests

pytest.importorskip("wyoming", reason="needs the extra services")

from assistant.services.wyoming import protocol
from assistant.services.wyoming.protocol import serve
from tests.services.test_wyoming import OFFER


def in_loop(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(story(), 20)

    asyncio.run(main())


def test_what_is_under_way_is_broken_off_for_a_person_and_begun_anew() -> None:
    async def story() -> None:
        guests, begun = Guests(), 0

        async def work() -> str:
            nonlocal begun
            begun += 1
            await asyncio.sleep(0.05)
            return "done"

        job = asyncio.ensure_future(guests.run(work))
        await asyncio.sleep(0.02)
        assert begun == 0, "it is still loading"
        guests.follow(State.SLEEPING)
        await asyncio.sleep(0.02)
        for state in (State.LISTENING, State.THINKING, State.SPEAKING):
            guests.follow(state)
            await asyncio.sleep(0.02)
            assert begun == 1
        guests.follow(State.SLEEPING)
        assert await job == "done"
        assert begun == 2

    in_loop(story)


def test_guests_wait_for_a_time_and_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests_module, "LONGEST_WAIT_S", 0.1)

    async def story() -> None:
        guests, at_once = Guests(), 0

        async def work() -> int:
            nonlocal at_once
            at_once += 1
            await asyncio.sleep(0.01)
            at_once -= 1
            return at_once

        with pytest.raises(EngineTimeout, match="people in the room"):
            await guests.run(work)
        guests.follow(State.MUTED)
        assert await asyncio.gather(*(guests.run(work) for _ in range(4))) == [0, 0, 0, 0]

    in_loop(story)


@pytest.fixture
def _few_descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Room for twelve clients, beside what other tests have left open in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only how many
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_now, 20) + connections.KEPT_BACK, before[1]))
    allowed = (connections.KEPT_BACK + 24, before[1])
    with monkeypatch.context() as patch:
        patch.setattr(resource, "getrlimit", lambda _: allowed)
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("_few_descriptors")
def test_silent_clients_leave_descriptors_and_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "_IDLE_S", 0.05)
    caplog.set_level("WARNING")

    async def story() -> None:
        path = tmp_path / "wyoming"
        async with serve(f"unix://{path}", OFFER):
            assert path.stat().st_mode & 0o777 == 0o660
            silent = []
            for _ in range(30):
                caller = socket.socket(socket.AF_UNIX)
                caller.connect(str(path))
                caller.sendall(b'{"type":')
                silent.append(caller)
                await asyncio.sleep(0.02)
            files = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"type": "describe"}\n')
            assert json.loads(await reader.readline())["type"] == "info"
            writer.close()
            for file in files:
                os.close(file)
            for each in silent:
                each.close()

    in_loop(story)
    assert len(caplog.records) <= 2, "said once, not at every client"


def test_an_unfinished_message_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_COMPLETE_WITHIN_S", 0.1)

    async def story() -> None:
        async with serve(f"unix://{tmp_path}/w", OFFER):
            for begun in (b"", b'{"type":', b'{"type": "audio-chunk", "payload_length": 100}\n123'):
                reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/w")
                writer.write(begun)
                assert await reader.read() == b""
                writer.close()

    in_loop(story)


CHUNK = {"type": "audio-chunk", "data": {"rate": SAMPLE_RATE_HZ, "width": 2, "channels": 1}}


@pytest.mark.parametrize(
    "head",
    [
        {**CHUNK, "payload_length": 10_000_000_000},
        {**CHUNK, "data_length": 10_000_000},
        {**CHUNK, "payload_length": -1},
        {**CHUNK, "data": {"rate": 1, "width": 2, "channels": 1}, "payload_length": 8},
        {**CHUNK, "data": {"rate": 16_000, "width": 2, "channels": 1000}, "payload_length": 8},
        {"type": 7},
        [1],
    ],
)
def test_a_message_that_would_take_memory_without_end_ends_the_connection(
    tmp_path: Path, head: object
) -> None:
    async def story() -> None:
        async with serve(f"unix://{tmp_path}/w", OFFER):
            reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/w")
            writer.write(json.dumps(head).encode() + b"\n" + bytes(8))
            with Reset():
                assert await reader.read() == b""
            writer.close()

    in_loop(story)


class Reset:
    """A connection that is aborted may end as a reset."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, ConnectionError)


def test_all_clients_together_have_so_much_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_MOST_SOUND_BYTES", 100_000)
    sound = np.zeros(SAMPLE_RATE_HZ, np.int16).tobytes()
    message = json.dumps({**CHUNK, "payload_length": len(sound)}).encode() + b"\n" + sound

    async def story() -> None:
        async with serve(f"unix://{tmp_path}/w", OFFER):
            clients = [await asyncio.open_unix_connection(f"{tmp_path}/w") for _ in range(4)]
            for _, writer in clients:
                writer.write(message)
                await asyncio.sleep(0.05)
            with Reset():
                assert await clients[-1][0].read() == b"", "this one would be too much"
            clients[0][1].write(b'{"type": "describe"}\n')
            assert json.loads(await clients[0][0].readline())["type"] == "info"
            for _, writer in clients:
                writer.close()

    in_loop(story)


@pytest.mark.parametrize("what", ["file", "link", "folder", "listening"])
def test_only_a_dead_socket_of_ours_is_replaced(tmp_path: Path, what: str) -> None:
    place, precious = tmp_path / "w", tmp_path / "precious"
    precious.write_text("precious")
    other = socket.socket(socket.AF_UNIX)
    if what == "file":
        place.write_text("precious")
    elif what == "link":
        place.symlink_to(precious)
    elif what == "folder":
        place.mkdir()
    else:
        other.bind(str(place))
        other.listen()

    async def story() -> None:
        with pytest.raises(SettingsError, match="cannot listen"):
            async with serve(f"unix://{place}", OFFER):
                pass
        assert place.lstat()
        assert precious.read_text() == "precious"
        other.close()
        if what == "listening":  # a crash left it
            async with serve(f"unix://{place}", OFFER):
                _, writer = await asyncio.open_unix_connection(str(place))
                writer.close()

    in_loop(story)


def test_who_connects_or_orders_without_end_is_slowed_down() -> None:
    async def story() -> None:
        loop, pace = asyncio.get_running_loop(), Pace(per_s=100, burst=10)
        began_s = loop.time()
        for _ in range(30):
            await pace.wait()
        assert loop.time() - began_s >= 0.15

    in_loop(story)


def test_one_host_does_not_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_FROM_ONE_HOST", 3)

    async def story() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        served: list[Connection] = []

        async def attend(connection: Connection) -> None:
            served.append(connection)
            connection.busy = True
            await connection.reader.read()

        several = Connections("test", [listener], attend, most=10)
        clients = [await asyncio.open_connection(*listener.getsockname()) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert len(served) == 3
        for _, writer in clients:
            writer.close()
        await several.close()

    in_loop(story)
