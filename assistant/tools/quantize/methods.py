"""What may be done to the weights before, or while, they are written in fewer bits.

A format says what file comes out (``formats``); a method says how the numbers in it are found. Which
columns matter (``--imatrix``) is a third thing: llama.cpp's quantizers and the nearest numbers of
ONNX use it, GPTQ knows it in more detail.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.core.errors import SettingsError
from assistant.tools.quantize.block_numbers import BLOCK, SIZES
from assistant.tools.quantize.formats import Format
from assistant.tools.quantize.importance import CORRELATIONS_MEMORY_BYTES


@dataclass(frozen=True, slots=True)
class Method:
    """One way."""

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
            "rounds column by column and lets the columns to come make up for each error",
            ("q4_0", "q4_1", "q4_k_m", "q5_k_m", "onnx-int4", "hf-int4"),
        ),
        Method(
            "qat", "trains the weights for some minutes to be 4 bits wide", ("q4_0", "onnx-int4", "hf-int4")
        ),
        Method("awq", "makes the columns that matter larger first, and what feeds them smaller"),
    )
}

PLAIN = "rtn"

MAX_GPTQ_WEIGHTS = 700_000_000
"""A larger model is not rounded by GPTQ unless told to: that takes minutes up to here, and hours soon after,
because the work grows with the cube of the layers' width."""

FREE_BLOCKS = ("onnx-int4", "hf-int4")
"""Formats of which a person may say how many weights have one scale."""

MEMORY_BYTES = {"gptq": CORRELATIONS_MEMORY_BYTES, "awq": CORRELATIONS_MEMORY_BYTES}
"""What a method takes beside the model; ``qat`` by its weights."""
TRAINING_BYTES = 24
"""For each weight: itself, its gradient, two moments, what is kept of a pass: 32 bits each, and some."""


def settled(method: str, imatrix: bool | None, chosen: Format, weights: int) -> tuple[str, bool]:  # noqa: FBT001
    """The method, and whether there is an importance matrix, for a model of so many ``weights``.

    ``method`` is empty and ``imatrix`` None where nobody said. With few bits both pay; who wants no
    importance matrix wants nothing to be watched.
    """
    if not method:
        pays = chosen.imatrix and imatrix is not False and chosen.name in METHODS["gptq"].formats
        method = "gptq" if pays and weights <= MAX_GPTQ_WEIGHTS else PLAIN
    if imatrix is None:
        # GPTQ knows it in more detail, but the steps of a GGUF file's grid are chosen with it.
        detailed = method == "gptq" and chosen.runtime != "llama_cpp"
        imatrix = chosen.imatrix and method != "qat" and not detailed
    return method, imatrix


def memory_bytes(method: str, weights: int) -> int:
    """What ``method`` takes beside a model of so many ``weights``."""
    return TRAINING_BYTES * weights if method == "qat" else MEMORY_BYTES.get(method, 0)


def group_size(wanted: int | None, method: str, chosen: Format) -> int:
    """How many weights get one scale. Raises SettingsError where that is not for a person to choose."""
    if wanted is None:
        return BLOCK
    if chosen.name not in FREE_BLOCKS:
        raise SettingsError(
            f"--group-size cannot be chosen for {chosen.name}: how many weights have one scale is part of "
            "that format.",
            f"Leave it out, or choose one of {', '.join(FREE_BLOCKS)}.",
        )
    if wanted not in SIZES:
        raise SettingsError(f"There is no --group-size {wanted}.", f"There are {', '.join(map(str, SIZES))}.")
    if method == "qat" and wanted != BLOCK:
        raise SettingsError(f"--method qat trains groups of {BLOCK} only.", "Leave --group-size out.")
    return wanted


def find(name: str, chosen: Format) -> Method:
    """The method of that name, for a format. Raises SettingsError when it is none, or not for that."""
    found = METHODS.get(name.lower())
    if found is None:
        raise SettingsError(f"There is no method {name[:40]!r}.", f"There are {', '.join(METHODS)}.")
    if found.formats and chosen.name not in found.formats:
        raise SettingsError(
            f"--method {found.name} cannot make {chosen.name}: it has to know the grid of the format.",
            f"It makes {', '.join(found.formats)}; awq goes with every format.",
        )
    return found
