"""That a person has closed the microphone outlives a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.core import events as e
from assistant.services.control.api import MuteMark


def test_it_follows_the_microphone_and_nothing_else(tmp_path: Path) -> None:
    mark = MuteMark(tmp_path / "muted")
    mark.follow(e.Ready())
    assert not mark.is_set
    mark.follow(e.Muted())
    mark.follow(e.Faulted(RuntimeError()))
    assert MuteMark(tmp_path / "muted").is_set
    mark.follow(e.Unmuted())
    assert not mark.is_set
    mark.follow(e.Muted())
    mark.clear()
    mark.clear()
    assert not mark.is_set


def test_a_folder_that_is_gone_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mark = MuteMark(tmp_path / "gone" / "muted")
    mark.follow(e.Muted())
    mark.follow(e.Unmuted())
    assert "mute_mark=unwritable" in caplog.text
