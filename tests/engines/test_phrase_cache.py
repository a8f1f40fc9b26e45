"""Phrases are made twice and then read; nothing else is kept, and nothing on the disk can hurt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant.core.types import Pcm16, Sentence
from assistant.engines.tts import phrase_cache
from assistant.engines.tts.phrase_cache import PhraseCache
from assistant.runtime.cancel import Cancel

TIME = Sentence("It's half past ten.", is_phrase=True)


class Voice:
    """Says how often it was asked, as loudness."""

    sample_rate_hz = 16_000

    def __init__(self) -> None:
        self.made = 0

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        self.made += 1
        return np.full(0 if cancel else len(sentence.text), self.made, np.int16)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


def said(cache: PhraseCache, *sentences: Sentence) -> list[int]:
    return [int(cache.synthesize(sentence, Cancel())[0]) for sentence in sentences]


def test_the_third_time_it_is_not_made_again(tmp_path: Path) -> None:
    voice = Voice()
    assert said(PhraseCache(voice, tmp_path, "joe"), TIME, TIME, TIME, TIME) == [1, 2, 2, 2]
    # After a restart it is there at once; of another voice it is not.
    assert said(PhraseCache(voice, tmp_path, "joe"), TIME) == [2]
    assert said(PhraseCache(voice, tmp_path, "ann"), TIME) == [3]


def test_what_is_said_once_or_is_private_is_not_kept(tmp_path: Path) -> None:
    answer = Sentence("You have measles.")
    said(PhraseCache(Voice(), tmp_path, "joe"), TIME, answer, answer, answer)
    assert not list(tmp_path.iterdir())


def test_a_cancelled_phrase_is_not_kept(tmp_path: Path) -> None:
    cache, cancelled = PhraseCache(Voice(), tmp_path, "joe"), Cancel()
    cancelled.set()
    for _ in range(3):
        assert not len(cache.synthesize(TIME, cancelled))
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    cache = PhraseCache(Voice(), tmp_path, "joe")
    said(cache, TIME, TIME)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-2])
    assert said(cache, TIME, TIME) == [3, 3]


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrase_cache, "_MOST_PHRASES", 5)
    cache = PhraseCache(Voice(), tmp_path, "joe")
    for number in range(12):
        said(cache, *[Sentence(f"It is {number}.", is_phrase=True)] * 2)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_folder_that_cannot_be_written_to_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert said(PhraseCache(Voice(), tmp_path / "file" / "x", "joe"), TIME, TIME, TIME) == [1, 2, 3]
