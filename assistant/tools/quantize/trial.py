"""Tries out a model: holds a short conversation with it and measures its speed.

The conversation runs in the appliance's engine, or in transformers if no engine runs the model. The answers
are not judged here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assistant import engines
from assistant.core.types import Message
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.scorers import engine_of, opened
from assistant.tools.quantize.scoring import Passage
from assistant.tools.quantize.torch_child import TorchScorer
from assistant.tools.quantize.workspace import resident_bytes

QUESTIONS = (
    "Why is the sky blue?",
    "How do I boil an egg?",
    "Finish this sentence: The quick brown fox",
)
ANSWER_TOKENS = 40
TRANSFORMERS_TOKENS = 20
"""Fewer, because packed weights are unpacked for each token: enough for one sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A question and the model's answer."""

    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """A short conversation."""

    runtime: str
    """What ran the model: an engine, or "transformers", which computes in 32 bits."""
    answers: tuple[Answer, ...]
    tokens_per_s: float
    memory_mb: int
    """Memory by which this process grew while the model was loaded and spoke, or the total of the process
    with transformers; 0 on systems that don't report it.
    """


Reply = Callable[[str], tuple[str, int, float]]
"""question -> the answer, its number of tokens, and tokens per second."""


def hold_conversation(folder: Path, threads: int, watcher: Watcher, *, adapter: Path | None = None) -> Spoken:
    """Hold a short conversation with the model in ``folder``. Raises ModelCorrupt, EngineFailed."""
    runtime = engine_of(folder)
    settings = LlmSettings(
        temperature=0,
        max_tokens=ANSWER_TOKENS if runtime else TRANSFORMERS_TOKENS,
        context_tokens=512,
        history_tokens=0,
        draft_tokens=0,
        adapter=None if adapter is None else str(adapter),
    )
    if not runtime:
        return _in_transformers(folder, settings, threads, watcher)
    before = resident_bytes()
    engine = engines.load("llm", runtime, settings=settings, model=folder, threads=threads)

    def reply(question: str) -> tuple[str, int, float]:
        text = "".join(engine.stream([Message("user", question)], Cancel()))
        return text, engine.usage.tokens_generated, engine.usage.tokens_per_s

    try:
        answers, tokens_per_s = _asked(reply, watcher)
        grown = max(resident_bytes() - before, 0)
    finally:
        engine.close()
    return Spoken(runtime, answers, tokens_per_s, round(grown / 1e6))


def _in_transformers(folder: Path, settings: LlmSettings, threads: int, watcher: Watcher) -> Spoken:
    scorer = TorchScorer(folder, threads, watcher)
    try:
        answers, tokens_per_s = _asked(lambda question: scorer.reply(question, settings), watcher)
        return Spoken("transformers", answers, tokens_per_s, round(scorer.resident_bytes / 1e6))
    finally:
        scorer.close()


def _asked(reply: Reply, watcher: Watcher) -> tuple[tuple[Answer, ...], float]:
    """Return the answers, and the speed of the longest one."""
    meter = Meter("Asking it", len(QUESTIONS), watcher, unit="questions")
    answers, speeds = [], []
    for question in QUESTIONS:
        text, tokens, tokens_per_s = reply(question)
        answers.append(Answer(question, " ".join(text.split())))
        speeds.append((tokens, tokens_per_s))
        meter.add(1)
    return tuple(answers), round(max(speeds)[1], 1)


PROMPT_TOKENS = 128
REPLY_TOKENS = 32
ROUNDS = 3
"""Rounds for the median; on a busy machine, it still varies by a tenth."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second."""

    threads: int
    prompt: float
    """While reading a prompt of PROMPT_TOKENS."""
    reply: float
    """While generating REPLY_TOKENS one by one."""


def measured_speed(folder: Path, threads: int, watcher: Watcher) -> tuple[Speed, ...]:
    """Return the speed of the model in ``folder`` with one thread and with ``threads``. Raises
    EngineFailed.
    """
    counts = sorted({1, threads})
    meter = Meter("Measuring the speed", len(counts) * ROUNDS, watcher, unit="rounds")
    return tuple(_speed(folder, count, meter, watcher) for count in counts)


def _speed(folder: Path, threads: int, meter: Meter, watcher: Watcher) -> Speed:
    with opened(folder, threads, watcher) as scorer:
        words = scorer.vocabulary.tokenize(
            "The story of the fox and the hen goes on and on. " * PROMPT_TOKENS
        )
        prompt = Passage(tuple(words[:PROMPT_TOKENS]), (PROMPT_TOKENS - 1,))
        prompts, replies = [], []
        for _ in range(ROUNDS):
            began_s = time.perf_counter()
            scorer.read(prompt)
            read_s = time.perf_counter()
            for place in range(REPLY_TOKENS):
                scorer.append(words[place], PROMPT_TOKENS + place)
            prompts.append(PROMPT_TOKENS / (read_s - began_s))
            replies.append(REPLY_TOKENS / (time.perf_counter() - read_s))
            meter.add(1)
    return Speed(threads, round(statistics.median(prompts), 1), round(statistics.median(replies), 1))
