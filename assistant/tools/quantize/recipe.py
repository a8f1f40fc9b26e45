"""What a language model can become here: the number formats, the methods that find the numbers, and recipes.

A format says what file comes out and how much it may lose; a method says how the numbers in it are found; a
recipe names both. Most formats are llama.cpp's. Which tensors really get one is for the library: K types
need rows of 256 elements, and the layer that makes the words is kept finer. ``quantizer`` says what became
of it. Those that begin with ``onnx-`` are our own (``onnx_writer``); those that begin with ``hf-`` are
checkpoints for transformers, which nothing here runs: they are written for elsewhere. Which columns matter
(``--imatrix``) is a third thing: llama.cpp's quantizers and the nearest numbers of ONNX use it, GPTQ knows
it in more detail.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.store.formats.gguf import TENSOR_TYPES
from assistant.tools.quantize.block_numbers import BLOCK, SIZES
from assistant.tools.quantize.importance import CORRELATIONS_MEMORY_BYTES


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

DEFAULT_FORMAT = "q4_k_m"

TENSOR_NUMBERS = {name.lower(): number for number, (name, _, _) in TENSOR_TYPES.items()}
"""Name of a single tensor's type, such as "q8_0" -> its number in ggml.h."""


def find_format(name: str) -> Format:
    """The format of that name. Raises SettingsError."""
    wanted = name.lower().replace("-", "_")
    for known, found in FORMATS.items():
        if known.replace("-", "_") == wanted:
            return found
    raise SettingsError(f"There is no format named {name[:40]!r}.", f"{_hint(wanted)}{_all(list(FORMATS))}")


def for_board(board: str) -> str:
    """The format for a board of config/devices/. Raises SettingsError."""
    boards = paths.shipped_files("devices")
    if board not in boards:
        raise SettingsError(f"There is no board named {board[:40]!r}.", _all(list(boards)))
    return FOR_BOARDS.get(board, DEFAULT_FORMAT)


def tensor_number(name: str) -> int:
    """The number of a single tensor's type. Raises SettingsError."""
    wanted = name.lower().replace("-", "_")
    if wanted not in FOR_TENSORS:
        raise SettingsError(f"{name[:40]!r} is not a tensor type.", _all(list(FOR_TENSORS)))
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
    return f"Available: {', '.join(names)}."


@dataclass(frozen=True, slots=True)
class Method:
    """One way to find the numbers of a format."""

    name: str
    about: str
    """What it does, as the rest of a sentence that begins with its name."""
    formats: tuple[str, ...] = ()
    """What can be made with it; empty when anything can."""


METHODS = {
    one.name: one
    for one in (
        Method("rtn", "rounds every weight to the nearest number"),
        Method(
            "gptq",
            "rounds column by column, and lets later columns compensate for each error",
            ("q4_0", "q4_1", "q4_k_m", "q5_k_m", "onnx-int4", "hf-int4"),
        ),
        Method(
            "qat", "trains the weights for a few minutes to fit in 4 bits", ("q4_0", "onnx-int4", "hf-int4")
        ),
        Method("awq", "scales important columns up before rounding, and their inputs down"),
    )
}

ROUND_TO_NEAREST = "rtn"

MAX_GPTQ_WEIGHTS = 700_000_000
"""A larger model is not rounded by GPTQ unless told to: that takes minutes up to here, and hours soon after,
because the work grows with the cube of the layers' width."""

FREE_BLOCKS = ("onnx-int4", "hf-int4")
"""Formats of which a person may say how many weights have one scale."""

METHOD_MEMORY_BYTES = {"gptq": CORRELATIONS_MEMORY_BYTES, "awq": CORRELATIONS_MEMORY_BYTES}
"""What a method takes beside the model; ``qat`` by its weights."""
TRAINING_BYTES = 24
"""For each weight: itself, its gradient, two moments, what is kept of a pass: 32 bits each, and some."""


def settled_method(method: str, imatrix: bool | None, chosen: Format, weights: int) -> tuple[str, bool]:  # noqa: FBT001
    """The method, and whether an importance matrix is made, for a model with this number of ``weights``.

    ``method`` is empty and ``imatrix`` None where the user left them open. With few bits both pay off. A user
    who refuses an importance matrix gets no GPTQ either: both watch the model read a text.
    """
    if not method:
        pays = chosen.imatrix and imatrix is not False and chosen.name in METHODS["gptq"].formats
        method = "gptq" if pays and weights <= MAX_GPTQ_WEIGHTS else ROUND_TO_NEAREST
    if imatrix is None:
        # GPTQ knows it in more detail, but the steps of a GGUF file's grid are chosen with it.
        detailed = method == "gptq" and chosen.runtime != "llama_cpp"
        imatrix = chosen.imatrix and method != "qat" and not detailed
    return method, imatrix


def method_memory_bytes(method: str, weights: int) -> int:
    """The memory that ``method`` takes beside a model with this number of ``weights``."""
    return TRAINING_BYTES * weights if method == "qat" else METHOD_MEMORY_BYTES.get(method, 0)


def group_size(wanted: int | None, method: str, chosen: Format) -> int:
    """The number of weights with one scale. Raises SettingsError where a user may not choose it."""
    if wanted is None:
        return BLOCK
    if chosen.name not in FREE_BLOCKS:
        raise SettingsError(
            f"--group-size cannot be set for {chosen.name}, because that format "
            "has a fixed number of weights per scale.",
            f"Remove it, or choose one of {', '.join(FREE_BLOCKS)}.",
        )
    if wanted not in SIZES:
        raise SettingsError(
            f"--group-size {wanted} is not supported.", f"Available: {', '.join(map(str, SIZES))}."
        )
    if method == "qat" and wanted != BLOCK:
        raise SettingsError(f"--method qat supports only groups of {BLOCK}.", "Remove --group-size.")
    return wanted


def find_method(name: str, chosen: Format) -> Method:
    """The method of that name, for a format. Raises SettingsError when it is none, or not for that."""
    found = METHODS.get(name.lower())
    if found is None:
        raise SettingsError(f"There is no method named {name[:40]!r}.", f"Available: {', '.join(METHODS)}.")
    if found.formats and chosen.name not in found.formats:
        raise SettingsError(
            f"--method {found.name} cannot make {chosen.name}, because it doesn't know the format's grid.",
            f"It can make {', '.join(found.formats)}; awq works with every format.",
        )
    return found


WITH_TORCH = ("hf-int8", "hf-nf4")
"""Formats that bitsandbytes makes."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a file is made."""

    format: Format
    method: str = "rtn"
    """A name of METHODS."""
    imatrix: bool = True
    act_order: bool = True
    """GPTQ: the columns first that matter most."""
    group_size: int = BLOCK
    """Weights with one scale, for formats that leave it open."""
    keep_f16: str = ""
    """Regular expression; tensors whose names it finds stay at 16 bits."""
    output_type: int | None = None
    embedding_type: int | None = None
    through: str = ""
    """A format hf-... that is written first, and converted from: the way back."""

    @property
    def needs_torch(self) -> bool:
        """To make it, or to measure it."""
        return bool(self.through) or self.method == "qat" or self.format.runtime == "transformers"
