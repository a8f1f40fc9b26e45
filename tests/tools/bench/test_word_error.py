"""Word errors are those of published figures: spelling is none; without the packages nothing is counted."""

from __future__ import annotations

import pytest

from assistant.tools.bench.lib import word_error
from assistant.tools.bench.lib.word_error import counted


@pytest.mark.parametrize(
    ("said", "heard", "found"),
    [
        ("It's twelve o'clock, Mr. Fox!", "it is 12 o'clock mister fox", (0, 6)),
        ("Turn on the lamp.", "Turn off the lamp, um.", (1, 4)),
        ("The colour grey", "the color gray", (0, 3)),
        ("stop", "", (1, 1)),
        ("stop", "stop it now", (2, 1)),
        ("", "you", (0, 0)),
    ],
)
def test_errors_are_counted_after_whispers_normalizer(said: str, heard: str, found: tuple[int, int]) -> None:
    assert counted(said, heard) == found


def test_without_the_packages_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_error, "_tools", lambda: None)
    assert counted("stop", "go") == (0, 0)
