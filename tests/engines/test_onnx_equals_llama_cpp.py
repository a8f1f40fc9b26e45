"""The same weights on llama.cpp and on ONNX Runtime: the same tokens, and the same next ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from assistant.core.types import Message
from assistant.engines import load
from assistant.engines.llm.chat import ChatLlm, Vocabulary
from assistant.engines.llm.onnx.model import OnnxVocabulary
from assistant.store.formats.gguf import read_header
from assistant.store.progress import Unwatched
from assistant.tools.quantize.onnx_tokenizer import tokenizer
from assistant.tools.quantize.scorers import opened
from assistant.tools.quantize.scoring import Passage
from tests.engines.conftest import SMOLLM2, SYSTEM, ask, settings

pytestmark = pytest.mark.models

QUESTIONS = (
    "What is the capital of France?",
    "Why is the sky blue?",
    "How do I boil an egg?",
    "Tell me a story about a fox.",
    "What is the largest ocean?",
    "Who wrote Hamlet?",
    "How many legs has a spider?",
    "What should I wear when it rains?",
    "Name three fruits.",
    "What is 12 plus 30?",
)
TOKENS = 20
QWEN = SMOLLM2.with_name("qwen2.5-coder-0.5b-instruct-q4_k_m")
LETTERS = "abcXYZstdmlvre  \n\t\r'.,!?-_(){}|>/0123456789äéßøñœ日本語のテスト🦊👍🏽€½ª²\u00a0\u200bжяю"
"""Without "<": of Qwen's plain words "</s>" llama.cpp makes an end mark, by its spelling."""
CLOSE = 0.05
"""Two words of nearly the same score may change places: other sums round otherwise."""


def _replies(engine: str, folder: Path) -> list[list[int]]:
    told = settings(engine=engine, max_tokens=TOKENS, repeat_penalty=1)
    llm: ChatLlm = load("llm", engine, settings=told, model=folder, threads=1)
    replies = []
    for question in QUESTIONS:
        messages = [SYSTEM, Message("user", question)]
        ask(llm, messages)
        replies.append(list(llm._context.held)[llm.usage.tokens_prompt :])
    llm.close()
    return replies


def test_greedy_replies_are_the_same(smollm2_f16: Path, smollm2_onnx: Callable[[str], Path]) -> None:
    folder = smollm2_onnx("onnx-fp32")
    ours, theirs = _replies("onnx", folder), _replies("llama_cpp", smollm2_f16)
    different = [at for at in range(len(QUESTIONS)) if ours[at] != theirs[at]]
    assert len(different) <= 2, [QUESTIONS[at] for at in different]


def test_the_scores_are_the_same(smollm2_f16: Path, smollm2_onnx: Callable[[str], Path]) -> None:
    scores = []
    for folder in (smollm2_f16, smollm2_onnx("onnx-fp32")):
        with opened(folder, 1, Unwatched()) as scorer:
            tokens = tuple(scorer.vocabulary.tokenize("The quick brown fox jumps over the lazy dog. " * 20))
            scores.append(np.concatenate(list(scorer.scores(Passage(tokens, tuple(range(1, len(tokens))))))))
    assert len(scores[0]) > 150, "more than one part was to be read"
    # llama.cpp computes with 16 bits here and there.
    assert np.abs(scores[0] - scores[1]).max() < CLOSE * scores[0].std()


@pytest.fixture(scope="module", params=[SMOLLM2, QWEN], ids=["smollm", "qwen2"])
def vocabularies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Vocabulary, Vocabulary]]:
    """A model's vocabulary as tokenizer.json, and as llama.cpp has it."""
    (file,) = request.param.glob("*.gguf")
    content = tokenizer(read_header(file, keep_long=True).metadata)
    written = tmp_path_factory.mktemp("vocabulary") / "tokenizer.json"
    written.write_text(json.dumps(content), encoding="utf-8")
    with opened(request.param, 1, Unwatched()) as scorer:
        yield OnnxVocabulary(written, begin="", end="", end_tokens=(), end_marks=()), scorer.vocabulary


@with_settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from(LETTERS), max_size=60))
def test_texts_are_split_alike(text: str, vocabularies: tuple[Vocabulary, Vocabulary]) -> None:
    ours, theirs = vocabularies
    tokens = ours.tokenize(text)
    assert tokens == theirs.tokenize(text)
    assert [ours.piece(token) for token in tokens] == [theirs.piece(token) for token in tokens]
