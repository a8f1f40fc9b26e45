"""The appliance is killed at random moments while timers are set through it: none is lost, none doubled.

A real process with its control socket, its loop, its ringer and its disk; only engines and sound are
scripted, so that a life takes a second. ``ASSISTANT_TEST_KILLS=100`` kills a hundred times.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from assistant.core.errors import AssistantError, NotRunning
from assistant.services.control import client as control_client
from assistant.skills.timer_book import TimerBook
from tests.conftest import CHECKOUT

KILLS = int(os.environ.get("ASSISTANT_TEST_KILLS", "5"))

PATIENCE_S = 60
"""A life begins within a second; a busy machine gets this long."""

LETTERS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett"]

CHILD = """
import asyncio
from assistant.app import service as appliance, memory_fit as fit, engines as loading
from assistant.audio.backends import Devices
from assistant.audio.scripted import ScriptedMicrophone, ScriptedSpeaker
from assistant.settings.load import Loaded
from assistant.engines.scripted import ScriptedLlm, ScriptedStt, ScriptedTts, ScriptedVad
from assistant.settings.schema import Settings

async def main():
    loop = asyncio.get_running_loop()
    fit.require = lambda _: None
    loading.load_stt = lambda _: ScriptedStt(loop, {})
    loading.load_llm = lambda _: ScriptedLlm(loop, lambda _: "Paris.")
    loading.load_tts = lambda _: ScriptedTts(loop)
    loading.load_vad = lambda _: ScriptedVad()
    loading.sound_filters = lambda *_: []
    settings = Settings.model_validate({"wake": {"engine": "none"}})
    loaded = Loaded(settings, {}, None, "generic-x86", "a test")
    life = appliance.live(
        loaded,
        lambda: loaded,
        Devices(ScriptedMicrophone(), ScriptedSpeaker()),
        on_report=lambda _: None,
    )
    await appliance.until_ended(life)

asyncio.run(main())
"""


@dataclass
class Ledger:
    """Names of timers: those that were asked for, and those that were confirmed."""

    asked: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)


def name_of(number: int) -> str:
    return " ".join(LETTERS[int(digit)] for digit in f"{number:04d}")


def set_timers(folder: Path, first: int, ledger: Ledger) -> None:
    """One after the other, until there is nobody any more to ask."""
    with suppress(AssistantError, OSError):
        for number in range(first, first + 1000):
            name = name_of(number)
            ledger.asked.append(name)
            question = f"Set a timer for {number % 50 + 5} hours called {name}."
            answer = control_client.ask([socket_in(folder)], {"order": "ask", "text": question})
            assert answer["handled_by"] == "set_timer"
            if "starting now" in answer["reply"]:
                ledger.confirmed.append(name)


def socket_in(folder: Path) -> Path:
    return folder / "run" / "assistant" / "control"


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A life, from when it takes orders."""
    homes = {f"XDG_{kind.upper()}_HOME": str(folder / kind) for kind in ("data", "config", "cache")}
    environment = {**os.environ, **homes, "XDG_RUNTIME_DIR": str(folder / "run")}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", CHILD], env=environment, cwd=CHECKOUT, stderr=log)
    end_s = time.monotonic() + PATIENCE_S
    while not is_awake(folder):
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < end_s, "it did not start"
        time.sleep(0.02)
    return process


def is_awake(folder: Path) -> bool:
    with suppress(NotRunning):
        return bool(control_client.ask([socket_in(folder)], {"order": "status"})["state"] == "sleeping")
    return False


def test_killed_at_random_moments_it_loses_no_timer_and_doubles_none(tmp_path: Path) -> None:
    moments, ledger = random.Random(11), Ledger()  # noqa: S311 - moments, not secrets
    for life in range(KILLS):
        process = start(tmp_path)
        asking = threading.Thread(target=set_timers, args=(tmp_path, len(ledger.asked), ledger))
        asking.start()
        time.sleep(moments.uniform(0.0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        asking.join(PATIENCE_S)
        assert not asking.is_alive(), f"life {life}"
    process = start(tmp_path)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    book = TimerBook(tmp_path / "data" / "assistant" / "timers.db")
    kept = [timer.name for timer in book.all()]
    book.close()
    assert len(ledger.confirmed) >= KILLS, "they did not live long enough to test anything"
    assert len(kept) == len(set(kept)), "doubled"
    assert set(ledger.confirmed) <= set(kept), "lost"
    assert set(kept) <= set(ledger.asked), "invented"
    figures = f"kills={KILLS} asked={len(ledger.asked)} confirmed={len(ledger.confirmed)} kept={len(kept)}"
    sys.stderr.write(f"{figures}\n")
