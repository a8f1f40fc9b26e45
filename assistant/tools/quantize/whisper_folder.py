"""Writes a Whisper checkpoint of Hugging Face as a CTranslate2 folder, without torch.

CTranslate2's own description of Whisper (``ctranslate2.specs``) quantizes and saves; its converter only
fills that in, by way of transformers and torch, which take gigabytes. Here it is filled in from the
safetensors directly. Which weight goes where is as in ``ctranslate2.converters.transformers``
(WhisperLoader); that the result is the same model is proven by a round trip in the tests.
"""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import WhisperSpec

from assistant.core.errors import ModelCorrupt
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.checkpoint import read_json
from assistant.tools.quantize.safetensors import Float32s, SafetensorsFolder

TYPES = {"ct2-int8": "int8", "ct2-float16": "float16", "ct2-float32": None}
"""Format -> what CTranslate2 calls it."""

LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")
MAX_LAYERS = 256
MAX_TOKENIZER_BYTES = 100_000_000
TIMESTAMP_S = 0.02
"""Between two tokens of time, which come after all others and which tokenizer.json may leave out."""


class Whisper:
    """A checkpoint that has been looked at. Raises ModelCorrupt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        self.tensors = SafetensorsFolder(folder)
        names = self.tensors.names
        self._prefix = "model." if "model.encoder.conv1.weight" in names else ""
        if f"{self._prefix}encoder.conv1.weight" not in names:
            raise _refused(folder, "it has no weights of a Whisper model")
        if self.config.get("activation_function", "gelu") != "gelu":
            raise _refused(folder, "CTranslate2 knows Whisper with the activation gelu only")
        self.tokens = _tokens(folder, self._count("vocab_size", 10_000_000))

    def write(self, to: Path, kind: str, watcher: Watcher) -> None:
        """Write it into the folder ``to`` in a format of TYPES. Raises ModelCorrupt, OSError."""
        spec = WhisperSpec(
            self._count("encoder_layers", MAX_LAYERS),
            self._count("encoder_attention_heads", 1000),
            self._count("decoder_layers", MAX_LAYERS),
            self._count("decoder_attention_heads", 1000),
        )
        meter = Meter(f"Making {kind}", self.tensors.elements, watcher, unit="weights")
        self._fill(spec, meter)
        spec.register_vocabulary(self.tokens)
        for key, value in self._choices().items():
            setattr(spec.config, key, value)
        try:
            spec.validate()
            spec.optimize(quantization=TYPES[kind])
        except ValueError as error:
            raise _refused(self.folder, " ".join(str(error).split())[:200]) from error
        spec.save(str(to))
        for name in ("tokenizer.json", "preprocessor_config.json"):
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, to / name)

    def _fill(self, spec: Any, meter: Meter) -> None:
        take = self._taker(meter)
        for conv in ("conv1", "conv2"):
            getattr(spec.encoder, conv).weight = take(f"encoder.{conv}.weight")
            getattr(spec.encoder, conv).bias = take(f"encoder.{conv}.bias")
        spec.decoder.embeddings.weight = take("decoder.embed_tokens.weight")
        # The layer that makes the words is the one that reads them, unless the checkpoint has another.
        own = "proj_out.weight" in self.tensors.names
        spec.decoder.projection.weight = (
            self.tensors.read("proj_out.weight") if own else spec.decoder.embeddings.weight
        )
        for name, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
            part.position_encodings.encodings = take(f"{name}.embed_positions.weight")
            _norm(part.layer_norm, f"{name}.layer_norm", take)
            for number, layer in enumerate(part.layer):
                at = f"{name}.layers.{number}"
                _attention(layer.self_attention, f"{at}.self_attn", [["q", "k", "v"]], take)
                _norm(layer.self_attention.layer_norm, f"{at}.self_attn_layer_norm", take)
                if name == "decoder":
                    _attention(layer.attention, f"{at}.encoder_attn", [["q"], ["k", "v"]], take)
                    _norm(layer.attention.layer_norm, f"{at}.encoder_attn_layer_norm", take)
                for linear, wanted in ((layer.ffn.linear_0, "fc1"), (layer.ffn.linear_1, "fc2")):
                    linear.weight, linear.bias = take(f"{at}.{wanted}.weight"), take(f"{at}.{wanted}.bias")
                _norm(layer.ffn.layer_norm, f"{at}.final_layer_norm", take)

    def _taker(self, meter: Meter) -> Any:
        def take(name: str, *, optional: bool = False) -> Float32s | None:
            whole = self._prefix + name
            if whole not in self.tensors.names:
                if optional:
                    return None
                raise _refused(self.folder, f"it lacks the tensor {whole}")
            numbers = self.tensors.read(whole)
            meter.add(numbers.size)
            return numbers

        return take

    def _choices(self) -> dict[str, Any]:
        """What CTranslate2 must know beside the weights."""
        file = self.folder / "generation_config.json"
        said = read_json(file) if file.is_file() else self.config
        languages = said.get("lang_to_id")
        by_name = [number for number, token in enumerate(self.tokens) if LANGUAGE.fullmatch(token)]
        layers, heads = (
            self._count("decoder_layers", MAX_LAYERS),
            self._count("decoder_attention_heads", 1000),
        )
        # The later half of the layers, where nobody says which heads follow the sound.
        follow = [list(pair) for pair in itertools.product(range(layers // 2, layers), range(heads))]
        return {
            "suppress_ids": said.get("suppress_tokens") or [],
            "suppress_ids_begin": said.get("begin_suppress_tokens") or [],
            "alignment_heads": said.get("alignment_heads") or follow,
            "lang_ids": sorted(languages.values()) if isinstance(languages, dict) else by_name,
        }

    def _count(self, name: str, most: int) -> int:
        value = self.config.get(name)
        if type(value) is not int or not 1 <= value <= most:
            raise _refused(self.folder, f"its config.json says {name} is {value!r:.40}")
        return value


def _tokens(folder: Path, count: int) -> list[str]:
    """The vocabulary by number, with the times that the tokenizer may leave out. Raises ModelCorrupt."""
    try:
        said = read_json(folder / "tokenizer.json", MAX_TOKENIZER_BYTES)
        numbers: dict[str, int] = dict(said["model"]["vocab"])
        numbers |= {each["content"]: each["id"] for each in said.get("added_tokens") or []}
        ordered = sorted(numbers, key=numbers.__getitem__)
        dense = [numbers[token] for token in ordered] == list(range(len(ordered)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(folder, "its tokenizer.json is missing or cannot be read") from error
    if not dense or len(ordered) > count:
        raise _refused(folder, f"its tokenizer has {len(ordered)} tokens, and the network {count}")
    times = [f"<|{number * TIMESTAMP_S:.2f}|>" for number in range(count - len(ordered))]
    return ordered + times


def _attention(spec: Any, at: str, fused: list[list[str]], take: Any) -> None:
    """Projections that have the same input are one matrix; keys have no bias in Whisper."""
    for linear, names in zip(spec.linear, fused, strict=False):
        weights = [take(f"{at}.{name}_proj.weight") for name in names]
        biases = [take(f"{at}.{name}_proj.bias", optional=True) for name in names]
        filled = [
            np.zeros(len(weight), dtype=np.float32) if bias is None else bias
            for weight, bias in zip(weights, biases, strict=True)
        ]
        linear.weight, linear.bias = np.concatenate(weights), np.concatenate(filled)
    spec.linear[-1].weight, spec.linear[-1].bias = take(f"{at}.out_proj.weight"), take(f"{at}.out_proj.bias")


def _norm(spec: Any, at: str, take: Any) -> None:
    spec.gamma, spec.beta = take(f"{at}.weight"), take(f"{at}.bias")


def _refused(folder: Path, why: str) -> ModelCorrupt:
    return ModelCorrupt(f"The checkpoint in {folder} is not used: {why}.", "Choose another checkpoint.")
