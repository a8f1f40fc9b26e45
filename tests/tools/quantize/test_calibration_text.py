"""What is said of a calibration text before a model reads it: too short, another language, other things."""

from __future__ import annotations

import pytest

from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.tools.quantize import dialogues
from assistant.tools.quantize.calibration_text import MIN_TOKENS, check, lacking, language
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.scoring import Passage

SHIPPED = paths.shipped_folder("models") / "calibration"
SPOKEN = dialogues.read(SHIPPED / "validation.txt")
SPOKEN_PASSAGES = [Passage((1, 2, 3, 4), (2, 3))]
LONG = [Passage(tuple(range(1, 500)), (1,))] * 3

GERMAN = Texts((), ("Das ist ein Text, und es ist nicht der erste, den ich mit dem Rechner schreibe.",))
JAPANESE = Texts((), ("これは日本語の文章です。ここでは誰も知りません。",))


def test_the_text_that_ships_is_fit() -> None:
    assert check(dialogues.read(SHIPPED / "calibration.txt"), LONG, SPOKEN, SPOKEN_PASSAGES) == []


@pytest.mark.parametrize(("texts", "said"), [(GERMAN, "German"), (JAPANESE, ""), (SPOKEN, "English")])
def test_languages(texts: Texts, said: str) -> None:
    assert language(texts)[0] == said


def test_another_language_is_said_with_a_figure() -> None:
    (warning,) = check(GERMAN, LONG, SPOKEN, SPOKEN_PASSAGES)
    assert "seems to be German (7" in warning
    assert "the assistant speaks English" in warning
    (warning,) = check(JAPANESE, LONG, SPOKEN, SPOKEN_PASSAGES)
    assert "no known language (0 %" in warning


def test_other_things_are_said_with_a_figure() -> None:
    (warning,) = check(SPOKEN, LONG, SPOKEN, [Passage((1, 2, 9001, 9002, 9003), (1, 2, 3, 4))])
    assert "75 % do not occur" in warning


def test_a_short_text_is_refused_with_its_length() -> None:
    with pytest.raises(SettingsError, match=f"only 4 tokens, but at least {MIN_TOKENS} are needed"):
        check(SPOKEN, [Passage((1, 2, 3, 4), (1,))], SPOKEN, SPOKEN_PASSAGES)


def test_how_strange_a_text_is() -> None:
    spoken = [Passage((1, 2, 3, 4, 5), (2, 3, 4)), Passage((9, 3), (1,))]
    assert lacking([Passage((3, 7), (1,))], spoken) == 0.5
    assert lacking(spoken, spoken) == 0
