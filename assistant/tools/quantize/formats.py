"""The number formats that a language model can have here, and how much each may lose.

Most formats are llama.cpp's. Which tensors really get one is for the library: K types need rows of
256 elements, and the layer that makes the words is kept finer. ``quantizer`` says what became of it.
Those that begin with ``onnx-`` are our own (``onnx_folder``); those that begin with ``hf-`` are checkpoints
for transformers, which nothing here runs: they are written for elsewhere.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.store.formats.gguf import TENSOR_TYPES


@dataclass(frozen=True, slots=True)
class Format:
    """One way to store the weights."""

    name: str
    number: int
    """LLAMA_FTYPE_... of llama.h; nothing to ONNX."""
    kl_limit: float
    """Nats per token: a model that loses more against its source was damaged, not rounded. About three
    times what the format costs a model of 135 million weights, on which rounding tells most."""
    imatrix: bool
    """Whether an importance matrix is gathered unless told otherwise: formats of 4 bits gain much by one."""
    runtime: Literal["llama_cpp", "onnx", "transformers"] = "llama_cpp"
    """What runs it: the value of ``llm.engine``, or nothing of ours."""


FORMATS = {
    one.name: one
    for one in (
        Format("f16", 1, 0.01, imatrix=False),
        Format("bf16", 32, 0.05, imatrix=False),
        Format("q8_0", 7, 0.05, imatrix=False),
        Format("q6_k", 18, 0.10, imatrix=False),
        Format("q5_k_m", 17, 0.20, imatrix=False),
        Format("q4_k_m", 15, 0.40, imatrix=True),
        Format("iq4_xs", 30, 0.50, imatrix=True),
        Format("iq4_nl", 25, 0.50, imatrix=True),
        Format("q4_1", 3, 0.70, imatrix=True),
        Format("q4_0", 2, 1.00, imatrix=True),
        Format("onnx-fp32", 0, 0.01, imatrix=False, runtime="onnx"),
        Format("onnx-fp16", 0, 0.02, imatrix=False, runtime="onnx"),
        Format("onnx-int8", 0, 0.05, imatrix=False, runtime="onnx"),
        Format("onnx-fp16-int8", 0, 0.05, imatrix=False, runtime="onnx"),
        Format("onnx-int4", 0, 0.70, imatrix=True, runtime="onnx"),
        Format("hf-f16", 0, 0.01, imatrix=False, runtime="transformers"),
        Format("hf-int8", 0, 0.20, imatrix=False, runtime="transformers"),
        Format("hf-nf4", 0, 0.70, imatrix=False, runtime="transformers"),
        Format("hf-int4", 0, 0.70, imatrix=True, runtime="transformers"),
    )
}

FOR_BOARDS = {
    "raspberry-pi-4": "q4_k_m",
    "raspberry-pi-5": "q4_0",
    "jetson-nano": "q4_k_m",
    "jetson-orin-nano": "q4_0",
    "apple-silicon": "q4_0",
    "generic-arm": "q4_0",
    "generic-x86": "q4_0",
    "intel-nuc": "q4_k_m",
    "ryzen-5600g": "q4_k_m",
}
"""Board profile -> format. llama.cpp rearranges Q4_0 for vector units (on Arm those with dot products, which
a Raspberry Pi 4 and the first Jetson Nano lack), so it is the fastest to read a prompt with
(docs/quantization.md has the figures for x86; for Arm it is a judgement). Elsewhere, and where cores are
fast anyway, what it loses is not worth the time."""

DEFAULT = "q4_k_m"

TENSOR_NUMBERS = {name.lower(): number for number, (name, _, _) in TENSOR_TYPES.items()}
"""Name of a single tensor's type, such as "q8_0" -> its number in ggml.h."""


def find(name: str) -> Format:
    """The format of that name. Raises SettingsError."""
    wanted = name.lower().replace("-", "_")
    for known, found in FORMATS.items():
        if known.replace("-", "_") == wanted:
            return found
    raise SettingsError(f"There is no format {name[:40]!r}.", f"{_hint(wanted)}{_all(list(FORMATS))}")


def for_board(board: str) -> str:
    """The format for a board of config/devices/. Raises SettingsError."""
    boards = paths.shipped_files("devices")
    if board not in boards:
        raise SettingsError(f"There is no board named {board[:40]!r}.", _all(list(boards)))
    return FOR_BOARDS.get(board, DEFAULT)


def tensor_number(name: str) -> int:
    """The number of a single tensor's type. Raises SettingsError."""
    wanted = name.lower().replace("-", "_")
    if wanted not in FOR_TENSORS:
        raise SettingsError(f"A tensor cannot be of type {name[:40]!r}.", _all(list(FOR_TENSORS)))
    return TENSOR_NUMBERS[wanted]


def tensor_name(number: int | None) -> str:
    """The other way round; empty for none."""
    return next((name for name, each in TENSOR_NUMBERS.items() if each == number), "")


FOR_TENSORS = (
    "f16",
    "bf16",
    "q8_0",
    "q6_k",
    "q5_k",
    "q5_1",
    "q5_0",
    "q4_k",
    "q4_1",
    "q4_0",
    "iq4_nl",
    "iq4_xs",
)
"""What the output and embedding tensors may be set to."""


def _hint(wanted: str) -> str:
    near = difflib.get_close_matches(wanted, list(FORMATS), 1, 0.5)
    return f"Did you mean '{near[0]}'? " if near else ""


def _all(names: list[str]) -> str:
    return f"There are {', '.join(names)}."
