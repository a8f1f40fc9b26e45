"""One check of scripts/check-emulated, on the emulated board: `python3 -m tests.board.emulated CHECK`.

Prints what was found as its last line; an exception, or a processor that does not know an instruction, is
a failed check. Everything is the assistant's own code, on recordings.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

import assistant
from assistant import engines
from assistant.app import engines as loading
from assistant.audio.files import read_sound
from assistant.board.recognise import recognise
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Sentence
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import VadSettings, WakeSettings
from assistant.settings.schema import Settings

PACKAGE = Path(assistant.__file__).parent
QUESTION = PACKAGE / "cli" / "demo" / "how_old_is_the_brooklyn_bridge.wav"
RECORDINGS = Path("/opt/recordings")
SETTINGS = Settings.model_validate({"store": {"models": Path("/opt/models")}, "tts": {"phrase_cache": False}})
LONGEST_WORD_S = 3


def recognised() -> str:
    board = recognise()
    return f"{board.name}: {board.why}; {board.equipment}"


def imports() -> str:
    """Every engine's module but those that need llama.cpp, which is not here."""
    folder = PACKAGE / "engines"
    files = sorted(file.relative_to(folder).with_suffix("") for file in folder.rglob("[a-z]*.py"))
    names = [".".join(file.parts) for file in files]
    without = []
    for name in names:
        try:
            importlib.import_module(f"assistant.engines.{name}")
        except ImportError as error:  # noqa: PERF203 - one that fails is what is looked for
            if error.name != "llama_cpp":
                raise
            without.append(name)
    assert all("llama_cpp" in name for name in without), without
    return f"{len(names) - len(without)} engine modules; {len(without)} need llama.cpp"


def _frames(recording: Path, quiet_s: int = 0) -> Any:
    """With so much silence before and after."""
    pcm = np.pad(read_sound(recording), quiet_s * SAMPLE_RATE_HZ)
    return pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def _vad(engine: str) -> str:
    vad = engines.load("vad", engine, settings=VadSettings.model_validate({"engine": engine}))
    frames = _frames(QUESTION)
    speech = sum(vad.speech_probability(frame) >= VadSettings().threshold for frame in frames)
    assert speech > len(frames) / 2, f"{speech} of {len(frames)} frames are speech"
    return f"{speech} of {len(frames)} frames of the question are speech"


def webrtc() -> str:
    return _vad("webrtc")


def silero() -> str:
    return _vad("silero")


def wake() -> str:
    """The question wakes nobody; each recording of the word does."""
    settings = WakeSettings.model_validate({"words": ["alexa"]})
    detector = engines.load("wake", "open_wake_word", settings=settings)
    detector.warm_up()
    assert not any(map(detector.detect, _frames(QUESTION)))
    recordings = sorted(RECORDINGS.rglob("*.wav"))
    heard = 0
    for recording in recordings:
        detector.reset()
        heard += any(map(detector.detect, _frames(recording, quiet_s=1)))
    assert heard == len(recordings), f"heard in {heard} of {len(recordings)} recordings"
    return f"silent at the question; heard in {heard} of {len(recordings)} recordings"


def voice() -> str:
    tts = loading.load_tts(SETTINGS)
    sound = tts.synthesize(Sentence("Hello."), Cancel())
    seconds = len(sound) / tts.sample_rate_hz
    assert abs(sound).max() > 1000, "it is silent"
    assert seconds < LONGEST_WORD_S, f"one word lasts {seconds:.1f} s"
    return f"a word of {seconds:.1f} s"


def recognition() -> str:
    text = loading.load_stt(SETTINGS).transcribe(read_sound(QUESTION), Cancel()).text
    assert "brooklyn bridge" in text.lower(), text
    return text


CHECKS = (recognised, imports, webrtc, silero, wake, voice, recognition)

if __name__ == "__main__":
    sys.stdout.write({check.__name__: check for check in CHECKS}[sys.argv[1]]() + "\n")
