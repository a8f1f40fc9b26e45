"""Finds a language model and its LoRA adapter, and rejects files that would crash llama.cpp.

llama.cpp checks a file's structure itself and then trusts what the header says about the network: an absurd
number of layers ends the process in an assertion, which nobody can catch. The bounds here are far beyond
every real model, and a damaged byte is far beyond them.

An adapter consists of two small matrices for each weight matrix that it changes. llama.cpp checks their
shapes, but explains failures only in its log, and trusts the numbers; here an error is one sentence, before
anything is loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.store.formats.gguf import FLOAT32, GgufHeader, Tensor, read_header

MAX_LAYERS = 512
"""LLAMA_MAX_LAYERS of llama-hparams.h."""
MAX_EXPERTS = 1024
"""LLAMA_MAX_EXPERTS of llama-hparams.h."""
MAX_NUMBER = 2**27
"""No size, count or context length of a real network comes close."""
MAX_FLOAT = 1e15
"""Rotary bases go up to 1e11 (Falcon-H1)."""

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
"""llama.cpp's file names for the parts of a split model."""


@dataclass(frozen=True, slots=True)
class GgufModel:
    """A language model that is safe to load."""

    file: Path
    header: GgufHeader
    chat_template: str
    """A Jinja program; treated as hostile."""
    shapes: Mapping[str, tuple[int, ...]]
    """Shapes of all weights by name, including those in other parts."""


def find_model(folder: Path) -> GgufModel:
    """Find the model in ``folder``. Raises ModelMissing or ModelCorrupt."""
    files = _model_files(folder)
    headers = [read_header(part) for part in files]
    file, header = files[0], headers[0]
    require_model(header, folder.name)
    if reason := next(_absurdities(header), None):
        raise ModelCorrupt(
            f"The model file {file.name} cannot be used: {reason}.",
            f"Fetch it again with `assistant models pull {folder.name}`, or "
            "choose a different one (llm.model).",
        )
    template = header.metadata.get("tokenizer.chat_template")
    if template is None:
        template = header.metadata.get("tokenizer.chat_template.default")
    if not isinstance(template, str):
        # Never guess a format: with the wrong one, a model that never learned to chat babbles.
        raise ModelCorrupt(
            f"The model file {file.name} has no chat template, so it isn't made for conversations.",
            "Choose an instruct or chat variant of the model (llm.model).",
        )
    shapes = {tensor.name: tensor.shape for part in headers for tensor in part.tensors}
    return GgufModel(file, header, template, shapes)


def require_model(header: GgufHeader, name: str) -> None:
    """Raise ModelCorrupt for a file that modifies a model but isn't one itself."""
    if header.metadata.get("general.type") == "adapter":
        raise ModelCorrupt(
            f"{name} is an adapter, not a model.",
            f"Set llm.adapter to it, and llm.model to the model it was made for: llm: {{adapter: {name}}}",
        )


def _model_files(folder: Path) -> list[Path]:
    """Return the single GGUF file, or all parts of one model; llama.cpp finds the others from the first."""
    files = sorted(folder.glob("*.gguf"))
    if not files:
        raise ModelMissing(
            f"There is no GGUF file in {folder}.", f"Fetch it with `assistant models pull {folder.name}`."
        )
    parts = [match.groups() for file in files if (match := _PART.fullmatch(file.name))]
    if len(parts) == len(files) and len({(name, count) for name, _, count in parts}) == 1:
        if len(parts) == int(parts[0][2]):
            return files
        raise ModelMissing(
            f"Only {len(parts)} of the {int(parts[0][2])} parts of the model are in {folder}.",
            f"Fetch it again with `assistant models pull {folder.name}`.",
        )
    if len(files) > 1:
        raise ModelCorrupt(
            f"There are {len(files)} GGUF files in {folder}, so it isn't clear which one to use.",
            "Leave only the one you want in the folder.",
        )
    return files


def _absurdities(header: GgufHeader) -> Iterator[str]:
    """Yield everything that would crash llama.cpp, each in half a sentence."""
    prefix = f"{header.architecture}."
    for key, value in header.metadata.items():
        if not key.startswith(prefix):
            continue
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, (int, float)):
                continue
            most = MAX_NUMBER if isinstance(number, int) else MAX_FLOAT
            if not math.isfinite(number) or abs(number) > most:
                yield f"its {key} is {number}"
            if key.endswith("epsilon") and number <= 0:
                yield f"its {key} is {number}"

    def count(name: str) -> int:
        value = header.hyperparameter(name)
        return value if isinstance(value, int) else 0

    if not 1 <= count("block_count") <= MAX_LAYERS:
        yield f"it claims to have {count('block_count')} layers"
    if not count("expert_used_count") <= count("expert_count") <= MAX_EXPERTS:
        yield f"it claims to use {count('expert_used_count')} of {count('expert_count')} experts"
    if count("attention.head_count_kv") > count("attention.head_count"):
        yield "it claims to have more key heads than heads"


