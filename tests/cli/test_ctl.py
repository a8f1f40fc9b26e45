"""``assistant ctl`` against a real control socket that somebody serves."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.cli.main import main
from assistant.core.errors import OrderRefused
from assistant.runtime import paths
from assistant.services.control.server import ControlServer, Document

STATUS: dict[str, object] = {
    "state": "sleeping",
    "version": "1.0",
    "pid": 7,
    "uptime_s": 7300.0,
    "turns": 3,
    "last_fault": {"ago_s": 90.0, "code": "audio-lost", "problem": "It went away."},
    "gives_up": {},
    "models": {"stt": "whisper", "llm": "qwen", "tts": "joe"},
}


class Served:
    """A control socket on a thread of its own, and the orders that came."""

    def __init__(self, path: Path) -> None:
        self.orders: list[Document] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = ControlServer(self._answer)
        self._run(self._server.open(path))

    async def _answer(self, order: Document) -> Document:
        self.orders.append(order)
        answers: dict[str, Document] = {
            "status": STATUS,
            "ask": {"reply": "Paris.", "handled_by": "llm"},
            "reload": {"changed": ["llm.model", "audio.input"], "after_restart": ["audio.input"]},
        }
        if order["order"] == "listen":
            raise OrderRefused("The microphone is off.", "Order `unmute` first.")
        return answers.get(str(order["order"]), {"state": "muted"})

    def publish_and_end(self, *states: str) -> None:
        """Be watched for a moment, then go away."""

        async def play() -> None:
            while not self._server._watchers:  # noqa: ASYNC110 - watches from outside
                await asyncio.sleep(0.01)
            for state in states:
                self._server.publish({"state": state})
            await asyncio.sleep(0.1)
            await self._server.close()

        asyncio.run_coroutine_threadsafe(play(), self._loop)

    def close(self) -> None:
        self._run(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(paths, "SYSTEM_CONTROL", tmp_path / "system" / "control")
    return tmp_path


@pytest.fixture
def served(runtime: Path) -> Iterator[Served]:
    serving = Served(runtime / "assistant" / "control")
    yield serving
    serving.close()


def test_orders_go_in_and_answers_come_out(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    for line, said, order in [
        (["mute"], "muted", {"order": "mute"}),
        (["say", "Dinner."], "muted", {"order": "say", "text": "Dinner."}),
        (["ask", "Where?"], "Paris.", {"order": "ask", "text": "Where?", "speak": False}),
        (["ask", "Where?", "--speak"], "Paris.", {"order": "ask", "text": "Where?", "speak": True}),
        (
            ["reload"],
            "Changed: llm.model, audio.input\nAfter the next restart: audio.input",
            {"order": "reload"},
        ),
    ]:
        assert main(["ctl", *line]) == 0
        assert capsys.readouterr().out.strip() == said
        assert served.orders.pop() == order


def test_status_is_a_table_for_people_and_json_for_programs(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ctl", "status"]) == 0
    table = capsys.readouterr().out
    assert "2 h (version 1.0, pid 7)" in table
    assert "It went away. [audio-lost] 2 min ago" in table
    assert main(["ctl", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, **STATUS}


def test_a_refusal_keeps_its_code(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ctl", "listen"]) == 1
    expected = "assistant: The microphone is off. [order-refused] Order `unmute` first.\n"
    assert capsys.readouterr().err == expected


def test_watch_prints_each_state_until_the_assistant_ends(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.publish_and_end("listening", "thinking")
    assert main(["ctl", "watch"]) == 0
    states = [json.loads(line).get("state") for line in capsys.readouterr().out.splitlines()]
    assert states == [None, "listening", "thinking"]


def test_without_an_assistant_it_is_one_sentence(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for order in ("status", "watch"):
        assert main(["ctl", order]) == 1
        error = capsys.readouterr().err
        assert error.startswith("assistant: The assistant is not running. [not-running] ")
        assert error.count("\n") == 1


def test_the_service_is_found_where_there_is_no_assistant_of_ones_own(
    runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serving = Served(paths.SYSTEM_CONTROL)
    try:
        assert main(["ctl", "mute"]) == 0
    finally:
        serving.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may connect everywhere")
def test_a_socket_that_is_not_ours_names_the_group(
    served: Served, runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runtime / "assistant" / "control").chmod(0)
    assert main(["ctl", "mute"]) == 1
    assert "group 'assistant'" in capsys.readouterr().err
