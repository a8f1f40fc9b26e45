"""Fixtures that several rooms share."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from assistant.app import model_choice

CHECKOUT = Path(__file__).resolve().parent.parent

EXTRAS = frozenset(name for name in os.environ.get("ASSISTANT_TEST_EXTRAS", "").split(",") if name)
"""The heavy environments whose tests are wanted; scripts/test has installed their extras."""


settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
"""How long an example takes says nothing about it on a machine that is busy."""


model_choice.LADDER = model_choice.LADDER[1:]
"""Tests use the small model, also where the large one is installed."""


def pytest_configure() -> None:
    """Run in the background, the tests would hand down to what they start and stop that it is ignored."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test marked ``extra("prepare")`` is skipped unless ASSISTANT_TEST_EXTRAS names what it needs."""
    for item in items:
        needed = {str(name) for marker in item.iter_markers("extra") for name in marker.args}
        if missing := sorted(needed - EXTRAS):
            item.add_marker(pytest.mark.skip(reason=f"run with ASSISTANT_TEST_EXTRAS={','.join(missing)}"))


@dataclass(frozen=True)
class Clip:
    """One recording of real speech or noise and what its manifest says of it."""

    path: Path
    category: str
    text: str
    kind: str
    seconds: float
    speaker: str


def _manifest(folder: Path) -> list[Clip]:
    def clip(row: dict[str, Any]) -> Clip:
        return Clip(
            path=folder / row["path"],
            category=row["category"],
            text=row.get("text") or "",
            kind=row.get("kind") or "",
            seconds=row.get("seconds") or 0.0,
            speaker=row.get("speaker") or "",
        )

    with (folder / "manifest.jsonl").open(encoding="utf-8") as lines:
        return [clip(json.loads(line)) for line in lines if line.strip()]


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A command that a test runs in this process sets the log up; the next test finds it as it was."""
    loggers = (logging.getLogger(), logging.getLogger("assistant"))
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def shared_audio() -> list[Clip]:
    """The development recordings beside the checkout; tests that need them are skipped without."""
    folder = CHECKOUT.parent / "shared" / "audio"
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip("the development recordings are not beside this checkout")
    return _manifest(folder)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Small recordings that travel with the repository."""
    return CHECKOUT / "tests" / "fixtures"
