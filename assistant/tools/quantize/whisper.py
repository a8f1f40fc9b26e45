"""Makes a speech recognition model from a Whisper checkpoint on Hugging Face, tests it, and installs it.

CTranslate2's own specification of Whisper (``ctranslate2.specs``) quantizes and saves; its converter only
fills that in, using transformers and torch, which take gigabytes. Here, it is filled in from the safetensors
directly. The mapping of weights follows ``ctranslate2.converters.transformers`` (WhisperLoader); a round trip
in the tests proves that the result is the same model. The 32-bit conversion of the checkpoint, also written
here, is therefore the reference for ``whisper_gate``.
"""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import WhisperSpec

from assistant.core.errors import ModelCorrupt, SettingsError
from assistant.store import Store, licences
from assistant.store.disk import writing
from assistant.store.own import check_name
from assistant.store.progress import Meter, Watcher, timed
from assistant.tools.quantize import card, whisper_gate
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.checkpoint import check_checkpoint, find_checkpoint, read_json
from assistant.tools.quantize.record import checksum, files_of
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.safetensors import SafetensorsFolder
from assistant.tools.quantize.workspace import install, plan, refuse, stem_of, workspace

COMPUTE = {"ct2-int8": "int8", "ct2-float16": "float32", "ct2-float32": "float32"}
"""Format -> compute type for testing it: CPUs don't compute in 16-bit floats."""

BYTES = {"ct2-int8": 1.1, "ct2-float16": 2.0, "ct2-float32": 4.0}
"""Bytes per weight, including scales."""


def make(request: Request, store: Store, watcher: Watcher) -> dict[str, Any]:
    """Run the whole process; returns the model's card with its ``path``. On any error, the store is
    unchanged.

    Raises SettingsError, ModelMissing, LicenceNotAccepted, ModelCorrupt, ModelRefused, DownloadFailed,
    StorageFull, EngineFailed.
    """
    if request.format not in TYPES:
        raise SettingsError(
            f"Whisper cannot be converted to {request.format[:40]!r}.", f"Available: {', '.join(TYPES)}."
        )
    if request.name:
        check_name(store.catalog, request.name)
    agree = licences.agreement(store.models_dir, accept=request.accept_licence)
    source = find_checkpoint(request.source, watcher, agree)
    whisper = opened(source.folder)
    name = request.name or f"{stem_of(source.named)}-{request.format.removeprefix('ct2-')}"
    check_name(store.catalog, name)
    elements = whisper.tensors.elements
    with workspace(store.models_dir, watcher) as work_dir:
        written_bytes = int(elements * (BYTES[request.format] + BYTES["ct2-float32"]))
        plan(written_bytes, 2 * 4 * elements, work_dir, watcher)
        made, reference = work_dir / "made" / name, work_dir / "reference"
        for folder, kind in ((reference, "ct2-float32"), (made, request.format)):
            folder.mkdir(parents=True)
            with writing(store.models_dir):
                whisper.write(folder, kind, watcher)
        with timed("Listening with the source", watcher):
            before = whisper_gate.hear(reference, "float32", request.threads)
        with timed("Listening with what was made", watcher):
            after = whisper_gate.hear(made, COMPUTE[request.format], request.threads)
        doubts = whisper_gate.doubts(before, after, request.format)
        refuse(doubts, f"The model {name} was not installed", force=request.force)
        options: dict[str, str | bool] = {"to": request.format, "as": request.name, "force": request.force}
        about = card.stamped(
            {
                "name": name,
                "kind": "stt",
                "format": request.format,
                "command": card.command("whisper", request.source, options=options),
                "source": source.named,
                "revision": source.revision,
                "source_sha256": checksum(files_of(source.folder), watcher),
                "licence": source.licence,
                "source_bytes": sum(file.stat().st_size for file in source.folder.glob("*.safetensors")),
                "bytes": (made / "model.bin").stat().st_size,
                "said": whisper_gate.SAID,
                "source_heard": before.text,
                "source_word_error": round(before.error, 4),
                "heard": after.text,
                "word_error": round(after.error, 4),
                "encoder_drift": round(whisper_gate.drift(before, after), 5),
                "hearing_s": round(after.seconds, 2),
                "source_hearing_s": round(before.seconds, 2),
                "memory_mb": after.memory_mb,
                "forced": doubts,
            },
            f"ctranslate2 {ctranslate2.__version__}",
        )
        place = install(store, "stt", made, about, watcher)
    return {**about, "path": str(place)}


