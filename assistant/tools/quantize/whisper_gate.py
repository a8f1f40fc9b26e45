"""Decides whether a converted Whisper model may be installed: it must recognize what its source does.

It compares the words that both recognize in a real recording, using the appliance's engine, and the outputs
of the encoders, which reveal faults that words hide.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper.feature_extractor import FeatureExtractor

from assistant import engines
from assistant.audio.files import read_sound
from assistant.core.types import Pcm16
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttSettings
from assistant.text.word_error import word_error_rate
from assistant.tools.quantize.workspace import resident_bytes

CLIP = Path(__file__).parents[2] / "cli" / "demo" / "how_old_is_the_brooklyn_bridge.wav"
SAID = "How old is the Brooklyn Bridge?"

MAX_SOURCE_ERROR = 0.5
"""Limit for the source itself on an easy recording; whisper-tiny has 0."""
MAX_MORE_ERROR = 0.2
"""How many more errors the new model may have than its source: one of the recording's six words."""
MAX_DRIFT = {"ct2-float32": 0.001, "ct2-float16": 0.02, "ct2-int8": 0.3}
"""Limit for the relative change of the encoder's output; about three times the format's cost on
whisper-tiny.en.
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """A model's result on the recording."""

    text: str
    error: float
    """Word errors per word of the transcript."""
    encoded: npt.NDArray[np.float32]
    seconds: float = 0.0
    """Time it took."""
    memory_mb: int = 0
    """Memory by which this process grew; 0 on systems that don't report it."""


def hear(folder: Path, compute_type: str, threads: int) -> Heard:
    """Recognize the recording. Raises ModelCorrupt, EngineFailed."""
    pcm = read_sound(CLIP)
    settings = SttSettings.model_validate({"compute_type": compute_type, "model": folder.name})
    before = resident_bytes()
    stt = engines.load("stt", "faster_whisper", settings=settings, model=folder, threads=threads)
    try:
        began_s = time.perf_counter()
        text = stt.transcribe(pcm, Cancel()).text
        seconds = time.perf_counter() - began_s
        memory_mb = round(max(resident_bytes() - before, 0) / 1e6)
    finally:
        stt.close()
    encoded = _encoded(folder, pcm, compute_type, threads)
    return Heard(text, word_error_rate(SAID, text), encoded, seconds, memory_mb)


def _encoded(folder: Path, pcm: Pcm16, compute_type: str, threads: int) -> npt.NDArray[np.float32]:
    model = ctranslate2.models.Whisper(str(folder), compute_type=compute_type, intra_threads=threads)
    features = FeatureExtractor(feature_size=model.n_mels)(pcm.astype(np.float32) / 32768)
    padded = np.pad(features, ((0, 0), (0, -features.shape[1] % 2)))
    encoded = model.encode(ctranslate2.StorageView.from_array(padded[None].astype(np.float32)), to_cpu=True)
    return np.array(encoded, dtype=np.float32)


def drift(source: Heard, made: Heard) -> float:
    """How far the new encoder is from its source's, as a share of its length."""
    length = float(np.linalg.norm(source.encoded))
    return float(np.linalg.norm(made.encoded - source.encoded)) / max(length, 1e-9)


def doubts(source: Heard, made: Heard, kind: str) -> list[str]:
    """What speaks against the new model, each in half a sentence with its figure."""
    found = []
    if source.error > MAX_SOURCE_ERROR:
        found.append(
            f"the source itself hears {source.text[:60]!r} where {SAID!r} is "
            f"said: {source.error:.0%} of the words are wrong, but the limit is "
            f"{MAX_SOURCE_ERROR:.0%}"
        )
    if made.error > source.error + MAX_MORE_ERROR:
        found.append(
            f"it gets {made.error:.0%} of the words wrong, its source {source.error:.0%}: {made.text[:60]!r}"
        )
    away = drift(source, made)
    if not away <= MAX_DRIFT[kind]:
        found.append(
            f"its encoder's distance from the source's is {away:.3f}, but the limit is {MAX_DRIFT[kind]:g}"
        )
    return found
