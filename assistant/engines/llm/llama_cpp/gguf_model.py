"""Finds the language model in a folder and refuses what llama.cpp would abort the program on.

llama.cpp checks a file's structure itself and then trusts what the header says of the network:
an absurd number of layers ends the process in an assertion, which nobody can catch. The bounds
here are far outside every real model; a damaged byte is far outside them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.store.formats.gguf import GgufHeader, read_header

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


def find(folder: Path) -> GgufModel:
    """The model in ``folder``. Raises ModelMissing or ModelCorrupt."""
    files = _files(folder)
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


def _files(folder: Path) -> list[Path]:
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
