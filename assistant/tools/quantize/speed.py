"""How fast a model reads and writes on this machine, in whatever runtime it is for."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.scorers import opened
from assistant.tools.quantize.scoring import Passage

PROMPT_TOKENS = 128
REPLY_TOKENS = 32
ROUNDS = 3
"""The median of so many; a noisy machine still moves it by a tenth."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second."""

    threads: int
    prompt: float
    """While a prompt of PROMPT_TOKENS is read."""
    reply: float
    """While REPLY_TOKENS are written, one after the other."""


def measured(folder: Path, threads: int, watcher: Watcher) -> tuple[Speed, ...]:
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
