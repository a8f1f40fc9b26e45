"""How far a model can be trusted is learned from its own right and wrong answers."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.app.answers.asking import Answered
from assistant.app.answers.calibrating import FALSE_PLAIN, calibrated
from assistant.app.answers.judging import Verdict
from assistant.app.answers.questions import Question
from assistant.core.errors import EngineFailed
from assistant.dialog.confidence import Evidence, probability
from assistant.text.en.questions import Kind


def answered(least: float, kind: Kind, *, right: bool) -> Answered:
    verdict = Verdict("right" if right else "wrong")
    evidence = Evidence(least, least / 2, least / 2)
    return Answered(
        Question("1", "?", ("x",)), "model", "x", "x", "plain", kind, evidence, None, verdict, verdict
    )


def population(count: int, seed: int) -> list[Answered]:
    """Right as often as the odds of 3 + 2 * least say, but definitions always."""
    chance = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        least = -float(chance.exponential(1.5))
        kind: Kind = "define" if chance.random() < 0.2 else "other"
        share = 1.0 if kind == "define" else 1 / (1 + np.exp(-(3 + 2 * least)))
        made.append(answered(least, kind, right=bool(chance.random() < share)))
    return made


def test_on_other_questions_hardly_more_is_false_than_was_aimed_at() -> None:
    found = calibrated(population(400, seed=1))
    others = population(4000, seed=2)
    plain = [
        each
        for each in others
        if each.evidence and probability(each.evidence, each.kind, found) >= found.plain
    ]
    false = sum(each.verdict.status == "wrong" for each in plain)
    assert len(plain) > 1000
    assert false / len(plain) < FALSE_PLAIN + 0.04


def test_kinds_that_are_right_weigh_more() -> None:
    weights = calibrated(population(400, seed=1)).weights
    assert weights.kinds["define"] > 0.5
    assert weights.kinds["date"] == pytest.approx(0.0)


def test_few_or_equal_answers_teach_nothing() -> None:
    with pytest.raises(EngineFailed):
        calibrated(population(20, seed=1))
    with pytest.raises(EngineFailed):
        calibrated([answered(-1.0, "other", right=True)] * 100)
