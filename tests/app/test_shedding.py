"""What is given up when something runs short, and that all of it comes back. Virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.app.build import history_tokens, kept_prompts
from assistant.app.shedding import Shedding
from assistant.app.supervisor import Supervisor, Watch
from assistant.board.shortage import GIVES_UP, KEPT_UP, Reading, Shortages
from assistant.core.errors import EngineFailed
from assistant.core.state import State
from assistant.engines.scripted import ScriptedLlm, ScriptedTts
from tests.board.test_shortage import WELL, readings
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
LOW = replace(WELL, memory_mb=30)
FULL = replace(WELL, disk_mb=3)
HOT = replace(WELL, hot_c=90)
WORST = Reading(memory_mb=1, disk_mb=1, hot_c=99)


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


class Machine:
    """How it is doing is what a test says."""

    def __init__(self) -> None:
        self.reading = WELL
        self.shortages = Shortages()

    async def is_now(self, reading: Reading) -> None:
        self.reading = reading
        await asyncio.sleep(11)

    async def recovers(self) -> None:
        await self.is_now(WELL)
        await asyncio.sleep(70)


@asynccontextmanager
async def relieved(house: House) -> AsyncIterator[Machine]:
    machine = Machine()
    shedding = Shedding(house.voice_loop, machine.shortages, lambda: machine.reading, kept_prompts())
    watching = asyncio.ensure_future(Supervisor({"shortages": Watch(5.0, shedding.look)}).watch())
    try:
        yield machine
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def state_of(house: House) -> tuple[object, ...]:
    """Everything that may be given up."""
    pipeline = house.voice_loop.pipeline
    budget = pipeline.conversation._budget_tokens
    return (house.llm.context_tokens, house.llm.threads_share, house.tts.keeps, budget)


def live(story: Callable[[House, Machine], Awaitable[None]]) -> None:
    async def main(house: House) -> None:
        llm, conversation = house.llm, house.voice_loop.pipeline.conversation
        whole = house.voice_loop.pipeline.settings
        conversation.allow(history_tokens(whole, llm, conversation.beginning, llm.context_tokens))
        async with relieved(house) as machine:
            await story(house, machine)

    simulate(main)


def test_with_little_memory_the_context_is_halved_and_the_oldest_turns_go() -> None:
    async def story(house: House, machine: Machine) -> None:
        before = state_of(house)
        conversation = house.voice_loop.pipeline.conversation
        for number in range(30):
            conversation.add(f"Question {number} " + "word " * 20, "An answer. " * 10)
        turns = len(conversation.messages_for(""))
        await machine.is_now(LOW)
        assert house.llm.context_tokens == 1024
        assert house.llm.primed == 1
        kept = conversation.messages_for("")
        assert len(kept) < turns
        assert kept[-3].content.startswith("Question 29"), "the newest stay"
        assert house.llm.count_tokens(kept) + 160 + 128 < 1024
        assert (await house.answered(QUESTION)).error is None
        await machine.recovers()
        assert state_of(house) == before

    live(story)


def test_a_prompt_that_needs_more_than_half_keeps_what_it_needs() -> None:
    async def story(house: House, machine: Machine) -> None:
        conversation = house.voice_loop.pipeline.conversation
        conversation._opening = [replace(conversation.beginning[0], content="word " * 900)]
        await machine.is_now(LOW)
        assert house.llm.context_tokens == 1280
        assert (await house.answered(QUESTION)).error is None

    live(story)


def test_with_a_full_disk_nothing_is_kept_and_kept_prompts_go() -> None:
    async def story(house: House, machine: Machine) -> None:
        kept_prompts().mkdir(parents=True)
        prompt = kept_prompts() / "model.prefix"
        prompt.touch()
        await machine.is_now(FULL)
        assert not house.tts.keeps
        assert not prompt.exists()
        await machine.recovers()
        assert house.tts.keeps

    live(story)


def test_when_it_is_hot_half_the_threads_work() -> None:
    async def story(house: House, machine: Machine) -> None:
        await machine.is_now(HOT)
        assert (house.llm.threads_share, house.llm.context_tokens) == (0.5, 2048)
        assert house.llm.primed == 0, "what it has read of the conversation is not lost"
        await machine.is_now(replace(WELL, hot_c=76))
        await asyncio.sleep(200)
        assert house.llm.threads_share == 0.5, "not cool yet"
        await machine.recovers()
        assert house.llm.threads_share == 1

    live(story)


def test_what_the_language_model_cannot_do_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House, machine: Machine) -> None:
        house.llm.limits = ()
        await machine.is_now(replace(WORST, disk_mb=WELL.disk_mb))
        assert machine.shortages.gives_up == KEPT_UP
        house.llm.limits = ("context_tokens",)
        await asyncio.sleep(11)
        assert machine.shortages.gives_up == {"memory": GIVES_UP["memory"], "heat": KEPT_UP["heat"]}

    live(story)
    said = [record.getMessage() for record in caplog.records if "short_of=" in record.getMessage()]
    assert [line.split(" why=")[0] for line in said] == [
        "short_of=memory action=shed",
        "short_of=heat action=none",
    ]


def test_nobody_who_is_being_answered_is_made_to_wait() -> None:
    async def story(house: House, machine: Machine) -> None:
        house.say(QUESTION)
        await house.until(State.THINKING)
        machine.reading = WORST
        while house.voice_loop.state is not State.SLEEPING:
            assert house.tts.keeps
            await asyncio.sleep(0.05)
        assert house.reports[-1].error is None
        await asyncio.sleep(11)
        assert not house.tts.keeps

    live(story)


def test_engines_that_are_loaded_anew_are_told_too() -> None:
    async def story(house: House, machine: Machine) -> None:
        await machine.is_now(WORST)
        loop = asyncio.get_running_loop()
        llm, tts = ScriptedLlm(loop, lambda _: "Yes."), ScriptedTts(loop)
        await house.voice_loop.pipeline.llm.exchange(llm)
        await house.voice_loop.pipeline.tts.exchange(tts)
        await asyncio.sleep(11)
        assert (llm.context_tokens, llm.threads_share, tts.keeps) == (1024, 0.5, False)

    live(story)


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House, machine: Machine) -> None:
        with caplog.at_level(logging.WARNING, "assistant.app.shedding"):
            await machine.is_now(LOW)
            await asyncio.sleep(100)
            await machine.recovers()

    live(story)
    assert [record.getMessage() for record in caplog.records] == [
        "short_of=memory action=shed why='30 MB of memory left'",
        "short_of=memory action=restored",
    ]


def test_what_cannot_be_given_up_is_tried_again_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House, machine: Machine) -> None:
        def fail(**_: object) -> None:
            raise EngineFailed("There is no memory.", "End other programs.")

        house.llm.limit, limit = fail, house.llm.limit  # type: ignore[method-assign]
        await machine.is_now(LOW)
        await asyncio.sleep(60)
        assert house.llm.context_tokens == 2048
        house.llm.limit = limit  # type: ignore[method-assign]
        await asyncio.sleep(11)
        assert house.llm.context_tokens == 1024

    live(story)
    assert (
        len([record for record in caplog.records if "watch=shortages failed=yes" in record.getMessage()]) == 1
    )


@settings(max_examples=15)
@given(st.lists(readings, max_size=6))
def test_whatever_was_given_up_everything_comes_back(seen: list[Reading]) -> None:
    async def story(house: House, machine: Machine) -> None:
        before = state_of(house)
        for reading in seen:
            await machine.is_now(reading)
        await machine.recovers()
        assert state_of(house) == before
        assert not machine.shortages.now
        assert (await house.answered(QUESTION)).error is None

    live(story)
