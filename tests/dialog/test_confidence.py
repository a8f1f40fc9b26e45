"""What the probabilities of a sentence's tokens say about it."""

from __future__ import annotations

import pytest

from assistant.dialog.confidence import Evidence, evidence, probability
from assistant.store.catalog import Calibration, Weights


def test_only_what_is_new_counts_as_content() -> None:
    tokens = [
        ("The", -3.0),
        (" capital", -0.1),
        (" of", -0.1),
        (" Peru", -0.1),
        (" is", -0.1),
        (" Li", -0.5),
        ("ma", -1.5),
    ]
    found = evidence("What is the capital of Peru?", tokens)
    assert found == Evidence(least=-3.0, content=-1.0, first=-1.5)


def test_only_the_first_four_content_tokens_come_first() -> None:
    tokens = [(f" word{number}", -float(number)) for number in range(6)]
    found = evidence("", tokens)
    assert found is not None
    assert (found.least, found.first) == (-5.0, -3.0)


def test_without_tokens_nothing_is_known() -> None:
    assert evidence("Who?", []) is None


@pytest.mark.parametrize(("kind", "wanted"), [("other", 0.5), ("define", 0.731)])
def test_the_weights_make_a_probability(kind: str, wanted: float) -> None:
    weights = Weights(bias=1.0, least=1.0, content=1.0, first=1.0, kinds={"define": 1.0})
    calibration = Calibration(weights=weights, plain=0.8, think=0.5, questions=1, as_of="")
    found = Evidence(-0.5, -0.25, -0.25)
    assert probability(found, kind, calibration) == pytest.approx(wanted, abs=0.001)  # type: ignore[arg-type]


def test_the_worst_reply_overflows_nothing() -> None:
    weights = Weights(bias=0.0, least=1.0, content=1.0, first=1.0, kinds={})
    calibration = Calibration(weights=weights, plain=0.8, think=0.5, questions=1, as_of="")
    assert probability(Evidence(-9e9, -9e9, -9e9), "other", calibration) == pytest.approx(0.0, abs=1e-9)
