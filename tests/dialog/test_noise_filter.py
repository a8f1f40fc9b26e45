"""What is answered and what is not: by the figures alone, then on real sounds, and of its own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from assistant import engines
from assistant.core.events import TurnEnded
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16, Transcript, Utterance
from assistant.dialog.endpointer import Endpointer
from assistant.dialog.noise_filter import contrast_db, is_own, likeness, refusal
from assistant.engines import Stt, Vad
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttGuard, SttSettings, VadSettings
from assistant.settings.schema import EndpointSettings
from tests.conftest import Clip
from tests.noises import sounds

GUARD = SttGuard()


def pcm_of_levels(*levels: int) -> Pcm16:
    """Noise, a fifth of a second of each level."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, level, SAMPLE_RATE_HZ // 5) for level in levels]).astype(np.int16)


STANDING_OUT = pcm_of_levels(20, 3000, 20, 3000, 20)
STEADY = pcm_of_levels(900, 1000, 900, 1100, 1000)


def heard(pcm: Pcm16 = STANDING_OUT, speech_ms: int = 800) -> Utterance:
    return Utterance(pcm, speech_end_s=1.0, speech_ms=speech_ms)


def said(text: str, no_speech: float = 0.05, log_probability: float = -0.3, ratio: float = 0.9) -> Transcript:
    return Transcript(text, "en", no_speech, log_probability, ratio)


@pytest.mark.parametrize(
    ("utterance", "transcript", "reason"),
    [
        (heard(), said("What time is it?"), None),
        (heard(), said("7", no_speech=0.74, log_probability=-0.97), None),
        (heard(), said("Stop.", no_speech=0.55, log_probability=-1.0), None),
        (heard(), said("Thank you."), None),  # people say it too
        (heard(), said("你好。", no_speech=0.5), None),
        (heard(), said(""), "no_words"),
        (heard(), said(" ... !"), "no_words"),
        (heard(), said("no no no no", ratio=3.0), "repetition"),
        (heard(speech_ms=60), said("Okay."), "little_speech"),
        (heard(), said("you", no_speech=0.9, log_probability=-1.2), "uncertain"),
        (heard(speech_ms=2000), said("Ah!", no_speech=0.6, log_probability=-1.0), "few_words"),
        (heard(speech_ms=2000), said("Launch.", no_speech=0.1), None),
        (heard(speech_ms=2000), said("1, 2, 3", no_speech=0.6), None),
        (heard(speech_ms=2000), said("今天天气怎么样", no_speech=0.6), None),
        (heard(STEADY), said("Okay.", no_speech=0.7), "steady"),
        (heard(STEADY), said("Okay.", no_speech=0.2), None),  # speech beside a motor
        (heard(), said("Mm-hmm.", no_speech=0.7), "no_vowel"),
        (heard(), said("Mm-hmm.", no_speech=0.1), None),
    ],
)
def test_each_sign_of_noise_has_its_reason(
    utterance: Utterance, transcript: Transcript, reason: str | None
) -> None:
    assert refusal(utterance, transcript, GUARD) == reason


def test_the_settings_decide() -> None:
    doubtful = said("you", no_speech=0.9, log_probability=-1.2)
    assert refusal(heard(), doubtful, SttGuard(max_uncertainty=2.2)) is None
    assert refusal(heard(STEADY), said("Okay.", no_speech=0.7), SttGuard(min_contrast_db=0)) is None
    assert refusal(heard(), said("Okay."), SttGuard(min_speech_ratio=0.9)) == "little_speech"


@given(
    st.text(), st.floats(0, 1), st.floats(-10, 0), st.integers(0, 30_000), st.integers(0, 4 * FRAME_SAMPLES)
)
def test_anything_can_be_judged(
    text: str, no_speech: float, log_probability: float, ms: int, length: int
) -> None:
    utterance = Utterance(np.zeros(length, dtype=np.int16), 0.0, ms)
    reason = refusal(utterance, Transcript(text, "en", no_speech, log_probability, 1.0), GUARD)
    assert reason is not None or any(character.isalnum() for character in text)


def test_contrast_is_the_level_of_loud_over_quiet() -> None:
    assert contrast_db(pcm_of_levels(10, 10, 1000, 1000)) == pytest.approx(40, abs=2)
    assert contrast_db(STEADY) < 3
    assert contrast_db(np.zeros(SAMPLE_RATE_HZ, dtype=np.int16)) == 0
    assert contrast_db(np.zeros(0, dtype=np.int16)) == 0


# With the real listener.


@pytest.fixture(scope="module")
def stt() -> Stt:
    settings = SttSettings()
    engine: Stt = engines.load(
        "stt", settings.engine, settings=settings, model=paths.models() / settings.model, threads=0
    )
    return engine


@pytest.fixture(scope="module")
def vad() -> Vad:
    engine: Vad = engines.load("vad", "webrtc", settings=VadSettings())
    return engine


