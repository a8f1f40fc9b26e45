"""Learns how far a model's memory can be trusted: a logistic model of when its sentences are right.

Its probabilities are tested on questions it was not trained on (cross-validation), and the limits follow from
that: a sentence is stated plainly if at most ``FALSE_PLAIN`` of such sentences are false. Tuning for 8 %
comes to about 15 % on other questions, because few questions are measured and other people ask different
ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assistant.app.answers.asking import Answered
from assistant.core.errors import EngineFailed
from assistant.store.catalog import Calibration, Weights
from assistant.text.en.questions import Kind

Floats = npt.NDArray[np.float64]

FALSE_PLAIN = 0.08
THINK = 0.5
"""From this probability on, "I think" is honest."""

FOLDS = 10
RIDGE = 1.0
"""Pulls the weights back to their start as strongly as one more question would."""
STEPS = 50
LEAST_QUESTIONS = 40
LEAST_PLAIN = 0.05
"""Of all questions: a model that could answer fewer plainly isn't trusted at all."""

KINDS: tuple[Kind, ...] = ("define", "date", "who", "number", "half")
"""Other kinds have no weight."""


def calibrated(answered: Sequence[Answered], start: Weights | None = None) -> Calibration:
    """Calibrate from a model's own answers; ``start`` are weights that are already known. Raises
    EngineFailed.
    """
    known = [each for each in answered if each.evidence and each.remembered.status != "admitted"]
    right = np.array([each.remembered.status == "right" for each in known], dtype=np.float64)
    if len(known) < LEAST_QUESTIONS or right.all() or not right.any():
        raise EngineFailed(
            f"{len(known)} answers from memory are too few, or too similar, to learn from.",
            f"Use a set with at least {LEAST_QUESTIONS} questions of all kinds.",
        )
    features = np.array([_features(each) for each in known])
    prior = _vector(start) if start else np.zeros(features.shape[1])
    unseen = _unseen(features, right, prior)
    plain = _limit(unseen, right)
    if (unseen >= plain).sum() < LEAST_PLAIN * len(answered):
        raise EngineFailed(
            f"Nothing tells its right answers ({int(right.sum())} of {len(known)}) from its false ones.",
            "Leave it without calibration: then it answers no question of fact from memory.",
        )
    return Calibration(
        weights=_weights(_fitted(features, right, prior)),
        plain=plain,
        think=THINK,
        questions=len(answered),
        as_of=dt.datetime.now(dt.timezone.utc).date().isoformat(),
    )


def _features(each: Answered) -> list[float]:
    assert each.evidence is not None  # noqa: S101 - the caller has looked
    found = each.evidence
    return [1.0, found.least, found.content, found.first, *(float(each.kind == kind) for kind in KINDS)]


def _vector(weights: Weights) -> Floats:
    kinds = [weights.kinds.get(kind, 0.0) for kind in KINDS]
    return np.array([weights.bias, weights.least, weights.content, weights.first, *kinds])


def _weights(vector: Floats) -> Weights:
    bias, least, content, first, *kinds = (round(float(value), 3) for value in vector)
    return Weights(
        bias=bias, least=least, content=content, first=first, kinds=dict(zip(KINDS, kinds, strict=True))
    )


def _fitted(features: Floats, right: Floats, prior: Floats) -> Floats:
    """Return the most likely weights near ``prior``, by Newton's method."""
    weights = prior.copy()
    for _ in range(STEPS):
        shares = _shares(features, weights)
        slope = features.T @ (right - shares) - RIDGE * (weights - prior)
        bend = (features * (shares * (1 - shares))[:, None]).T @ features + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights += step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def _unseen(features: Floats, right: Floats, prior: Floats) -> Floats:
    """Return the probability of each answer by weights learned from the others."""
    fold = np.arange(len(right)) % FOLDS
    shares = np.zeros(len(right))
    for each in range(FOLDS):
        out = fold == each
        shares[out] = _shares(features[out], _fitted(features[~out], right[~out], prior))
    return shares


def _shares(features: Floats, weights: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-np.clip(features @ weights, -50, 50)))
    return shares


def _limit(shares: Floats, right: Floats) -> float:
    """Return the lowest probability above which at most ``FALSE_PLAIN`` are false; 1 if there is none."""
    order = np.argsort(-shares)
    wrong = np.cumsum(1 - right[order]) / np.arange(1, len(right) + 1)
    allowed = np.flatnonzero(wrong <= FALSE_PLAIN)
    return 1.1 if len(allowed) == 0 else max(THINK, round(float(shares[order[allowed[-1]]]), 3))
