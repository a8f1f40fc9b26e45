"""The sounds themselves, a person's own ones, and how they are played."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.files import read_sound, write_wav
from assistant.audio.scripted import ScriptedSpeaker
from assistant.core.errors import AudioFileInvalid
from assistant.core.events import EarconStarted, Event
from assistant.core.types import SAMPLE_RATE_HZ, SpokenAudio
from assistant.dialog import earcons
from assistant.dialog.earcons import Earcons
from assistant.runtime import clock
from assistant.settings.schema import EarconSettings

BUILT_IN = earcons.load(EarconSettings(), read_sound)


def test_they_are_short_quiet_and_different() -> None:
    assert set(BUILT_IN) == {"wake", "done", "error", "muted"}
    for sound in BUILT_IN.values():
        assert 0.08 <= sound.duration_s <= 0.15
        assert 1000 < np.abs(sound.pcm.astype(int)).max() < 4000
    assert len({sound.pcm.tobytes() for sound in BUILT_IN.values()}) == 4


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_they_begin_and_end_without_a_click(name: earcons.Earcon) -> None:
    pcm = BUILT_IN[name].pcm.astype(int)
    assert abs(pcm[0]) < 20
    assert abs(pcm[-1]) < 20
    steps = np.abs(np.diff(pcm))
    # The steepest step of a sine of the highest note at full level.
    assert steps.max() <= np.abs(pcm).max() * 2 * np.pi * 880 / SAMPLE_RATE_HZ * 1.05


def test_switched_off_there_are_none() -> None:
    assert earcons.load(EarconSettings(enabled=False), read_sound) == {}


def test_a_person_s_own_file_replaces_one(tmp_path: Path) -> None:
    own = np.full(SAMPLE_RATE_HZ // 10, 500, np.int16)
    write_wav(tmp_path / "ding.wav", own, SAMPLE_RATE_HZ)
    sounds = earcons.load(EarconSettings(done=tmp_path / "ding.wav"), read_sound)
    assert np.array_equal(sounds["done"].pcm, own)
    assert np.array_equal(sounds["wake"].pcm, BUILT_IN["wake"].pcm)


def test_a_file_that_is_no_sound_or_too_long_is_refused_in_words(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    write_wav(song, np.zeros(3 * SAMPLE_RATE_HZ, np.int16), SAMPLE_RATE_HZ)
    with pytest.raises(AudioFileInvalid, match=r"song\.wav is longer than 2 s"):
        earcons.load(EarconSettings(wake=song), read_sound)
    text = tmp_path / "text.wav"
    text.write_text("not a sound")
    with pytest.raises(AudioFileInvalid):
        earcons.load(EarconSettings(wake=text), read_sound)


def play(speaker: ScriptedSpeaker, sounds: dict[earcons.Earcon, SpokenAudio]) -> list[float]:
    """For how long each sound is said to be heard."""
    posted: list[Event] = []

    async def main() -> None:
        if not speaker.broken:
            await speaker.open()
        Earcons(speaker, sounds, posted.append).play("done")
        await asyncio.sleep(1)

    clock.run(main(), "virtual")
    return [event.audible_s for event in posted if isinstance(event, EarconStarted)]


def test_playing_tells_how_long_the_microphone_hears_it() -> None:
    speaker = ScriptedSpeaker()
    [seconds] = play(speaker, BUILT_IN)
    assert BUILT_IN["done"].duration_s + 0.2 < seconds < 0.6
    assert len(speaker.written) == 1


def test_a_sound_that_there_is_not_is_not_played() -> None:
    speaker = ScriptedSpeaker()
    assert play(speaker, {}) == []
    assert speaker.written == []


def test_a_lost_speaker_is_not_complained_of_for_a_chime() -> None:
    speaker = ScriptedSpeaker()
    speaker.broken = True
    play(speaker, BUILT_IN)
    assert speaker.written == []


@pytest.mark.parametrize(("forgotten_s", "played"), [(0.5, 0), (2.0, 1)])
def test_it_waits_until_it_may_sound_and_can_be_forgotten_until_then(forgotten_s: float, played: int) -> None:
    async def main() -> int:
        speaker = ScriptedSpeaker()
        await speaker.open()
        now = asyncio.get_running_loop().time
        chimes = Earcons(speaker, BUILT_IN, lambda _: None)
        chimes.play_when("wake", lambda: now() >= 1)
        await asyncio.sleep(forgotten_s)
        chimes.forget()
        await asyncio.sleep(3)
        return len(speaker.written)

    assert clock.run(main(), "virtual") == played
