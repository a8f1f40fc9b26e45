"""Facts from sources, consulted before any model: tables, and facts the user asked the assistant to keep.

A topic (``contract``) has lookups; sentences in ``config/knowledge`` call them. Independent of skills,
engines and the loop.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from assistant.core.errors import AssistantError
from assistant.knowledge.atlas import Atlas
from assistant.knowledge.cities import Cities
from assistant.knowledge.contract import Fact, Lookup, Topic
from assistant.knowledge.countries import Countries
from assistant.knowledge.dictionary import Dictionary
from assistant.knowledge.elements import Elements
from assistant.knowledge.feasts import Feasts
from assistant.knowledge.kitchen import Kitchen
from assistant.knowledge.memories import Memories, MemoryBook
from assistant.knowledge.notes import Notes
from assistant.knowledge.safety import Safety
from assistant.knowledge.sky import Site, Sky
from assistant.knowledge.tables import FILE, Tables
from assistant.text.intents import Slots
from assistant.text.pattern import Read

__all__ = ["FILE", "Fact", "Knowledge", "MemoryBook", "open_topics"]

log = logging.getLogger(__name__)


class Knowledge:
    """All topics together, as called by sentences."""

    def __init__(self, topics: Iterable[Topic] = ()) -> None:
        self.lookups: dict[str, Lookup] = {}
        self._readers: dict[str, Read] = {}
        for topic in topics:
            self.lookups |= {lookup.__name__: lookup for lookup in topic.lookups()}
            self._readers |= topic.readers

    def slots(self, name: str) -> Slots:
        """Return the required and optional slots of a lookup's sentences: its parameters."""
        parameters = inspect.signature(self.lookups[name]).parameters.values()
        return Slots(
            readers={each.name: self._readers[each.name] for each in parameters},
            free=frozenset(),
            required=frozenset(each.name for each in parameters if each.default is each.empty),
        )

    def ask(self, name: str, arguments: Mapping[str, object]) -> Fact | None:
        """Run a lookup. Never raises: a broken table has no answers."""
        try:
            return self.lookups[name](**arguments)
        except Exception as error:  # noqa: BLE001 - a table comes from outside
            log.error("lookup=%s error=%s", name, type(error).__name__)
            return None


def open_topics(
    folder: Path | None,
    now: Callable[[], datetime],
    *,
    country: str | None,
    city: str | None,
    memories: MemoryBook | None = None,
    notes: Path | None = None,
) -> Iterable[Topic]:
    """Open the topics for the tables in ``folder``; if it is None or damaged, only those that need no tables.

    ``country`` and ``city`` are its location; ``memories`` is what people asked it to keep;
    ``notes`` is the folder of their notes.
    """
    tables = _tables(folder)
    atlas = Atlas(tables)
    home = atlas.city(city, country) if city else None
    if home is None and country and (found := atlas.country(country)):
        home = atlas.city(found.capital.split("|")[0], country)
    site = Site(home.name, home.latitude, home.longitude, home.zone) if home else None
    return [
        Countries(atlas),
        Cities(atlas, now),
        Elements(tables),
        Dictionary(tables),
        Feasts(tables, now, country),
        Sky(site, now),
        Kitchen(),
        Memories(memories),
        Notes(notes),
        Safety(country),
    ]


def _tables(folder: Path | None) -> Tables:
    try:
        return Tables(folder / FILE if folder else None)
    except AssistantError as error:
        log.error("knowledge=%s problem=%s", FILE, error)
        return Tables(None)
