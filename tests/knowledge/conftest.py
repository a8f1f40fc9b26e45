"""The knowledge tables as a household asks them, at a time that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from assistant import skills as room
from assistant.core.errors import AssistantError
from assistant.knowledge import Knowledge, MemoryBook, open_topics
from assistant.runtime import paths
from assistant.skills import ListBook, SkillContext, Skills, TimerBook
from assistant.store import open_store
from tests.conftest import CHECKOUT

NOW = datetime(2026, 12, 1, 16, 0, tzinfo=timezone.utc)
CONFIG = CHECKOUT / "config"
SENTENCES = [*sorted((CONFIG / "knowledge" / "en").glob("*.yaml")), CONFIG / "intents" / "en.yaml"]

Ask = Callable[[str], str]
"""What the tables say to a question; empty when it is not for them."""


@pytest.fixture(scope="session")
def tables_folder() -> Path:
    """Where this machine's tables are."""
    try:
        return open_store(paths.models()).place("knowledge-en", "knowledge")
    except AssistantError:
        pytest.skip("the knowledge tables have not been made: scripts/knowledge")


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[..., Skills]]:
    """Load skills with the tables in a folder, standing somewhere."""
    timers, lists = TimerBook(tmp_path / "timers.db"), ListBook(tmp_path / "lists.db")
    memories = MemoryBook(tmp_path / "memories.db")
    context = SkillContext(timers, lists, clock=lambda: NOW, memory_book=memories)

    def load(folder: Path | None, country: str | None = None, city: str | None = None) -> Skills:
        topics = open_topics(folder, context.clock, country=country, city=city, memories=memories)
        return room.load(SENTENCES, context, None, Knowledge(topics))

    yield load
    timers.close()
    lists.close()
    memories.close()


@pytest.fixture
def ask(load: Callable[..., Skills], tables_folder: Path) -> Ask:
    """Ask in Berlin."""
    return asker(load(tables_folder, "DE", "Berlin"))


def asker(skills: Skills) -> Ask:
    """What these skills' tables say."""

    def ask(question: str) -> str:
        match = skills.match(question)
        return match.run().speech if match and match.fact else ""

    return ask
