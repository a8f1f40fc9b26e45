"""Writes a GGUF model as a Hugging Face checkpoint that transformers loads: the reverse conversion.

``hf-f16`` has plain weights, from which other tools can make any format. ``hf-int4`` has the numbers of the
chosen method, packed in the layout of the package compressed-tensors (also used by llm-compressor and vLLM),
in blocks of 32 or more. Neither needs torch.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant import __version__
from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import GgufHeader
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import checkpoint, safetensors
from assistant.tools.quantize.block_numbers import BLOCK, Blocks, Float32s
from assistant.tools.quantize.gguf_io import GgufWeights
from assistant.tools.quantize.onnx_shape import Shape, shape_of
from assistant.tools.quantize.rounding import Rounding
from assistant.tools.quantize.safetensors import Planned

MODEL = "model.safetensors"

KINDS = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""Architecture in GGUF -> prefix of the class in transformers."""

NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Layer tensor in GGUF -> in transformers."""

TURNED = re.compile(r"blk\.\d+\.attn_[qk]\.\w+")

TOPS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def write(
    source: Path, folder: Path, chosen: str, rounding: Rounding, watcher: Watcher, *, size: int = BLOCK
) -> Counter[str]:
    """Write the plain GGUF file ``source`` into ``folder`` as "hf-f16" or "hf-int4".

    ``size`` is how many weights share a scale in ``rounding``.

    Returns the types of the matrices with their counts. Raises ModelCorrupt for an unsupported network or
    tokenizer, StorageFull.
    """
    weights = GgufWeights(source)
    shape = shape_of(weights.header)
    checkpoint.write_tokenizer(weights.header, folder)
    config = config_of(weights.header, shape, tied="output.weight" not in weights)
    planned: dict[str, Planned] = {}
    types: Counter[str] = Counter()
    for tensor in weights.header.tensors:
        matrix = len(tensor.shape) > 1
        packed = chosen == "hf-int4" and matrix and tensor.name.startswith("blk.")
        if packed:
            planned |= _packed(weights, tensor.name, shape, rounding, size)
        else:
            planned |= _plain(weights, tensor.name, shape)
        if matrix:
            types["int4" if packed else "float16"] += 1
    if chosen == "hf-int4":
        config["quantization_config"] = packing(size)
    checkpoint.save_json(folder / "config.json", config)
    total = sum(one.size_bytes for one in planned.values())
    safetensors.write(folder / MODEL, planned, Meter(f"Making {chosen}", total, watcher).add)
    return types


def config_of(header: GgufHeader, shape: Shape, *, tied: bool) -> dict[str, Any]:
    """Return the content of config.json."""
    biased = any(tensor.name.endswith("attn_q.bias") for tensor in header.tensors)
    return {
        **checkpoint.config_of(header, shape, f"{KINDS[shape.architecture]}ForCausalLM"),
        "hidden_act": "silu",
        "attention_bias": biased,
        "tie_word_embeddings": tied,
        # transformers 5 reads this, earlier versions read `rope_theta`; without either, they use 10,000.
        "rope_parameters": {"rope_theta": shape.rope_base, "rope_type": "default"},
        "dtype": "float16",
        "written_by": f"assistant {__version__}",
    }


def packing(size: int) -> dict[str, Any]:
    """Return the metadata for compressed-tensors; ``size`` weights share a scale."""
    weights = {
        "num_bits": 4,
        "type": "int",
        "symmetric": True,
        "strategy": "group",
        "group_size": size,
        "dynamic": False,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
    }


def name_of(tensor: str) -> str:
    """Return the transformers name of a GGUF tensor. Raises ModelCorrupt."""
    if tensor in TOPS:
        return TOPS[tensor]
    try:
        _, layer, name, kind = tensor.split(".")
        return f"model.layers.{int(layer)}.{NAMES[name]}.{kind}"
    except (ValueError, KeyError):
        raise ModelCorrupt(
            f"The model has a tensor that no supported network has: {tensor!r:.80}.",
            "Choose a GGUF format, such as q4_k_m.",
        ) from None


def _plain(weights: GgufWeights, name: str, shape: Shape) -> dict[str, Planned]:
    size = weights.shape(name)

    def make() -> Float32s:
        return weights.tensor(name)[rows_of(name, size[0], shape)]

    return {name_of(name): Planned(np.float16, size, make)}


def _packed(
    weights: GgufWeights, name: str, shape: Shape, rounding: Rounding, size: int
) -> dict[str, Planned]:
    """Return a matrix as three tensors: its numbers, eight per integer, their scales, and its shape."""
    rows, columns = weights.shape(name)
    if columns % size:
        raise ModelCorrupt(
            f"The rows of {name!r:.80} cannot be divided into blocks of {size}.",
            "Choose a smaller --group-size, or a GGUF format.",
        )
    kept: dict[str, Blocks] = {}

    def numbers() -> npt.NDArray[np.int32]:
        kept["it"] = rounding(name, weights.tensor(name), 4)
        numbers = (kept["it"].numbers + np.int8(8)).astype(np.uint8).reshape(rows, columns)
        halves = numbers[:, 0::2] | numbers[:, 1::2] << np.uint8(4)
        return halves[rows_of(name, rows, shape)].view("<i4")  # The first number is in the lowest half.

    def scales() -> Float32s:
        return kept.pop("it").scales[rows_of(name, rows, shape)]

    at = name_of(name)
    return {
        f"{at}_packed": Planned(np.int32, (rows, columns // 8), numbers),
        f"{at}_scale": Planned(np.float16, (rows, columns // size), scales),
        f"{at}_shape": Planned(np.int64, (2,), partial(np.array, (rows, columns))),
    }


def rows_of(name: str, rows: int, shape: Shape) -> npt.NDArray[np.intp]:
    """Return the position of each row in transformers: llama.cpp keeps rotated pairs next to each other."""
    order = np.arange(rows)
    if not shape.side_by_side or not TURNED.fullmatch(name):
        return order
    return order.reshape(-1, shape.head_width // 2, 2).swapaxes(1, 2).reshape(-1)
