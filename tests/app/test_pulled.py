"""Sound devices are pulled from under ``assistant run`` again and again; it wakes and rings all the same.

Schedules made from seeds: what is pulled, plugged in or restarted, muted, asked and set to ring, in which
order and at which moment of a turn. ``ASSISTANT_TEST_PULLS=200`` lives through two hundred of them, and
demands that each is over within 5 s; a few, on a machine that is busy with other tests, may take longer.
``ASSISTANT_TEST_PULLS_FROM=40`` begins with another seed than the first.
"""

from __future__ import annotations

import os
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import AssistantError, NotRunning, OrderRefused
from assistant.services.control import client as control_client
from assistant.tools.bench.room.sound_server import Cable, SoundServer, missing, sound_server
from tests.cli.test_run_on_devices import PATIENCE_S, Appliance, named, running
from tests.conftest import Clip

pytestmark = [pytest.mark.models, pytest.mark.sound_server]

SCHEDULES = int(os.environ.get("ASSISTANT_TEST_PULLS", "4"))
FIRST = int(os.environ.get("ASSISTANT_TEST_PULLS_FROM", "0"))
WITHIN_S = 5.0 if "ASSISTANT_TEST_PULLS" in os.environ else PATIENCE_S

SMALL = "smollm2-135m-instruct-q4_1"
"""Nothing is asked of it: the questions are a skill's."""

MOMENTS_S = {"sleeping": 0.0, "mid-word": 0.6, "thinking": 1.5, "mid-answer": 2.2}
"""Moment of a turn -> how long after a question has begun to be played."""

DEEDS = ("microphone", "speaker", "both", "server", "mute", "ask", "timer")

NAMES = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett")


_HEARD = r"(?m)^([0-9-]+ [0-9:,]+) .*handled_by=announcement refused=- error=- interrupted=False"
"""An announcement that was heard to its end, in the log; with the time."""

_RING_S = 3.0
"""A ring lasts less."""


