"""Decides whether an exported voice may be installed: without noise, its samples must match torch's.

In addition, its symbols must be numbered as in Coqui, and the appliance's own engine must speak a sentence.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from assistant.core.errors import ModelCorrupt
from assistant.core.types import Sentence
from assistant.engines import load
from assistant.engines.tts.voice_folder import read_voice
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import TtsSettings
from assistant.tools.quantize.workspace import resident_bytes

SENTENCE = "The quick brown fox jumps over the lazy dog."
MIN_SECONDS = 0.1

MIN_CORRELATION = {"onnx": 0.999, "onnx-fp16": 0.999, "onnx-int8": 0.97}
"""Minimum correlation with torch's output, for the worst of a few sequences."""

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spoken:
    """The result of the check."""

    correlation: float
    """The worst of the sequences."""
    largest_difference: float
    """Largest difference of a sample, relative to torch's loudest sample."""
    seconds: float
    """Duration of SENTENCE."""
    speaking_s: float = 0.0
    """Time it took to speak it."""
    memory_mb: int = 0
    """Memory by which this process grew; 0 on systems that don't report it."""


def listen(folder: Path, probes: Path, threads: int) -> Spoken:
    """Let the voice in ``folder`` speak torch's sequences in ``probes``. Raises ModelCorrupt,
    EngineFailed.
    """
    file, _ = read_voice(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    worst, largest = 1.0, 0.0
    with np.load(probes, allow_pickle=False) as said:
        for number in range(sum(name.startswith("ids") for name in said)):
            ids, wave = said[f"ids{number}"], said[f"wave{number}"]
            feed = {
                "input": ids.astype(np.int64),
                "input_lengths": np.array([ids.shape[1]], np.int64),
                "scales": np.array([0, 1, 0], np.float32),
            }
            if "sid" in names:
                feed["sid"] = np.zeros(1, np.int64)
            ours = np.asarray(session.run(None, feed)[0], np.float32).ravel()
            if len(ours) != len(wave):
                raise ModelCorrupt(
                    f"The exported voice produces {len(ours)} samples, but torch produces {len(wave)}.",
                    "Please report this, with the versions of coqui-tts and torch.",
                )
            worst = min(worst, correlation(wave, ours))
            largest = max(largest, float(np.abs(ours - wave).max() / max(float(np.abs(wave).max()), 1e-9)))
    del session
    return Spoken(worst, largest, *_says(folder, threads))


def correlation(one: Wave, other: Wave) -> float:
    """Return Pearson's correlation of two waves of equal length; 0 if one is silent or not finite."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    length = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / length if length > 0 else 0.0


def check_symbols(folder: Path, symbols: Mapping[str, int]) -> None:
    """Raises ModelCorrupt if a symbol's number differs from Coqui's tokenizer."""
    _, voice = read_voice(folder)
    # Some of Coqui's cleaners turn these into commas before a symbol is looked up.
    wrong = [
        symbol
        for symbol, ids in voice.symbols.items()
        if symbol not in ";:" and symbols.get(symbol) != ids[0]
    ]
    if wrong:
        raise ModelCorrupt(
            f"The voice's symbol {wrong[0]!r} has a different id than in Coqui's own tokenizer.",
            "Please report this, with the voice's config.json.",
        )


def doubts(spoken: Spoken, kind: str) -> list[str]:
    """Return reasons against the voice, each a clause with its figure."""
    found, limit = [], MIN_CORRELATION[kind]
    if not spoken.correlation >= limit:
        found.append(
            f"its sound correlates with torch's by {spoken.correlation:.4f}, but the limit is {limit:g}"
        )
    if spoken.seconds < MIN_SECONDS:
        found.append(f"it speaks a sentence in {spoken.seconds:.2f} s")
    return found


def _says(folder: Path, threads: int) -> tuple[float, float, int]:
    """Return the sentence's duration, the time it took to speak it, and the memory for it."""
    before = resident_bytes()
    settings = TtsSettings(model=folder.name, providers=("cpu",))
    voice = load("tts", "coqui", settings=settings, model=folder, threads=threads)
    try:
        began_s = time.perf_counter()
        seconds = len(voice.synthesize(Sentence(SENTENCE), Cancel())) / float(voice.sample_rate_hz)
        speaking_s = time.perf_counter() - began_s
        return seconds, speaking_s, round(max(resident_bytes() - before, 0) / 1e6)
    finally:
        voice.close()