def opened(folder: Path) -> Whisper:
    """Open the checkpoint, which contains only data. Raises ModelCorrupt."""
    check_checkpoint(folder)
    architectures = read_json(folder / "config.json")["architectures"]
    if "WhisperForConditionalGeneration" not in architectures:
        raise ModelCorrupt(
            f"The checkpoint in {folder} is not a Whisper model: its architecture is {architectures!r:.80}.",
            "To quantize a language model, remove the word `whisper`.",
        )
    return Whisper(folder)


TYPES = {"ct2-int8": "int8", "ct2-float16": "float16", "ct2-float32": None}
"""Format -> CTranslate2's name for it."""

LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")
MAX_LAYERS = 256
MAX_TOKENIZER_BYTES = 100_000_000
TIMESTAMP_S = 0.02
"""Step between two timestamp tokens, which follow all others and may be missing in tokenizer.json."""


class Whisper:
    """A checkpoint that has been checked. Raises ModelCorrupt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        self.tensors = SafetensorsFolder(folder)
        names = self.tensors.names
        self._prefix = "model." if "model.encoder.conv1.weight" in names else ""
        if f"{self._prefix}encoder.conv1.weight" not in names:
            raise _refused(folder, "it has no weights of a Whisper model")
        if self.config.get("activation_function", "gelu") != "gelu":
            raise _refused(folder, "CTranslate2 supports Whisper only with the activation gelu")
        self.tokens = _tokens(folder, self._count("vocab_size", 10_000_000))

    def write(self, to: Path, kind: str, watcher: Watcher) -> None:
        """Write it to the folder ``to`` in a format of TYPES. Raises ModelCorrupt, OSError."""
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
        # The output layer shares the embedding weights unless the checkpoint has separate ones.
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
        """Return what CTranslate2 needs in addition to the weights."""
        file = self.folder / "generation_config.json"
        said = read_json(file) if file.is_file() else self.config
        languages = said.get("lang_to_id")
        by_name = [number for number, token in enumerate(self.tokens) if LANGUAGE.fullmatch(token)]
        layers, heads = (
            self._count("decoder_layers", MAX_LAYERS),
            self._count("decoder_attention_heads", 1000),
        )
        # The default is the later half of the layers, if the checkpoint names no alignment heads.
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
    """Return the vocabulary by number, with timestamps that the tokenizer may omit. Raises ModelCorrupt."""
    try:
        said = read_json(folder / "tokenizer.json", MAX_TOKENIZER_BYTES)
        numbers: dict[str, int] = dict(said["model"]["vocab"])
        numbers |= {each["content"]: each["id"] for each in said.get("added_tokens") or []}
        ordered = sorted(numbers, key=numbers.__getitem__)
        dense = [numbers[token] for token in ordered] == list(range(len(ordered)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(folder, "its tokenizer.json is missing or cannot be read") from error
    if not dense or len(ordered) > count:
        raise _refused(folder, f"its tokenizer has {len(ordered)} tokens, but the network has {count}")
    times = [f"<|{number * TIMESTAMP_S:.2f}|>" for number in range(count - len(ordered))]
    return ordered + times


def _attention(spec: Any, at: str, fused: list[list[str]], take: Any) -> None:
    """Fuse projections with the same input into one matrix; keys have no bias in Whisper."""
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
    return ModelCorrupt(
        f"The checkpoint in {folder} cannot be used: {why}.", "Choose a different checkpoint."
    )
