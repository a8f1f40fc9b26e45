"""Skills on books in a temporary folder, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest

from assistant import skills as room
from assistant.skills import SkillContext, Skills
from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import Clocks, TimerBook
from assistant.tools.bench.corpus import NOW
from tests.conftest import CHECKOUT

ENGLISH = CHECKOUT / "config" / "intents" / "en.yaml"


@dataclass
class Time:
    """Clocks that the test moves. The wall clock may be set; the boot clock only runs."""

    wall: datetime = field(default_factory=lambda: NOW.replace(tzinfo=timezone.utc))
    boot_s: float = 1000.0

    def run(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.boot_s += seconds

    def clocks(self, boot_id: str = "first boot") -> Clocks:
        return Clocks(
            utc_s=lambda: self.wall.timestamp(),  # noqa: PLW0108 - wall is replaced
            boot_s=lambda: self.boot_s,
            boot_id=boot_id,
            from_local=lambda local: local.replace(tzinfo=timezone.utc).timestamp(),
            to_local=lambda utc_s: datetime.fromtimestamp(utc_s, timezone.utc).replace(tzinfo=None),
        )


@dataclass
class Home:
    """A household: what skills work on."""

    time: Time
    timers: TimerBook
    lists: ListBook
    skills: Skills
    volume: float = 0.5

    def say(self, text: str) -> str:
        """What the assistant answers to a command."""
        match = self.skills.match(text)
        assert match is not None, text
        return match.run().speech


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    time = Time()
    timers = TimerBook(tmp_path / "timers.db", time.clocks())
    lists = ListBook(tmp_path / "lists.db")
    context = SkillContext(
        timers,
        lists,
        clock=lambda: time.wall,
        loudness=lambda: house.volume,
        random=Random(1),  # noqa: S311 - dice, not secrets
    )
    house = Home(time, timers, lists, room.load([ENGLISH], context))
    yield house
    timers.close()
    lists.close()


@pytest.fixture(scope="session")
def skills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skills]:
    """For matching only."""
    folder = tmp_path_factory.mktemp("skills")
    timers, lists = TimerBook(folder / "timers.db"), ListBook(folder / "lists.db")
    yield room.load([ENGLISH], SkillContext(timers, lists))
    timers.close()
    lists.close()
