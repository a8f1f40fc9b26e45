"""Stores the weights of a voice's decoder in 16 or 8 bits; ONNX Runtime unpacks them when it loads.

The decoder makes sound of features. It has half of the weights of a voice of Coqui's usual size, and rounding
them is hardly heard. It still computes in 32 bits: on processors convolutions of integers are slower.
So the file becomes smaller, and speed and memory do not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from assistant.core.errors import ModelCorrupt

DECODER = re.compile(r"waveform_decoder|/dec/|^dec\.")
"""In Coqui's names and in Piper's."""

MIN_NUMBERS = 1024
"""Smaller ones are not worth a scale."""

Kind = Literal["fp16", "int8"]


def shrink(file: Path, kind: Kind) -> int:
    """Rewrite the voice in ``file``; how many weights became smaller. Raises ModelCorrupt."""
    model = onnx.load(str(file))
    weights = {each.name: each for each in model.graph.initializer}
    nodes = []
    for name, axis in _decoder_weights(model.graph, weights):
        numbers = numpy_helper.to_array(weights[name])
        model.graph.initializer.remove(weights[name])
        nodes += _packed(model.graph, name, numbers, axis, kind)
    if not nodes:
        raise ModelCorrupt(
            f"The network {file.name} has no VITS decoder.",
            "Use it unchanged (--to onnx).",
        )
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.save(model, str(file))
    return sum(node.op_type == "Cast" for node in nodes)


def _decoder_weights(graph: Any, weights: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Name of a weight -> the axis that has a scale for each place: that of what comes out."""
    seen = set()
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose") or node.input[1] in seen:
            continue
        name = node.input[1]
        its = weights.get(name)
        if its is None or its.data_type != TensorProto.FLOAT or np.prod(its.dims) < MIN_NUMBERS:
            continue
        if DECODER.search(node.name) or DECODER.search(name):
            seen.add(name)
            yield name, 1 if node.op_type == "ConvTranspose" else 0


def _packed(graph: Any, name: str, numbers: npt.NDArray[Any], axis: int, kind: Kind) -> list[Any]:
    """Put the smaller numbers into the graph; the nodes that make the old ones of them."""
    small, wide = f"{name}.{kind}", f"{name}.wide"
    if kind == "fp16":
        halves = np.clip(numbers, -65504, 65504).astype(np.float16)
        graph.initializer.append(numpy_helper.from_array(halves, small))
        return [helper.make_node("Cast", [small], [name], to=TensorProto.FLOAT)]
    others = tuple(each for each in range(numbers.ndim) if each != axis)
    largest = np.abs(numbers).max(axis=others, keepdims=True)
    scale = np.where(largest == 0, 1, largest / 127).astype(np.float32)
    bytes_ = np.rint(numbers / scale).astype(np.int8)
    graph.initializer.append(numpy_helper.from_array(bytes_, small))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
    return [
        helper.make_node("Cast", [small], [wide], to=TensorProto.FLOAT),
        helper.make_node("Mul", [wide, f"{name}.scale"], [name]),
    ]
