"""``assistant run`` as systemd and its owner see it: signals, notifications, orders and saved settings."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.audio.files import read_sound
from assistant.core.errors import AlreadyRunning
from assistant.services.control import client as control_client
from assistant.tools.bench.room.sound_server import SoundServer
from tests.cli.test_run_on_devices import PATIENCE_S, named, running, server
from tests.conftest import Clip

__all__ = ["server"]  # the fixture

pytestmark = [pytest.mark.models, pytest.mark.sound_server]


RING_LEVEL = 8000
"""A voice is louder, and an earcon is not."""


class Systemd:
    """The socket that systemd listens at."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE_S)
        self.path = str(path)

    def told(self, text: str) -> list[str]:
        """What comes until something is told that holds ``text``."""
        told: list[str] = []
        while not told or text not in told[-1]:
            told.append(self._socket.recv(4096).decode())
        return told

    def told_within(self, seconds: float) -> str:
        """Everything that comes from now on, for so long."""
        end_s, told = time.monotonic() + seconds, ""
        self._socket.settimeout(0.05)
        while time.monotonic() < end_s:
            with suppress(TimeoutError):
                told += self._socket.recv(4096).decode() + "\n"
        self._socket.settimeout(PATIENCE_S)
        return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(tmp_path / "notify")
    yield listening
    listening.close()


def order(folder: Path, name: str, **more: object) -> dict[str, Any]:
    return control_client.ask([folder / "run" / "assistant" / "control"], {"order": name, **more})


def test_systemd_hears_of_everything_in_order(server: SoundServer, systemd: Systemd, tmp_path: Path) -> None:
    watchdog_s = 4
    with running(
        server, tmp_path, NOTIFY_SOCKET=systemd.path, WATCHDOG_USEC=str(watchdog_s * 1_000_000)
    ) as appliance:
        assert systemd.told("STATUS=")[-1] == "STATUS=Loading the models."
        early = systemd.told("READY=1")
        assert early[-1] == "READY=1\nSTATUS=Waiting for the wake word."
        assert "engines=ready" in appliance.log.read_text()
        assert not any("WATCHDOG" in message for message in early)
        systemd.told("WATCHDOG=1")
        order(tmp_path, "mute")
        systemd.told("STATUS=Muted")
        systemd.told("WATCHDOG=1")
        order(tmp_path, "unmute")
        systemd.told("STATUS=Waiting")
        systemd.told("WATCHDOG=1")
        server.room.unplug()
        systemd.told("STATUS=Not working: no microphone.")
        for _ in range(3):
            systemd.told("WATCHDOG=1")
        server.room.plug()
        systemd.told("STATUS=Waiting")
        systemd.told("WATCHDOG=1")
        appliance.process.send_signal(signal.SIGTERM)
        systemd.told("STOPPING=1")
        assert appliance.process.wait(PATIENCE_S) == 0
    assert not (tmp_path / "run" / "assistant" / "control").exists()


def test_signals_and_orders_count_while_it_still_loads(
    server: SoundServer, systemd: Systemd, tmp_path: Path
) -> None:
    with running(server, tmp_path, NOTIFY_SOCKET=systemd.path) as appliance:
        systemd.told("STATUS=Loading")
        appliance.process.send_signal(signal.SIGUSR1)
        appliance.process.send_signal(signal.SIGHUP)
        assert order(tmp_path, "status")["state"] == "starting"
        assert systemd.told("READY=1")[-1] == "READY=1\nSTATUS=Muted: the microphone is closed."
        assert "microphone=heard" not in appliance.log.read_text()
        assert order(tmp_path, "unmute")["state"] == "sleeping"
        appliance.process.send_signal(signal.SIGTERM)
        assert appliance.process.wait(PATIENCE_S) == 0


def test_ended_while_it_still_loads_it_ends_at_once_and_cleanly(
    server: SoundServer, systemd: Systemd, tmp_path: Path
) -> None:
    with running(server, tmp_path, NOTIFY_SOCKET=systemd.path) as appliance:
        systemd.told("STATUS=Loading")
        appliance.process.send_signal(signal.SIGTERM)
        assert appliance.process.wait(PATIENCE_S) == 0
        assert "Traceback" not in appliance.log.read_text()


