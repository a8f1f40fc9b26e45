"""Decides whether everything fits in this machine's memory, before any of it is loaded.

Pure except for reading /proc. The language model's memory is computed from its header (``llm_memory``); that
of the program, the recognizer and the voice was measured on x86 and scales with the size of their files. If
it doesn't fit, this says what would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assistant.board import health, limits
from assistant.board.limits import ROOT
from assistant.board.llm_memory import CONTEXT_STEP, LlmMemory
from assistant.store.formats.gguf import TENSOR_TYPES, GgufHeader

PROGRAM_BYTES = 62_000_000
"""Python, NumPy and the assistant itself; measured with 3.11 on x86."""
HEARING_BYTES = 46_000_000
"""ONNX Runtime, two networks that distinguish speech from noise, and the wake word's; measured."""

_STT_BASE, _STT_SHARE, _STT_SHARE_WIDE = 72_000_000, 0.85, 2.27
"""Whisper at rest, as a share of its 16-bit weights: in int8, 136 MB with tiny.en (76 MB) and 195 MB with
base (145 MB); in float32, 108 MB more with tiny.en. A CPU cannot compute with 16 bits: they become 32.
"""
_STT_WIDE = ("float32", "float16")
_STT_SPIKE_BASE, _STT_SPIKE_SHARE = 50_000_000, 0.35
"""Temporary extra while loading or hearing 28 s: 76 MB and 100 MB."""
_TTS_BASE, _TTS_SHARE = 14_000_000, 1.0
"""A VITS voice at rest besides its file: 77 MB with a file of 63 MB."""
_TTS_SPIKE = 92_000_000
"""While it speaks 100 symbols at once; longer text is spoken in pieces."""
_TORCH_BASE, _TORCH_SHARE, _TORCH_SPIKE = 853_000_000, 1.04, 110_000_000
"""The same for Coqui's own runtime: 859 MB with a file of 6 MB, 1005 MB with one of 146 MB, including 518
MB of libraries that can be dropped (torch 2.11 from PyPI on x86, built with GPU support); more while
loading.
"""

PLAN_ERROR = 0.10
"""How far a plan may be off; docs/boards.md has the measurements."""

OF_GROUP = "left within this control group's limit"
"""Source of ``Room.free`` in a service or container with its own limit."""

SMALLEST_CONTEXT = 512
"""A shorter context can't hold a system prompt, a question and an answer."""

FORMATS = {"q8_0": 8.50, "q6_k": 6.56, "q5_k_m": 5.70, "q4_k_m": 4.89, "q4_0": 4.67}
"""Formats of `assistant quantize`, finest first, with average bits per weight, since some tensors are kept
finer (Llama 3.1 8B in llama.cpp's tools/quantize/README.md; its Q4_0 is like Q4_K_S).
"""
ONNX_FORMATS = {"onnx-int8": 9.0, "onnx-int4": 5.9}
"""The same for ONNX: SmolLM2-135M, whose token embedding, kept in 8 bits, is a fifth of it. 16 bits don't
help, because a CPU computes with 32.
"""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes by component."""

    program: int
    """The process itself, and the networks that listen."""
    llm: LlmMemory
    stt: int
    tts: int
    spike: int
    """Temporary extra of the recognizer or the voice, whichever is larger: they work in turn."""

    @property
    def needed(self) -> int:
        """Memory that must be available while working with a full context."""
        return self.program + self.llm.running + self.stt + self.tts + self.spike

    @property
    def peak(self) -> int:
        """Highest resident memory at any time: while the language model is loaded first, or later. Files
        mapped during loading are dropped if memory is short, so this may be more than is needed.
        """
        return max(self.program + self.llm.peak, self.needed)


@dataclass(frozen=True, slots=True)
class Room:
    """Memory this program may use, including what it already has; None if unknown."""

    free: int | None
    total: int | None
    why: str
    """Source of the figure, shown to the user."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change that makes it fit."""

    what: Literal["context", "format", "nothing"]
    value: str = ""
    """A number of tokens, or the name of a format."""
    source: str = ""
    """The model to create the format from, if it isn't the model itself: an ONNX file cannot be quantized."""


