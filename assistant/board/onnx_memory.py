"""Predicts the memory a language model will use on ONNX Runtime, from its network, before loading it.

Pure. ONNX Runtime maps weights that are in a separate file, and copies those inside the network file.
Matrices are rearranged into memory of their own (prepacked), and the original is released unless something
else reads it, as with a token embedding that is also the output layer. All of this, and the constants here,
were found by measuring on x86: `assistant bench memory`, docs/boards.md. A GPU has its own memory; the plan
ignores that and counts everything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from assistant.board.llm_memory import LlmMemory
from assistant.core.errors import ModelCorrupt
from assistant.store.formats.onnx import FLOAT16, TYPE_BYTES, Node, OnnxHeader, Port, Weights

MULTIPLIED = {"MatMul": 1, "Gemm": 1, "MatMulNBits": 1, "MatMulInteger": 1, "DynamicQuantizeMatMul": 1}
"""Operator -> index of the input that is rearranged if it is constant."""
_ROWS = ("Gather", 0)
_IN_PLACE = "GroupQueryAttention"
_PAST, _LOGITS, _KEEPS = "past_key_values.", "logits", "num_logits_to_keep"

PART_TOKENS, PART_TOKENS_ALL_SCORES = 128, 32
"""Prompt tokens read at once, as in engines.onnx_context; a test keeps them equal."""

_LONGER_EACH_TIME = 2.5
"""Multiple of the KV cache's size, for networks that output it anew at each step, one token longer: both
exist, plus what the allocator keeps between them. Measured from 512 to 4096 tokens with 60 such blocks.
"""
_ROW_BYTES = 16_384
"""Memory that each context token brings in from a lookup table. Linux maps 64 KB around a row, but common
words are close together: 62 MB after 4,000 tokens, measured.
"""
_RUNTIME_BYTES = 30_000_000
"""Code of ONNX Runtime and the tokenizers; measured."""
_SESSION_BYTES = 5_000_000
"""The network without its weights; measured with 24 and 30 layers."""
_ENTRY_BYTES = 700
"""Bytes per vocabulary entry in the tokenizers' tables: 696 and 709, measured with 49,152 and 151,936
entries.
"""
_CHOICE_BYTES = 40
"""Bytes per entry for its score while a token is chosen: sorted, and in 64 bits."""


@dataclass(frozen=True)
class _Network:
    """A header, and how its operators use the weights."""

    header: OnnxHeader

    @cached_property
    def past(self) -> list[Port]:
        return [port for name, port in self.header.inputs.items() if name.startswith(_PAST)]

    @cached_property
    def uses(self) -> dict[str, set[tuple[str, int]]]:
        """Weights -> the operators that read them, with the input index."""
        found: dict[str, set[tuple[str, int]]] = {}
        for node in self.header.nodes:
            for at, name in enumerate(node.inputs):
                if name in self.header.weights:
                    found.setdefault(name, set()).add((node.operator, at))
        return found

    @cached_property
    def multiplied(self) -> set[str]:
        return {name for name, uses in self.uses.items() if uses & MULTIPLIED.items()}

    @cached_property
    def scales(self) -> set[str]:
        """Scales and zero points."""
        return {name for name, uses in self.uses.items() if uses & {("MatMulNBits", 2), ("MatMulNBits", 3)}}

    @cached_property
    def kept(self) -> set[str]:
        """Weights whose originals stay in memory."""
        return {name for name, uses in self.uses.items() if uses - MULTIPLIED.items()}

    @cached_property
    def looked_up(self) -> set[str]:
        """Those read one row per token; a 16-bit matrix is read once more, to be widened."""
        return {
            name
            for name in self.kept
            if self.uses[name] - (MULTIPLIED.items() if self[name].type == FLOAT16 else set()) == {_ROWS}
        }

    @property
    def vocabulary(self) -> int:
        """Number of entries; 0 if unknown."""
        shape = self.header.outputs[_LOGITS].shape if _LOGITS in self.header.outputs else ()
        return shape[-1] if shape else 0

    @property
    def widest(self) -> int:
        """Rows of the largest matrix except the output layer."""
        rows = [self._rows(node, at) for node, at in self._multiplying()]
        return max((count for count in rows if count != self.vocabulary), default=0)

    @property
    def matrix_numbers(self) -> int:
        """Numbers in all matrices, independent of their bits."""
        numbers = {}
        for node, at in self._multiplying():
            packed = node.integers.get("N", 0) * node.integers.get("K", 0)  # for MatMulNBits
            numbers[node.inputs[at]] = packed or self[node.inputs[at]].numbers
        return sum(numbers.values())

    def packed_bytes(self, name: str) -> int:
        """Size of the rearranged copy: 16-bit floats become 32-bit, because CPUs compute with those."""
        weights = self[name]
        return 4 * weights.numbers if weights.type == FLOAT16 else weights.size_bytes

    def __getitem__(self, name: str) -> Weights:
        return self.header.weights[name]

    def _multiplying(self) -> Iterator[tuple[Node, int]]:
        for node in self.header.nodes:
            at = MULTIPLIED.get(node.operator)
            if at is not None and len(node.inputs) > at and node.inputs[at] in self.header.weights:
                yield node, at

    def _rows(self, node: Node, at: int) -> int:
        shape = self[node.inputs[at]].shape
        plain = shape[0] if node.integers.get("transB") else shape[-1] if shape else 0
        return node.integers.get("N", plain)


def of_onnx(
    header: OnnxHeader, *, context_tokens: int, in_memory: bool = False, beside_others: bool = False
) -> LlmMemory:
    """Predict an ONNX model's memory. ``in_memory``: no disk backs the files; ``beside_others``: the VAD or
    wake word has already loaded ONNX Runtime.

    Raises ModelCorrupt if the network is not a decoder with a KV cache.
    """
    network = _Network(header)
    if not network.past or any(len(port.shape) != 4 for port in network.past):
        raise ModelCorrupt(
            "The ONNX file is not a decoder with a KV cache.",
            "Export it with its past (Optimum: text-generation-with-past), or choose a different llm.model.",
        )
    weights = header.weights
    packed = {name: network.packed_bytes(name) for name in network.multiplied | network.scales}
    # 16-bit scales also exist as 32-bit copies, besides both.
    widened = sum(packed[name] for name in network.scales if weights[name].type == FLOAT16)
    external = {name for name in network.kept if weights[name].external and not in_memory}
    read = sum(weights[name].size_bytes for name in external - network.looked_up)
    rows = sum(
        min(weights[name].size_bytes, context_tokens * _ROW_BYTES) for name in external & network.looked_up
    )
    inside = sum(weights[name].size_bytes for name in network.kept - external)
    # Each matrix exists together with its copy until the copy is complete, one matrix at a time.
    passing = [
        size for name, size in packed.items() if name not in network.kept or weights[name].type == FLOAT16
    ]
    files = sum(each.size_bytes for each in weights.values() if each.external) if in_memory else 0
    runtime = 0 if beside_others else _RUNTIME_BYTES
    return LlmMemory(
        file=read + files,
        mapped=read + rows,
        copied=sum(packed.values()) + widened + inside,
        kv=_kv_bytes(network, context_tokens),
        compute=_compute_bytes(network),
        tables=runtime + _SESSION_BYTES + _ENTRY_BYTES * network.vocabulary,
        loading=max(passing, default=0),
    )


def bits(header: OnnxHeader) -> float:
    """Bits per matrix weight in this file, including its share of the scales."""
    network = _Network(header)
    size = sum(header.weights[name].size_bytes for name in network.multiplied | network.scales)
    return 8 * size / max(1, network.matrix_numbers)


def _kv_bytes(network: _Network, context_tokens: int) -> int:
    each = sum(port.shape[1] * port.shape[3] * TYPE_BYTES.get(port.type, 4.0) for port in network.past)
    in_place = any(node.operator == _IN_PLACE for node in network.header.nodes)
    return math.ceil(each * context_tokens * (1 if in_place else _LONGER_EACH_TIME))


def _compute_bytes(network: _Network) -> int:
    """Size of the buffers between the layers while part of a prompt is read, and of the scores after it."""
    keeps = _KEEPS in network.header.inputs
    part = PART_TOKENS if keeps else PART_TOKENS_ALL_SCORES
    scores = 0 if keeps else 2 * 4 * part * network.vocabulary
    return 2 * 4 * part * network.widest + scores + _CHOICE_BYTES * network.vocabulary
