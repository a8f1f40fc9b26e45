""" "Stop", "never mind", "repeat that" and "louder" work whatever the assistant is doing. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from assistant.core.state import State
from assistant.runtime import clock
from assistant.runtime.paths import shipped_folder
from tests.simulation import House, simulate

INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
QUESTION = "What is the capital of France?"
REPLY = "It is Paris. A lovely town on the river Seine."

Reach = Callable[[House], Awaitable[None]]


async def sleeping(house: House) -> None:
    """After an answer, and the wake word again."""
    await asked(house)
    await house.voice_loop.idle(1)
    house.wake_up()
    await house.until(State.LISTENING)
    await asyncio.sleep(0.8)


async def waiting_for_more(house: House) -> None:
    """In the time to go on without a wake word."""
    await asked(house)
    await house.until(State.SPEAKING)
    await house.until(State.LISTENING)
    await asyncio.sleep(0.5)


async def thinking(house: House) -> None:
    await asked(house)
    await house.voice_loop.idle(1)
    loop = asyncio.get_running_loop()
    house.faults.llm = lambda: clock.occupy(loop, 2)
    await asked(house)
    await house.until(State.THINKING)
    await asyncio.sleep(0.3)


async def speaking(house: House) -> None:
    await asked(house)
    await house.until(State.SPEAKING)
    await asyncio.sleep(1.2)


async def ringing(house: House) -> None:
    await asked(house)
    await house.voice_loop.idle(1)
    house.timers.count_down("timer", timedelta(seconds=1))
    await house.until(State.SPEAKING)
    await asyncio.sleep(0.5)


async def asked(house: House) -> None:
    house.wake_up()
    await house.until(State.LISTENING)
    await asyncio.sleep(0.8)
    house.say(QUESTION)
    await asyncio.sleep(1)


REACHES: list[Reach] = [sleeping, waiting_for_more, thinking, speaking, ringing]


def say_in(reach: Reach, words: str, check: Callable[[House], None]) -> None:
    """Say it there; what is being said meanwhile is recognised together with what came before."""
    said = f"{QUESTION} {words}" if reach is thinking else words

    async def story(house: House) -> None:
        house.speaker.volume = 0.5
        await reach(house)
        house.speaker.written.clear()
        house.say(said, 700)
        await asyncio.sleep(1.5)
        house.faults.llm = lambda: None
        await house.voice_loop.idle(3)
        check(house)

    simulate(
        story,
        words=[QUESTION, said],
        reply=lambda _: REPLY,
        settings={
            "conversation": {
                "follow_up_ms": 2000 if reach is waiting_for_more else 0,
                "interruption": "speech",
            },
            "endpoint": {"read_ahead_ms": 0},
        },
        intents=INTENTS,
        hands_free=True,
    )


def spoken(house: House) -> list[str]:
    """What was said, chimes aside."""
    return [text for text in house.speaker.written if not text.startswith("(")]


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("words", ["Stop.", "Never mind."])
def test_stop_is_silence(reach: Reach, words: str) -> None:
    def check(house: House) -> None:
        assert house.reports[-1].handled_by == "stop"
        assert spoken(house) == []
        assert house.timers.all() == []
        assert house.voice_loop.state is State.SLEEPING

    say_in(reach, words, check)


@pytest.mark.parametrize("reach", REACHES)
def test_repeat_that_says_all_of_the_last_answer_again(reach: Reach) -> None:
    def check(house: House) -> None:
        assert house.reports[-1].handled_by == "repeat" or reach is ringing
        last = "Your one second timer is done." if reach is ringing else REPLY
        assert last in " ".join(spoken(house))

    say_in(reach, "Repeat that.", check)


@pytest.mark.parametrize("reach", REACHES)
def test_louder_is_louder(reach: Reach) -> None:
    def check(house: House) -> None:
        assert "louder" in [report.handled_by for report in house.reports]
        assert house.speaker.volume == 0.6

    say_in(reach, "Louder.", check)
