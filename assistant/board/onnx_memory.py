"""What a language model will take of memory on ONNX Runtime, from its network and before it is loaded.

Pure. ONNX Runtime maps weights that lie in a file of their own, and copies those that lie in the network.
What is multiplied with is rearranged into memory of its own (prepacked), and the original is let go unless
something else reads it, as the table of words is where it also makes the words. All of this, and the
constants here, were found by measuring on x86: `assistant bench memory`, docs/boards.md. What a graphics
card computes lies in its own memory; it is planned as if it did not.
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
"""Operator -> which of its inputs is rearranged when it is constant."""
_ROWS = ("Gather", 0)
_IN_PLACE = "GroupQueryAttention"
_PAST, _LOGITS, _KEEPS = "past_key_values.", "logits", "num_logits_to_keep"

PART_TOKENS, PART_TOKENS_ALL_SCORES = 128, 32
"""Of a prompt, what is read at once: as engines.onnx_context does, and a test holds them equal."""

_LONGER_EACH_TIME = 2.5
"""Of the conversation's memory, where a network gives it out anew, one token longer, each time: both are
there, and what the allocator keeps between them. Measured from 512 to 4096 tokens with 60 such blocks."""
_ROW_BYTES = 16_384
"""Of a table that is looked up, what a token of the context brings into memory. Linux maps 64 KB around a
row, but words that are used often lie together: 62 MB after 4,000 tokens, measured."""
_RUNTIME_BYTES = 30_000_000
"""ONNX Runtime's code and the tokenizers'; measured."""
_SESSION_BYTES = 5_000_000
"""The network without its weights; measured with 24 and 30 layers."""
_ENTRY_BYTES = 700
"""Of the vocabulary, in the tokenizers' tables: 696 and 709 bytes, measured with 49,152 and 151,936."""
_CHOICE_BYTES = 40
"""Of an entry, for its scores while one is chosen: sorted, and in 64 bits."""


@dataclass(frozen=True)
class _Network:
    """A header, and what its operators make of the weights."""

    header: OnnxHeader

    @cached_property
    def past(self) -> list[Port]:
        return [port for name, port in self.header.inputs.items() if name.startswith(_PAST)]

    @cached_property
    def uses(self) -> dict[str, set[tuple[str, int]]]:
        """Weights -> the operators that read them, and as which of their inputs."""
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
        """And zero points."""
        return {name for name, uses in self.uses.items() if uses & {("MatMulNBits", 2), ("MatMulNBits", 3)}}

    @cached_property
    def kept(self) -> set[str]:
        """Weights whose originals stay."""
        return {name for name, uses in self.uses.items() if uses - MULTIPLIED.items()}

    @cached_property
    def looked_up(self) -> set[str]:
        """Of those, what is read a row a token; a matrix of 16 bits is read once more, to be widened."""
        return {
            name
            for name in self.kept
            if self.uses[name] - (MULTIPLIED.items() if self[name].type == FLOAT16 else set()) == {_ROWS}
        }

    @property
    def vocabulary(self) -> int:
        """Entries; 0 where the network does not say."""
        shape = self.header.outputs[_LOGITS].shape if _LOGITS in self.header.outputs else ()
        return shape[-1] if shape else 0

    @property
    def widest(self) -> int:
        """Rows of the largest matrix but for that which makes the words."""
        rows = [self._rows(node, at) for node, at in self._multiplying()]
        return max((count for count in rows if count != self.vocabulary), default=0)

    @property
    def matrix_numbers(self) -> int:
        """Numbers in all matrices, however many bits they have."""
        numbers = {}
        for node, at in self._multiplying():
            packed = node.integers.get("N", 0) * node.integers.get("K", 0)  # of MatMulNBits
            numbers[node.inputs[at]] = packed or self[node.inputs[at]].numbers
        return sum(numbers.values())

    def packed_bytes(self, name: str) -> int:
        """What the rearranged copy takes: floats of 16 bits become 32, for processors compute with those."""
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
    """``in_memory`` are files that no disk backs; ``beside_others``: those who hear have loaded ONNX Runtime.

    Raises ModelCorrupt for a network that is no decoder with a memory.
    """
    network = _Network(header)
    if not network.past or any(len(port.shape) != 4 for port in network.past):
        raise ModelCorrupt(
            "The ONNX file is no decoder with a memory of the conversation.",
            "Export it with its past (Optimum: text-generation-with-past), or choose another llm.model.",
        )
    weights = header.weights
    packed = {name: network.packed_bytes(name) for name in network.multiplied | network.scales}
    # Scales of 16 bits are there once more as 32, beside both.
    widened = sum(packed[name] for name in network.scales if weights[name].type == FLOAT16)
    external = {name for name in network.kept if weights[name].external and not in_memory}
    read = sum(weights[name].size_bytes for name in external - network.looked_up)
    rows = sum(
        min(weights[name].size_bytes, context_tokens * _ROW_BYTES) for name in external & network.looked_up
    )
    inside = sum(weights[name].size_bytes for name in network.kept - external)
    # Each matrix and its copy are there together until the copy is made, one matrix after the other.
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
    """Bits that a weight of a matrix has in this file, its share of the scales included."""
    network = _Network(header)
    size = sum(header.weights[name].size_bytes for name in network.multiplied | network.scales)
    return 8 * size / max(1, network.matrix_numbers)


def _kv_bytes(network: _Network, context_tokens: int) -> int:
    each = sum(port.shape[1] * port.shape[3] * TYPE_BYTES.get(port.type, 4.0) for port in network.past)
    in_place = any(node.operator == _IN_PLACE for node in network.header.nodes)
    return math.ceil(each * context_tokens * (1 if in_place else _LONGER_EACH_TIME))


def _compute_bytes(network: _Network) -> int:
    """What lies between the layers while a part of a prompt is read, and the scores after it."""
    keeps = _KEEPS in network.header.inputs
    part = PART_TOKENS if keeps else PART_TOKENS_ALL_SCORES
    scores = 0 if keeps else 2 * 4 * part * network.vocabulary
    return 2 * 4 * part * network.widest + scores + _CHOICE_BYTES * network.vocabulary
