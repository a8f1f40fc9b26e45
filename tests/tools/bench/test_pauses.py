"""A pause is put between words, sounds like the room, and moves the end of the speech."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.engines.scripted import clip
from assistant.tools.bench.lib.clips import Clip
from assistant.tools.bench.lib.speech_end import Spoken
from assistant.tools.bench.pauses import LONGEST_S, SHORTEST_S, Word, hesitating, joined, places, room_tone
from tests.tools.bench.conftest import silence

BEGINS_S = (0.5, 0.86, 1.22)
"""Three words of 300 ms with 60 ms between them."""

ROOM = np.random.default_rng(1).normal(0, 8, 10 * SAMPLE_RATE_HZ).astype(np.int16)


def sentence(name: str = "three.wav") -> Clip:
    gap = silence(60)
    word = clip(5000, 300)
    pcm = np.concatenate([silence(500), word, gap, word, gap, word, silence(480)])
    return Clip(name, pcm + ROOM[: len(pcm)], Spoken(0.5, 1.52), "one two three")


def words(*texts: str, late_s: float = 0.0) -> list[Word]:
    return [
        Word(text, at_s + late_s, at_s + late_s + 0.36) for text, at_s in zip(texts, BEGINS_S, strict=False)
    ]


@pytest.mark.parametrize("late_s", [-0.08, 0.0, 0.08])
def test_pauses_stand_in_the_gaps_even_if_the_word_times_are_off(late_s: float) -> None:
    said = sentence()
    found = places(said.pcm, said.spoken, words("one", "two", "three.", late_s=late_s))
    assert len(found) == 2
    for place, (from_s, to_s) in zip(found, [(0.8, 0.86), (1.16, 1.22)], strict=True):
        assert from_s <= place / SAMPLE_RATE_HZ <= to_s


def test_between_sentences_a_pause_would_be_right() -> None:
    said = sentence()
    (only,) = places(said.pcm, said.spoken, words("One.", "two", "three."))
    assert only > 1.1 * SAMPLE_RATE_HZ


def test_inside_a_word_written_with_a_hyphen_there_is_no_place() -> None:
    said = sentence()
    assert not places(said.pcm, said.spoken, words("twelve", "-ounce"))


def test_one_word_has_no_place() -> None:
    assert hesitating(sentence(), words("stop")) is None
    assert hesitating(sentence(), []) is None


def test_the_recording_grows_by_the_pause_and_the_rest_is_untouched() -> None:
    said = sentence()
    longer = hesitating(said, words("one", "two", "three."))
    assert longer is not None
    added = len(longer.pcm) - len(said.pcm)
    assert SHORTEST_S <= added / SAMPLE_RATE_HZ <= LONGEST_S
    assert longer.spoken.end_s == pytest.approx(said.spoken.end_s + added / SAMPLE_RATE_HZ, abs=0.001)
    assert longer.spoken.begin_s == said.spoken.begin_s
    assert longer.text == said.text
    changed = int(np.flatnonzero(longer.pcm[: len(said.pcm)] != said.pcm)[0])
    np.testing.assert_array_equal(longer.pcm[:changed], said.pcm[:changed])
    np.testing.assert_array_equal(longer.pcm[-(len(said.pcm) - changed) + 200 :], said.pcm[changed + 200 :])
    pause = longer.pcm[changed + 200 : changed + added - 200]
    assert 1 < np.abs(pause).max() < 100


def test_the_same_recording_always_gets_the_same_pause() -> None:
    one, again = (hesitating(sentence(), words("one", "two", "three.")) for _ in range(2))
    other = hesitating(sentence("other.wav"), words("one", "two", "three."))
    assert one is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(one.pcm, again.pcm)
    assert len(one.pcm) != len(other.pcm)


@given(st.integers(0, 12_000), st.integers(0, 20_000))
def test_room_tone_is_as_long_as_asked(recorded: int, samples: int) -> None:
    tone = room_tone(ROOM[:recorded], samples)
    assert tone.shape == (samples,)
    assert tone.dtype == np.int16


def test_room_tone_comes_from_the_quietest_place() -> None:
    loud, quiet = clip(5000, 1000), ROOM[: SAMPLE_RATE_HZ // 2]
    tone = room_tone(np.concatenate([loud, quiet, loud]), SAMPLE_RATE_HZ)
    assert 1 < np.abs(tone).max() < 100


def test_pieces_meet_softly() -> None:
    loud: Pcm16 = np.full(1000, 8000, np.int16)
    sound = joined(loud, loud)
    assert len(sound) == 2000
    assert sound[0] == sound[-1] == 8000
    assert np.abs(np.diff(sound.astype(int))).max() < 200
