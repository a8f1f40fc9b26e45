"""Writes a GGUF model as a folder that ``llm.engine: onnx`` runs: network, tokenizer, chat template.

The exporters of others (Optimum, onnxruntime-genai) need torch, five gigabytes on a PC; this needs the
``onnx`` package. The weights must be of 16 bits or more (``gguf_io``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from assistant import __version__
from assistant.core.errors import ModelCorrupt
from assistant.store.disk import require
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.checkpoint import config_of, save_json, write_tokenizer
from assistant.tools.quantize.gguf_io import GgufWeights
from assistant.tools.quantize.onnx_decoder import Decoder, Numbers
from assistant.tools.quantize.onnx_graph import Graph
from assistant.tools.quantize.onnx_shape import shape_of
from assistant.tools.quantize.rounding import Rounding

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

    Gives the types of the matrices and how many have each. Raises ModelCorrupt for a network or a
    tokenizer of a kind that is not known here, StorageFull.
    """
    weights = GgufWeights(source)
    shape = shape_of(weights.header)
    numbers = NUMBERS[chosen]
    elements = sum(int(np.prod(tensor.shape)) for tensor in weights.header.tensors)
    bits = numbers.bits + 2 if numbers.bits else 8 * np.dtype(numbers.float_type).itemsize  # with scales
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
            f"The model has tensors that no network known here has, such as {weights.unused[0]!r:.80}.",
            "Choose a GGUF format, such as q4_k_m.",
        )
    return decoder.types
