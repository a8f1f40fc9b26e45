"""What a turn tells the loop, and the states that people and programs see meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from assistant.core import events as e
from assistant.core.state import State
from assistant.core.types import Transcript
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
NOISE = "..."
OTHER = "How many people live there?"
REPLY = "It is Paris, a lovely town on the river Seine with a very tall tower made of iron."
SETTINGS = {"conversation": {"interruption": "speech"}, "endpoint": {"read_ahead_ms": 0}}


def states_of(house: House) -> list[str]:
    """Every state from now on, as a program that watches sees them."""
    seen: list[str] = []
    house.observers.append(lambda _, state: seen.append(state.value))
    return seen


async def interrupt(house: House, by: str, duration_ms: int = 1200) -> list[str]:
    house.say(QUESTION)
    await house.until(State.SPEAKING)
    await asyncio.sleep(1.5)
    seen = states_of(house)
    house.say(by, duration_ms)
    await house.voice_loop.idle(2)
    return seen


def test_noise_over_an_answer_interrupts_it_and_it_speaks_on() -> None:
    async def story(house: House) -> None:
        seen = await interrupt(house, NOISE)
        assert seen == ["interrupted", "thinking", "speaking", "sleeping"]
        assert house.reports[-1].resumed == 1

    simulate(story, words=[QUESTION, NOISE], reply=lambda _: REPLY, settings=SETTINGS)


def test_a_click_over_an_answer_is_no_question() -> None:
    async def story(house: House) -> None:
        assert await interrupt(house, NOISE, 120) == ["interrupted", "speaking", "sleeping"]

    simulate(story, words=[QUESTION, NOISE], reply=lambda _: REPLY, settings=SETTINGS)


def test_words_over_an_answer_end_it_as_soon_as_they_are_understood() -> None:
    async def story(house: House) -> None:
        seen = await interrupt(house, OTHER)
        assert seen == ["interrupted", "listening", "thinking", "speaking", "sleeping"]
        assert [report.interrupted for report in house.reports] == [True, False]

    simulate(story, words=[QUESTION, OTHER], reply=lambda _: REPLY, settings=SETTINGS)


@pytest.mark.parametrize("resumes_first", [True, False])
def test_who_goes_on_at_the_moment_they_are_understood_is_heard_out(resumes_first: bool) -> None:
    async def story(house: House) -> None:
        turns, endpointer = house.voice_loop._turns, house.voice_loop._listener.endpointer
        post, waits_ms = turns._post, endpointer.required_silence_ms
        understood: list[e.Event] = []

        def go_on_at_once(event: e.Event) -> None:
            if isinstance(event, e.Understood) and not understood:
                understood.append(event)
                endpointer._paused = False
                for each in (e.SpeechResumed(), event) if resumes_first else (event, e.SpeechResumed()):
                    post(each)
            else:
                post(event)

        turns._post = go_on_at_once
        house.say(QUESTION, 800)
        house.pause(400)
        house.say(OTHER, 800)
        await asyncio.sleep(0.8 + 0.39)
        assert understood
        assert endpointer.required_silence_ms == waits_ms, "the words so far say nothing of the end"
        await house.voice_loop.idle(2)
        assert len(house.reports) == 1
        assert house.reports[0].discarded

    simulate(story, words=[QUESTION, OTHER], settings=SETTINGS)


def test_what_an_earlier_turn_understood_ends_no_answer() -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await asyncio.sleep(1.5)
        house.say(NOISE)
        await house.until(State.INTERRUPTED)
        while house.voice_loop._turns.at_work is None:  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.001)
        house.voice_loop.post(e.Understood(Transcript("Stop it.")))
        await house.voice_loop.idle(2)
        assert (house.reports[-1].resumed, house.reports[-1].interrupted) == (1, False)

    simulate(story, words=[QUESTION, NOISE], reply=lambda _: REPLY, settings=SETTINGS)