ADAPTER_TYPES = frozenset({"F32", "F16", "BF16", "Q8_0"})
"""Number formats that llama.cpp's converter uses for adapters."""
_TABLE, _WORDS = "token_embd.weight", "output.weight"
"""Rows of the embedding are looked up rather than multiplied with, so its two matrices are swapped. In
models without separate output weights it serves for both, and such an adapter would crash the process.
"""
_ALPHA = "adapter.lora.alpha"
_ENDS = (".lora_a", ".lora_b")
_IGNORED = "_norm.weight"
"""llama.cpp ignores an adapter's entries for these."""

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of the model's weights, by name."""


@dataclass(frozen=True, slots=True)
class GgufAdapter:
    """An adapter that fits its model."""

    file: Path
    size_bytes: int
    """Size of its matrices, which are copied into memory."""
    saved_ns: int
    """When its file was written; together with the size, this identifies a version."""


def find_adapter(place: Path) -> Path:
    """Return the adapter's file: ``place`` itself, or the only GGUF file in that folder. Raises
    ModelMissing.
    """
    if not place.is_dir():
        return place
    files = sorted(place.glob("*.gguf"))
    if len(files) != 1:
        raise ModelMissing(
            f"There are {len(files)} GGUF files in {place}, but an adapter is a single file.",
            "Set llm.adapter to the file itself.",
        )
    return files[0]


def check_adapter(place: Path, architecture: str, shapes: Shapes) -> GgufAdapter:
    """Check the adapter at ``place`` for a model with these weights. Raises ModelMissing or ModelCorrupt."""
    file = find_adapter(place)
    header = read_header(file)
    if reason := next(_adapter_faults(header, architecture, shapes), None):
        raise ModelCorrupt(
            f"The adapter {file.name} cannot be used: {reason}.",
            "Choose the model it was trained for (llm.model), or a different adapter (llm.adapter).",
        )
    return GgufAdapter(file, header.tensor_bytes, file.stat().st_mtime_ns)


def _adapter_faults(header: GgufHeader, architecture: str, shapes: Shapes) -> Iterator[str]:
    """Yield what is wrong with it, each in half a sentence."""
    metadata = header.metadata
    if metadata.get("general.type") != "adapter" or metadata.get("adapter.type") != "lora":
        yield "it isn't a LoRA adapter"
    if header.architecture != architecture:
        yield f"it was made for {header.architecture!r:.40} models, but this one is {architecture!r:.40}"
    if "adapter.alora.invocation_tokens" in metadata:
        yield "it takes effect only after certain words (aLoRA), which isn't supported"
    alpha = metadata.get(_ALPHA, 0.0)
    # Any other type would crash the process.
    if header.kinds.get(_ALPHA, FLOAT32) != FLOAT32 or not math.isfinite(float(str(alpha))):
        yield f"its strength ({_ALPHA}) isn't a 32-bit number"
    halves = {tensor.name: tensor for tensor in header.tensors if not tensor.name.endswith(_IGNORED)}
    for name in halves:
        if not name.endswith(_ENDS):
            yield f"it contains {name!r:.80}, which isn't part of an adapter"
    pairs = sorted({name[: -len(_ENDS[0])] for name in halves})
    if not pairs:
        yield "it changes nothing"
    for name in pairs:
        one, other = (halves.get(f"{name}{end}") for end in _ENDS)
        if reason := _pair_fault(name, one, other, shapes):
            yield reason


def _pair_fault(name: str, a: Tensor | None, b: Tensor | None, shapes: Shapes) -> str:
    """Return what is wrong with its two matrices for that weight; empty if nothing is."""
    if a is None or b is None:
        return f"one of its two matrices for {name!r:.80} is missing"
    if name not in shapes:
        return f"the model has no {name!r:.80}"
    if name == _TABLE and _WORDS not in shapes:
        return "it changes the token embedding, which this model also uses as output layer"
    if not {a.type, b.type} <= ADAPTER_TYPES:
        return f"its matrices for {name!r:.80} are in a format that llama.cpp cannot use there"
    if not _fits(name, a, b, shapes[name]):
        return f"its matrices for {name!r:.80} have a different size than the model's"
    return ""


def _fits(name: str, a: Tensor, b: Tensor, weight: tuple[int, ...]) -> bool:
    """True if the product of both has the size of the weight; sizes are (columns, rows, experts)."""
    one, other, wanted = (_padded(shape) for shape in (a.shape, b.shape, weight))
    if name == _TABLE:
        return (one[1], other[1]) == (wanted[1], wanted[0]) and one[0] == other[0] and one[2] * other[2] == 1
    same_rank = one[1] == other[0]
    return same_rank and (one[0], other[1]) == wanted[:2] and one[2] == other[2] == wanted[2]


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Pad to three sizes; 0, which fits nothing, for a fourth that isn't 1."""
    return (*shape, 1, 1)[:3] if math.prod(shape[3:]) == 1 else (0, 0, 0)
