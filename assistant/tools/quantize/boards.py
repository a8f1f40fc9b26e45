"""What a model needs on a board: which of its sizes of memory hold it, with how much context, and on what.

Nothing is measured here. ``board.memory_plan`` plans, as it does at every start on the board itself, for the
processor and the sizes of memory that such boards are sold with.
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
"""What they are sold with; of boards without a fixed size, what is common."""
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
"""What llama.cpp rearranges weights for, which then are in memory twice; none where a board is not here."""

HIDDEN_SHARE = 0.07
"""Of the memory, what firmware, kernel and a little for the graphics take: MemTotal of a Raspberry Pi 4 of
1 GiB is 0.93 GiB."""
SYSTEM_BYTES = 200_000_000
"""A system without a desktop."""

STT_BYTES, TTS_BYTES = 78_000_000, 63_000_000
"""Of the default ears and voice."""


@dataclass(frozen=True, slots=True)
class Size:
    """A board with that much memory."""

    gib: int
    context_tokens: int | None
    """The longest context that fits, up to what the board's profile wants; None where none does."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to write into the settings of that board."""

    board: str
    engine: str
    model: str
    context_tokens: int
    """What its profile wants, or less where no size of it holds that."""
    history_tokens: int
    needed_mb: int
    """With that context, ears and voice included."""
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
    """``settings`` are those with the board's profile; ``header`` is of the model that was made."""
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
"""Of the system prompt and a long question."""
