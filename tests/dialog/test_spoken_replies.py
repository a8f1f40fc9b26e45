"""From a written reply to sound and back: a recogniser hears what a person would have said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soxr
from faster_whisper import WhisperModel

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Sentence
from assistant.dialog.sentences import Sentences
from assistant.engines.tts.vits import VitsTts, create
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import TtsSettings
from assistant.text.markup import speakable
from assistant.text.word_error import normalize_words, word_errors

MODELS = Path("~/.local/share/assistant/models").expanduser()

REPLIES = (
    "The capital of France is **Paris**, which has about 2.1 million people.",
    "It is 7:05 pm, and the sun sets at 8:30.",
    "That comes to $5.50, or about €5.",
    "Water boils at 100 °C (212 °F) at sea level.",
    "The wind blows at 15 km/h, and there is a 25% chance of rain.",
    "Here is what to buy:\n- 2 kg of potatoes\n- 1/2 liter of milk\n- a dozen eggs",
    "1. Open the box.\n2. Take the cable out.\n3. Plug it in.",
    "Albert Einstein was born on March 14, 1879 in Germany. 🎉",
    "In the 1990s, computers had 16 MB of memory.",
    "Dr. Smith lives at 12 Main St., e.g. near the park.",
    "You can read more at https://www.example.com.",
    "The timer for 12 minutes and 30 seconds is set.",
    "The 1st and the 21st of May are free; the rest is busy.",
    "Call 555-1234 between 9 and 5, or come on 12 June.",
    "3 + 4 = 7, and 3 × 4 = 12.",
    "`Hello` is what most people say when they meet somebody.",
)


@pytest.fixture(scope="module")
def voice() -> VitsTts:
    return create(TtsSettings(), MODELS / "voice-en-us-joe", 0)


@pytest.fixture(scope="module")
def hear() -> Callable[[Pcm16, int], str]:
    whisper = WhisperModel(
        str(MODELS / "whisper-tiny.en"), device="cpu", compute_type="int8", local_files_only=True
    )

    def hear(pcm: Pcm16, sample_rate_hz: int) -> str:
        sound = soxr.resample(pcm.astype(np.float32) / 32_768, sample_rate_hz, SAMPLE_RATE_HZ)
        segments, _ = whisper.transcribe(sound, language="en", temperature=0.0)
        return " ".join(segment.text.strip() for segment in segments)

    return hear


@pytest.mark.models
def test_replies_are_understood(voice: VitsTts, hear: Callable[[Pcm16, int], str]) -> None:
    errors = words = 0
    report = []
    for reply in REPLIES:
        sentences = Sentences(begin_with="words")
        pieces = [*sentences.add(reply), *sentences.finish()]
        said = [replace(piece, text=speakable(piece.text)) for piece in pieces]
        pcm = np.concatenate([voice.synthesize(clause, Cancel()) for clause in said])
        # A recogniser writes "$5.50" for what was said in five words.
        heard = speakable(hear(pcm, voice.sample_rate_hz))
        reference = normalize_words(" ".join(piece.text for piece in said))
        wrong = word_errors(reference, normalize_words(heard))
        errors, words = errors + wrong, words + len(reference)
        report.append(f"{wrong}/{len(reference)} | {said} | {heard}")
    assert errors / words <= 0.15, "\n".join(report)


@pytest.mark.models
@pytest.mark.parametrize("word", ["Yes.", "No.", "Okay.", "Hi!", "Done"])
def test_the_shortest_replies_are_words(voice: VitsTts, hear: Callable[[Pcm16, int], str], word: str) -> None:
    # A voice varies, and a recogniser has nothing else to go by: one of three must come out.
    pcms = (voice.synthesize(Sentence(word), Cancel()) for _ in range(3))
    assert any(normalize_words(hear(pcm, voice.sample_rate_hz)) == normalize_words(word) for pcm in pcms)
