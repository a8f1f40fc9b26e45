"""Tries a model: holds a short conversation with it, and measures how fast it reads and writes.

What holds the conversation is the engine of the appliance, or transformers where no engine runs the model.
Knows nothing of what the answers are worth.
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
"""Fewer, because packed weights are unpacked for each: enough for a sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said."""

    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """A short conversation."""

    runtime: str
    """What ran the model: an engine, or "transformers", which computes with 32 bits."""
    answers: tuple[Answer, ...]
    tokens_per_s: float
    memory_mb: int
    """By how much this process grew as the model was loaded and spoke, or all that the process with
    transformers takes; 0 on systems that do not tell."""


Reply = Callable[[str], tuple[str, int, float]]
"""Told a question; the answer, its tokens, and how many of them came in a second."""


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
    """The answers, and the speed of the longest one."""
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
"""Rounds of which the median is taken; a noisy machine still moves it by a tenth."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second."""

    threads: int
    prompt: float
    """While a prompt of PROMPT_TOKENS is read."""
    reply: float
    """While REPLY_TOKENS are written, one after the other."""


def measured_speed(folder: Path, threads: int, watcher: Watcher) -> tuple[Speed, ...]:
    """How fast the model in ``folder`` is at one thread and at ``threads``. Raises EngineFailed."""
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
