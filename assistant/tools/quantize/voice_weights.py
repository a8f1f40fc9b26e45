"""Stores the weights of a voice's decoder in 16 or 8 bits; ONNX Runtime unpacks them on loading.

The decoder turns features into audio. It has half of the weights of a Coqui voice of the usual size, and
rounding them is barely audible. It still computes in 32 bits, because integer convolutions are slower on
CPUs. The file becomes smaller; speed and memory stay the same.
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
"""Names in Coqui's and in Piper's voices."""

MIN_NUMBERS = 1024
"""Smaller tensors are not worth a scale."""

Kind = Literal["fp16", "int8"]


def shrink(file: Path, kind: Kind) -> int:
    """Rewrite the voice in ``file``; returns how many weights were shrunk. Raises ModelCorrupt."""
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
    """Yield each weight's name and the axis that gets one scale per index: the output axis."""
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
    """Put the smaller numbers into the graph; return the nodes that restore the original ones."""
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
