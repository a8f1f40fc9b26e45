"""Engines of other packages have names and keys of their own, and mistakes in them are told as ours are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import SettingsError
from assistant.runtime.engine_spec import EngineSpec
from assistant.settings import keys
from assistant.settings.keys import whole
from assistant.settings.load import load
from assistant.settings.reference import reference
from assistant.settings.schema import Settings
from assistant.settings.section import Fraction, Section
from tests.extensions import declared_as


class EarsSettings(Section):
    """Ears of another package."""

    keenness: Fraction = 0.5
    """How well they hear."""


class Demanding(Section):
    """A section without a default."""

    needed: int
    """Nobody knows."""


EARS = EngineSpec("stt", "ears", create="nowhere:create", settings=EarsSettings)
DEMANDING = EngineSpec("stt", "demanding", create="nowhere:create", settings=Demanding)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    declared_as(monkeypatch, "engines", ears=f"{__name__}:EARS", demanding=f"{__name__}:DEMANDING")
    for cached in (keys.keys, keys.item_keys, keys._whole):
        cached.cache_clear()
    yield tmp_path
    for cached in (keys.keys, keys.item_keys, keys._whole):
        cached.cache_clear()


def loaded(home: Path, text: str) -> Settings:
    (home / "assistant.yaml").write_text(text)
    return load(home / "assistant.yaml", {"HOME": str(home)}).settings


def test_an_engine_is_chosen_and_set_like_ours(home: Path) -> None:
    stt: Any = loaded(home, "stt: {engine: ears, ears: {keenness: 0.9}, threads: 2}").stt
    assert (stt.engine, stt.ears.keenness, stt.threads) == ("ears", 0.9, 2)
    default: Any = loaded(home, "").stt
    assert (default.engine, default.ears.keenness) == ("faster_whisper", 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stt: {engine: eras}", "stt.engine: must be 'faster_whisper', 'demanding' or 'ears', not 'eras'"),
        ("stt: {ears: {keeness: 1}}", "stt.ears.keeness: no such key; did you mean 'keenness'?"),
        ("stt: {ears: {keenness: 2}}", "stt.ears.keenness: must be a number from 0 to 1, not 2"),
        ("stt: {engine: scripted}", "stt.engine: must be"),
    ],
)
def test_mistakes_are_told_with_the_nearest_right_word(home: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(home, text)
    assert told in caught.value.problem


def test_the_reference_shows_them(home: Path) -> None:
    assert "  ears:\n    # How well they hear.\n    keenness: 0.5" in reference()


def test_a_section_without_defaults_is_left_out(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert set(whole()().stt.model_dump()) - set(Settings().stt.model_dump()) == {"ears"}
    assert "settings=stt.demanding left-out" in caplog.text


def test_nothing_is_added_where_nothing_is_installed() -> None:
    assert whole() is Settings