def utterances(vad: Vad, pcm: Pcm16) -> Iterator[Utterance]:
    """What the endpointer makes of a sound and the quiet after it."""
    vad.reset()
    endpointer = Endpointer(EndpointSettings())
    quiet = np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.int16)
    heard = np.concatenate((pcm, quiet))
    for end in range(FRAME_SAMPLES, len(heard) + 1, FRAME_SAMPLES):
        frame = heard[end - FRAME_SAMPLES : end]
        is_speech = vad.speech_probability(frame) >= VadSettings().threshold
        event = endpointer.push(AudioFrame(frame, end / SAMPLE_RATE_HZ), is_speech=is_speech)
        if isinstance(event, TurnEnded):
            yield event.utterance
            endpointer.reset()


def reasons(stt: Stt, vad: Vad, pcm: Pcm16) -> list[str | None]:
    return [refusal(one, stt.transcribe(one.pcm, Cancel()), GUARD) for one in utterances(vad, pcm)]


def read(path: Path) -> Pcm16:
    return np.asarray(soundfile.read(path, dtype="int16")[0], dtype=np.int16)


@pytest.mark.models
def test_no_command_is_refused(stt: Stt, vad: Vad, shared_audio: list[Clip]) -> None:
    clips = [clip for clip in shared_audio if clip.category == "commands"]
    judged = {clip.path.name: reasons(stt, vad, read(clip.path)) for clip in clips}
    assert judged
    assert all(judged.values()), "every command must be heard at all"
    refused = {clip.path.name for clip in clips if any(judged[clip.path.name])}
    digits = {clip.path.name for clip in clips if clip.kind == "digit"}
    assert refused <= digits
    assert len(refused) <= len(digits) / 8, "a lone syllable may be lost in the noise it was recorded in"


@pytest.mark.models
def test_no_noise_is_answered(stt: Stt, vad: Vad, shared_audio: list[Clip]) -> None:
    clips = [clip for clip in shared_audio if clip.category in ("noise", "nonspeech")]
    judged = {clip.path.name: reasons(stt, vad, read(clip.path)) for clip in clips}
    assert sum(map(len, judged.values())) > 10, "the VAD takes much of it for speech"
    assert {name: why for name, why in judged.items() if not all(why)} == {}


@pytest.mark.models
def test_sounds_of_a_home_are_not_answered(stt: Stt, vad: Vad) -> None:
    judged = {}
    for name, pcm in sounds(seed=4).items():
        first = next(utterances(vad, pcm), None)
        if first is not None:
            judged[name] = refusal(first, stt.transcribe(first.pcm, Cancel()), GUARD)
    assert len(judged) > 10
    assert [name for name, why in judged.items() if why is None] == []


# The assistant's own words: echoes however misheard, and never what a person says.

SPOKEN = (
    "The Brooklyn Bridge was opened in eighteen eighty three, and it connects Manhattan and Brooklyn. "
    "You can stop there and walk across."
)
LETTERS = st.text("abcdefghij", min_size=1, max_size=40)


@pytest.mark.parametrize(
    "heard",
    [
        SPOKEN,
        "The Brooklyn Bridge was opened in 1883.",
        "and it connects Manhattan",
        "brooklyn bridge was open in eighteen",
        "It can next man hat and and Brook Lynn",
        "connects Manhattan",
        "Brooklyn.",
    ],
)
def test_an_echo_is_known_again_however_it_was_misheard(heard: str) -> None:
    assert is_own(heard, SPOKEN)


@pytest.mark.parametrize(
    "heard",
    [
        "And how long is it?",
        "No, I meant the Golden Gate Bridge.",
        "What is the weather like tomorrow?",
        "Turn on the light in the kitchen.",
        "Okay, thank you.",
        "Wait.",
        "",
        "...",
    ],
)
def test_what_a_person_says_is_not_the_assistants(heard: str) -> None:
    assert not is_own(heard, SPOKEN)


def test_a_word_inside_another_is_no_word_of_the_answer() -> None:
    assert not is_own("No.", "I know that.")
    assert not is_own("Man", SPOKEN)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_can_be_compared(heard: str, spoken: str) -> None:
    is_own(heard, spoken)
    assert not is_own("", spoken)
    assert not is_own(heard, "")


@given(LETTERS, LETTERS, LETTERS)
def test_a_part_is_alike_wherever_it_stands(before: str, part: str, after: str) -> None:
    assert likeness(part, before + part + after) == 1


@given(LETTERS, LETTERS, st.integers(0, 39))
def test_one_letter_misheard_costs_one_letter(part: str, before: str, at: int) -> None:
    at %= len(part)
    misheard = part[:at] + "z" + part[at + 1 :]
    assert likeness(misheard, before + part) >= 1 - 1 / len(part) - 1e-9


@given(LETTERS, LETTERS)
def test_likeness_is_a_share(part: str, whole: str) -> None:
    assert 0 <= likeness(part, whole) <= 1
    assert likeness(part, "") == 0
