"""Chooses the language model for this machine: the truest of those that answer in time and fit into memory.

Each model answers a set of questions as the appliance does, skills and honesty included. One whose first
words come late, or that writes slower than people speak, is passed over while another is fast enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from assistant.app import memory_fit, model_choice
from assistant.app.answers.asking import ask_all
from assistant.app.answers.questions import Question
from assistant.board import health, limits
from assistant.core.errors import AssistantError
from assistant.settings.schema import Settings
from assistant.store import Store

FIRST_WORDS_MS = 1500
"""Before the voice has made a sound of them; people notice half a second more."""
TOKENS_PER_S = 5.0
"""One and a half times the pace of speech, which is about 200 tokens a minute."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How one model does here."""

    model: str
    right: int
    false: int
    questions: int
    first_words_ms: int
    tokens_per_s: float
    memory_mb: int

    @property
    def is_fast_enough(self) -> bool:
        return self.first_words_ms <= FIRST_WORDS_MS and self.tokens_per_s >= TOKENS_PER_S


def candidates(settings: Settings, store: Store) -> Iterator[str]:
    """The installed language models that fit."""
    for entry in store.entries():
        if entry.kind == "llm" and entry.state == "installed":
            try:
                found = memory_fit.plan(memory_fit.with_model(settings, entry.name))
            except AssistantError:  # an adapter, or for another engine
                continue
            if found.fits is not False:
                yield entry.name


def fitting(store: Store) -> Iterator[str]:
    """The catalog's language models without conditions that the whole memory has room for."""
    total = min(health.memory_bytes("MemTotal") or math.inf, limits.memory_bytes())
    for name, model in store.catalog.models.items():
        if model.kind == "llm" and model_choice.takes_bytes(store, name) <= model_choice.ROOM_SHARE * total:
            yield name


def measure(
    settings: Settings, name: str, questions: Sequence[Question], progress: Callable[[str], None]
) -> Figures:
    """Ask one model everything. Raises any AssistantError."""
    wanted = memory_fit.with_model(settings, name)
    wanted = wanted.model_copy(update={"llm": wanted.llm.model_copy(update={"temperature": 0.0})})
    memory_mb = round(memory_fit.plan(wanted).need.needed / 1e6)
    answered = ask_all(wanted, questions, progress)
    by_model = [each for each in answered if each.route == "model"]
    statuses = [each.verdict.status for each in answered]
    return Figures(
        name,
        statuses.count("right"),
        statuses.count("wrong"),
        len(questions),
        round(1000 * median([each.first_s for each in by_model] or [0.0])),
        round(median([each.tokens_per_s for each in by_model if each.tokens_per_s] or [0.0]), 1),
        memory_mb,
    )


def best(measured: Sequence[Figures]) -> Figures:
    """The truest of those that are fast enough; where none is, the fastest."""
    fast = [each for each in measured if each.is_fast_enough]
    if not fast:
        return min(measured, key=lambda each: each.first_words_ms)
    return max(fast, key=lambda each: (each.right - each.false, -each.first_words_ms))
