"""The heart beats while the loop moves and no engine is given up, whatever is missing. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from assistant.app.heartbeat import Heartbeat
from assistant.core import events as e
from assistant.core.errors import EngineTimeout
from assistant.core.state import State
from tests.simulation import House, simulate

EVERY_S = 10.0


@asynccontextmanager
async def beating(house: House) -> AsyncIterator[list[float]]:
    """When the heart has beaten, as it goes on beating."""
    now = asyncio.get_running_loop().time
    beats: list[float] = []
    heartbeat = Heartbeat(
        post=house.voice_loop.post,
        is_broken=lambda: "engine" in house.voice_loop.outages,
        beat=lambda: beats.append(now()),
    )
    watching = asyncio.ensure_future(heartbeat.watch(EVERY_S))
    try:
        yield beats
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def test_it_beats_in_every_span_while_all_is_well() -> None:
    async def story(house: House) -> None:
        async with beating(house) as beats:
            await asyncio.sleep(10 * EVERY_S + 1)
            assert len(beats) == 10

    simulate(story)


@pytest.mark.parametrize("missing", ["microphone", "speaker"])
def test_a_missing_device_does_not_stop_it(missing: str) -> None:
    async def story(house: House) -> None:
        async with beating(house) as beats:
            getattr(house, missing).broken = True
            await asyncio.sleep(3600 + 1)
            assert missing in house.voice_loop.outages
            assert len(beats) == 3600 / EVERY_S

    simulate(story)


def test_an_engine_that_is_given_up_stops_it() -> None:
    async def story(house: House) -> None:
        async with beating(house) as beats:
            await asyncio.sleep(EVERY_S + 1)
            house.voice_loop.post(e.Faulted(EngineTimeout("It hangs.", "Restart.")))
            await asyncio.sleep(10 * EVERY_S)
            assert len(beats) == 1

    simulate(story)


def test_muted_the_loop_alone_is_enough() -> None:
    async def story(house: House) -> None:
        house.voice_loop.post(e.Muted())
        await house.until(State.MUTED)
        async with beating(house) as beats:
            await asyncio.sleep(10 * EVERY_S + 1)
            assert len(beats) == 10

    simulate(story)


def test_a_loop_that_hangs_stops_it_though_frames_come() -> None:
    async def story(house: House) -> None:
        async with beating(house) as beats:
            await asyncio.sleep(EVERY_S + 1)
            assert len(beats) == 1
            hangs = asyncio.Event()

            async def hang(_: object) -> None:
                await hangs.wait()

            house.voice_loop._handle = hang  # type: ignore[method-assign,assignment]
            await asyncio.sleep(10 * EVERY_S)
            assert house.microphone.is_open
            assert len(beats) <= 2

    simulate(story)
