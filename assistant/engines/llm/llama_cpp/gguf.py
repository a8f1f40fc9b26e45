"""Finds a language model and its LoRA adapter, and refuses the files that llama.cpp would fail on.

llama.cpp checks a file's structure itself and then trusts what the header says of the network:
an absurd number of layers ends the process in an assertion, which nobody can catch. The bounds
here are far outside every real model; a damaged byte is far outside them.

An adapter is two small matrices for each weight matrix that it changes. llama.cpp checks their shapes too,
but says why only in its log, and trusts the numbers; here it is one sentence, before anything is loaded.
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
"""No size, count or context length of a network is near this."""
MAX_FLOAT = 1e15
"""Rotary bases go up to 1e11 (Falcon-H1)."""

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
"""How llama.cpp names the parts of a model that was split."""


@dataclass(frozen=True, slots=True)
class GgufModel:
    """A language model that may be loaded."""

    file: Path
    header: GgufHeader
    chat_template: str
    """A Jinja program, hostile for all that is known."""
    shapes: Mapping[str, tuple[int, ...]]
    """Of all weights, by name; those of the other parts too."""


def find_model(folder: Path) -> GgufModel:
    """The model in ``folder``. Raises ModelMissing or ModelCorrupt."""
    files = _model_files(folder)
    headers = [read_header(part) for part in files]
    file, header = files[0], headers[0]
    require_model(header, folder.name)
    if reason := next(_absurdities(header), None):
        raise ModelCorrupt(
            f"The model file {file.name} cannot be used: {reason}.",
            f"Fetch it again with `assistant models pull {folder.name}`, or choose another one (llm.model).",
        )
    template = header.metadata.get("tokenizer.chat_template")
    if not isinstance(template, str):
        # With a guessed format a model that never learned to chat babbles, so none is guessed.
        raise ModelCorrupt(
            f"The model file {file.name} has no chat template, so it was not made for conversations.",
            "Choose an instruct or chat variant of the model (llm.model).",
        )
    shapes = {tensor.name: tensor.shape for part in headers for tensor in part.tensors}
    return GgufModel(file, header, template, shapes)


def require_model(header: GgufHeader, name: str) -> None:
    """Raises ModelCorrupt for a file that changes a model and is none itself."""
    if header.metadata.get("general.type") == "adapter":
        raise ModelCorrupt(
            f"{name} is an adapter, not a model.",
            f"Name it in llm.adapter, beside the model that it was made for:  llm: {{adapter: {name}}}",
        )


def _model_files(folder: Path) -> list[Path]:
    """The one GGUF file, or all parts of one model; from the first llama.cpp finds the others."""
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
            f"Of the {int(parts[0][2])} parts of the model in {folder} only {len(parts)} are there.",
            f"Fetch it again with `assistant models pull {folder.name}`.",
        )
    if len(files) > 1:
        raise ModelCorrupt(
            f"There are {len(files)} GGUF files in {folder}, and it is not clear which one is meant.",
            "Leave the one to be used in the folder.",
        )
    return files


def _absurdities(header: GgufHeader) -> Iterator[str]:
    """What llama.cpp would not survive, each in half a sentence."""
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
        yield "it claims to have more heads for keys than heads"


ADAPTER_TYPES = frozenset({"F32", "F16", "BF16", "Q8_0"})
"""Number formats that llama.cpp's converter writes adapters in."""
_TABLE, _WORDS = "token_embd.weight", "output.weight"
"""A row of the table is looked up, not multiplied with: its two matrices have changed places. Where there are
no weights for the words themselves the table does that too, and such an adapter would end the process."""
_ALPHA = "adapter.lora.alpha"
_ENDS = (".lora_a", ".lora_b")
_IGNORED = "_norm.weight"
"""llama.cpp leaves out what an adapter says of these."""

Shapes = Mapping[str, tuple[int, ...]]
"""Of the model's weights, by name."""


@dataclass(frozen=True, slots=True)
class GgufAdapter:
    """An adapter that fits its model."""

    file: Path
    size_bytes: int
    """Of its matrices, which are copied into memory."""
    saved_ns: int
    """When its file was written; with the size it tells one version from another."""


