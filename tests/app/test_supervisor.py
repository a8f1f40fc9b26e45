"""An engine that hangs is left behind for a new one, and twice in a row is a fault. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from assistant.app.supervisor import Heartbeat, Repairs, Supervisor, Watch
from assistant.core import events as e
from assistant.core.errors import EngineTimeout, OrderRefused
from assistant.core.state import State
from assistant.engines.scripted import ScriptedLlm, ScriptedStt, ScriptedTts
from assistant.runtime import clock
from assistant.settings.schema import Settings
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
BUDGET_S = 3.0
SETTINGS = {
    "conversation": {"turn_timeout_s": BUDGET_S, "apology": "Sorry."},
    "endpoint": {"read_ahead_ms": 0},
}
FOREVER_S = 10_000.0


def hang_once(house: House, engine: str) -> None:
    """The next call of that engine never ends, as far as anybody can wait."""
    loop = asyncio.get_running_loop()

    def hang() -> None:
        setattr(house.faults, engine, lambda: None)
        clock.occupy(loop, FOREVER_S)

    setattr(house.faults, engine, hang)


@asynccontextmanager
async def repaired(house: House, load: Callable[..., Any]) -> AsyncIterator[None]:
    watching = asyncio.ensure_future(
        Supervisor({"engines": Watch(1.0, Repairs(house.voice_loop, load).look)}).watch()
    )
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def engines(house: House, loaded: list[str]) -> Callable[[str, Settings], Any]:
    """New scripted engines that share the house's faults; ``loaded`` is told their kinds."""
    loop = asyncio.get_running_loop()
    heard = {level: text for text, level in house.loudness.items()}

    def load(kind: str, *_: object) -> Any:
        loaded.append(kind)
        fault = house.faults.of(kind)
        if kind == "stt":
            return ScriptedStt(loop, heard, fault=fault)
        return (
            ScriptedLlm(loop, lambda _: "Paris.", fault=fault)
            if kind == "llm"
            else ScriptedTts(loop, fault=fault)
        )

    return load


@pytest.mark.parametrize("engine", ["stt", "llm", "tts"])
def test_an_engine_that_hangs_is_loaded_anew_and_the_next_question_answered(engine: str) -> None:
    async def story(house: House) -> None:
        loaded: list[str] = []
        async with repaired(house, engines(house, loaded)):
            hang_once(house, engine)
            before = getattr(house.voice_loop.pipeline, engine).engine
            report = await house.answered(QUESTION)
            assert report.error == "engine-timeout"
            await asyncio.sleep(3 * BUDGET_S)
            assert loaded == [engine]
            assert getattr(house.voice_loop.pipeline, engine).engine is not before
            report = await house.answered(QUESTION)
            assert (report.error, report.heard) == (None, report.reply)

    simulate(story, settings=SETTINGS)


def test_twice_in_a_row_is_a_fault_that_stays_though_somebody_unmutes() -> None:
    async def story(house: House) -> None:
        loaded: list[str] = []
        async with repaired(house, engines(house, loaded)):
            for _ in range(2):
                hang_once(house, "llm")
                await house.answered(QUESTION) if not loaded else house.say(QUESTION)
                await asyncio.sleep(4 * BUDGET_S)
            assert loaded == ["llm"]
            assert house.voice_loop.state is State.FAULTED
            house.voice_loop.post(e.Muted())
            await house.until(State.MUTED)
            house.voice_loop.post(e.Unmuted())
            await house.until(State.SLEEPING)
            await house.until(State.FAULTED, 5)
            await asyncio.sleep(60)
            assert house.voice_loop.state is State.FAULTED
            assert not house.microphone.is_open, "the watchdog would take it for alive"

    simulate(story, settings=SETTINGS)


def test_one_that_works_between_two_hangs_is_loaded_anew_each_time() -> None:
    async def story(house: House) -> None:
        loaded: list[str] = []
        async with repaired(house, engines(house, loaded)):
            for _ in range(3):
                hang_once(house, "stt")
                await house.answered(QUESTION)
                await asyncio.sleep(3 * BUDGET_S)
                assert (await house.answered(QUESTION)).error is None
            assert loaded == ["stt"] * 3

    simulate(story, settings=SETTINGS)


def test_without_memory_for_another_one_it_is_a_fault_at_once() -> None:
    async def story(house: House) -> None:
        def load(*_: object) -> Any:
            raise OrderRefused("There is no memory.", "Restart.")

        async with repaired(house, load):
            hang_once(house, "stt")
            house.say(QUESTION)
            await house.until(State.FAULTED)

    simulate(story, settings=SETTINGS)


def test_a_slow_engine_that_nobody_has_cancelled_is_left_alone() -> None:
    async def story(house: House) -> None:
        loaded: list[str] = []
        loop = asyncio.get_running_loop()
        async with repaired(house, engines(house, loaded)):
            await house.voice_loop.pipeline.llm.run(lambda *_: clock.occupy(loop, 5 * BUDGET_S))
            assert not loaded

    simulate(story, settings=SETTINGS)


# The heart beats while the loop moves and no engine is given up, whatever is missing.

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
    watching = asyncio.ensure_future(Supervisor({"watchdog": Watch(EVERY_S, heartbeat.look)}).watch())
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


# The table: each thing is looked at in its own time, and none keeps another from being looked at.


def test_each_is_looked_at_in_its_own_time_and_none_waits_for_the_work_of_another() -> None:
    async def main() -> None:
        now = asyncio.get_running_loop().time
        looks: list[float] = []
        worked: list[float] = []

        async def work() -> None:
            await asyncio.sleep(7)
            worked.append(now())

        table = {"often": Watch(1.0, lambda: looks.append(now())), "slow": Watch(2.0, work)}
        watching = asyncio.ensure_future(Supervisor(table).watch())
        await asyncio.sleep(30.5)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert len(looks) == 31
        assert worked == [7, 15, 23], "one job at a time"
        await asyncio.sleep(20)
        assert len(worked) == 3

    clock.run(main(), "virtual")


@pytest.mark.parametrize("fails_at_once", [True, False])
def test_what_fails_is_told_once_and_looked_at_again(
    fails_at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    async def work() -> None:
        tries.append(1)
        if len(tries) != 5:
            raise EngineTimeout("It hangs.", "Restart.")

    def look() -> Any:
        if fails_at_once and len(tries) != 4:
            tries.append(1)
            raise EngineTimeout("It hangs.", "Restart.")
        return work()

    async def main() -> None:
        others: list[int] = []
        table = {"bad": Watch(1.0, look), "good": Watch(1.0, lambda: others.append(1))}
        watching = asyncio.ensure_future(Supervisor(table).watch())
        await asyncio.sleep(9.5)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert len(others) == 10

    clock.run(main(), "virtual")
    assert len(tries) == 10
    told = [record for record in caplog.records if "watch=bad failed=yes" in record.getMessage()]
    assert len(told) == 2, "again after it had worked"
