"""A driver that hangs holds nobody up: orders are answered, timers ring, it ends, and it begins anew.

A real process with real threads, signals and ``exec``; only engines are scripted, and PortAudio is a module
that hangs where it is told to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import AssistantError
from assistant.services.control import client as control_client
from tests.conftest import CHECKOUT

PATIENCE_S = 90
"""A life begins within a second; a busy machine gets this long."""

SOUNDDEVICE = '''
"""PortAudio with a microphone and a speaker, of which HANGS names what never returns."""
import os, threading, time

class PortAudioError(Exception):
    pass

class default:
    device = (0, 1)

def device(index, name, inputs, outputs):
    channels = {"max_input_channels": inputs, "max_output_channels": outputs}
    return {"index": index, "name": name, "hostapi": 0, "default_samplerate": 16000, **channels}

def query_devices(index=None):
    both = [device(0, "mic", 1, 0), device(1, "box", 0, 1)]
    return both if index is None else both[index]

def query_hostapis(index):
    return {"name": "ALSA"}

def check_input_settings(**wanted): pass
check_output_settings = check_input_settings

def _initialize(): pass
def _terminate(): pass
def _exit_handler():
    if "exit" in os.environ["HANGS"]:
        time.sleep(1e6)
import atexit
atexit.register(_exit_handler)

class Status:
    input_overflow = output_underflow = False

class Time:
    outputBufferDacTime = currentTime = 0.0

class Stream:
    def __init__(self, *, samplerate, blocksize, device, channels, dtype, latency, callback):
        self.callback, self.block, self.rate, self.open = callback, blocksize, samplerate, True
    def start(self):
        self._hang("open")
        threading.Thread(target=self._run, daemon=True).start()
    def abort(self, ignore_errors=True):
        self._hang("close")
        self.open = False
    def close(self, ignore_errors=True):
        self.open = False
    def _hang(self, what):
        if f"{what}-{self.kind}" in os.environ["HANGS"]:
            time.sleep(1e6)
    def _run(self):
        data = bytearray(2 * self.block)
        while self.open:
            time.sleep(self.block / self.rate)
            self.callback(data, self.block, Time, Status)

class RawInputStream(Stream):
    kind = "microphone"

class RawOutputStream(Stream):
    kind = "speaker"
'''

CHILD = """
import os
from assistant.app import service as appliance, memory_fit as fit, engines as loading, replacement
from assistant.engines.scripted import ScriptedLlm, ScriptedStt, ScriptedTts, ScriptedVad
import asyncio

replacement.STUCK_S = float(os.environ["STUCK_S"])
fit.require = lambda _: None
loading.load_stt = lambda _: ScriptedStt(LOOP[0], {})
loading.load_llm = lambda _: ScriptedLlm(LOOP[0], lambda _: "It is Paris.")
loading.load_tts = lambda _: ScriptedTts(LOOP[0])
loading.load_vad = lambda _: ScriptedVad()
loading.sound_filters = lambda *_: []
LOOP = []
live = appliance.live
def living(*args, **more):
    LOOP[:] = [asyncio.get_running_loop()]
    return live(*args, **more)
appliance.live = living
from assistant.cli.main import main
raise SystemExit(main(["run"]))
"""


@dataclass
class Child:
    """The process, its log and its control socket."""

    process: subprocess.Popen[bytes]
    log: Path
    control: Path

    def order(self, name: str, **more: object) -> dict[str, Any]:
        return control_client.ask([self.control], {"order": name, **more})

    def logged(self, text: str, times: int = 1) -> None:
        self.until(lambda: self.log.read_text().count(text) >= times, text)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end_s, f"waited in vain for {what} in\n{self.log.read_text()}"
            time.sleep(0.05)

    def is_up(self) -> bool:
        with suppress(AssistantError):
            return bool(self.order("status")["state"] != "starting")
        return False


@contextmanager
def child(folder: Path, *, hangs: str, stuck_s: float = 1000) -> Iterator[Child]:
    (folder / "sounddevice.py").write_text(SOUNDDEVICE)
    homes = {f"XDG_{kind.upper()}_HOME": str(folder / kind) for kind in ("data", "config", "cache")}
    environment = {
        **os.environ,
        **homes,
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "PYTHONPATH": f"{folder}:{CHECKOUT}",
        "ASSISTANT__WAKE__ENGINE": "none",
        "HANGS": hangs,
        "STUCK_S": str(stuck_s),
    }
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD], env=environment, cwd=CHECKOUT, stderr=stderr
        )
    try:
        running = Child(process, log, folder / "run" / "assistant" / "control")
        running.until(running.is_up, "it to start")
        yield running
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("hangs", ["open-microphone", "open-speaker", "open-microphone open-speaker"])
def test_while_a_device_does_not_open_orders_are_answered(tmp_path: Path, hangs: str) -> None:
    with child(tmp_path, hangs=hangs) as it:
        it.logged("sound=stuck")
        parts = {part for part in ("microphone", "speaker") if part in hangs}
        it.until(lambda: set(it.order("status")["missing"]) == parts, f"{parts}")
        assert {fault["code"] for fault in it.order("status")["missing"].values()} == {"audio-stuck"}
        assert it.order("ask", text="What is the capital of France?")["reply"] == "It is Paris."
        assert it.order("say", text="Dinner is ready.")["said"] is ("speaker" not in parts)
        assert it.order("mute")["state"] == "muted"


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "hangs", ["open-microphone", "open-speaker", "close-microphone close-speaker", "exit", ""]
)
def test_it_ends_whatever_a_driver_does(tmp_path: Path, hangs: str, name: signal.Signals) -> None:
    with child(tmp_path, hangs=hangs) as it:
        it.process.send_signal(name)
        began_s = time.monotonic()
        assert it.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began_s < 10, "5 s, and as much again for a machine that is busy"
        assert "Traceback" not in it.log.read_text()


def test_stuck_for_good_it_begins_anew_and_keeps_what_it_knew(tmp_path: Path) -> None:
    with child(tmp_path, hangs="open-speaker", stuck_s=3) as it:
        it.order("ask", text="What is the capital of France?")
        it.order("ask", text="Set a timer for 5 hours called pasta.")
        it.order("say", text="Dinner is ready.")
        pid = it.order("status")["pid"]
        it.logged("action=replace-process")
        it.logged("engines=ready", times=2)
        it.until(it.is_up, "the new one")
        status = it.order("status")
        assert status["pid"] == pid
        assert status["uptime_s"] < PATIENCE_S
        assert "pasta" in it.order("ask", text="how much time is left on the pasta timer")["reply"]
        it.logged("took_over=yes turns=1 unheard=1")
        it.logged("sound=stuck", times=4)
        time.sleep(5)
        assert it.log.read_text().count("action=replace-process") == 1, "once in five minutes"


def test_muted_it_begins_anew_muted(tmp_path: Path) -> None:
    with child(tmp_path, hangs="open-speaker", stuck_s=2) as it:
        it.order("mute")
        it.logged("engines=ready", times=2)
        it.until(lambda: it.is_up() and it.order("status")["state"] == "muted", "silence")
        assert it.log.read_text().count("microphone=heard") <= 1
