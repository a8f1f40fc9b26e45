"""What of a model's memory is spoken, with replies whose probabilities are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from assistant.core.types import Call, Instead, Scored
from assistant.dialog.honesty import ADVICE, EMERGENCY, UNKNOWN, Honesty
from assistant.dialog.pipeline import Adopt
from assistant.engines.scripted import ScriptedLlm
from assistant.store.catalog import Calibration, Weights
from tests.simulation import House, simulate

WEIGHTS = Weights(bias=4.0, least=2.0, content=0.0, first=0.0, kinds={"date": -3.0})
TRUST = Calibration(weights=WEIGHTS, plain=0.8, think=0.5, questions=1, as_of="2026-12-01")


def reply(*sentences: tuple[str, float]) -> Iterator[str | Call]:
    """The sentences word by word; each word of one is as likely as that says."""
    for sentence, log_probability in sentences:
        for word in sentence.split():
            yield Scored(f"{word} ", [log_probability])


def said(question: str, *sentences: tuple[str, float], honesty: Honesty | None = None) -> str:
    return "".join(map(str, (honesty or Honesty(TRUST)).answer(question, lambda: reply(*sentences)))).strip()


def test_what_is_probably_right_is_said_as_it_is() -> None:
    assert (
        said("Who wrote Hamlet?", ("William Shakespeare wrote it.", -0.1)) == "William Shakespeare wrote it."
    )


def test_what_may_be_right_is_thought() -> None:
    assert (
        said("Who wrote Hamlet?", ("The author is Shakespeare.", -1.8))
        == "I think the author is Shakespeare."
    )
    assert said("Who wrote Hamlet?", ("Marlowe wrote it.", -1.8)) == "I think Marlowe wrote it."


def test_what_is_probably_wrong_is_not_said() -> None:
    assert said("Who wrote Hamlet?", ("Marlowe did.", -2.5), ("He lived in London.", -0.1)) == UNKNOWN


def test_the_kind_of_question_counts() -> None:
    assert said("Who built it?", ("It was him.", -0.5)) == "It was him."
    assert said("When was it built?", ("It was 1883.", -0.6)) == UNKNOWN


def test_a_doubtful_second_sentence_is_left_out() -> None:
    sure, doubtful = ("It is Paris.", -0.1), ("It has nine mayors.", -1.5)
    assert said("What is the capital of France?", sure, doubtful, ("It is old.", -0.1)) == "It is Paris."
    assert said("What is the capital of France?", sure, ("It is old.", -0.1)) == "It is Paris. It is old."


def test_nothing_is_spoken_before_it_is_judged() -> None:
    pieces = list(Honesty(TRUST).answer("Who is it?", lambda: reply(("It is him.", -0.1), ("Yes.", -0.1))))
    assert pieces[:2] == ["", ""]
    assert [piece for piece in pieces if piece] == ["It is him.", " Yes."]


def test_a_model_without_calibration_is_not_asked_for_facts() -> None:
    honesty = Honesty(None)
    asked = []

    def ask() -> Iterator[str | Call]:
        asked.append(1)
        return reply(("Hello.", -3.0))

    assert list(honesty.answer("Who wrote Hamlet?", ask)) == [UNKNOWN]
    assert not asked
    assert "".join(map(str, honesty.answer("Hello.", ask))) == "Hello. "


def test_no_model_answers_what_is_dangerous() -> None:
    for honesty in (Honesty(TRUST), Honesty(None), Honesty(None, is_server=True)):
        assert said("Can dogs eat chocolate?", ("Yes.", 0.0), honesty=honesty) == ADVICE
        assert said("My baby swallowed a battery.", ("Relax.", 0.0), honesty=honesty) == EMERGENCY


def test_what_it_lacks_is_explained_once() -> None:
    honesty = Honesty(TRUST)
    first = said("Will it rain tomorrow?", honesty=honesty)
    assert "Home Assistant" in first
    assert said("Will it snow?", honesty=honesty) == "I don't have the weather."


def test_a_server_is_taken_at_its_word() -> None:
    honesty = Honesty(None, is_server=True)
    assert list(honesty.answer("Who is it?", lambda: iter(["It is ", "him."]))) == ["It is ", "him."]


def test_admitting_is_always_said() -> None:
    assert said("Who is it?", ("I do not know.", -3.0)) == "I do not know."


def test_a_call_passes() -> None:
    assert list(Honesty(TRUST).answer("What is on my list?", lambda: iter([Call("@x")]))) == [Call("@x")]


def test_everything_passes_where_nothing_is_judged() -> None:
    honesty = Honesty(None, judges=False)
    assert said("Can dogs eat chocolate?", ("Yes.", -9.0), honesty=honesty) == "Yes."


def test_an_answer_ends_before_mere_detail() -> None:
    long = "The longest river is the Nile, which flows through seven towns and is very old."
    assert said("What is the longest river?", (long, -0.1)) == "The longest river is the Nile."
    assert said("What is the longest river?", (long, -1.8)) == "I think the longest river is the Nile."


def test_an_answer_is_said_before_the_rest_is_written() -> None:
    taken = []

    def ask() -> Iterator[str | Call]:
        for word in ["It", "is", "the", "river", "Nile,", "which", "flows", "through", "Egypt."]:
            taken.append(word)
            yield Scored(f"{word} ", [-0.1])

    assert (
        "".join(map(str, Honesty(TRUST).answer("What is the longest river?", ask))) == "It is the river Nile."
    )
    assert taken[-1] in ("which", "flows")


def test_what_only_repeats_the_question_is_no_answer() -> None:
    whole = "The palace was built in London (England), in the year 1703."
    assert said("Where was the palace built in London?", (whole, -0.1)) == whole


def test_chance_has_no_part_in_facts() -> None:
    class Model(ScriptedLlm):
        is_factual = False

    loop = asyncio.new_event_loop()
    model = Model(loop, lambda _: "")
    loop.close()
    honesty = Honesty(TRUST)
    honesty.prepare("Who wrote Hamlet?", model)
    assert model.is_factual
    honesty.prepare("Tell me a joke.", model)
    assert not model.is_factual


def test_what_it_says_instead_is_marked_and_not_kept() -> None:
    doubtful = list(Honesty(TRUST).answer("Who wrote Hamlet?", lambda: reply(("Marlowe did.", -3.0))))
    assert isinstance(doubtful[-1], Instead)
    sure = list(Honesty(TRUST).answer("Who wrote Hamlet?", lambda: reply(("Shakespeare did.", -0.1))))
    assert not any(isinstance(piece, Instead) for piece in sure)
    for question in ("Can dogs eat chocolate?", "Will it rain?"):
        assert all(isinstance(piece, Instead) for piece in Honesty(TRUST).answer(question, reply))


def test_the_conversation_forgets_what_was_not_known() -> None:
    async def story(house: House) -> None:
        pipeline = replace(house.voice_loop.pipeline, honesty=Honesty(None))
        house.voice_loop.post(Adopt(pipeline, {}))
        await asyncio.sleep(0.1)
        spoken = await house.answered("Who wrote Hamlet?")
        assert spoken.reply == UNKNOWN
        assert (await pipeline.answer_in_writing(pipeline.answer("Who wrote Hamlet?"))).reply == UNKNOWN
        assert pipeline.conversation.kept == []
        await pipeline.answer_in_writing(pipeline.answer("Hello."))
        assert [question for question, *_ in pipeline.conversation.kept] == ["Hello."]

    simulate(story, words=["Who wrote Hamlet?"], reply=lambda _: "Good day.")
