"""Recordings of failed turns: only by setting, only of failures, never too many or too old."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from assistant.app.recordings import Recordings
from assistant.audio.files import read_sound, write_wav
from assistant.core.errors import StorageFull
from assistant.core.types import Pcm16
from assistant.dialog.report import Report
from assistant.settings.schema import PrivacySettings
from tests.dialog.test_loop import QUESTION, failing
from tests.simulation import House, simulate

ON = PrivacySettings(record_failed_turns=True, recordings_days=2, recordings_mb=1)
SECOND = np.arange(16_000, dtype=np.int16)


class Diary:
    """Recordings in a folder, with settings and a clock that a test may turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "recordings"
        self.settings = ON
        self.now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.recordings = Recordings(self.folder, lambda: self.settings, write_wav, lambda: self.now)

    def keep(self, **report: object) -> None:
        before = set(self.files())
        self.recordings.keep(Report(1, pcm=SECOND, **report))  # type: ignore[arg-type]
        for file in set(self.files()) - before:
            os.utime(self.folder / file, (self.now.timestamp(),) * 2)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.folder.glob("*"))


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path)


def test_only_failures_are_kept_and_only_the_owner_reads_them(diary: Diary) -> None:
    diary.keep()
    assert diary.files() == []
    diary.keep(error="engine-timeout")
    diary.now += timedelta(seconds=1)
    diary.keep(refused="noise")
    names = ["20260101T000000Z-turn1-engine-timeout.wav", "20260101T000001Z-turn1-refused.wav"]
    assert diary.files() == names
    assert (diary.folder / names[0]).stat().st_mode & 0o777 == 0o600
    assert diary.folder.stat().st_mode & 0o777 == 0o700
    np.testing.assert_array_equal(read_sound(diary.folder / names[0]), SECOND)


def test_nothing_is_kept_unless_asked_for(diary: Diary) -> None:
    diary.settings = PrivacySettings()
    diary.keep(error="engine-timeout")
    assert not diary.folder.exists()


def test_old_ones_go_and_so_do_the_oldest_of_too_many(diary: Diary) -> None:
    for _ in range(40):
        diary.keep(error="engine-failed")
        diary.now += timedelta(minutes=1)
    assert len(diary.files()) == 31  # of 32,044 bytes each in 1 MB
    assert diary.files()[-1].startswith("20260101T0039")
    diary.now += timedelta(days=2)
    diary.keep(error="engine-failed")
    assert len(diary.files()) == 1


def test_switched_off_they_go_and_what_is_not_ours_stays(diary: Diary) -> None:
    diary.keep(error="engine-failed")
    (diary.folder / "song.wav").touch()
    diary.settings = PrivacySettings()
    diary.recordings.prune()
    assert diary.files() == ["song.wav"]


def test_a_full_disk_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def full(_path: Path, _pcm: Pcm16, _rate: int) -> None:
        raise StorageFull("The disk is full.", "Free some of it.")

    Recordings(tmp_path / "r", lambda: ON, full).keep(Report(1, pcm=SECOND, error="engine-failed"))
    assert "recorded=no" in caplog.text


def test_a_turn_that_fails_has_its_sound_in_its_report(diary: Diary) -> None:
    async def story(house: House) -> None:
        house.faults.llm = failing()
        report = await house.answered(QUESTION)
        diary.recordings.keep(report)

    simulate(story)
    (name,) = diary.files()
    assert name.endswith("engine-failed.wav")
    assert len(read_sound(diary.folder / name)) > 16_000
