"""Between two rings a command needs no wake word, and nothing else is answered. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from assistant.core import events as e
from assistant.core.state import State
from assistant.runtime.paths import shipped_folder
from tests.services.test_control_api import LONG, Desk, at_the_desk
from tests.simulation import House, simulate

INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
STOP, QUESTION, NOISE = "Stop.", "What is the capital of France?", ""
TELEVISION = "And now the weather for the weekend."
WORDS = [STOP, QUESTION, NOISE, TELEVISION]
RING = "Your pasta timer is done."


def ringing(
    story: Callable[[House], Awaitable[None]], follow_up_ms: int = 0, *, hands_free: bool = True
) -> None:
    """Run ``story`` in the pause after a timer has rung for the first time."""

    async def begin(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await house.until(State.SPEAKING)
        await house.until(State.LISTENING if hands_free else State.SLEEPING)
        await story(house)

    settings = {"conversation": {"follow_up_ms": follow_up_ms}}
    simulate(begin, words=WORDS, settings=settings, intents=INTENTS, hands_free=hands_free)


async def rings(house: House, seconds: float) -> list[float]:
    """When it begins to ring within so many seconds."""
    begun: list[float] = []

    def note(event: e.Event, _: State) -> None:
        if isinstance(event, e.Announced):
            begun.append(asyncio.get_running_loop().time())

    house.observers.append(note)
    await asyncio.sleep(seconds)
    return begun


def test_stop_needs_no_wake_word() -> None:
    async def story(house: House) -> None:
        await asyncio.sleep(0.3)
        house.say(STOP, 600)
        assert await rings(house, 30) == []
        assert house.timers.all() == []
        assert house.reports[-1].handled_by == "stop"

    ringing(story)


def test_where_nobody_says_anything_it_rings_on_time_and_without_a_chime() -> None:
    async def story(house: House) -> None:
        begun = await rings(house, 60)
        assert len(begun) >= 6
        assert all(8 <= later - earlier <= 9.2 for earlier, later in pairwise(begun))
        assert set(house.speaker.written) == {RING}

    ringing(story)


@pytest.mark.parametrize("said", [QUESTION, TELEVISION, NOISE])
def test_nothing_else_is_answered_nor_told_the_model(said: str) -> None:
    async def story(house: House) -> None:
        await asyncio.sleep(0.3)
        house.say(said)
        begun = await rings(house, 20)
        assert len(begun) >= 2
        assert house.llm.prompts == []
        assert set(house.speaker.written) == {RING}
        assert all(report.handled_by in ("nobody", "announcement") for report in house.reports)
        assert house.timers.all()

    ringing(story)


def test_a_television_that_goes_on_and_on_does_not_hold_the_next_ring_up() -> None:
    async def story(house: House) -> None:
        house.say(TELEVISION, 40_000)
        begun = await rings(house, 40)
        assert len(begun) >= 4
        assert all(8 <= later - earlier <= 11.2 for earlier, later in pairwise(begun))
        assert house.llm.prompts == []

    ringing(story)


def test_a_stop_that_is_being_said_when_the_next_ring_is_due_is_heard_out() -> None:
    async def story(house: House) -> None:
        begun = house.reports[-1].times_s["first_audio"]
        await asyncio.sleep(begun + 6.9 - asyncio.get_running_loop().time())
        house.say(STOP, 1200)
        assert await rings(house, 20) == []
        assert house.timers.all() == []

    ringing(story)


def test_the_wake_word_is_heard_in_the_pause_too_and_then_a_question_is_answered() -> None:
    async def story(house: House) -> None:
        await asyncio.sleep(0.5)
        house.wake_up()
        await asyncio.sleep(1.2)
        assert "(wake)" in house.speaker.written
        house.say(QUESTION)
        await house.until(State.SPEAKING, within_s=5)
        assert house.reports[-1].handled_by == "announcement"
        await asyncio.sleep(4)
        assert [report.transcript for report in house.reports if report.handled_by == "llm"] == [QUESTION]

    ringing(story)


def test_so_it_is_in_one_breath() -> None:
    async def story(house: House) -> None:
        await asyncio.sleep(0.5)
        house.wake_up()
        house.say(QUESTION)
        await asyncio.sleep(6)
        assert [report.transcript for report in house.reports if report.handled_by == "llm"] == [QUESTION]

    ringing(story)


@pytest.mark.parametrize(("after_s", "answered"), [(0.5, True), (2.6, False)])
def test_a_shorter_follow_up_time_keeps_its_meaning(after_s: float, answered: bool) -> None:
    async def story(house: House) -> None:
        await asyncio.sleep(after_s)
        house.say(QUESTION)
        await asyncio.sleep(5)
        assert bool(house.llm.prompts) is answered

    ringing(story, follow_up_ms=2000)


def test_a_longer_one_too() -> None:
    async def story(house: House) -> None:
        await asyncio.sleep(9)
        assert house.voice_loop.state is State.LISTENING
        house.say(QUESTION)
        await asyncio.sleep(5)
        assert house.llm.prompts

    ringing(story, follow_up_ms=20_000)


def test_another_timer_that_is_due_in_the_pause_rings_at_once() -> None:
    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=1), "tea")
        assert (await rings(house, 3.2))[0]
        assert "Your tea timer is done." in house.speaker.written

    ringing(story)


def test_an_announcement_that_does_not_ring_opens_nothing() -> None:
    async def story(house: House) -> None:
        house.voice_loop.post(e.Announced("The door is open."))
        await house.until(State.SPEAKING)
        seen: list[State] = []
        house.observers.append(lambda _, state: seen.append(state))
        await asyncio.sleep(10)
        assert seen == [State.SLEEPING]

    simulate(story, words=WORDS, hands_free=True)


def test_its_own_words_heard_at_once_after_an_announcement_are_dropped() -> None:
    own = "the door in the kitchen is open"

    async def story(house: House) -> None:
        house.voice_loop.post(e.Announced("Take care, the door in the kitchen is open."))
        await house.until(State.SPEAKING)
        await house.until(State.LISTENING)
        await asyncio.sleep(0.55)
        house.say(own)
        await house.voice_loop.idle(2)
        assert house.reports[-1].refused == "own_voice"
        assert house.llm.prompts == []

    simulate(story, words=[own], settings={"conversation": {"follow_up_ms": 8000}})


def test_the_pause_does_not_end_a_written_question() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        house.timers.count_down("timer", timedelta(seconds=2), "pasta")
        asking = asyncio.ensure_future(desk("ask", text=QUESTION))
        await house.until(State.SPEAKING)
        await house.until(State.LISTENING)
        await asyncio.sleep(0.1)
        assert not asking.done()
        assert (await asking)["reply"]

    at_the_desk(story, reply=lambda _: 4 * LONG)
