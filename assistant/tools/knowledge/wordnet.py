"""Reads WordNet's files into the dictionary tables.

Their format is described in wndb(5WN): an index line lists a word's senses; a data line holds one sense.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from pathlib import Path

from assistant.knowledge.tables import key_of

SCHEMA = """
CREATE TABLE sense (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, gloss TEXT NOT NULL, words TEXT NOT NULL);
CREATE TABLE lemma (key TEXT NOT NULL, rank INTEGER NOT NULL, sense INTEGER NOT NULL, opposites TEXT NOT NULL,
    PRIMARY KEY (key, rank)) WITHOUT ROWID;
"""

_KINDS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}
_FILES = ("noun", "verb", "adj", "adv")
_NUMBERS = {"n": 1, "v": 2, "a": 3, "s": 3, "r": 4}
_SENSES_KEPT = 3
_OFFENSIVE = re.compile(
    r"\b(offensive|vulgar|obscene|slur|disparaging|fuck\w*|shit\w*|cunt|nigger)\b", re.IGNORECASE
)
"""Glosses that should not be read aloud."""


class _Sense:
    """One line of a data file."""

    def __init__(self, line: str, number: int) -> None:
        told, _, gloss = line.partition(" | ")
        fields = told.split()
        self.id = int(fields[0]) * 10 + number
        self.kind = fields[2]
        count = int(fields[3], 16)
        self.words = [re.sub(r"\((a|p|ip)\)$", "", word) for word in fields[4 : 4 + 2 * count : 2]]
        self.gloss = _plain(gloss)
        at = 4 + 2 * count
        self.opposites: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.heads: list[int] = []
        for place in range(at + 1, at + 1 + 4 * int(fields[at]), 4):
            pointer, offset, kind, ends = fields[place : place + 4]
            other = int(offset) * 10 + _NUMBERS[kind]
            if pointer == "!":
                self.opposites[int(ends[:2], 16)].append((other, int(ends[2:], 16)))
            elif pointer == "&" and self.kind == "s":
                self.heads.append(other)


def _plain(gloss: str) -> str:
    """Return the definition without its examples and without a leading parenthesis."""
    gloss = re.split(r'; "|;\s*"', gloss.strip())[0]
    gloss = re.sub(r"\s*\([^)]*\)", "", gloss).strip()
    return gloss.split("; ")[0].replace("`", "'").strip(" ;")


def write(connection: sqlite3.Connection, folder: Path) -> None:
    """Fill the dictionary tables from the files in ``folder``."""
    senses: dict[int, _Sense] = {}
    for number, name in enumerate(_FILES, 1):
        with (folder / f"data.{name}").open(encoding="utf-8") as file:
            for line in file:
                if not line.startswith("  "):
                    sense = _Sense(line, number)
                    senses[sense.id] = sense
    by_word = _by_word(folder)
    used: set[int] = set()
    for key, found in by_word.items():
        kept = [each for each in found if each in senses and not _OFFENSIVE.search(senses[each].gloss)]
        for rank, each in enumerate(kept[:_SENSES_KEPT]):
            opposites = _opposites(senses, senses[each], key)
            connection.execute(
                "INSERT INTO lemma VALUES (?, ?, ?, ?)", (key, rank, each, "|".join(opposites))
            )
            used.add(each)
    connection.executemany(
        "INSERT INTO sense VALUES (?, ?, ?, ?)",
        [
            (
                each,
                _KINDS[senses[each].kind],
                senses[each].gloss,
                "|".join(_said(word) for word in senses[each].words if not _OFFENSIVE.search(_said(word))),
            )
            for each in sorted(used)
        ],
    )


def _by_word(folder: Path) -> dict[str, list[int]]:
    """Return the senses of each word, most frequent first, by their counts in tagged texts."""
    ranked: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    with (folder / "index.sense").open(encoding="utf-8") as file:
        for line in file:
            sense_key, offset, place, met = line.split()
            word, _, rest = sense_key.partition("%")
            kind = min(int(rest[0]), 5)
            number = {1: 1, 2: 2, 3: 3, 4: 4, 5: 3}[kind]
            ranked[key_of(word.replace("_", " "))].append(
                (-int(met), int(place), number, int(offset) * 10 + number)
            )
    return {
        key: list(dict.fromkeys(entry[3] for entry in sorted(found))) for key, found in ranked.items() if key
    }


def _opposites(senses: dict[int, _Sense], sense: _Sense, key: str) -> list[str]:
    """Return the antonyms of the word itself or, failing that, those of the words it is similar to."""
    own = [
        senses[other].words[place - 1 if place else 0]
        for at, found in sense.opposites.items()
        if at == 0 or key_of(_said(sense.words[at - 1])) == key
        for other, place in found
        if other in senses
    ]
    if not own:
        heads = [senses[head] for head in sense.heads if head in senses]
        own = [
            senses[other].words[place - 1 if place else 0]
            for head in heads
            for found in head.opposites.values()
            for other, place in found
            if other in senses
        ]
    return list(dict.fromkeys(map(_said, own)))


def _said(word: str) -> str:
    return word.replace("_", " ")
