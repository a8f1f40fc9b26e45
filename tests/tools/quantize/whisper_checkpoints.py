"""Whisper checkpoints as Hugging Face has them: a tiny one of random weights, and a real one taken back."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CT2_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
NAMES = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float16): "F16",
    np.dtype(np.uint16): "BF16",
    np.dtype(np.int64): "I64",
    np.dtype(np.int32): "I32",
    np.dtype(np.int8): "I8",
    np.dtype(np.uint8): "U8",
}


def write_safetensors(file: Path, tensors: Mapping[str, Array]) -> None:
    header, place, data = {}, 0, []
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        offsets = [place, place + len(raw)]
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        place += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def read_ct2(file: Path) -> dict[str, Array]:
    """The variables of a CTranslate2 model.bin of version 6."""
    data = file.read_bytes()
    at = 0

    def number(form: str) -> int:
        nonlocal at
        value: int = struct.unpack_from("<" + form, data, at)[0]
        at += struct.calcsize("<" + form)
        return value

    def text() -> str:
        nonlocal at
        length = number("H")
        at += length
        return data[at - length : at - 1].decode()

    assert number("I") == 6
    assert text() == "WhisperSpec"
    number("I")
    variables: dict[str, Array] = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = CT2_TYPES[number("B")]
        length = number("I")
        variables[name] = np.frombuffer(data, kind, length // np.dtype(kind).itemsize, at).reshape(shape)
        at += length
    for _ in range(number("I")):
        alias = text()
        variables[alias] = variables[text()]
    return variables


def to_checkpoint(ct2: Path, to: Path) -> Path:
    """A CTranslate2 folder with 16-bit weights -> the checkpoint that it was made from."""
    to.mkdir()
    weights = read_ct2(ct2 / "model.bin")
    tensors: dict[str, Array] = {}
    layers = {part: 1 + max(_layer(name) for name in weights if name.startswith(part)) for part in _PARTS}
    for conv in ("conv1", "conv2"):
        for each in ("weight", "bias"):
            tensors[f"model.encoder.{conv}.{each}"] = weights[f"encoder/{conv}/{each}"]
    tensors["model.decoder.embed_tokens.weight"] = weights["decoder/embeddings/weight"]
    for part, count in layers.items():
        tensors[f"model.{part}.embed_positions.weight"] = weights[f"{part}/position_encodings/encodings"]
        _norm(tensors, f"model.{part}.layer_norm", weights, f"{part}/layer_norm")
        for number in range(count):
            _layer_of(tensors, f"model.{part}.layers.{number}", weights, f"{part}/layer_{number}", part)
    write_safetensors(to / "model.safetensors", tensors)
    width = tensors["model.encoder.conv1.weight"].shape[0]
    config = json.loads((ct2 / "config.json").read_text())
    _configure(to, layers, heads=width // 64, words=len(tensors["model.decoder.embed_tokens.weight"]))
    said = {
        "suppress_tokens": config["suppress_ids"],
        "begin_suppress_tokens": config["suppress_ids_begin"],
        "alignment_heads": config["alignment_heads"],
    }
    (to / "generation_config.json").write_text(json.dumps(said))
    (to / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n# Whisper\n")
    shutil.copyfile(ct2 / "tokenizer.json", to / "tokenizer.json")
    return to


_PARTS = ("encoder", "decoder")


def _layer(name: str) -> int:
    part = name.split("/")[1]
    return int(part.removeprefix("layer_")) if part.removeprefix("layer_").isdigit() else -1


def _norm(tensors: dict[str, Array], name: str, weights: Mapping[str, Array], at: str) -> None:
    tensors[f"{name}.weight"], tensors[f"{name}.bias"] = weights[f"{at}/gamma"], weights[f"{at}/beta"]


def _linear(
    tensors: dict[str, Array], names: list[str], weights: Mapping[str, Array], at: str, *, prefix: str
) -> None:
    parts = len(names)
    matrices, biases = np.split(weights[f"{at}/weight"], parts), np.split(weights[f"{at}/bias"], parts)
    for name, matrix, bias in zip(names, matrices, biases, strict=True):
        tensors[f"{prefix}{name}.weight"] = matrix
        if name != "k_proj":
            tensors[f"{prefix}{name}.bias"] = bias


def _layer_of(tensors: dict[str, Array], name: str, weights: Mapping[str, Array], at: str, part: str) -> None:
    own = f"{name}.self_attn."
    _linear(tensors, ["q_proj", "k_proj", "v_proj"], weights, f"{at}/self_attention/linear_0", prefix=own)
    _linear(tensors, ["out_proj"], weights, f"{at}/self_attention/linear_1", prefix=own)
    _norm(tensors, f"{name}.self_attn_layer_norm", weights, f"{at}/self_attention/layer_norm")
    if part == "decoder":
        other = f"{name}.encoder_attn."
        for number, names in enumerate((["q_proj"], ["k_proj", "v_proj"], ["out_proj"])):
            _linear(tensors, names, weights, f"{at}/attention/linear_{number}", prefix=other)
        _norm(tensors, f"{name}.encoder_attn_layer_norm", weights, f"{at}/attention/layer_norm")
    for number in range(2):
        _linear(tensors, [f"fc{number + 1}"], weights, f"{at}/ffn/linear_{number}", prefix=f"{name}.")
    _norm(tensors, f"{name}.final_layer_norm", weights, f"{at}/ffn/layer_norm")


def _configure(to: Path, layers: Mapping[str, int], heads: int, words: int) -> None:
    config = {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "activation_function": "gelu",
        "torch_dtype": "float16",
        "vocab_size": words,
        **{f"{part}_layers": count for part, count in layers.items()},
        **{f"{part}_attention_heads": heads for part in _PARTS},
    }
    (to / "config.json").write_text(json.dumps(config))


def random_checkpoint(to: Path, tokenizer: Path, words: int, width: int = 64, mels: int = 80) -> Path:
    """A Whisper of one layer and random weights, for the real tokenizer."""
    to.mkdir()
    random = np.random.default_rng(3)

    def normal(*shape: int) -> Array:
        return (random.normal(size=shape) * 0.05).astype(np.float32)

    tensors = {
        "model.encoder.conv1.weight": normal(width, mels, 3),
        "model.encoder.conv1.bias": normal(width),
        "model.encoder.conv2.weight": normal(width, width, 3),
        "model.encoder.conv2.bias": normal(width),
        "model.encoder.embed_positions.weight": normal(1500, width),
        "model.decoder.embed_positions.weight": normal(448, width),
        "model.decoder.embed_tokens.weight": normal(words, width),
    }
    for part in _PARTS:
        at = f"model.{part}.layers.0"
        attentions = ["self_attn"] + (["encoder_attn"] if part == "decoder" else [])
        norms = [f"{at}.{name}_layer_norm" for name in attentions]
        for norm in (*norms, f"{at}.final_layer_norm", f"model.{part}.layer_norm"):
            tensors |= {f"{norm}.weight": np.ones(width, np.float32), f"{norm}.bias": normal(width)}
        for attention in attentions:
            for name in "qkv":
                tensors[f"{at}.{attention}.{name}_proj.weight"] = normal(width, width)
                if name != "k":
                    tensors[f"{at}.{attention}.{name}_proj.bias"] = normal(width)
            tensors[f"{at}.{attention}.out_proj.weight"] = normal(width, width)
            tensors[f"{at}.{attention}.out_proj.bias"] = normal(width)
        tensors |= {f"{at}.fc1.weight": normal(4 * width, width), f"{at}.fc1.bias": normal(4 * width)}
        tensors |= {f"{at}.fc2.weight": normal(width, 4 * width), f"{at}.fc2.bias": normal(width)}
    write_safetensors(to / "model.safetensors", tensors)
    _configure(to, dict.fromkeys(_PARTS, 1), heads=1, words=words)
    shutil.copyfile(tokenizer, to / "tokenizer.json")
    return to