def need(
    llm: LlmMemory,
    *,
    stt_file: int,
    tts_file: int,
    stt_type: str = "int8",
    torch: bool = False,
    in_memory: int = 0,
    hears: bool = True,
    program: int = PROGRAM_BYTES,
) -> Need:
    """Add up the needs. ``stt_file`` is the size of the recognizer's weights in 16 bits, ``tts_file`` that of
    the voice's file, 0 if there is none.

    ``stt_type`` is the recognizer's number format, ``torch`` means that torch runs the voice. ``in_memory``
    is the size of both that is decrypted into memory while loading.
    """
    stt_share = _STT_SHARE_WIDE if stt_type in _STT_WIDE else _STT_SHARE
    stt_spike = int(_STT_SPIKE_BASE + _STT_SPIKE_SHARE * stt_file) if stt_file else 0
    base, share, tts_spike = _TTS_BASE, _TTS_SHARE, _TTS_SPIKE
    if torch:
        base, share, tts_spike = _TORCH_BASE, _TORCH_SHARE, _TORCH_SPIKE
    speaks = bool(tts_file) or torch
    return Need(
        program=program + (HEARING_BYTES if hears else 0),
        llm=llm,
        stt=int(_STT_BASE + stt_share * stt_file) if stt_file else 0,
        tts=int(base + share * tts_file) if speaks else 0,
        spike=max(stt_spike, tts_spike if speaks else 0) + in_memory,
    )


def room(root: Path = ROOT, *, already: int = 0) -> Room:
    """Measure free memory. ``already`` is what this process has, which counts as free. Never raises.

    A control group's cached files are dropped when memory is needed, so they don't count as used.
    """
    available, total = health.memory_bytes("MemAvailable", root), health.memory_bytes("MemTotal", root)
    free = None if available is None else available + already
    why = "free on this machine"
    of_group, limit = limits.memory_left_bytes(root) + already, limits.memory_bytes(root)
    if free is not None and of_group < free:
        free, why = int(of_group), OF_GROUP
    return Room(free, None if total is None else int(min(total, limit)), why)


def largest_context(fits: Callable[[int], bool], most: int) -> int | None:
    """Return the longest context that ``fits``, a multiple of 256 up to ``most``; None if 512 doesn't fit.

    A longer context never takes less memory, so bisection finds it.
    """
    low, high = SMALLEST_CONTEXT // CONTEXT_STEP, most // CONTEXT_STEP
    if high < low or not fits(low * CONTEXT_STEP):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle * CONTEXT_STEP):
            low = middle
        else:
            high = middle - 1
    return low * CONTEXT_STEP


def in_format(llm: LlmMemory, share: float) -> LlmMemory:
    """Estimate the model's memory with its weights reduced to ``share`` of their bits; the rest stays."""
    share = min(1.0, share)
    return LlmMemory(
        file=int(llm.file * share),
        mapped=int(llm.mapped * share),
        copied=int(llm.copied * share),
        kv=llm.kv,
        compute=llm.compute,
        tables=llm.tables,
        loading=llm.loading,
    )


def remedy(
    with_context: Callable[[int], LlmMemory],
    most: int,
    fits: Callable[[LlmMemory], bool],
    bits: float,
    formats: Mapping[str, float],
) -> Remedy:
    """Find the largest context below ``most`` that fits, or else the finest of ``formats`` that fits with
    ``most``.

    ``bits`` is the current bits per weight, ``formats`` maps each format to its bits, finest first.
    """
    context = largest_context(lambda tokens: fits(with_context(tokens)), most)
    if context is not None:
        return Remedy("context", str(context))
    for name, fewer in formats.items():
        if fewer < bits and fits(in_format(with_context(most), fewer / bits)):
            return Remedy("format", name)
    return Remedy("nothing")


def gguf_bits(header: GgufHeader) -> float:
    """Average bits per weight in this file."""
    numbers = sum(
        tensor.size_bytes // block_bytes * block_numbers
        for tensor in header.tensors
        for name, block_numbers, block_bytes in TENSOR_TYPES.values()
        if name == tensor.type
    )
    return 8 * header.tensor_bytes / max(1, numbers)
