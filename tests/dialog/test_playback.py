"""An answer on its way: held, gone on with, and how much of it was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.audio.scripted import ScriptedSpeaker
from assistant.core.types import SAMPLE_RATE_HZ, SpokenAudio
from assistant.dialog.playback import Playback
from assistant.runtime import clock


def sound(text: str, seconds: float = 1.0) -> SpokenAudio:
    return SpokenAudio(text, np.full(round(seconds * SAMPLE_RATE_HZ), 1000, np.int16), SAMPLE_RATE_HZ)


def deliver(story: Callable[[Playback, ScriptedSpeaker], Awaitable[None]]) -> None:
    async def main() -> None:
        speaker = ScriptedSpeaker()
        speaker.write(sound("before"))
        await speaker.drained()
        playback = Playback(speaker)
        playback.begin()
        await story(playback, speaker)

    clock.run(main(), "virtual")


def test_what_was_heard_before_is_not_counted() -> None:
    async def story(playback: Playback, _: ScriptedSpeaker) -> None:
        assert playback.heard_s == 0
        playback.write(sound("one two"))
        await playback.heard_out()
        assert playback.heard_s == pytest.approx(1)
        assert playback.was_heard_out
        assert playback.heard_text == "one two"

    deliver(story)


def test_held_it_is_silent_and_may_grow() -> None:
    async def story(playback: Playback, _: ScriptedSpeaker) -> None:
        playback.write(sound("one two three four", 2))
        await asyncio.sleep(1)
        playback.hold()
        playback.write(sound("five"))
        waiting = asyncio.ensure_future(playback.heard_out())
        await asyncio.sleep(10)
        assert not waiting.done()
        assert playback.heard_s == pytest.approx(1, abs=0.03)
        assert playback.heard_text == "one two—"
        playback.go_on()
        began_s = asyncio.get_running_loop().time()
        await waiting
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(2, abs=0.05)
        assert playback.was_heard_out
        assert playback.heard_text == "one two three four five"

    deliver(story)


@settings(max_examples=30)
@given(
    st.lists(st.floats(0.1, 3), min_size=1, max_size=5),
    st.lists(st.floats(0.05, 2), max_size=4),
    st.booleans(),
)
def test_however_often_it_is_held_all_of_it_is_heard_once(
    lengths_s: list[float], holds_s: list[float], late: bool
) -> None:
    async def story(playback: Playback, speaker: ScriptedSpeaker) -> None:
        before_s = speaker.heard_s
        for number, length_s in enumerate(lengths_s):
            if late and number:
                await asyncio.sleep(0.1)
            playback.write(sound(str(number), length_s))
        for hold_s in holds_s:
            await asyncio.sleep(hold_s)
            playback.hold()
            await asyncio.sleep(hold_s)
            playback.go_on()
        await playback.heard_out()
        assert speaker.heard_s - before_s == pytest.approx(sum(lengths_s), abs=0.01)
        assert playback.was_heard_out
        assert playback.heard_text.split() == [str(number) for number in range(len(lengths_s))]

    deliver(story)


def test_what_sounds_while_it_is_held_is_no_part_of_it() -> None:
    """Otherwise a chime would be skipped when the answer goes on, as if that much of it had been heard."""

    async def story(playback: Playback, speaker: ScriptedSpeaker) -> None:
        playback.write(sound("one two three four", 2))
        await asyncio.sleep(1)
        playback.hold()
        speaker.write(sound("chime", 0.5))
        await asyncio.sleep(1)
        assert playback.heard_s == pytest.approx(1, abs=0.03)
        playback.go_on()
        began_s = asyncio.get_running_loop().time()
        await playback.heard_out()
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(1, abs=0.05)
        assert playback.was_heard_out

    deliver(story)
