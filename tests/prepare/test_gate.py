"""What the gate thinks of figures and answers; real models are in test_making and test_damaged."""

from __future__ import annotations

import math

import pytest

from assistant import resources
from assistant.errors import SettingsError
from assistant.prepare import formats
from assistant.prepare.gate import Answer, doubts, doubts_about_source, gibberish
from assistant.prepare.loss import Loss

SOURCE = Loss(900, 3.0)
GOOD = [Answer("Why?", "Because the sky scatters blue light more than red light.")]


def test_a_small_loss_passes() -> None:
    assert not doubts(SOURCE, Loss(900, 3.1, kl=0.2), 1.0, GOOD)


@pytest.mark.parametrize(
    ("made", "figure"),
    [
        (Loss(900, 3.1, kl=1.2), "1.200 nats"),
        (Loss(900, 4.5, kl=0.9), "4.48 times"),
        (Loss(900, math.nan, kl=0.1), "nan times"),
        (Loss(900, 3.0, kl=math.nan), "nan nats"),
    ],
)
def test_a_large_loss_or_none_at_all_is_doubted_with_its_figure(made: Loss, figure: str) -> None:
    assert figure in doubts(SOURCE, made, 1.0, GOOD)[0]


def test_answers_are_looked_at() -> None:
    assert "answers nothing" in doubts(SOURCE, SOURCE, 1.0, [Answer("Why?", "")])[0]
    assert "'Why?'" in doubts(SOURCE, SOURCE, 1.0, [Answer("Why?", "the " * 20)])[0]


@pytest.mark.parametrize(
    "text",
    ["Paris.", "", "No, no, no!", "12 plus 30 is 42, because 2 and 0 make 2.", "日本の首都は東京です。"],
)
def test_language_is_no_gibberish(text: str) -> None:
    assert not gibberish(text)


@pytest.mark.parametrize("text", ["the the the the the the the the", "#@!%^&*()_+{}|:<>?[];',./`~1234567890"])
def test_gibberish_is_noticed(text: str) -> None:
    assert gibberish(text)


def test_a_source_that_knows_no_english_is_doubted() -> None:
    assert not doubts_about_source(SOURCE)
    assert "49,152" in doubts_about_source(Loss(900, math.log(49_152)))[0]


def test_every_board_has_a_format() -> None:
    assert set(formats.FOR_BOARDS) == set(resources.named("devices"))
    assert set(formats.FOR_BOARDS.values()) <= set(formats.FORMATS)


def test_formats_are_found_by_name() -> None:
    assert formats.find("Q4-K-M").number == 15
    assert formats.tensor_number("Q8_0") == 8
    with pytest.raises(SettingsError, match="Did you mean 'q4_k_m'"):
        formats.find("q4km")
    with pytest.raises(SettingsError, match="q6_k"):
        formats.tensor_number("i32")
