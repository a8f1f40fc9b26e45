"""The heart beats while frames and the loop both move, and for no other reason. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from assistant import events as e
from assistant.heartbeat import Heartbeat
from assistant.state import State
from tests.simulation import House, simulate

EVERY_S = 10.0


@asynccontextmanager
async def beating(house: House) -> AsyncIterator[list[float]]:
    """When the heart has beaten, as it goes on beating."""
    now = asyncio.get_running_loop().time
    beats: list[float] = []
    heartbeat = Heartbeat(
        house.counted,
        post=house.voice_loop.post,
        is_muted=lambda: house.voice_loop.state is State.MUTED,
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


def test_a_lost_microphone_stops_it_and_a_found_one_starts_it_again() -> None:
    async def story(house: House) -> None:
        async with beating(house) as beats:
            house.microphone.broken = True
            await asyncio.sleep(2 * EVERY_S + 1)
            before = len(beats)
            assert before <= 1
            await asyncio.sleep(10 * EVERY_S)
            assert len(beats) == before
            house.microphone.broken = False
            await house.until(State.SLEEPING)
            await asyncio.sleep(2 * EVERY_S)
            assert len(beats) > before

    simulate(story)


def test_a_microphone_that_runs_and_gives_nothing_stops_it() -> None:
    async def story(house: House) -> None:
        async with beating(house) as beats:
            house.microphone.stuck = True
            await asyncio.sleep(2 * EVERY_S + 1)
            before = len(beats)
            await asyncio.sleep(10 * EVERY_S)
            assert len(beats) == before <= 1

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
            frames = house.counted.frames_heard
            await asyncio.sleep(10 * EVERY_S)
            assert house.counted.frames_heard > frames
            assert len(beats) <= 2

    simulate(story)
