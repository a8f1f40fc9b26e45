"""The control socket itself: who may use it, what comes in, who is dropped. Real sockets, real time."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.core.errors import AlreadyRunning, ControlError, OrderRefused
from assistant.services import connections
from assistant.services.control import server as control
from assistant.services.control.server import MAX_CLIENTS, MAX_LINE_BYTES, ControlServer, Document

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(order: Document) -> Document:
    if order["order"] == "refuse":
        raise OrderRefused("It is asleep.", "Wake it.")
    if order["order"] == "break":
        raise ZeroDivisionError("a secret that was said")
    return {"was": order["order"]}


@asynccontextmanager
async def serving(
    path: Path, answer: Callable[[Document], Awaitable[Document]] = echo
) -> AsyncIterator[ControlServer]:
    server = ControlServer(answer)
    await server.open(path)
    try:
        yield server
    finally:
        await server.close()


async def send(client: Client, line: bytes) -> dict[str, Any]:
    reader, writer = client
    writer.write(line)
    answer: dict[str, Any] = json.loads(await reader.readline())
    return answer


async def hang_up(*clients: Client) -> None:
    for _, writer in clients:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def connect(path: Path) -> Client:
    return await asyncio.open_unix_connection(str(path))


def in_loop(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(story(), 60)

    asyncio.run(main())


def test_an_order_is_answered_and_the_socket_is_for_owner_and_group_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "control"

    async def story() -> None:
        async with serving(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            client = await connect(path)
            assert await send(client, b'{"order": "status"}\n') == {"ok": True, "was": "status"}
            assert await send(client, b'{"order": "mute"}\n') == {"ok": True, "was": "mute"}
            await hang_up(client)
        assert not path.exists()

    in_loop(story)


def test_what_a_crash_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def story() -> None:
        async with serving(path):
            client = await connect(path)
            assert (await send(client, b'{"order": "status"}\n'))["ok"]
            await hang_up(client)

    in_loop(story)


def test_a_second_assistant_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control"):
            with pytest.raises(AlreadyRunning):
                async with serving(tmp_path / "control"):
                    pass
            client = await connect(tmp_path / "control")
            assert (await send(client, b'{"order": "status"}\n'))["ok"]
            await hang_up(client)

    in_loop(story)


def test_what_is_no_socket_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_text("a diary")

    async def story() -> None:
        with pytest.raises(ControlError, match="not a socket"):
            async with serving(path):
                pass

    in_loop(story)
    assert path.read_text() == "a diary"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    async def story() -> None:
        with pytest.raises(ControlError):
            async with serving(tmp_path / "control"):
                pass

    in_loop(story)


def test_a_path_that_is_too_long_is_one_sentence(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(ControlError, match="cannot be created"):
            async with serving(tmp_path / ("x" * 120) / "control"):
                pass

    in_loop(story)


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"[1, 2]\n",
        b'{"order": 5}\n',
        b"{}\n",
        b'"order"\n',
        b"\xff\xfe\x00\n",
        b"[" * 20_000 + b"\n",
        b'{"order": ' + b"9" * 10_000 + b"}\n",
    ],
    ids=["words", "a list", "a number", "empty", "text", "no UTF-8", "deep", "a huge number"],
)
def test_what_is_no_order_gets_an_answer_and_the_next_one_counts(tmp_path: Path, line: bytes) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control"):
            client = await connect(tmp_path / "control")
            answer = await send(client, line)
            assert (answer["ok"], answer["code"]) == (False, "order-invalid")
            assert answer["problem"]
            assert answer["next_step"]
            assert (await send(client, b'{"order": "status"}\n'))["ok"]
            await hang_up(client)

    in_loop(story)


@given(st.binary(max_size=200).filter(lambda line: line.strip()))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_end_the_service(tmp_path: Path, line: bytes) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control"):
            client = await connect(tmp_path / "control")
            assert "ok" in await send(client, line.replace(b"\n", b" ") + b" x\n")
            await hang_up(client)
            again = await connect(tmp_path / "control")
            assert (await send(again, b'{"order": "status"}\n'))["ok"]
            await hang_up(again)

    in_loop(story)


def test_a_line_without_end_is_refused_and_hung_up_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control"):
            client = await connect(tmp_path / "control")
            answer = await send(client, b"x" * (MAX_LINE_BYTES + 2))
            assert answer["code"] == "order-invalid"
            assert await client[0].read() == b""
            await hang_up(client)

    in_loop(story)


def test_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control"):
            client = await connect(tmp_path / "control")
            client[1].write(b'{"order": "status"}')
            client[1].write_eof()
            assert json.loads(await client[0].read())["ok"]
            await hang_up(client)

    in_loop(story)


def test_refusals_and_defects_are_told_and_the_defect_says_nothing_of_what_was_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control"):
            client = await connect(tmp_path / "control")
            refused = await send(client, b'{"order": "refuse"}\n')
            assert refused == {
                "ok": False,
                "code": "order-refused",
                "problem": "It is asleep.",
                "next_step": "Wake it.",
            }
            broken = await send(client, b'{"order": "break"}\n')
            assert broken["code"] == "assistant-error"
            assert "secret" not in json.dumps(broken)
            await hang_up(client)

    in_loop(story)
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in "".join(record.getMessage() for record in caplog.records)


def test_watchers_get_the_state_now_and_at_every_change(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control") as server:
            server.publish({"state": "sleeping"})
            first, second = await connect(tmp_path / "control"), await connect(tmp_path / "control")
            assert await send(first, b'{"order": "watch"}\n') == {"state": "sleeping"}
            server.publish({"state": "listening"})
            assert await send(second, b'{"order": "watch"}\n') == {"state": "listening"}
            server.publish({"state": "thinking"})
            lines = [await first[0].readline() for _ in range(2)]
            assert [json.loads(line)["state"] for line in lines] == ["listening", "thinking"]
            assert json.loads(await second[0].readline()) == {"state": "thinking"}
            await hang_up(first, second)

    in_loop(story)


def test_a_watcher_who_does_not_read_is_dropped_and_the_others_are_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control") as server:
            reads, sleeps = await connect(tmp_path / "control"), socket.socket(socket.AF_UNIX)
            sleeps.connect(str(tmp_path / "control"))
            sleeps.send(b'{"order": "watch"}\n')
            await send(reads, b'{"order": "watch"}\n')
            line = {"state": "s" * 1000}
            for _ in range(2000):
                server.publish(line)
                assert json.loads(await reads[0].readline()) == line
            assert len(server._watchers) == 1
            sleeps.close()
            await hang_up(reads)

    in_loop(story)


def test_one_too_many_is_told_so_and_a_free_place_can_be_taken(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path / "control"):
            clients = [await connect(tmp_path / "control") for _ in range(MAX_CLIENTS)]
            for client in clients:
                assert (await send(client, b'{"order": "status"}\n'))["ok"]
            extra = await connect(tmp_path / "control")
            assert json.loads(await extra[0].readline())["code"] == "control-error"
            await hang_up(extra, clients.pop())
            await asyncio.sleep(0.05)
            late = await connect(tmp_path / "control")
            assert (await send(late, b'{"order": "status"}\n'))["ok"]
            await hang_up(late, *clients)

    in_loop(story)


def test_polite_clients_that_stay_make_room_for_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_IDLE_S", 0.1)

    async def story() -> None:
        async with serving(tmp_path / "control") as server:
            server.publish({"state": "sleeping"})
            watching = await connect(tmp_path / "control")
            await send(watching, b'{"order": "watch"}\n')
            polite = [await connect(tmp_path / "control") for _ in range(MAX_CLIENTS - 1)]
            for client in polite:
                await send(client, b'{"order": "status"}\n')
            await asyncio.sleep(0.2)
            owner = await connect(tmp_path / "control")
            assert (await send(owner, b'{"order": "status"}\n'))["ok"]
            assert await polite[0][0].read() == b"", "the one that was idle for longest"
            server.publish({"state": "muted"})
            assert json.loads(await watching[0].readline()) == {"state": "muted"}
            await hang_up(owner, watching, *polite)

    in_loop(story)


def test_who_says_nothing_is_dropped_and_who_watches_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "SILENT_S", 0.2)

    async def story() -> None:
        async with serving(tmp_path / "control") as server:
            silent, watching = await connect(tmp_path / "control"), await connect(tmp_path / "control")
            server.publish({"state": "sleeping"})
            await send(watching, b'{"order": "watch"}\n')
            assert await silent[0].read() == b""
            server.publish({"state": "muted"})
            assert json.loads(await watching[0].readline()) == {"state": "muted"}
            await hang_up(silent, watching)

    in_loop(story)


def test_closing_ends_an_order_under_way(tmp_path: Path) -> None:
    async def forever(_: Document) -> Document:
        await asyncio.Event().wait()
        raise AssertionError

    async def story() -> None:
        async with serving(tmp_path / "control", forever):
            client = await connect(tmp_path / "control")
            client[1].write(b'{"order": "ask"}\n')
            await asyncio.sleep(0.05)
        assert await client[0].read() == b""
        await hang_up(client)

    in_loop(story)
