"""What the language model that the settings name will take of memory, whatever engine runs it.

``board.llm_memory`` and ``board.onnx_memory`` know that of one file's header each; here are the settings, the
store and what else lies beside the file. Nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from assistant.app import adapter as adapters
from assistant.board import memory_plan, onnx_memory
from assistant.board.limits import text
from assistant.board.llm_memory import LlmMemory, of_gguf
from assistant.engines.llm.llama_cpp.gguf import require_model
from assistant.runtime.json_file import facts
from assistant.settings.engines import LlmSettings
from assistant.settings.schema import Settings
from assistant.store import Store
from assistant.store.formats.gguf import GgufHeader
from assistant.store.formats.onnx import read_header_from
from assistant.store.kinds import CARD

UNKNOWN = "SOURCE"
"""Stands in a command for what nobody knows."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A language model as it can be planned."""

    with_context: Callable[[int], LlmMemory]
    """What it takes with a context of so many tokens."""
    bits: float = 0
    """Of a weight, now."""
    formats: Mapping[str, float] = field(default_factory=dict)
    """Formats that it can be had in, the finest first, and bits of a weight in them."""
    source: str = ""
    """What those are made of, where that is not the model itself; ``UNKNOWN`` where nobody knows."""


def of_settings(settings: Settings, store: Store, root: Path, *, alone: bool) -> Planned:
    """``alone``: nobody hears or speaks beside it. It takes nothing where a server alone answers.

    Raises ModelError.
    """
    llm = settings.llm
    if not llm.needs_model:
        return Planned(lambda _: LlmMemory())
    in_memory = bool(store.sealed(llm.model))
    if llm.engine == "onnx":
        return _in_onnx(llm, store, in_memory=in_memory, alone=alone)
    header = store.header(llm.model)
    require_model(header, llm.model)
    adapter_bytes = adapters.size_bytes(settings)
    return in_gguf(llm, header, root, in_memory=in_memory, adapter_bytes=adapter_bytes)


def in_gguf(
    llm: LlmSettings, header: GgufHeader, root: Path, *, in_memory: bool = False, adapter_bytes: int = 0
) -> Planned:
    """``in_memory`` is a model that is encrypted on the disk."""
    with_context = partial(
        of_gguf,
        header,
        kv_type=llm.kv_type,
        flash_attention=llm.flash_attention,
        micro_batch=llm.micro_batch,
        mmap=llm.mmap,
        in_memory=in_memory,
        abilities=frozenset(text(root / "proc/cpuinfo").split()),
        adapter_bytes=adapter_bytes,
    )
    return Planned(
        lambda tokens: with_context(context_tokens=tokens), memory_plan.gguf_bits(header), memory_plan.FORMATS
    )


def _in_onnx(llm: LlmSettings, store: Store, *, in_memory: bool, alone: bool) -> Planned:
    """Raises ModelError."""
    header = store.head(llm.model, "llm", ".onnx", read_header_from)
    folder = store.place(llm.model, "llm")
    most = facts(folder / "config.json").get("max_position_embeddings")
    source = facts(folder / CARD).get("source")

    def with_context(tokens: int) -> LlmMemory:
        tokens = min(tokens, most) if isinstance(most, int) and most > 0 else tokens
        return onnx_memory.of_onnx(
            header, context_tokens=tokens, in_memory=in_memory, beside_others=not alone
        )

    return Planned(
        with_context,
        onnx_memory.bits(header),
        memory_plan.ONNX_FORMATS,
        source if isinstance(source, str) and source else UNKNOWN,
    )
