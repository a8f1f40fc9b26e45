"""What a language model will take of memory, from its header and before any of it is loaded.

Pure. The figures follow what llama.cpp allocates (``llama_kv_cache``, ``sched_reserve`` and
``ggml_graph_plan`` say so in its log) and were held against the peak of real processes:
`assistant bench memory`, docs/boards.md. ``onnx_memory`` makes an ``LlmMemory`` of what ONNX Runtime takes.
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
"""Of one number in the memory of the conversation."""

REPACKED = {
    "avx2": {"Q4_0": 8, "Q4_K": 8, "IQ4_NL": 8, "MXFP4": 8},
    "avx512f": {"Q2_K": 8},
    "asimddp": {"Q4_0": 4, "Q4_K": 8, "IQ4_NL": 4, "Q8_0": 4, "Q5_K": 8, "Q6_K": 8},
}
"""An ability as /proc/cpuinfo calls it -> the types of which llama.cpp keeps a rearranged copy there, and
what the number of rows must be a multiple of (ggml_repack_get_optimal_repack_type in repack.cpp)."""

MAPPED_BLOCK_BYTES = 2 * 1024 * 1024
"""A kernel maps more around a page that is read: with the large pages of today's file systems 2 MB. So small
tensors between big ones that are not needed bring parts of these along."""

_WORDS = "token_embd.weight"
"""The table of words. Of it a row a token is read, which is next to nothing, but where there is no
"output.weight" it is multiplied with as well."""

_LIBRARY_BYTES = 10_000_000
"""llama.cpp's code, its Python side and the chat template's; measured."""
_ENTRY_BYTES = 270
"""What llama.cpp's tables keep of an entry of the vocabulary: 2.7 MB and 268 bytes an entry, measured with
49,152 and 151,936 entries; and of its scores, twice sorted, 24 bytes."""
_SCORE_BYTES = 24
_LOADING_ENTRY_BYTES = 32
"""While it loads, the header's lists are there once more: a std::string for each of their entries."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a decoder in a GGUF file."""

    kv_numbers: int
    """Numbers that it remembers of one token: keys and values of all layers."""
    heads: int
    """The most heads that any layer has."""
    width: int
    """Length of a token's vector."""
    feed_forward: int
    vocabulary: int
    """Entries."""
    train_context: int
    """Tokens it was made for; longer contexts are cut to this."""
    listed: int
    """Texts in its header: vocabulary and merges."""


@dataclass(frozen=True, slots=True)
class LlmMemory:
    """Bytes by what they are for; 0 where there is no model here."""

    file: int = 0
    """What of the model's files is mapped while it is loaded: of GGUF all; 0 when they are read instead."""
    mapped: int = 0
    """Weights read from the mapped file. They can go when memory is short, and then every token is slow."""
    copied: int = 0
    """Weights in memory of their own: rearranged for this processor, all of them without mmap, and the whole
    file where it is in memory only (an encrypted model): it cannot go when memory is short."""
    kv: int = 0
    """Memory of the conversation."""
    compute: int = 0
    """Between the layers, while tokens are read."""
    tables: int = 0
    """The library, the vocabulary, and an adapter where there is one."""
    loading: int = 0
    """What is needed until it is loaded, beside the file."""

    @property
    def running(self) -> int:
        """Once the context is full. With less, every token waits for the disk."""
        return self.mapped + self.copied + self.kv + self.compute + self.tables

    @property
    def peak(self) -> int:
        """The most at any moment, that of loading included."""
        return max(self.running, self.file + self.copied + self.tables + self.loading)


def shape_of(header: GgufHeader) -> Shape:
    """Raises ModelCorrupt for a header that does not say what a decoder looks like."""

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
            "The model file does not say how many layers and heads its network has.",
            "Fetch the model again, or choose another one (llm.model).",
        )
    head_size = width // max(heads)
    each = numbers("attention.key_length", head_size)[0] + numbers("attention.value_length", head_size)[0]
    kv_heads = numbers("attention.head_count_kv", max(heads))
    # A list names every layer; one number holds for all of them.
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
    """Memory of the conversation for that many tokens."""
    return int(shape.kv_numbers * KV_ELEMENT_BYTES[kv_type] * _rounded_up(context_tokens))


def compute_bytes(shape: Shape, context_tokens: int, *, flash_attention: bool, micro_batch: int) -> int:
    """What lies between the layers while ``micro_batch`` tokens are read at the end of a full context.

    Without flash attention every head has a score for each token of the context, in 32 bits, and a
    copy of them in 16 for the product with the values.
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
    """``abilities`` are the words of /proc/cpuinfo; ``in_memory`` is a file that no disk backs. Raises
    ModelCorrupt.
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
        # Without mmap a file in memory is there beside its copy until that is made.
        file=whole if mmap != in_memory else 0,
        mapped=_blocks(kept) if mmap and not in_memory else 0,
        copied=copied + (whole if mmap and in_memory else 0),
        kv=kv_bytes(shape, context, kv_type),
        compute=compute_bytes(shape, context, flash_attention=flash_attention, micro_batch=micro_batch),
        tables=tables,
        loading=_LOADING_ENTRY_BYTES * shape.listed,
    )


def is_repacked(tensor: Tensor, abilities: Collection[str]) -> bool:
    """Whether llama.cpp rearranges this tensor for a processor that can do these things.

    The table of words is looked up and not multiplied with, so it stays as it is.
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