def find_adapter(place: Path) -> Path:
    """The adapter's file: ``place`` itself, or the one GGUF file in that folder. Raises ModelMissing."""
    if not place.is_dir():
        return place
    files = sorted(place.glob("*.gguf"))
    if len(files) != 1:
        raise ModelMissing(
            f"There are {len(files)} GGUF files in {place}, and an adapter is one.",
            "Let llm.adapter name the file itself.",
        )
    return files[0]


def check_adapter(place: Path, architecture: str, shapes: Shapes) -> GgufAdapter:
    """The adapter at ``place`` for a model with these weights. Raises ModelMissing or ModelCorrupt."""
    file = find_adapter(place)
    header = read_header(file)
    if reason := next(_adapter_faults(header, architecture, shapes), None):
        raise ModelCorrupt(
            f"The adapter {file.name} cannot be used: {reason}.",
            "Choose the model that it was trained for (llm.model), or another adapter (llm.adapter).",
        )
    return GgufAdapter(file, header.tensor_bytes, file.stat().st_mtime_ns)


def _adapter_faults(header: GgufHeader, architecture: str, shapes: Shapes) -> Iterator[str]:
    """What is wrong with it, each in half a sentence."""
    metadata = header.metadata
    if metadata.get("general.type") != "adapter" or metadata.get("adapter.type") != "lora":
        yield "it is no LoRA adapter"
    if header.architecture != architecture:
        yield f"it was made for {header.architecture!r:.40} models, and this one is {architecture!r:.40}"
    if "adapter.alora.invocation_tokens" in metadata:
        yield "it is one that begins to work at certain words (aLoRA), which the assistant does not know"
    alpha = metadata.get(_ALPHA, 0.0)
    # Of another type it would end the process.
    if header.kinds.get(_ALPHA, FLOAT32) != FLOAT32 or not math.isfinite(float(str(alpha))):
        yield f"its strength ({_ALPHA}) is no number of 32 bits"
    halves = {tensor.name: tensor for tensor in header.tensors if not tensor.name.endswith(_IGNORED)}
    for name in halves:
        if not name.endswith(_ENDS):
            yield f"it holds {name!r:.80}, which is no part of an adapter"
    pairs = sorted({name[: -len(_ENDS[0])] for name in halves})
    if not pairs:
        yield "it changes nothing"
    for name in pairs:
        one, other = (halves.get(f"{name}{end}") for end in _ENDS)
        if reason := _pair_fault(name, one, other, shapes):
            yield reason


def _pair_fault(name: str, a: Tensor | None, b: Tensor | None, shapes: Shapes) -> str:
    """What is wrong with its two matrices for the weight of that name; empty when nothing is."""
    if a is None or b is None:
        return f"of its two matrices for {name!r:.80} one is missing"
    if name not in shapes:
        return f"the model has no {name!r:.80}"
    if name == _TABLE and _WORDS not in shapes:
        return "it changes the table of words, which this model also makes its words with"
    if not {a.type, b.type} <= ADAPTER_TYPES:
        return f"its matrices for {name!r:.80} are in a format that llama.cpp cannot use there"
    if not _fits(name, a, b, shapes[name]):
        return f"its matrices for {name!r:.80} have another size than the model's"
    return ""


def _fits(name: str, a: Tensor, b: Tensor, weight: tuple[int, ...]) -> bool:
    """Whether the product of both is as big as the weight; sizes are (columns, rows, experts)."""
    one, other, wanted = (_padded(shape) for shape in (a.shape, b.shape, weight))
    if name == _TABLE:
        return (one[1], other[1]) == (wanted[1], wanted[0]) and one[0] == other[0] and one[2] * other[2] == 1
    same_rank = one[1] == other[0]
    return same_rank and (one[0], other[1]) == wanted[:2] and one[2] == other[2] == wanted[2]


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Three sizes; 0, which fits nothing, for a fourth that is not 1."""
    return (*shape, 1, 1)[:3] if math.prod(shape[3:]) == 1 else (0, 0, 0)
