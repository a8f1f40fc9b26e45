"""Zeros for ever are a lost microphone, told once; the first sound brings it back. Virtual time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from assistant.audio.filtered import LiveMicrophone
from assistant.audio.scripted import ScriptedMicrophone
from assistant.core.errors import DeviceLost
from assistant.engines.scripted import clip
from assistant.runtime import clock

SILENT_S = 300.0


async def listen(microphone: LiveMicrophone, seconds: float) -> int:
    """How many frames there are in that time. Raises DeviceLost."""
    heard = 0

    async def count() -> None:
        nonlocal heard
        async with aclosing(microphone.frames()) as frames:
            async for _ in frames:
                heard += 1

    job = asyncio.ensure_future(count())
    await asyncio.wait({job}, timeout=seconds)
    if job.done():
        job.result()
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    return heard


def test_zeros_for_too_long_are_a_lost_microphone() -> None:
    async def main() -> None:
        room = ScriptedMicrophone()
        microphone = LiveMicrophone(room, SILENT_S)
        assert await listen(microphone, SILENT_S - 1) == pytest.approx(50 * (SILENT_S - 1), abs=2)
        with pytest.raises(DeviceLost, match="only zeros for 300 s"):
            await listen(microphone, SILENT_S + 1)

    clock.run(main(), "virtual")


def test_a_dead_one_is_found_again_with_the_first_sound_and_not_before() -> None:
    async def main() -> None:
        room = ScriptedMicrophone()
        microphone = LiveMicrophone(room, SILENT_S)
        with pytest.raises(DeviceLost):
            await listen(microphone, 2 * SILENT_S)
        assert await listen(microphone, 60) == 0
        listening = asyncio.ensure_future(listen(microphone, 60))
        await asyncio.sleep(30)
        room.say(clip(3, 100))
        assert await listening == pytest.approx(50 * 30, abs=2)

    clock.run(main(), "virtual")


def test_now_and_then_a_sound_is_enough_and_0_is_never() -> None:
    async def main() -> None:
        room = ScriptedMicrophone()
        for _ in range(4):
            room.say(clip(1, 20))
            room.say(clip(0, 200_000))
        assert await listen(LiveMicrophone(room, SILENT_S), 800) > 30_000
        assert await listen(LiveMicrophone(room, 0), 2000) > 90_000

    clock.run(main(), "virtual")
