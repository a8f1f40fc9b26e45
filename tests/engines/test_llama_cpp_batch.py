"""Many prompts at once: the answers are those that they get one by one, in whatever order they are done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import PromptTooLong
from assistant.core.types import BatchReply, Message
from assistant.engines import load
from assistant.engines.llm.llama_cpp.batch import LlamaCppBatch
from assistant.engines.llm.llama_cpp.engine import LlamaCppLlm
from assistant.runtime.cancel import Cancel
from tests.engines.conftest import SMOLLM2, SYSTEM, ask, made, settings

pytestmark = pytest.mark.models

QUESTIONS = (
    "What is the capital of France?",
    "Why is the sky blue?",
    "How do I boil an egg?",
    "Tell me a story about a fox.",
    "What is the largest ocean?",
    "Who wrote Hamlet?",
    "Name three fruits.",
)
PROMPTS = [[SYSTEM, Message("user", question)] for question in QUESTIONS]


def create(at_once: int, folder: Path = SMOLLM2, **changes: Any) -> LlamaCppBatch:
    told = settings(
        **{"max_tokens": 24, "repeat_penalty": 1, "context_tokens": 1024, "history_tokens": 0, **changes}
    )
    return load("batch", "llama_cpp", settings=told, model=folder, threads=1, at_once=at_once)  # type: ignore[no-any-return]


def answers(at_once: int, folder: Path = SMOLLM2, **changes: Any) -> list[BatchReply]:
    """In the order of the prompts."""
    batch = create(at_once, folder, **changes)
    replies = list(batch.answer_all(PROMPTS, Cancel()))
    batch.close()
    assert sorted(reply.number for reply in replies) == list(range(len(PROMPTS)))
    return sorted(replies, key=lambda reply: reply.number)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with 16 bits a weight: with blocks of 4 bits other sums round otherwise, and words change."""
    return made(next(SMOLLM2.glob("*.gguf")), tmp_path_factory.mktemp("f16") / "smollm2", "f16")


def test_four_at_once_answer_as_one_does(exact: Path) -> None:
    one, four = answers(1, exact), answers(4, exact)
    same = [first.text == second.text for first, second in zip(one, four, strict=True)]
    assert sum(same) >= len(same) - 1, [QUESTIONS[at] for at, equal in enumerate(same) if not equal]
    assert all(reply.tokens_generated for reply in four)


def test_one_at_once_is_the_engine_for_conversations(exact: Path) -> None:
    llm: LlamaCppLlm = load(
        "llm", "llama_cpp", settings=settings(max_tokens=24, repeat_penalty=1), model=exact, threads=1
    )
    alone = [ask(llm, prompt).strip() for prompt in PROMPTS]
    llm.close()
    same = [text == reply.text for text, reply in zip(alone, answers(1, exact), strict=True)]
    assert sum(same) >= len(same) - 1


def test_a_place_is_given_to_the_next_prompt_when_it_is_free() -> None:
    replies = answers(2)
    begun = sorted(replies, key=lambda reply: reply.began_s)
    ends = sorted(reply.end_s for reply in replies)
    for before, reply in zip(ends, begun[2:], strict=False):
        assert reply.began_s >= before
    assert all(reply.began_s <= reply.first_token_s <= reply.end_s for reply in replies)
    assert any(
        one.began_s < other.began_s < one.end_s < other.end_s for one in replies for other in replies
    ), "some answers were to overlap"


def test_what_all_begin_with_takes_room_once() -> None:
    batch = create(4)
    common = batch._common([batch._vocabulary.tokenize(batch._text(prompt)) for prompt in PROMPTS])
    assert common >= len(batch._vocabulary.tokenize(SYSTEM.content))
    assert batch._slots.room(common) == common + (1024 - common) // 4
    batch.close()


def test_a_prompt_that_is_longer_than_its_share_is_named_before_any_is_answered() -> None:
    batch = create(4)
    long = [SYSTEM, Message("user", "What is this? " + "The quick brown fox. " * 80)]
    replies = batch.answer_all([*PROMPTS, long], Cancel())
    with pytest.raises(PromptTooLong, match=f"Prompt {len(PROMPTS) + 1} has") as caught:
        next(replies)
    needed = int(caught.value.next_step.split(" to ")[1].split(" ")[0])
    batch.close()
    enough = create(4, context_tokens=needed)
    assert len(list(enough.answer_all([PROMPTS[0], long], Cancel()))) == 2
    enough.close()


def test_equal_prompts_get_equal_answers() -> None:
    batch = create(3)
    texts = {reply.text for reply in batch.answer_all([PROMPTS[0]] * 3, Cancel())}
    batch.close()
    assert len(texts) == 1


def test_it_ends_when_cancelled_and_answers_again() -> None:
    batch, cancel = create(2), Cancel()
    replies: Iterator[BatchReply] = batch.answer_all(PROMPTS, cancel)
    next(replies)
    cancel.set()
    assert not list(replies)
    assert "Paris" in next(iter(batch.answer_all(PROMPTS[:1], Cancel()))).text
    batch.close()


def test_stop_strings_end_an_answer() -> None:
    assert all("." not in reply.text for reply in answers(3, stop=["."]))