@dataclass
class Stage:
    """The appliance, its room, and what was done to it."""

    server: SoundServer
    appliance: Appliance
    question: Path
    control: Path
    timers: int = 0

    def __post_init__(self) -> None:
        self.away: list[Cable] = []
        self.due: dict[str, float] = {}
        """Name of a timer -> when it is due."""
        self.states: list[tuple[float, str]] = []
        """When it reached which state."""
        threading.Thread(target=self._watch, daemon=True).start()

    def order(self, name: str, **more: object) -> dict[str, Any]:
        """Again while it starts: with a sound library that is stuck, it replaces itself by a new process."""
        end_s = time.monotonic() + WITHIN_S
        while True:
            try:
                return control_client.ask([self.control], {"order": name, **more})
            except (NotRunning, OrderRefused):
                if time.monotonic() > end_s:
                    raise
            time.sleep(0.1)

    def do(self, deed: str, moments: random.Random) -> None:
        if deed == "mute":
            self.order("mute")
        elif deed == "ask":
            assert self.order("ask", text="what time is it")["reply"]
        elif deed == "timer":
            self._set_timer(moments.randint(1, 5))
        else:
            self._pull(deed)

    def give_back(self) -> None:
        """Plug everything in again, and open the microphone."""
        for cable in self.away:
            cable.plug()
        self.away.clear()
        self.order("unmute")

    def play_quietly(self) -> None:
        """Whoever speaks while the cable is pulled is not heard."""
        with suppress(Exception):  # paplay ends when its sink does
            self.server.play(self.question)

    def rang_s(self) -> float | None:
        """When all that was to ring began to be heard, if it was."""
        last_s = max(self.due.values(), default=0.0)
        to_monotonic_s = time.monotonic() - time.time()
        for end in re.findall(_HEARD, self.appliance.log.read_text()):
            end_s = datetime.strptime(end, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp() + to_monotonic_s
            states = [(at_s, state) for at_s, state in self.states if at_s < end_s]
            begins = [at_s for at_s, state in states if state == "speaking"] or [0.0]
            is_muted = [state for _, state in states][-1:] == ["muted"]
            begin_s = end_s - _RING_S if is_muted else begins[-1]
            if begin_s >= last_s:
                return begin_s
        return None

    def wakes(self) -> bool:
        """Whether it listens while somebody speaks, now or soon."""
        seen = len(self.states)
        speaking = threading.Thread(target=self.play_quietly)
        speaking.start()
        while speaking.is_alive() and not self._listens(seen):
            time.sleep(0.02)
        return self._listens(seen)

    def _listens(self, seen: int) -> bool:
        return any(state == "listening" for _, state in self.states[seen:])

    def _pull(self, what: str) -> None:
        room, speaker = self.server.room, self.server.speaker
        for cable in {"microphone": [room], "speaker": [speaker]}.get(what, [room, speaker]):
            if cable in self.away:
                cable.plug()
                self.away.remove(cable)
            elif what == "server":
                cable.restart()
            else:
                cable.unplug()
                self.away.append(cable)

    def _set_timer(self, seconds: int) -> None:
        self.timers += 1
        name = " ".join(NAMES[int(digit)] for digit in f"{self.timers:03d}")
        answer = self.order("ask", text=f"Set a timer for {seconds} seconds called {name}.")
        assert answer["handled_by"] == "set_timer"
        self.due[name] = time.monotonic() + seconds

    def _watch(self) -> None:
        """A process that takes this one's place is watched as well."""
        while self.appliance.process.poll() is None:
            with suppress(AssistantError, OSError):
                for document in control_client.watch([self.control]):
                    self.states.append((time.monotonic(), document["state"]))
            time.sleep(0.1)


def until(condition: Callable[[], bool], stage: Stage) -> None:
    """Wait for it; fails when it does not come."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert stage.appliance.process.poll() is None, stage.appliance.log.read_text()[-3000:]
        assert time.monotonic() < end_s, stage.appliance.log.read_text()[-3000:]
        time.sleep(0.02)


def deeds(seed: int) -> tuple[random.Random, str, list[str]]:
    """The moments, where it begins, and what is done then."""
    moments = random.Random(seed)  # noqa: S311 - moments, not secrets
    when = moments.choice(list(MOMENTS_S))
    return moments, when, [moments.choice(DEEDS) for _ in range(moments.randint(2, 4))]


def live_through(stage: Stage, seed: int) -> tuple[float, float]:
    """How long after the devices' return all timers had rung, and how long after that it woke."""
    moments, when, chosen = deeds(seed)
    if "timer" in chosen:
        chosen.sort(key=lambda deed: deed != "timer")  # set while it can be heard, due while it cannot
    if when != "sleeping":
        threading.Thread(target=stage.play_quietly).start()
        time.sleep(MOMENTS_S[when])
    for deed in chosen:
        stage.do(deed, moments)
        time.sleep(moments.uniform(0.1, 2.5))
    stage.give_back()
    back_s = time.monotonic()
    rung_s = 0.0
    if stage.due:
        until(lambda: stage.rang_s() is not None, stage)
        rung_s = max(0.0, (stage.rang_s() or 0.0) - max(back_s, *stage.due.values()))
        stage.order("stop")
        stage.due.clear()
        back_s = time.monotonic()
    until(stage.wakes, stage)
    return rung_s, time.monotonic() - back_s


@pytest.fixture
def stage(shared_audio: list[Clip], tmp_path: Path) -> Iterator[Stage]:
    if reason := missing():
        pytest.skip(reason)
    question = named(shared_audio, "what_time_is_it")
    with sound_server() as server, running(server, tmp_path, ASSISTANT__LLM__MODEL=SMALL) as appliance:
        appliance.logged("microphone=heard")
        yield Stage(server, appliance, question, tmp_path / "run" / "assistant" / "control")


@pytest.mark.timeout(300 + 120 * SCHEDULES)
def test_after_each_schedule_it_has_rung_and_wakes(stage: Stage) -> None:
    late: list[str] = []
    done: Counter[str] = Counter()
    slowest_s = 0.0
    for seed in range(FIRST, FIRST + SCHEDULES):
        rung_s, woke_s = live_through(stage, seed)
        slowest_s = max(slowest_s, rung_s, woke_s)
        done.update(deeds(seed)[2])
        line = f"seed={seed} {deeds(seed)[1:]} rung_s={rung_s:.1f} woke_s={woke_s:.1f}"
        sys.stderr.write(f"{line}\n")
        if max(rung_s, woke_s) > WITHIN_S:
            late.append(line)
    within = SCHEDULES - len(late)
    sys.stderr.write(f"within {WITHIN_S:g} s: {within} of {SCHEDULES}, slowest {slowest_s:.1f} s, {done}\n")
    assert not late
