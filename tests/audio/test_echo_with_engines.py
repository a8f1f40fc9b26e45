"""Real speech over the real voice in a recorded room: what the recogniser and the detectors make of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from assistant.app import engines as loading
from assistant.audio.files import read_sound
from assistant.audio.resample import resample, to_float, to_pcm16
from assistant.core.events import SpeechStarted
from assistant.core.types import SAMPLE_RATE_HZ, AudioFrame, Pcm16, Sentence
from assistant.dialog.endpointer import Endpointer
from assistant.engines import Stt, Tts, Vad
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.text.word_error import normalize_words, word_errors
from assistant.tools.bench.barge_in import ANSWERS
from assistant.tools.bench.room.simulated import Acoustics, loudness, unit_energy
from tests.conftest import Clip
from tests.rooms import Listening, in_room, joined, listen, play

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def answers() -> Iterator[list[Pcm16]]:
    """What the assistant's voice says, at 16 kHz."""
    tts: Tts = loading.load_tts(Settings())
    sounds = [tts.synthesize(Sentence(text), Cancel()) for text in ANSWERS[:6]]
    yield [to_pcm16(resample(to_float(pcm), tts.sample_rate_hz, SAMPLE_RATE_HZ)) for pcm in sounds]
    tts.close()


def room_of(clips: list[Clip]) -> Acoustics:
    response = next(clip for clip in clips if clip.category == "rir")
    return Acoustics(unit_energy(to_float(read_sound(response.path))), echo_db=-3, drift_ppm=60)


def starts(vad: Vad, frames: list[AudioFrame], settings: Settings) -> int:
    """How often these frames would have interrupted an answer."""
    endpointer = Endpointer(settings.endpoint)
    endpointer.start_ms = settings.conversation.interruption_ms
    count = 0
    for frame in frames:
        is_speech = vad.speech_probability(frame.pcm) > 0 and not frame.is_echo
        if isinstance(endpointer.push(frame, is_speech=is_speech), SpeechStarted):
            count += 1
            endpointer.reset()
    return count


def test_its_own_voice_starts_no_utterance(shared_audio: list[Clip], answers: list[Pcm16]) -> None:
    settings = Settings()
    listening = in_room(room_of(shared_audio))
    listen(listening, 0.5)
    for answer in answers:
        play(listening, answer)
        listen(listening, 1)
    vad = loading.load_vad(settings)
    assert starts(vad, listening.heard, settings) > 3, "it would have, without the canceller"
    echoing = listening.cancelled[:-50]
    assert starts(vad, echoing[25:], settings) == 0


def test_who_speaks_over_it_is_understood_nearly_as_well_as_alone(
    shared_audio: list[Clip], answers: list[Pcm16]
) -> None:
    listening = in_room(room_of(shared_audio))
    for answer in answers:
        play(listening, answer)
    stt: Stt = loading.load_stt(Settings())
    clips = [clip for clip in shared_audio if clip.kind == "command" and 2 < clip.seconds < 5][:8]
    counts = np.zeros(4)
    for clip in clips:
        pcm = read_sound(clip.path)
        counts += _errors(listening, clip.text, pcm, answers, stt)
    stt.close()
    words, alone, over_the_voice, uncancelled = counts
    assert over_the_voice <= alone + 0.15 * words
    assert uncancelled > over_the_voice + 0.2 * words


def _errors(
    listening: Listening, text: str, pcm: Pcm16, answers: list[Pcm16], stt: Stt
) -> tuple[int, int, int, int]:
    """Words, and how many are wrong: alone, over the assistant's voice, and without the canceller."""
    level = loudness(to_float(answers[0])) * 10 ** (listening.room.acoustics.echo_db / 20)
    person = to_float(pcm) * np.float32(level / loudness(to_float(pcm)))
    begin = len(listening.heard)
    listening.room.say(person)
    far = np.concatenate(answers)[: len(person)]
    play(listening, far)
    reference = normalize_words(text)
    alone, over, raw = (
        word_errors(reference, normalize_words(stt.transcribe(sound, Cancel()).text))
        for sound in (
            to_pcm16(person),
            joined(listening.cancelled[begin:]),
            joined(listening.heard[begin:]),
        )
    )
    return len(reference), alone, over, raw
