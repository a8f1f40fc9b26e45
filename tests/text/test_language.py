"""A language is a folder of ours or another package's; one without rules is left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import text
from assistant.app.build import load_skills, skill_context
from assistant.core.types import Transcript
from assistant.dialog.endpointer import required_silence_ms
from assistant.settings.schema import EndpointSettings, Settings
from assistant.text import Language
from assistant.text.markup import speakable
from tests.extensions import declared_as

SENTENCES = Path(__file__).with_suffix(".yaml")

GERMAN = Language(
    spell=lambda said: said.replace("%", " Prozent"),
    open_words=["und"],
    open_unless_asked=["mit"],
    intents=SENTENCES,
)
"""What another package would bring."""


@pytest.fixture(autouse=True)
def _german(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    declared_as(monkeypatch, "languages", de=f"{__name__}:GERMAN")
    text.language.cache_clear()
    yield
    text.language.cache_clear()


def test_english_is_a_folder_here() -> None:
    for code in ("en", "en-US", "EN_gb"):
        assert text.language(code) is text.language("en")
    assert text.language("en") is not None


@pytest.mark.parametrize("code", ["", "auto", "fr", "..", "en/.."])
def test_a_language_without_rules_has_none(code: str) -> None:
    assert text.language(code) is None
    assert speakable("5 %", code) == "5 %"


def test_the_rules_of_another_package_are_used() -> None:
    assert speakable("5 %", "de") == "5 Prozent"
    settings = EndpointSettings()

    def wait_ms(said: str) -> int:
        return required_silence_ms(Transcript(said, language="de"), matched=False, settings=settings)

    assert wait_ms("Brot und") == wait_ms("Kaffee mit") == settings.unfinished_ms
    assert wait_ms("Womit? Mit?") < settings.unfinished_ms


def test_its_sentences_call_skills(tmp_path: Path) -> None:
    with skill_context(tmp_path) as context:
        skills = load_skills(Settings.model_validate({"stt": {"language": "de"}}), context)
        found = skills.match("Wirf eine Münze")
        assert found is not None
        assert found.name == "flip_coin"
        assert skills.match("Flip a coin") is None
