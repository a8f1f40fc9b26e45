"""Predicts the memory a language model will use, from its header, before loading it.

Pure. The figures follow what llama.cpp allocates (``llama_kv_cache``, ``sched_reserve`` and
``ggml_graph_plan`` report it in its log) and were compared with the peak of real processes: `assistant bench
memory`, docs/boards.md. ``onnx_memory`` creates an ``LlmMemory`` for ONNX Runtime.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import GgufHeader, LongArray, Tensor

CONTEXT_STEP = 256
"""llama.cpp rounds a context up to a multiple of this (GGML_PAD in llama-context.cpp)."""

KV_ELEMENT_BYTES = {"f16": 2.0, "q8_0": 34 / 32}
"""Bytes per number in the KV cache."""

REPACKED = {
    "avx2": {"Q4_0": 8, "Q4_K": 8, "IQ4_NL": 8, "MXFP4": 8},
    "avx512f": {"Q2_K": 8},
    "asimddp": {"Q4_0": 4, "Q4_K": 8, "IQ4_NL": 4, "Q8_0": 4, "Q5_K": 8, "Q6_K": 8},
}
"""CPU feature in /proc/cpuinfo -> the types that llama.cpp keeps a rearranged copy of on such a CPU, and
the number that must divide the row count (ggml_repack_get_optimal_repack_type in repack.cpp).
"""

MAPPED_BLOCK_BYTES = 2 * 1024 * 1024
"""The kernel maps more than the page being read: 2 MB with the large pages of today's file systems. So
small tensors between large unused ones bring in parts of those.
"""

_WORDS = "token_embd.weight"
"""The token embedding. Only one row per token is read, which is negligible, but without an "output.weight"
it is also multiplied with.
"""

_LIBRARY_BYTES = 10_000_000
"""llama.cpp's code, its Python binding and the chat template's; measured."""
_ENTRY_BYTES = 270
"""Bytes that llama.cpp's tables keep per vocabulary entry: 2.7 MB plus 268 bytes per entry, measured with
49,152 and 151,936 entries; and 24 bytes for its scores, sorted twice.
"""
_SCORE_BYTES = 24
_LOADING_ENTRY_BYTES = 32
"""While loading, the header's lists exist a second time, with a std::string for each entry."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Dimensions of a decoder in a GGUF file."""

    kv_numbers: int
    """Numbers in the KV cache per token: keys and values of all layers."""
    heads: int
    """Number of heads of the layer with the most."""
    width: int
    """Length of a token's vector."""
    feed_forward: int
    vocabulary: int
    """Number of entries."""
    train_context: int
    """Context length it was trained for; longer contexts are cut to this."""
    listed: int
    """Strings in its header: vocabulary and merges."""


@dataclass(frozen=True, slots=True)
class LlmMemory:
    """Bytes by purpose; all 0 without a local model."""

    file: int = 0
    """Part of the model's files mapped while loading: all of a GGUF; 0 if they are read instead."""
    mapped: int = 0
    """Weights read from the mapped file. If memory is short they are dropped, and every token becomes
    slow.
    """
    copied: int = 0
    """Weights in memory of their own: rearranged for this processor, all of them without mmap, or the
    whole file if it exists only in memory (an encrypted model). They cannot be dropped if memory is
    short.
    """
    kv: int = 0
    """The KV cache."""
    compute: int = 0
    """Buffers between the layers while a prompt is read."""
    tables: int = 0
    """The library, the vocabulary, and an adapter if there is one."""
    loading: int = 0
    """Needed only during loading, besides the file."""

    @property
    def running(self) -> int:
        """Bytes with a full context. With less memory, every token waits for the disk."""
        return self.mapped + self.copied + self.kv + self.compute + self.tables

    @property
    def peak(self) -> int:
        """The maximum at any time, including loading."""
        return max(self.running, self.file + self.copied + self.tables + self.loading)


def shape_of(header: GgufHeader) -> Shape:
    """Read the dimensions. Raises ModelCorrupt if the header doesn't describe a decoder."""

    def numbers(name: str, otherwise: int = 0) -> tuple[int, ...]:
        value = header.hyperparameter(name)
        values = value if isinstance(value, tuple) else (value,)
        return tuple(int(one) if isinstance(one, int | float) else otherwise for one in values)

    (layers, *_), (width, *_), heads = (
        numbers("block_count"),
        numbers("embedding_length"),
        numbers("attention.head_count"),
    )
    if min(layers, width, max(heads, default=0)) < 1:
        raise ModelCorrupt(
            "The model file doesn't say how many layers and heads its network has.",
            "Fetch the model again, or choose a different one (llm.model).",
        )
    head_size = width // max(heads)
    each = numbers("attention.key_length", head_size)[0] + numbers("attention.value_length", head_size)[0]
    kv_heads = numbers("attention.head_count_kv", max(heads))
    # A list has one number per layer; a single number applies to all layers.
    kv_total = sum(kv_heads[:layers]) if len(kv_heads) > 1 else kv_heads[0] * layers
    vocabulary = _length(header, "tokenizer.ggml.tokens")
    return Shape(
        kv_numbers=kv_total * each,
        heads=max(heads),
        width=width,
        feed_forward=max(numbers("feed_forward_length")),
        vocabulary=vocabulary,
        train_context=numbers("context_length")[0],
        listed=vocabulary + _length(header, "tokenizer.ggml.merges"),
    )