def test_it_ends_with_the_terminal_that_it_was_started_in(
    server: SoundServer, systemd: Systemd, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    with running(server, tmp_path, stdin=theirs, NOTIFY_SOCKET=systemd.path) as appliance:
        systemd.told("STATUS=Loading")
        appliance.process.send_signal(signal.SIGHUP)
        assert appliance.process.wait(PATIENCE_S) == 0
    os.close(ours)
    os.close(theirs)


def test_it_is_asked_told_and_taught_while_it_runs(
    server: SoundServer, shared_audio: list[Clip], tmp_path: Path
) -> None:
    settings = tmp_path / "config" / "assistant" / "assistant.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("")
    with running(server, tmp_path) as appliance:
        appliance.logged("microphone=heard")
        answer = order(tmp_path, "ask", text="What is the capital of France?")
        assert "Paris" in answer["reply"]
        assert order(tmp_path, "ask", text="what time is it")["handled_by"] == "tell_time"

        second = _start_second(tmp_path)
        assert second.returncode == AlreadyRunning.exit_status
        assert second.stderr.count("\n") == 1
        assert AlreadyRunning.code in second.stderr

        with server.recording(tmp_path / "heard.wav"):
            order(tmp_path, "say", text="Dinner is ready.")
            appliance.logged("handled_by=announcement")

        settings.write_text(
            "llm: {model: smollm2-135m-instruct-q4_1, context_tokens: 512, history_tokens: 128}"
        )
        appliance.logged(r"reload=done changed=llm\.context_tokens,llm\.history_tokens,llm\.model")
        assert order(tmp_path, "status")["models"]["llm"] == "smollm2-135m-instruct-q4_1"
        assert order(tmp_path, "ask", text="Where do fish live?")["handled_by"] == "llm"

        settings.write_text("llm: {modle: x}")
        appliance.process.send_signal(signal.SIGHUP)
        appliance.logged(r"reload=refused problem=.*assistant.yaml:1")
        server.play(named(shared_audio, "what_time_is_it"))
        appliance.logged("handled_by=tell_time")
        assert order(tmp_path, "status")["turns"] >= 2


def _start_second(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from assistant.cli.main import main; raise SystemExit(main(['run']))"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run")}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def test_watching_shows_a_turn(server: SoundServer, shared_audio: list[Clip], tmp_path: Path) -> None:
    with running(server, tmp_path) as appliance:
        appliance.logged("microphone=heard")
        watching = control_client.watch([tmp_path / "run" / "assistant" / "control"])
        states = [next(watching)["state"]]
        server.play(named(shared_audio, "what_time_is_it"))
        while len(states) < 5:
            states.append(next(watching)["state"])
        assert states == ["sleeping", "listening", "thinking", "speaking", "sleeping"], json.dumps(states)
        watching.close()  # type: ignore[attr-defined]


def test_a_crash_does_not_open_a_microphone_that_a_person_has_closed(
    server: SoundServer, systemd: Systemd, tmp_path: Path
) -> None:
    with running(server, tmp_path, NOTIFY_SOCKET=systemd.path) as appliance:
        systemd.told("READY=1")
        order(tmp_path, "mute")
        appliance.process.kill()
        appliance.process.wait()
    with running(server, tmp_path, NOTIFY_SOCKET=systemd.path) as appliance:
        systemd.told("STATUS=Loading")
        assert systemd.told("READY=1")[-1] == "READY=1\nSTATUS=Muted: the microphone is closed."
        assert "microphone=heard" not in appliance.log.read_text()
        appliance.process.send_signal(signal.SIGTERM)
        assert appliance.process.wait(PATIENCE_S) == 0
    with running(server, tmp_path, NOTIFY_SOCKET=systemd.path):
        systemd.told("STATUS=Loading")
        assert systemd.told("READY=1")[-1] == "READY=1\nSTATUS=Waiting for the wake word."


def test_what_makes_a_start_impossible_is_told_too(
    server: SoundServer, systemd: Systemd, tmp_path: Path
) -> None:
    with running(
        server, tmp_path, NOTIFY_SOCKET=systemd.path, ASSISTANT__LLM__MODEL="no such model"
    ) as appliance:
        assert "no such model" in systemd.told("no such")[-1]
        assert appliance.process.wait(PATIENCE_S) == 2


def test_started_without_a_microphone_it_is_ready_rings_and_answers(
    server: SoundServer, systemd: Systemd, tmp_path: Path
) -> None:
    with running(
        server, tmp_path, NOTIFY_SOCKET=systemd.path, ASSISTANT__AUDIO__INPUT="no such microphone"
    ) as appliance:
        assert systemd.told("READY=1")[-1] == "READY=1\nSTATUS=Not working: no microphone."
        assert "no such microphone" in order(tmp_path, "status")["missing"]["microphone"]["problem"]
        order(tmp_path, "ask", text="Set a timer for one second.")
        with server.recording(tmp_path / "heard.wav"):
            appliance.logged("handled_by=announcement refused=- error=-")
        assert np.abs(read_sound(tmp_path / "heard.wav").astype(int)).max() > RING_LEVEL
        order(tmp_path, "stop")
        assert order(tmp_path, "ask", text="what time is it", speak=True)["reply"]
        appliance.logged("handled_by=announcement refused=- error=-", times=2)
        appliance.process.send_signal(signal.SIGTERM)
        assert appliance.process.wait(PATIENCE_S) == 0


def test_without_a_speaker_the_answer_can_be_read(
    server: SoundServer, shared_audio: list[Clip], tmp_path: Path
) -> None:
    with running(server, tmp_path, ASSISTANT__AUDIO__OUTPUT="no such speaker") as appliance:
        appliance.logged("microphone=heard")
        watching = control_client.watch([tmp_path / "run" / "assistant" / "control"])
        assert next(watching)["state"] == "sleeping"  # only now it is connected
        server.play(named(shared_audio, "what_time_is_it"))
        replies = (document.get("reply") for document in watching)
        assert "It's" in next(reply for reply in replies if reply)
        assert set(order(tmp_path, "status")["missing"]) == {"speaker"}
        watching.close()  # type: ignore[attr-defined]
