"""Writes a GGUF model as a folder for ``llm.engine: onnx``: network, tokenizer, chat template.

Other exporters (Optimum, onnxruntime-genai) need torch, five gigabytes on a PC; this needs only the ``onnx``
package. The weights must have 16 bits or more (``gguf_io``). The network of a Llama-like decoder has
onnxruntime-genai's layout: inputs ``input_ids``, ``attention_mask`` [1, all tokens], and
``past_key_values.N.key|value``; outputs ``logits`` and ``present.N.key|value``. GroupQueryAttention applies
the rotary positions itself and may write in place to the cache it reads. Only the last ``num_logits_to_keep``
logits are computed, or all if that is 0, as in the exports of transformers.js.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant import __version__
from assistant.core.errors import ModelCorrupt
from assistant.store.disk import require
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.block_numbers import BLOCK, Blocks, joined, rounded
from assistant.tools.quantize.checkpoint import config_of, save_json, write_tokenizer
from assistant.tools.quantize.gguf_io import GgufWeights
from assistant.tools.quantize.onnx_graph import Graph, type_number, value
from assistant.tools.quantize.onnx_shape import Shape, shape_of, turns
from assistant.tools.quantize.rounding import Rounding

END = 2**63 - 1
"""For Slice: to the end."""

FINE_BITS = 8
"""The embedding table is never rounded to fewer bits: it is the first and the last thing that is read."""

INTEGERS = 4
"""MatMulNBits: multiply with inputs rounded to 8 bits, two to four times as fast; the gate measures the
loss.
"""


def in_bytes(blocks: Blocks, bits: int) -> npt.NDArray[np.uint8]:
    """Pack as [rows, blocks, bytes per block], with zero in the middle; the first of two is the lower
    half.
    """
    numbers: npt.NDArray[np.uint8] = (blocks.numbers.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    return numbers if bits == 8 else numbers[..., 0::2] | numbers[..., 1::2] << np.uint8(4)


@dataclass(frozen=True, slots=True)
class Numbers:
    """How weights are stored, and the type for computing."""

    float_type: npt.DTypeLike = np.float32
    """Type for computing and for the conversation's cache."""
    bits: int = 0
    """8 or 4: round the matrices in blocks; 0: leave them as ``float_type``."""


