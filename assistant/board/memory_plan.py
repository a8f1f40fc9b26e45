"""Whether everything fits into the memory here, decided before any of it is loaded.

Pure but for reading /proc. What the language model takes is computed from its header
(``llm_memory``); what the program, the recogniser and the voice take is measured on x86 and follows
the size of their files. When it is too much, this says what would fit.
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
"""ONNX Runtime, two networks that tell speech from noise, and the wake word's; measured."""

_STT_BASE, _STT_SHARE, _STT_SHARE_WIDE = 72_000_000, 0.85, 2.27
"""Whisper at rest beside its weights in 16 bits: 136 MB with tiny.en (76 MB), 195 MB with base (145 MB), in
int8; in float32 108 MB more with tiny.en. A processor computes neither with 16 bits: both become 32."""
_STT_WIDE = ("float32", "float16")
_STT_SPIKE_BASE, _STT_SPIKE_SHARE = 50_000_000, 0.35
"""What it takes more for a moment, loading or hearing 28 s: 76 MB and 100 MB."""
_TTS_BASE, _TTS_SHARE = 14_000_000, 1.0
"""A VITS voice at rest beside its file: 77 MB with a file of 63 MB."""
_TTS_SPIKE = 92_000_000
"""While it speaks 100 symbols at once; longer text is spoken in pieces."""
_TORCH_BASE, _TORCH_SHARE, _TORCH_SPIKE = 853_000_000, 1.04, 110_000_000
"""The same of Coqui's own runtime: 859 MB with a file of 6 MB, 1005 MB with one of 146 MB, of which 518 are
libraries that can go (torch 2.11 of PyPI on x86, built for graphics cards too); and more while it loads."""

PLAN_ERROR = 0.10
"""How far a plan may be off; docs/boards.md has what was measured."""

OF_GROUP = "left of this control group's limit"
"""Where ``Room.free`` comes from in a service or container with a limit of its own."""

SMALLEST_CONTEXT = 512
"""Shorter ones hold no system prompt, question and answer."""

FORMATS = {"q8_0": 8.50, "q6_k": 6.56, "q5_k_m": 5.70, "q4_k_m": 4.89, "q4_0": 4.67}
"""Formats of `assistant quantize`, finest first, and the bits that a weight has in them on average, some
tensors being kept finer (Llama 3.1 8B in llama.cpp's tools/quantize/README.md; Q4_0 there is as Q4_K_S)."""
ONNX_FORMATS = {"onnx-int8": 9.0, "onnx-int4": 5.9}
"""The same for ONNX: SmolLM2-135M, whose table of words, kept in 8 bits, is a fifth of it. 16 bits are no
remedy: a processor computes with 32."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes by who takes them."""

    program: int
    """The process itself, and what hears."""
    llm: LlmMemory
    stt: int
    tts: int
    spike: int
    """Of the recogniser or the voice, whichever takes more for a moment: they work in turn."""

    @property
    def needed(self) -> int:
        """The most that must be there while it works, with a full context."""
        return self.program + self.llm.running + self.stt + self.tts + self.spike

    @property
    def peak(self) -> int:
        """The most that its resident memory will ever be: while the language model is loaded, which is
        first, or later. What a file has mapped for loading makes room where there is none, so this may
        be more than is needed."""
        return max(self.program + self.llm.peak, self.needed)


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that this program may take, what it has already included; None where it cannot be told."""

    free: int | None
    total: int | None
    why: str
    """Where the figure comes from, for people."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would fit."""

    what: Literal["context", "format", "nothing"]
    value: str = ""
    """Tokens, or the name of a format."""
    source: str = ""
    """What the format is made of, where that is not the model itself: an ONNX file cannot be quantized."""


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
    """``stt_file`` are bytes of the recogniser's weights with 16 bits each, ``tts_file`` those of the voice's
    file, 0 where there is none.

    ``stt_type`` is what the recogniser computes with, ``torch`` whether that runs the voice. ``in_memory``
    are bytes of both that are decrypted into memory while they load.
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
    """``already`` is what this process has, which counts as free for it. Never raises.

    What a control group has in cached files makes room when it is needed, so it is not counted.
    """
    available, total = health.memory_bytes("MemAvailable", root), health.memory_bytes("MemTotal", root)
    free = None if available is None else available + already
    why = "free in this machine"
    of_group, limit = limits.memory_left_bytes(root) + already, limits.memory_bytes(root)
    if free is not None and of_group < free:
        free, why = int(of_group), OF_GROUP
    return Room(free, None if total is None else int(min(total, limit)), why)


def largest_context(fits: Callable[[int], bool], most: int) -> int | None:
    """The longest context, a multiple of 256 up to ``most``, that ``fits``; None when not even 512 does.

    A longer one never takes less, so halving finds it.
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
    """About what the model takes where its weights have that share of their bits: the rest stays."""
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
    """The largest context below ``most`` that fits; else the finest of ``formats`` that does with ``most``.

    ``bits`` are what a weight has now, ``formats`` what it has in them, the finest first.
    """
    context = largest_context(lambda tokens: fits(with_context(tokens)), most)
    if context is not None:
        return Remedy("context", str(context))
    for name, fewer in formats.items():
        if fewer < bits and fits(in_format(with_context(most), fewer / bits)):
            return Remedy("format", name)
    return Remedy("nothing")


def gguf_bits(header: GgufHeader) -> float:
    """Bits a weight has in this file."""
    numbers = sum(
        tensor.size_bytes // block_bytes * block_numbers
        for tensor in header.tensors
        for name, block_numbers, block_bytes in TENSOR_TYPES.values()
        if name == tensor.type
    )
    return 8 * header.tensor_bytes / max(1, numbers)
