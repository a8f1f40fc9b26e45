"""A disk that is really full: a small file system of its own, filled to the last byte.

What was saved stays, what cannot be saved is said, and what need not be saved is not missed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from assistant.app.build import load_skills
from assistant.board import strain
from assistant.core.errors import StorageFull
from assistant.core.types import Pcm16, Sentence
from assistant.engines.llm import prompt_cache as kept_file
from assistant.engines.tts.phrase_cache import PhraseCache
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.skills import ListBook, SkillContext, TimerBook

SIZE_MB = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Until nothing more goes in."""
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            with pytest.raises(OSError, match="No space left"):
                _write_for_ever(file, size)
    return filling


def _write_for_ever(file: FileIO, size: int) -> None:
    while True:
        file.write(b"x" * size)


class Voice:
    sample_rate_hz = 16_000
    made = 0

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        self.made += 1
        return np.ones(16_000, np.int16)

    def warm_up(self) -> None: ...

    def close(self) -> None: ...


def test_a_timer_that_cannot_be_saved_is_refused_aloud_and_none_is_lost(disk: Path) -> None:
    context = SkillContext(TimerBook(disk / "timers.db"), ListBook(disk / "lists.db"))
    known = load_skills(Settings(), context)

    def said(text: str) -> str:
        match = known.match(text)
        assert match
        return match.run().speech

    assert "starting now" in said("Set a timer for one hour called pasta.")
    filling = fill(disk)
    told = [said(f"Set a timer for {number} minutes.") for number in range(2, 60)]
    # What still fits into pages that the database has is saved; what is confirmed is there.
    refused = [each for each in told if each == "It could not be saved because the disk is full."]
    assert refused, "58 timers fit onto a full disk"
    confirmed = [each for each in told if "starting now" in each]
    assert len(refused) + len(confirmed) == len(told)
    context.timers.close()
    again = TimerBook(disk / "timers.db")
    assert len(again.all()) == 1 + len(confirmed)
    assert "pasta" in [timer.name for timer in again.all()]
    filling.unlink()
    again.count_down("timer", timedelta(minutes=1), "tea")
    again.close()
    context.lists.close()


def test_what_rings_falls_silent_though_that_cannot_be_written(disk: Path) -> None:
    timers = TimerBook(disk / "timers.db")
    for _ in range(200):
        timers.count_down("timer", timedelta(seconds=-1))
    fill(disk)
    due = timers.due()
    assert len(due) == 200
    timers.acknowledge(due)
    assert not timers.due()
    timers.close()


def test_a_new_book_on_a_full_disk_says_what_is_wrong(disk: Path) -> None:
    fill(disk)
    timers = TimerBook(disk / "timers.db")  # the rest of the assistant starts all the same
    with pytest.raises(StorageFull) as caught:
        timers.count_down("timer", timedelta(minutes=5))
    timers.close()
    assert str(disk) in caught.value.next_step


def test_phrases_are_spoken_all_the_same_and_leave_nothing_behind(disk: Path) -> None:
    voice = Voice()
    cache = PhraseCache(voice, disk / "phrases", "a voice")
    fill(disk)
    for _ in range(3):
        assert len(cache.synthesize(Sentence("It's noon.", is_phrase=True), Cancel()))
    assert voice.made == 3
    assert not list((disk / "phrases").glob(".*")) if (disk / "phrases").exists() else True
    kept_file.save(disk / "prompts" / "a.prefix", b"key", b"x" * 1000)
    assert kept_file.load(disk / "prompts" / "a.prefix", b"key") is None


def test_told_so_it_keeps_the_newest_phrases_only_and_makes_no_more(disk: Path) -> None:
    voice = Voice()
    cache = PhraseCache(voice, disk / "phrases", "a voice")
    for number in range(30):
        for _ in range(2):
            cache.synthesize(Sentence(f"Number {number}.", is_phrase=True), Cancel())
        (file,) = set((disk / "phrases").iterdir()) - set(_aged(disk / "phrases"))
        os.utime(file, (number, number))
    before_mb = strain.read(disk, disk).disk_mb
    cache.keep_phrases(False)
    assert len(list((disk / "phrases").iterdir())) == 20
    after_mb = strain.read(disk, disk).disk_mb
    assert before_mb is not None
    assert after_mb is not None
    assert after_mb - before_mb >= 0.3
    for _ in range(3):
        cache.synthesize(Sentence("Something new.", is_phrase=True), Cancel())
    assert len(list((disk / "phrases").iterdir())) == 20
    made = voice.made
    cache.synthesize(Sentence("Number 29.", is_phrase=True), Cancel())
    assert voice.made == made, "what is said every day is still kept"
    cache.keep_phrases(True)
    cache.synthesize(Sentence("Something new.", is_phrase=True), Cancel())
    assert len(list((disk / "phrases").iterdir())) == 21


def _aged(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.stat().st_mtime < 1000]


def test_a_full_disk_is_seen(disk: Path) -> None:
    reading = strain.read(disk, disk)
    assert reading.disk_mb is not None
    assert 3 < reading.disk_mb <= SIZE_MB * 1.05
    fill(disk)
    assert strain.read(disk, disk).disk_mb == 0
