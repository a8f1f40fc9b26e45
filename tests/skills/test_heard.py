"""Commands that were really spoken, by the voice and by people, as the recogniser hears them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Sentence
from assistant.engines.stt import whisper as whisper_stt
from assistant.engines.tts import vits as vits_tts
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttSettings, TtsSettings
from assistant.skills import Skills
from assistant.text.markup import speakable
from assistant.tools.bench.corpus import COMMANDS, CONVERSATION
from tests.conftest import Clip
from tests.skills.test_sentences import plain

MODELS = Path("~/.local/share/assistant/models").expanduser()

EVERY = 4
"""Of the table, every fourth sentence is spoken here: all of it takes minutes on a small board."""


@pytest.fixture(scope="module")
def hear() -> Callable[[Pcm16], str]:
    stt = whisper_stt.create(SttSettings(), MODELS / "whisper-tiny.en", 0)
    return lambda pcm: stt.transcribe(pcm, Cancel()).text


@pytest.fixture(scope="module")
def speak() -> Callable[[str], Pcm16]:
    """A sentence as a microphone hears it: with a little silence around it."""
    voice = vits_tts.create(TtsSettings(), MODELS / "voice-en-us-joe", 0)
    silence = np.zeros(SAMPLE_RATE_HZ * 3 // 10)

    def speak(text: str) -> Pcm16:
        said = voice.synthesize(Sentence(speakable(text)), Cancel()).astype(np.float32)
        sound = soxr.resample(said, voice.sample_rate_hz, SAMPLE_RATE_HZ)
        return np.concatenate([silence, sound, silence]).astype(np.int16)

    return speak


def _lower(slots: dict[str, object]) -> dict[str, object]:
    """A recogniser has its own mind about capitals."""
    return {name: value.lower() if isinstance(value, str) else value for name, value in slots.items()}


@pytest.mark.models
def test_spoken_commands_do_what_was_said(
    skills: Skills, speak: Callable[[str], Pcm16], hear: Callable[[Pcm16], str]
) -> None:
    wrong = []
    spoken = COMMANDS[::EVERY]
    for text, skill, slots in spoken:
        heard = hear(speak(text))
        match = skills.match(heard)
        understood = plain(match.name, dict(match.arguments)) if match else {}
        if match is None or match.name != skill or _lower(understood) != _lower(slots):
            wrong.append(f"{text!r} heard as {heard!r}: {match and match.name} {understood}")
    assert len(wrong) <= 0.15 * len(spoken), "\n".join(wrong)


@pytest.mark.models
def test_spoken_conversation_starts_no_skill(
    skills: Skills, speak: Callable[[str], Pcm16], hear: Callable[[Pcm16], str]
) -> None:
    for text in CONVERSATION[::EVERY]:
        heard = hear(speak(text))
        match = skills.match(heard)
        assert match is None, f"{text!r} heard as {heard!r}: {match.name}"


@pytest.mark.models
def test_people_who_were_recorded_are_understood(
    skills: Skills, hear: Callable[[Pcm16], str], shared_audio: list[Clip]
) -> None:
    """Coffee orders, questions and numbers go to the model; the time and the date are told."""
    asked = {
        "what time is it": "tell_time",
        "what's the date today": "tell_date",
        "set a timer for ten minutes": "set_timer",
        "stop": "stop",
    }
    for clip in shared_audio:
        if clip.category != "commands":
            continue
        pcm, rate_hz = soundfile.read(clip.path, dtype="int16")
        assert rate_hz == SAMPLE_RATE_HZ
        heard = hear(pcm)
        match = skills.match(heard)
        assert (match.name if match else None) == asked.get(clip.text), f"{clip.text!r} heard as {heard!r}"
