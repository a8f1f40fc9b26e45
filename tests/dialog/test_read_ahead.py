"""What the model reads while a person still speaks, and that it never stands in the way."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import EngineFailed
from assistant.core.events import Muted, Unmuted
from assistant.core.state import State
from assistant.core.types import FRAME_MS, Utterance
from assistant.dialog.turns import ReadAhead, stable_words
from assistant.engines.scripted import clip
from tests.simulation import House, simulate

LONG = "Tell me a very long story about the fox and the hen and the old grey goose by the river."
READ = "Tell me a very long story about the fox and the hen and the old grey goose by"
AHEAD = {"endpoint": {"read_ahead_ms": 400}}


def test_the_words_so_far_are_read_while_they_are_said() -> None:
    async def story(house: House) -> None:
        house.say(LONG)
        await house.until(State.LISTENING)
        while house.voice_loop.state is State.LISTENING and not house.llm.read:
            await _a_frame()
        assert not house.llm.prompts, "the answer was begun"
        await house.voice_loop.idle(2)
        assert set(house.llm.read) == {READ}
        (report,) = house.reports
        assert report.handled_by == "llm"
        assert report.transcript == LONG
        assert report.work_s["ahead"] > 0

    simulate(story, words=[LONG], settings=AHEAD)


def test_nothing_is_read_ahead_if_so_wished() -> None:
    async def story(house: House) -> None:
        report = await house.answered(LONG)
        assert report.handled_by == "llm"
        assert house.llm.read == []

    simulate(story, words=[LONG], settings={"endpoint": {"read_ahead_ms": 0}})


def test_what_was_said_is_not_kept_until_the_garbage_collector_comes() -> None:
    async def story(house: House) -> None:
        ahead = ReadAhead(house.voice_loop.pipeline)
        ahead.look(Utterance(clip(1000, 1000), speech_end_s=1.0, speech_ms=1000))
        await _a_frame()
        kept = weakref.ref(ahead)
        ahead.stop()
        del ahead
        await asyncio.sleep(5)
        assert kept() is None

    gc.disable()
    try:
        simulate(story)
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [EngineFailed("It broke.", "Try again."), ValueError("unforeseen")])
@pytest.mark.parametrize("engine", ["stt", "llm"])
def test_a_failure_ahead_harms_nobody(
    engine: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failed: list[int] = []

    def once() -> None:
        if not failed:
            failed.append(1)
            raise error

    async def story(house: House) -> None:
        setattr(house.faults, engine, once)
        report = await house.answered(LONG)
        assert failed
        assert report.error is None
        assert report.reply == "It is Paris. A lovely town."

    simulate(story, words=[LONG], settings=AHEAD)
    failed.clear()
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_the_microphone_is_closed_while_it_reads() -> None:
    async def story(house: House) -> None:
        house.say(LONG)
        await house.until(State.LISTENING)
        while not house.llm.read:
            await _a_frame()
        house.voice_loop.post(Muted())
        await house.until(State.MUTED)
        house.voice_loop.post(Unmuted())
        await house.until(State.SLEEPING)
        report = await house.answered(LONG)
        assert report.transcript == LONG

    simulate(story, words=[LONG], settings=AHEAD)


@given(st.text())
def test_stable_words_are_the_beginning_of_what_was_heard(text: str) -> None:
    words = stable_words(text).split()
    assert words == text.split()[: len(words)]
    assert len(text.split()) - len(words) <= 2


async def _a_frame() -> None:
    await asyncio.sleep(FRAME_MS / 1000)
