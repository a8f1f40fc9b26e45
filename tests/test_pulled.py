"""Sound devices are pulled from under ``assistant run`` again and again; the next question is answered.

The microphone, the speaker, both, or the whole sound server, while it sleeps, in the middle of a word,
while it thinks and in the middle of an answer. ``ASSISTANT_TEST_PULLS=50`` pulls fifty times.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from assistant.bench.sound_server import Cable, SoundServer, missing, sound_server
from tests.conftest import Clip
from tests.test_run import PATIENCE_S, Appliance, named, running

pytestmark = [pytest.mark.models, pytest.mark.sound_server]

PULLS = int(os.environ.get("ASSISTANT_TEST_PULLS", "4"))

SMALL = "smollm2-135m-instruct-q4_1"
"""Nothing is asked of it: the question is a skill's."""

WHATS = ("microphone", "speaker", "both", "server")
WHENS = ("sleeping", "mid-word", "thinking", "mid-answer")


def cables(server: SoundServer, what: str) -> list[Cable]:
    return {"microphone": [server.room], "speaker": [server.speaker]}.get(what, [server.room, server.speaker])


def pull(server: SoundServer, what: str, away_s: float) -> None:
    """Take it away, and give it back after a while."""
    chosen = cables(server, what)
    for cable in chosen:
        cable.restart() if what == "server" else cable.unplug()
    time.sleep(away_s)
    if what != "server":
        for cable in chosen:
            cable.plug()


def wait_for_moment(appliance: Appliance, server: SoundServer, question: Path, when: str) -> None:
    """Return at that moment of a turn; the question goes on being played."""
    if when == "sleeping":
        return
    threading.Thread(target=lambda: play_quietly(server, question)).start()
    time.sleep({"mid-word": 0.6, "thinking": 1.5, "mid-answer": 2.2}[when])


def play_quietly(server: SoundServer, question: Path) -> None:
    """Whoever speaks while the cable is pulled is not heard."""
    try:
        server.play(question)
    except Exception:  # noqa: BLE001 - paplay ends when its sink does
        return


def answers(appliance: Appliance) -> int:
    return appliance.log.read_text().count("handled_by=tell_time refused=- error=- ")


def is_answered(appliance: Appliance, server: SoundServer, question: Path) -> bool:
    """Ask until there is an answer: somebody who is not heard asks again."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        assert appliance.process.poll() is None, appliance.log.read_text()[-3000:]
        before = answers(appliance)
        play_quietly(server, question)
        for _ in range(60):
            if answers(appliance) > before:
                return True
            time.sleep(0.1)
    return False


def test_whatever_is_pulled_whenever_the_next_question_is_answered(
    shared_audio: list[Clip], tmp_path: Path
) -> None:
    if reason := missing():
        pytest.skip(reason)
    question = named(shared_audio, "what_time_is_it")
    moments, recovered = random.Random(5), Counter[str]()  # noqa: S311 - moments, not secrets
    cases = [(what, when) for when in WHENS for what in WHATS]
    moments.shuffle(cases)
    failed = []
    with sound_server() as server, running(server, tmp_path, ASSISTANT__LLM__MODEL=SMALL) as appliance:
        appliance.logged("microphone=heard")
        for number in range(PULLS):
            what, when = cases[number % len(cases)]
            wait_for_moment(appliance, server, question, when)
            pull(server, what, moments.uniform(0.2, 4))
            began_s = time.monotonic()
            if is_answered(appliance, server, question):
                recovered[what] += 1
            else:
                failed.append((number, what, when))
            sys.stderr.write(f"{number} {what} {when} {time.monotonic() - began_s:.1f} s\n")
    sys.stderr.write(f"recovered {sum(recovered.values())} of {PULLS}: {dict(recovered)}\n")
    assert not failed