def kv_bytes(shape: Shape, context_tokens: int, kv_type: str) -> int:
    """Size of the KV cache for that many tokens."""
    return int(shape.kv_numbers * KV_ELEMENT_BYTES[kv_type] * _rounded_up(context_tokens))


def compute_bytes(shape: Shape, context_tokens: int, *, flash_attention: bool, micro_batch: int) -> int:
    """Size of the buffers between the layers while ``micro_batch`` tokens are read at the end of a full
    context.

    Without flash attention, every head has a 32-bit score for each token of the context, and a 16-bit copy of
    it for the product with the values.
    """
    batch, context = micro_batch, _rounded_up(context_tokens)
    layers_between = batch * 4 * (shape.feed_forward + 2 * shape.width)
    if flash_attention:
        scores, copy = batch * context * (4 + 2), 0
    else:
        scores, copy = batch * context * 4 * (shape.heads + 1), batch * context * 2 * shape.heads
    work = max(copy, batch * shape.feed_forward * 2)
    return layers_between + scores + work + _SCORE_BYTES * shape.vocabulary


def of_gguf(
    header: GgufHeader,
    *,
    context_tokens: int,
    kv_type: str = "f16",
    flash_attention: bool = False,
    micro_batch: int = 128,
    mmap: bool = True,
    in_memory: bool = False,
    abilities: Collection[str] = (),
    adapter_bytes: int = 0,
) -> LlmMemory:
    """Predict a GGUF model's memory. ``abilities`` are the CPU features from /proc/cpuinfo; ``in_memory``
    means that no disk backs the file. Raises ModelCorrupt.
    """
    shape = shape_of(header)
    context = min(context_tokens, shape.train_context or context_tokens)
    again = [tensor for tensor in header.tensors if is_repacked(tensor, abilities)]
    only_read = {_WORDS} if any(tensor.name == "output.weight" for tensor in header.tensors) else set()
    kept = [
        tensor
        for tensor in header.tensors
        if not is_repacked(tensor, abilities) and tensor.name not in only_read
    ]
    tables = _LIBRARY_BYTES + _ENTRY_BYTES * shape.vocabulary + adapter_bytes
    whole = header.data_offset + header.tensor_bytes
    copied = sum(tensor.size_bytes for tensor in (again if mmap else header.tensors))
    return LlmMemory(
        # Without mmap, an in-memory file exists beside its copy until the copy is complete.
        file=whole if mmap != in_memory else 0,
        mapped=_blocks(kept) if mmap and not in_memory else 0,
        copied=copied + (whole if mmap and in_memory else 0),
        kv=kv_bytes(shape, context, kv_type),
        compute=compute_bytes(shape, context, flash_attention=flash_attention, micro_batch=micro_batch),
        tables=tables,
        loading=_LOADING_ENTRY_BYTES * shape.listed,
    )


def is_repacked(tensor: Tensor, abilities: Collection[str]) -> bool:
    """True if llama.cpp rearranges this tensor for a processor with these features.

    The token embedding is looked up rather than multiplied with, so it stays unchanged.
    """
    if len(tensor.shape) < 2 or tensor.name == _WORDS:
        return False
    rows = (REPACKED[ability].get(tensor.type, 0) for ability in abilities if ability in REPACKED)
    return any(multiple and tensor.shape[1] % multiple == 0 for multiple in rows)


def _blocks(tensors: Iterable[Tensor]) -> int:
    """Bytes of the file that are mapped when these tensors are read."""
    blocks: set[int] = set()
    for tensor in tensors:
        first = tensor.offset // MAPPED_BLOCK_BYTES
        last = (tensor.offset + tensor.size_bytes - 1) // MAPPED_BLOCK_BYTES
        blocks.update(range(first, last + 1))
    return len(blocks) * MAPPED_BLOCK_BYTES


def _rounded_up(context_tokens: int) -> int:
    return math.ceil(context_tokens / CONTEXT_STEP) * CONTEXT_STEP


def _length(header: GgufHeader, key: str) -> int:
    value = header.metadata.get(key)
    if isinstance(value, LongArray):
        return value.length
    return len(value) if isinstance(value, tuple) else 0