class Decoder:
    """Writes one decoder; ``add`` is called after each matrix with its number of elements."""

    def __init__(
        self,
        graph: Graph,
        shape: Shape,
        weights: GgufWeights,
        numbers: Numbers,
        *,
        rounding: Rounding,
        add: Any,
    ) -> None:
        self._graph = graph
        self._shape = shape
        self._weights = weights
        self._numbers = numbers
        self._round = rounding
        self._add = add
        self.types: Counter[str] = Counter()
        """Type -> number of matrices."""
        self._inputs = [value("input_ids", np.int64, [1, "sequence"])]
        self._inputs.append(value("attention_mask", np.int64, [1, "total"]))
        self._outputs = [value("logits", numbers.float_type, [1, "kept", shape.vocabulary])]

    def write(self, producer: str) -> None:
        """Write everything and save the graph. Raises ModelCorrupt, OSError."""
        graph, shape = self._graph, self._shape
        lengths = self._lengths()
        rotations = self._rotations()
        stream = self._words()
        branch = self._norm(stream, "blk.0.attn_norm.weight")
        for layer in range(shape.layers):
            at = f"blk.{layer}"
            attended = self._attention(branch, layer, [*lengths, *rotations])
            branch, stream = self._norm_of_sum(attended, stream, f"{at}.ffn_norm.weight")
            fed = self._feed_forward(branch, at)
            last = layer == shape.layers - 1
            following = "output_norm.weight" if last else f"blk.{layer + 1}.attn_norm.weight"
            branch, stream = self._norm_of_sum(fed, stream, following)
        self._logits(branch)
        graph.save(self._inputs, self._outputs, producer)

    def _lengths(self) -> list[str]:
        """Return the last token's position and the number of tokens, as GroupQueryAttention requires."""
        graph = self._graph
        (total,) = graph.node("ReduceSum", ["attention_mask", graph.numbers(1)], keepdims=0)
        (last,) = graph.node("Sub", [total, graph.numbers(1)])
        (shape,) = graph.node("Shape", ["attention_mask"])
        (length,) = graph.node("Gather", [shape, graph.constant("one", np.array(1))], axis=0)
        return [graph.node("Cast", [each], to=type_number(np.int32))[0] for each in (last, length)]

    def _rotations(self) -> list[str]:
        angles = turns(self._shape, self._weights)
        return [
            self._graph.constant("cos_cache", np.cos(angles).astype(self._numbers.float_type)),
            self._graph.constant("sin_cache", np.sin(angles).astype(self._numbers.float_type)),
        ]

    def _words(self) -> str:
        """Return the embeddings of the tokens."""
        graph, shape = self._graph, self._shape
        table = self._weights.array("token_embd.weight", (shape.vocabulary, shape.width))
        self._done(1, table.size, FINE_BITS)
        if not self._numbers.bits:
            name = graph.constant("token_embd.weight", table.astype(self._numbers.float_type))
            return graph.node("Gather", [name, "input_ids"])[0]
        # Its numbers are shared with the output layer, so they are unpacked here explicitly.
        numbers, scales = self._blocks("token_embd.weight", FINE_BITS, rounded(table, FINE_BITS))
        (row,) = graph.node("Gather", [numbers, "input_ids"])
        kind = self._numbers.float_type
        (plain,) = graph.node("Cast", [row], to=type_number(kind))
        (centred,) = graph.node("Sub", [plain, graph.constant("zero", np.array(128, dtype=kind))])
        (scale,) = graph.node("Gather", [scales, "input_ids"])
        (wide,) = graph.node("Unsqueeze", [scale, graph.numbers(-1)])
        (whole,) = graph.node("Mul", [centred, wide])
        blocks = -(-shape.width // BLOCK) * BLOCK
        (flat,) = graph.node("Reshape", [whole, graph.numbers(0, 0, blocks)])
        if blocks == shape.width:
            return flat
        return graph.node("Slice", [flat, graph.numbers(0), graph.numbers(shape.width), graph.numbers(2)])[0]

    def _attention(self, branch: str, layer: int, lengths_and_rotations: list[str]) -> str:
        graph, shape, at = self._graph, self._shape, f"blk.{layer}"
        keys = shape.key_heads * shape.head_width
        parts = {"attn_q": shape.heads * shape.head_width, "attn_k": keys, "attn_v": keys}
        if f"{at}.attn_q_norm.weight" in self._weights:
            query, key, content = (
                self._matrix(branch, {f"{at}.{name}": rows}) for name, rows in parts.items()
            )
            query = self._norm_of_heads(query, f"{at}.attn_q_norm.weight", shape.heads)
            key = self._norm_of_heads(key, f"{at}.attn_k_norm.weight", shape.key_heads)
        else:
            query = self._matrix(branch, {f"{at}.{name}": rows for name, rows in parts.items()})
            key = content = ""  # They are packed with the query.
        memory = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        kind = self._numbers.float_type
        for names, places, length in ((memory, self._inputs, "past"), (present, self._outputs, "total")):
            places += [value(name, kind, [1, shape.key_heads, length, shape.head_width]) for name in names]
        (attended, *_) = graph.microsoft(
            "GroupQueryAttention",
            [query, key, content, *memory, *lengths_and_rotations],
            [f"attended_{layer}", *present],
            num_heads=shape.heads,
            kv_num_heads=shape.key_heads,
            do_rotary=1,
            rotary_interleaved=int(shape.side_by_side),
        )
        return self._matrix(attended, {f"{at}.attn_output": shape.width}, shape.heads * shape.head_width)

    def _feed_forward(self, branch: str, at: str) -> str:
        graph, width = self._graph, self._shape.feed_forward
        both = self._matrix(branch, {f"{at}.ffn_gate": width, f"{at}.ffn_up": width})
        gate, up = graph.node("Split", [both, graph.numbers(width, width)], 2, axis=-1)
        (opened,) = graph.microsoft("QuickGelu", [gate], alpha=1.0)  # x * sigmoid(x), called SiLU.
        (gated,) = graph.node("Mul", [opened, up])
        return self._matrix(gated, {f"{at}.ffn_down": self._shape.width}, width)

    def _logits(self, branch: str) -> None:
        graph, shape = self._graph, self._shape
        self._inputs.append(value("num_logits_to_keep", np.int64, []))
        (back,) = graph.node("Neg", ["num_logits_to_keep"])
        (start,) = graph.node("Reshape", [back, graph.numbers(1)])
        (kept,) = graph.node("Slice", [branch, start, graph.numbers(END), graph.numbers(1)])
        name = "output.weight" if "output.weight" in self._weights else "token_embd.weight"
        table = self._weights.array(name, (shape.vocabulary, shape.width))
        is_own = name == "output.weight"  # Otherwise, the embedding table is reused.
        if is_own:
            self._done(1, table.size, FINE_BITS)
        if self._numbers.bits:
            blocks = self._blocks(name, FINE_BITS, rounded(table, FINE_BITS) if is_own else None)
            self._multiply_blocks(kept, blocks, FINE_BITS, table.shape, "logits")
            return
        (flat,) = graph.node("Reshape", [kept, graph.numbers(-1, shape.width)])
        table_name = graph.constant(name, table.astype(self._numbers.float_type))
        (scores,) = graph.node("Gemm", [flat, table_name], transB=1)
        graph.node("Reshape", [scores, graph.numbers(1, -1, shape.vocabulary)], ["logits"])

    def _matrix(self, inputs: str, rows_of: Mapping[str, int], columns: int = 0) -> str:
        """Multiply by several matrices at once, stacked vertically, and add their biases."""
        graph, names = self._graph, list(rows_of)
        columns = columns or self._shape.width
        arrays = [self._weights.array(f"{name}.weight", (rows, columns)) for name, rows in rows_of.items()]
        label, rows = "+".join(names), sum(rows_of.values())
        if bits := self._numbers.bits:
            each = [
                self._round(f"{name}.weight", array, bits) for name, array in zip(names, arrays, strict=True)
            ]
            names_of_both = self._blocks(label, bits, joined(each))
            product = self._multiply_blocks(inputs, names_of_both, bits, (rows, columns), size=each[0].size)
        else:
            whole = np.concatenate(arrays).T.astype(self._numbers.float_type)
            (product,) = graph.node("MatMul", [inputs, graph.constant(f"{label}.weight", whole)])
        self._done(len(names), rows * columns, bits)
        if not any(f"{name}.bias" in self._weights for name in names):
            return product
        biases = [self._weights.array(f"{name}.bias", (length,)) for name, length in rows_of.items()]
        bias = graph.constant(f"{label}.bias", np.concatenate(biases).astype(self._numbers.float_type))
        return graph.node("Add", [product, bias])[0]

    def _blocks(self, label: str, bits: int, blocks: Blocks | None) -> tuple[str, str]:
        """Return the names of rounded weights; ``blocks`` is None if they were already added."""
        names = f"{label}.numbers", f"{label}.scales"
        if blocks is not None:
            self._graph.constant(names[0], in_bytes(blocks, bits))
            self._graph.constant(names[1], blocks.scales.astype(self._numbers.float_type))
        return names

    def _done(self, matrices: int, elements: int, bits: int) -> None:
        self.types[f"int{bits}" if self._numbers.bits else np.dtype(self._numbers.float_type).name] += (
            matrices
        )
        self._add(elements)

    def _multiply_blocks(
        self,
        inputs: str,
        blocks: tuple[str, str],
        bits: int,
        shape: Sequence[int],
        name: str = "",
        *,
        size: int = BLOCK,
    ) -> str:
        rows, columns = shape
        settings = {"N": rows, "K": columns, "bits": bits, "block_size": size, "accuracy_level": INTEGERS}
        outputs: Any = [name] if name else 1
        return self._graph.microsoft("MatMulNBits", [inputs, *blocks], outputs, **settings)[0]

    def _norm(self, inputs: str, name: str) -> str:
        kind, epsilon = "SimplifiedLayerNormalization", self._shape.epsilon
        return self._graph.node(kind, [inputs, self._gain(name)], axis=-1, epsilon=epsilon)[0]

    def _norm_of_sum(self, branch: str, stream: str, name: str) -> tuple[str, str]:
        """Add the branch to the stream; return the normalized sum and the sum."""
        inputs, epsilon = [branch, stream, self._gain(name)], self._shape.epsilon
        outputs = [f"{name}.normal", "", "", f"{name}.sum"]
        self._graph.microsoft("SkipSimplifiedLayerNormalization", inputs, outputs, epsilon=epsilon)
        return outputs[0], outputs[3]

    def _norm_of_heads(self, inputs: str, name: str, heads: int) -> str:
        graph, width = self._graph, self._shape.head_width
        (apart,) = graph.node("Reshape", [inputs, graph.numbers(0, -1, heads, width)])
        normal = self._norm(apart, name)
        return graph.node("Reshape", [normal, graph.numbers(0, -1, heads * width)])[0]

    def _gain(self, name: str) -> str:
        width = self._shape.head_width if "_q_norm" in name or "_k_norm" in name else self._shape.width
        return self._graph.constant(
            name, self._weights.array(name, (width,)).astype(self._numbers.float_type)
        )


NUMBERS = {
    "onnx-fp32": Numbers(),
    "onnx-fp16": Numbers(np.float16),
    "onnx-int8": Numbers(bits=8),
    "onnx-fp16-int8": Numbers(np.float16, bits=8),
    "onnx-int4": Numbers(bits=4),
}
"""Format -> how its weights are stored."""

MODEL = "model.onnx"


def write(source: Path, folder: Path, chosen: str, rounding: Rounding, watcher: Watcher) -> Counter[str]:
    """Write the GGUF file ``source`` into ``folder`` in the format ``chosen`` of NUMBERS.

    Returns the types of the matrices with their counts. Raises ModelCorrupt for an unsupported network or
    tokenizer, StorageFull.
    """
    weights = GgufWeights(source)
    shape = shape_of(weights.header)
    numbers = NUMBERS[chosen]
    elements = sum(int(np.prod(tensor.shape)) for tensor in weights.header.tensors)
    bits = (
        numbers.bits + 2 if numbers.bits else 8 * np.dtype(numbers.float_type).itemsize
    )  # Including scales.
    require(elements * bits // 8, folder)
    write_tokenizer(weights.header, folder)
    config = config_of(weights.header, shape, "DecoderInOnnx")
    save_json(folder / "config.json", config)
    meter = Meter(f"Making {chosen}", elements, watcher, unit="weights")
    graph = Graph(folder / MODEL)
    try:
        decoder = Decoder(graph, shape, weights, numbers, rounding=rounding, add=meter.add)
        decoder.write(f"assistant {__version__}")
    finally:
        graph.close()
    if weights.unused:
        raise ModelCorrupt(
            f"The model has tensors that no supported network has, such as {weights.unused[0]!r:.80}.",
            "Choose a GGUF format, such as q4_k_m.",
        )
    return decoder.types
