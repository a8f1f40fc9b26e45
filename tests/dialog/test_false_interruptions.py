"""Interruptions after which nobody said anything: the answer goes on, and where they are many they cease."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from assistant.core import events as e
from assistant.core.state import State
from tests.dialog.test_interruption import NOISE, QUESTION, REPLY, SETTINGS, interrupted, reply
from tests.simulation import House, simulate


def test_held_up_twice_for_nothing_it_goes_on_to_its_end() -> None:
    async def story(house: House) -> None:
        await interrupted(house, NOISE)
        await house.until(State.SPEAKING)
        await asyncio.sleep(0.5)
        house.say(NOISE)
        await house.until(State.INTERRUPTED, within_s=0.5)
        await house.until(State.SPEAKING)
        await asyncio.sleep(0.5)
        house.say(NOISE)
        await house.until(State.SLEEPING)
        answer = house.reports[-1]
        assert (answer.resumed, answer.heard) == (2, answer.reply)

    simulate(story, words=[QUESTION, NOISE], reply=reply, settings=SETTINGS)


def test_after_three_for_nothing_speech_interrupts_no_more_until_a_minute_of_speaking_has_passed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def announced(house: House) -> None:
        house.voice_loop.post(e.Announced(REPLY))
        await house.until(State.SPEAKING)

    async def story(house: House) -> None:
        loop = house.voice_loop

        def told() -> Mapping[str, object]:
            return loop.interruptions.document(loop.pipeline.settings.conversation)

        for count in (1, 2, 3):
            await announced(house)
            house.say(NOISE)
            await house.until(State.INTERRUPTED, within_s=0.5)
            await loop.idle(2)
            assert told()["lately_false"] == count
        assert told()["by"] == "wake_word"
        await announced(house)
        house.say(NOISE)
        await house.until(State.SLEEPING)
        assert house.reports[-1].resumed == 0
        spoken_s = house.speaker.heard_s
        while house.speaker.heard_s < spoken_s + 60:
            await announced(house)
            await house.until(State.SLEEPING)
        assert told()["by"] == "speech"
        await announced(house)
        house.say(NOISE)
        await house.until(State.INTERRUPTED, within_s=0.5)

    with caplog.at_level("WARNING"):
        simulate(story, words=[NOISE], settings=SETTINGS)
    assert caplog.messages == ["interrupting_by_voice=off false=3", "interrupting_by_voice=on false=2"]


def test_a_wake_word_after_which_nothing_is_said_only_holds_the_answer_up() -> None:
    async def story(house: House) -> None:
        house.voice_loop.post(e.Announced(REPLY))
        await house.until(State.SPEAKING)
        await asyncio.sleep(1)
        house.voice_loop.post(e.Woken(by="okay_nabu"))
        await house.until(State.INTERRUPTED)
        await house.until(State.SPEAKING)
        await house.voice_loop.idle(2)
        answer = house.reports[-1]
        assert (answer.resumed, answer.interrupted) == (1, False)

    simulate(story, settings=SETTINGS)
