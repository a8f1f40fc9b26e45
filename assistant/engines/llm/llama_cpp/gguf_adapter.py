"""Finds a LoRA adapter and refuses one that was not made for the model it is to change.

An adapter is two small matrices for each weight matrix that it changes. llama.cpp checks their shapes too,
but says why only in its log, and trusts the numbers; here it is one sentence, before anything is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.store.formats.gguf import FLOAT32, GgufHeader, Tensor, read_header

TYPES = frozenset({"F32", "F16", "BF16", "Q8_0"})
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


def find(place: Path) -> Path:
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


def check(place: Path, architecture: str, shapes: Shapes) -> GgufAdapter:
    """The adapter at ``place`` for a model with these weights. Raises ModelMissing or ModelCorrupt."""
    file = find(place)
    header = read_header(file)
    if reason := next(_faults(header, architecture, shapes), None):
        raise ModelCorrupt(
            f"The adapter {file.name} cannot be used: {reason}.",
            "Choose the model that it was trained for (llm.model), or another adapter (llm.adapter).",
        )
    return GgufAdapter(file, header.tensor_bytes, file.stat().st_mtime_ns)


def _faults(header: GgufHeader, architecture: str, shapes: Shapes) -> Iterator[str]:
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
        if reason := _fault(name, one, other, shapes):
            yield reason


def _fault(name: str, a: Tensor | None, b: Tensor | None, shapes: Shapes) -> str:
    """What is wrong with its two matrices for the weight of that name; empty when nothing is."""
    if a is None or b is None:
        return f"of its two matrices for {name!r:.80} one is missing"
    if name not in shapes:
        return f"the model has no {name!r:.80}"
    if name == _TABLE and _WORDS not in shapes:
        return "it changes the table of words, which this model also makes its words with"
    if not {a.type, b.type} <= TYPES:
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
