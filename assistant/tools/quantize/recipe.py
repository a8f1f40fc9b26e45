"""What a language model can be converted to: number formats, methods that find the numbers, and recipes.

A format defines the resulting file and how much it may lose; a method defines how the numbers in it are
found; a recipe combines both. Most formats are llama.cpp's. The library decides which tensors actually get
the format: K types need rows of 256 elements, and the output layer is kept finer. ``quantizer`` reports the
result. Formats starting with ``onnx-`` are our own (``onnx_writer``); those starting with ``hf-`` are
checkpoints for transformers, which the assistant doesn't run: they are for use elsewhere. An importance
matrix (``--imatrix``) is independent of both: llama.cpp's quantizers and ONNX's nearest numbers use it; GPTQ
has more detailed data.
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
    """LLAMA_FTYPE_... in llama.h; unused for ONNX."""
    kl_limit: float
    """Nats per token: a model with a larger loss was damaged, not rounded. About three times the format's
    loss on a model of 135 million weights, which suffers most from rounding.
    """
    imatrix: bool
    """True if an importance matrix is gathered by default: 4-bit formats benefit a lot from one."""
    runtime: Literal["llama_cpp", "onnx", "transformers"] = "llama_cpp"
    """What runs it: a value of ``llm.engine``, or a runtime the assistant doesn't use."""


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
"""Board profile -> format. llama.cpp rearranges Q4_0 for vector units (on Arm, those with dot products,
which a Raspberry Pi 4 and the first Jetson Nano lack), so it processes prompts fastest
(docs/quantization.md has figures for x86; for Arm, it is a judgment). On other boards, and on fast
cores, the time saved is not worth the loss.
"""

DEFAULT_FORMAT = "q4_k_m"

TENSOR_NUMBERS = {name.lower(): number for number, (name, _, _) in TENSOR_TYPES.items()}
"""Name of a tensor type, such as "q8_0" -> its number in ggml.h."""


def find_format(name: str) -> Format:
    """Return the format of that name. Raises SettingsError."""
    wanted = name.lower().replace("-", "_")
    for known, found in FORMATS.items():
        if known.replace("-", "_") == wanted:
            return found
    raise SettingsError(f"There is no format named {name[:40]!r}.", f"{_hint(wanted)}{_all(list(FORMATS))}")


def for_board(board: str) -> str:
    """Return the format for a board in config/devices/. Raises SettingsError."""
    boards = paths.shipped_files("devices")
    if board not in boards:
        raise SettingsError(f"There is no board named {board[:40]!r}.", _all(list(boards)))
    return FOR_BOARDS.get(board, DEFAULT_FORMAT)


def tensor_number(name: str) -> int:
    """Return the number of a tensor type. Raises SettingsError."""
    wanted = name.lower().replace("-", "_")
    if wanted not in FOR_TENSORS:
        raise SettingsError(f"{name[:40]!r} is not a tensor type.", _all(list(FOR_TENSORS)))
    return TENSOR_NUMBERS[wanted]


def tensor_name(number: int | None) -> str:
    """Return the name of a tensor type; empty for None."""
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
"""Types that the output and embedding tensors can be set to."""


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
    """What it does, as the rest of a sentence that starts with its name."""
    formats: tuple[str, ...] = ()
    """Formats it supports; empty: all."""


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
"""Larger models are rounded by GPTQ only on request: it takes minutes up to this size and hours soon
after, because the work grows with the cube of the layers' width.
"""

FREE_BLOCKS = ("onnx-int4", "hf-int4")
"""Formats whose block size can be chosen."""

METHOD_MEMORY_BYTES = {"gptq": CORRELATIONS_MEMORY_BYTES, "awq": CORRELATIONS_MEMORY_BYTES}
"""Memory for a method in addition to the model; for ``qat``, it depends on the number of weights."""
TRAINING_BYTES = 24
"""For each weight: itself, its gradient, two moments, and what is kept of a pass: 32 bits each, plus
overhead.
"""


def settled_method(method: str, imatrix: bool | None, chosen: Format, weights: int) -> tuple[str, bool]:  # noqa: FBT001
    """Return the method, and whether to make an importance matrix, for a model with this number of
    ``weights``.

    ``method`` is empty and ``imatrix`` None if the user left them open. With few bits, both pay off. A user
    who declines an importance matrix gets no GPTQ either: both run the model on a text.
    """
    if not method:
        pays = chosen.imatrix and imatrix is not False and chosen.name in METHODS["gptq"].formats
        method = "gptq" if pays and weights <= MAX_GPTQ_WEIGHTS else ROUND_TO_NEAREST
    if imatrix is None:
        # GPTQ has more detailed data, but the steps of a GGUF file's grid are chosen with it.
        detailed = method == "gptq" and chosen.runtime != "llama_cpp"
        imatrix = chosen.imatrix and method != "qat" and not detailed
    return method, imatrix


def method_memory_bytes(method: str, weights: int) -> int:
    """Return the memory for ``method`` in addition to a model with this number of ``weights``."""
    return TRAINING_BYTES * weights if method == "qat" else METHOD_MEMORY_BYTES.get(method, 0)


def group_size(wanted: int | None, method: str, chosen: Format) -> int:
    """Return the number of weights with one scale. Raises SettingsError if it cannot be chosen."""
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
    """Return the method of that name for a format. Raises SettingsError if it doesn't exist or doesn't
    apply.
    """
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
    """A name in METHODS."""
    imatrix: bool = True
    act_order: bool = True
    """GPTQ: process the most important columns first."""
    group_size: int = BLOCK
    """Weights per scale, for formats that allow a choice."""
    keep_f16: str = ""
    """Regular expression; tensors with matching names stay at 16 bits."""
    output_type: int | None = None
    embedding_type: int | None = None
    through: str = ""
    """An hf-... format that is written first and converted from, to test the reverse conversion."""

    @property
    def needs_torch(self) -> bool:
        """True if making or measuring it needs torch."""
        return bool(self.through) or self.method == "qat" or self.format.runtime == "transformers"
