"""Who answers a question is decided in one place: the same for a spoken and for a written one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from assistant.core.errors import EmptyAnswer, EngineFailed
from assistant.core.types import Message, Pcm16, Sentence
from assistant.dialog.pipeline import Adopt
from assistant.dialog.report import Report
from assistant.engines.scripted import clip
from assistant.runtime.aio import each
from assistant.runtime.cancel import Cancel
from assistant.runtime.paths import shipped_folder
from assistant.skills import Outcome
from tests.simulation import House, simulate

INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
TIME, LAMP, EGGS, FRANCE = (
    "What time is it?",
    "Turn on the lamp.",
    "The eggs want seven minutes.",
    "What is the capital of France?",
)
PROGRAM = "Write it in code: ```print(1)```"


def written(messages: Sequence[Message]) -> str:
    question = messages[-1].content
    return '@set_timer(duration="7 minutes", name="eggs")' if question == EGGS else "It is Paris."


class Butler:
    name = "butler"

    def ask(self, text: str, cancel: Cancel) -> Outcome | None:
        return Outcome("The lamp is on.") if text == LAMP else None


async def employ(house: House) -> None:
    pipeline = replace(house.voice_loop.pipeline, agent=Butler(), may_call=True)
    house.voice_loop.post(Adopt(pipeline, {}))
    await asyncio.sleep(0.1)


async def write_back(house: House, question: str) -> Report:
    pipeline = house.voice_loop.pipeline
    return await pipeline.answer_in_writing(pipeline.answer(question))


def test_spoken_and_written_questions_are_answered_by_the_same() -> None:
    async def story(house: House) -> None:
        await employ(house)
        for question, who in ((TIME, "tell_time"), (LAMP, "butler"), (EGGS, "set_timer"), (FRANCE, "llm")):
            spoken = await house.answered(question)
            in_writing = await write_back(house, question)
            assert (spoken.handled_by, in_writing.handled_by) == (who, who)
            if question != TIME:  # which is a later one meanwhile
                assert in_writing.reply == spoken.reply

    simulate(story, words=[TIME, LAMP, EGGS, FRANCE], reply=written, intents=INTENTS)


def test_an_answer_comes_sentence_by_sentence_and_waits_with_effects() -> None:
    async def story(house: House) -> None:
        pipeline = house.voice_loop.pipeline
        assert [each.text async for each in pipeline.answer(FRANCE)] == ["It is Paris.", "A lovely town."]
        may_act = asyncio.Event()
        answer = pipeline.answer("set a timer for ten minutes", may_act=may_act)
        first = asyncio.ensure_future(anext(aiter(answer)))
        await asyncio.sleep(1)
        assert house.timers.all("timer") == []
        assert answer.may_be_retracted is False
        may_act.set()
        await first
        assert len(house.timers.all("timer")) == 1
        assert answer.has_acted

    simulate(story, intents=INTENTS)


def test_in_writing_the_model_is_asked_only_when_nobody_else_answers() -> None:
    async def story(house: House) -> None:
        await employ(house)
        await write_back(house, LAMP)
        assert house.llm.prompts == []
        await write_back(house, FRANCE)
        assert len(house.llm.prompts) == 1

    simulate(story, reply=written, intents=INTENTS)


def test_a_written_answer_is_whole_or_an_error_and_is_remembered_as_it_was_written() -> None:
    async def story(house: House) -> None:
        assert (await write_back(house, FRANCE)).reply == PROGRAM
        assert [content for _, content, _ in house.conversation.kept] == [PROGRAM]
        asked = 0

        def fail() -> None:
            nonlocal asked
            asked += 1
            if asked > 3:
                raise EngineFailed("The server is gone.", "Look for it.")

        house.faults.llm = fail
        with pytest.raises(EngineFailed, match="server is gone"):
            await write_back(house, FRANCE)
        assert len(house.conversation.kept) == 1

    simulate(story, reply=lambda _: PROGRAM)


def test_no_answer_at_all_is_an_error() -> None:
    async def story(house: House) -> None:
        with pytest.raises(EmptyAnswer):
            await write_back(house, FRANCE)

    simulate(story, reply=lambda _: "")


def test_what_nobody_can_pronounce_makes_no_sound() -> None:
    async def story(house: House) -> None:
        pipeline, speak = house.voice_loop.pipeline, house.tts.synthesize

        def pronounce(sentence: Sentence, cancel: Cancel) -> Pcm16:
            return speak(sentence, cancel) if sentence.text else clip(0, 0)

        house.tts.synthesize = pronounce  # type: ignore[method-assign]
        sentences = [Sentence("🙂"), Sentence("It is Paris."), Sentence("A lovely town.")]
        sounds = [sound async for sound in pipeline.speak(each(sentences))]
        assert [sound.text for sound in sounds] == ["It is Paris.", "A lovely town."]

    simulate(story)
