"""What a model needs on a board: which memory sizes hold it, with what context, and in which configuration.

Nothing is measured here. ``board.memory_plan`` plans, as at every start on the board itself, for the CPU and
the memory sizes that such boards are sold with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from assistant.board import memory_plan
from assistant.board.llm_memory import LlmMemory, of_gguf
from assistant.settings.schema import Settings
from assistant.store.formats.gguf import GgufHeader

GIB = 1024**3

MEMORY_GIB: Mapping[str, tuple[int, ...]] = {
    "raspberry-pi-4": (1, 2, 4, 8),
    "raspberry-pi-5": (2, 4, 8, 16),
    "jetson-nano": (2, 4),
    "jetson-orin-nano": (4, 8),
    "apple-silicon": (8, 16, 24),
    "intel-nuc": (4, 8, 16, 32),
    "ryzen-5600g": (8, 16, 32),
}
"""Memory sizes that are sold; common sizes for boards without a fixed size."""
COMMON_GIB = (1, 2, 4, 8, 16)

DOT_PRODUCTS = frozenset({"asimddp"})
ABILITIES: Mapping[str, frozenset[str]] = {
    "raspberry-pi-5": DOT_PRODUCTS,
    "jetson-orin-nano": DOT_PRODUCTS,
    "apple-silicon": DOT_PRODUCTS,
    "generic-arm": DOT_PRODUCTS,
    "generic-x86": frozenset({"avx2"}),
    "intel-nuc": frozenset({"avx2"}),
    "ryzen-5600g": frozenset({"avx2"}),
}
"""CPU features for which llama.cpp rearranges weights, which then take up memory twice; none for unlisted
boards.
"""

HIDDEN_SHARE = 0.07
"""Fraction of the memory used by firmware, kernel, and a little for graphics: MemTotal of a Raspberry Pi 4
with 1 GiB is 0.93 GiB.
"""
SYSTEM_BYTES = 200_000_000
"""A system without a desktop."""

STT_BYTES, TTS_BYTES = 78_000_000, 63_000_000
"""The default recognizer and voice."""


@dataclass(frozen=True, slots=True)
class Size:
    """A board with a given amount of memory."""

    gib: int
    context_tokens: int | None
    """The longest context that fits, up to that of the board's profile; None if none fits."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The settings to use on that board."""

    board: str
    engine: str
    model: str
    context_tokens: int
    """The profile's context, or less if no memory size holds that."""
    history_tokens: int
    needed_mb: int
    """With that context, including the recognizer and the voice."""
    sizes: tuple[Size, ...]

    def document(self) -> dict[str, Any]:
        return {
            "board": self.board,
            "settings": {"llm": self._llm()},
            "needed_mb": self.needed_mb,
            "memory": [{"gib": size.gib, "context_tokens": size.context_tokens} for size in self.sizes],
        }

    def __str__(self) -> str:
        sizes = [
            f"{size.gib} GB: {f'{size.context_tokens} tokens' if size.context_tokens else 'does not fit'}"
            for size in self.sizes
        ]
        llm = ", ".join(f"{key}: {value}" for key, value in self._llm().items())
        return (
            f"For {self.board}: llm: {{{llm}}}\n"
            f"           {self.needed_mb} MB with ears and voice; with memory of {', '.join(sizes)}"
        )

    def _llm(self) -> dict[str, Any]:
        context = {"context_tokens": self.context_tokens, "history_tokens": self.history_tokens}
        return {"engine": self.engine, "model": self.model, **context}


def advise(board: str, settings: Settings, header: GgufHeader, model: str) -> Advice:
    """Advise on a board. ``settings`` include the board's profile; ``header`` is that of the new model."""
    with_rest = partial(memory_plan.need, stt_file=STT_BYTES, tts_file=TTS_BYTES)

    def with_context(tokens: int) -> LlmMemory:
        return of_gguf(
            header,
            context_tokens=tokens,
            kv_type=settings.llm.kv_type,
            flash_attention=settings.llm.flash_attention,
            micro_batch=settings.llm.micro_batch,
            abilities=ABILITIES.get(board, frozenset()),
        )

    def longest(gib: int) -> int | None:
        room = int(gib * GIB * (1 - HIDDEN_SHARE)) - SYSTEM_BYTES
        return memory_plan.largest_context(
            lambda tokens: with_rest(with_context(tokens)).needed <= room, settings.llm.context_tokens
        )

    sizes = tuple(Size(gib, longest(gib)) for gib in MEMORY_GIB.get(board, COMMON_GIB))
    context = max((size.context_tokens or 0 for size in sizes), default=0) or memory_plan.SMALLEST_CONTEXT
    room_for_history = max(0, context - settings.llm.max_tokens - PROMPT_TOKENS)
    return Advice(
        board,
        "llama_cpp",
        model,
        context,
        min(settings.llm.history_tokens, room_for_history),
        round(with_rest(with_context(context)).needed / 1e6),
        sizes,
    )


PROMPT_TOKENS = 350
"""A system prompt and a long question."""
