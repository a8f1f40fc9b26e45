"""The dictionary: meanings, synonyms, opposites, plurals and spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assistant.knowledge.contract import Fact, Lookup
from assistant.knowledge.tables import Tables, key_of
from assistant.text.en import wording
from assistant.text.en.words import Word, keys, said

WORDNET = "WordNet"
RULES = "the rules of English spelling"

_MAX_WORDS = 5
_LISTED = 4
"""Nobody remembers more synonyms than this."""


@dataclass(frozen=True, slots=True)
class Sense:
    """One meaning of a word."""

    kind: str
    gloss: str
    words: tuple[str, ...]
    opposites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A word in the dictionary."""

    word: str
    """The word as asked for."""
    key: str
    """The word as found."""
    senses: tuple[Sense, ...]


class Dictionary:
    """The topic."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.readers = {
            "entry": self._read_entry,
            "noun": self._read_noun,
            "person": self._read_person,
            "word": _read_word,
        }

    def lookups(self) -> Iterable[Lookup]:
        return (
            self.define,
            self.define_noun,
            self.who_was,
            self.synonyms,
            self.opposite,
            self.plural,
            self.spell,
        )

    def define(self, entry: Entry) -> Fact | None:
        first, *others = entry.senses
        more = f" Or: {others[0].gloss}." if others and others[0].kind == first.kind else ""
        return Fact(f"{wording.capital(entry.word)}: {first.gloss}.{more}", WORDNET)

    def define_noun(self, noun: Entry) -> Fact | None:
        return self.define(noun)

    def who_was(self, person: Entry) -> Fact | None:
        sense = person.senses[0]
        name = max(sense.words, key=len)
        return Fact(f"{name}: {sense.gloss}.", WORDNET)

    def synonyms(self, entry: Entry) -> Fact | None:
        own = {entry.key, key_of(entry.word)}
        others = [word for sense in entry.senses for word in sense.words if key_of(word) not in own]
        others = list(dict.fromkeys(others))[:_LISTED]
        if not others:
            return None
        if len(others) == 1:
            return Fact(f"Another word for {entry.word} is {others[0]}.", WORDNET)
        return Fact(f"Other words for {entry.word} are {wording.listing(others)}.", WORDNET)

    def opposite(self, entry: Entry) -> Fact | None:
        opposites = list(dict.fromkeys(word for sense in entry.senses for word in sense.opposites))
        if not opposites:
            return None
        return Fact(f"The opposite of {entry.word} is {opposites[0]}.", WORDNET)

    def plural(self, word: str) -> Fact | None:
        return Fact(f"The plural of {word} is {plural(word)}.", RULES)

    def spell(self, word: str) -> Fact | None:
        letters = [", ".join(part.upper()) for part in word.split()]
        return Fact(f"{wording.capital(word)} is spelled {'; '.join(letters)}.", RULES)

    def _read_entry(self, words: Sequence[Word]) -> Entry | None:
        if not 0 < len(words) <= _MAX_WORDS or any(not word.key.isalpha() for word in words):
            return None
        asked = list(words)
        while len(asked) > 1 and asked[0].key in {"a", "an", "the", "to"}:
            asked = asked[1:]
        key = key_of(said(asked))
        for candidate in _bases(key):
            if senses := self._senses(candidate):
                return Entry(said(asked).lower(), candidate, senses)
        return None

    def _read_noun(self, words: Sequence[Word]) -> Entry | None:
        """Parse a noun in its first meaning: "what is up" and "what is it" don't ask for one."""
        entry = self._read_entry(words) if words[0].key != "the" else None
        if entry is None or entry.senses[0].kind != "noun" or entry.key in _NO_THINGS or len(entry.key) < 3:
            return None
        return entry

    def _read_person(self, words: Sequence[Word]) -> Entry | None:
        """Parse a person's name: the dictionary capitalizes it."""
        entry = self._read_noun(words)
        if entry is None or not all(word[:1].isupper() for word in entry.senses[0].words):
            return None
        return entry if " " in entry.key and not re.search(r"\d", entry.senses[0].gloss) else None

    def _senses(self, key: str) -> tuple[Sense, ...]:
        rows = self._tables.rows(
            "SELECT kind, gloss, words, opposites FROM lemma JOIN sense ON sense = id WHERE key = ? "
            "ORDER BY rank",
            key,
        )
        return tuple(
            Sense(
                kind, gloss, tuple(filter(None, words.split("|"))), tuple(filter(None, opposites.split("|")))
            )
            for kind, gloss, words, opposites in rows
        )


_NO_THINGS = frozenset(
    (
        "up", "new", "wrong", "this", "that", "it", "he", "she", "they", "you", "me", "we", "going",
        "happening", "next", "left", "right", "on", "off", "there", "here", "what", "who", "matter",
        "problem", "point", "name", "time", "date", "day", "weather", "news", "temperature",
        "score", "plan", "answer", "today", "tomorrow", "now", "schedule", "password", "status",
        "volume", "sum", "difference", "result", "menu", "dinner", "lunch", "breakfast", "love",
        "life",
    )
)  # fmt: skip
"""Questions about these don't ask for their meaning."""


def _read_word(words: Sequence[Word]) -> str | None:
    """Parse one to three words of letters."""
    if not 0 < len(words) <= 3 or not all(word.key.isalpha() for word in words):
        return None
    return " ".join(keys(words))


_ENDINGS = (
    ("ies", "y"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"),
)  # fmt: skip


def _bases(key: str) -> Iterable[str]:
    """Yield the word itself and the words it may be a form of."""
    yield key
    for ending, base in _ENDINGS:
        if key.endswith(ending) and len(key) - len(ending) >= 3:
            yield key.removesuffix(ending) + base


_IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth", "goose": "geese",
    "mouse": "mice", "louse": "lice", "ox": "oxen", "person": "people", "die": "dice", "penny": "pennies",
    "leaf": "leaves", "loaf": "loaves", "knife": "knives", "wife": "wives", "life": "lives", "wolf": "wolves",
    "shelf": "shelves", "half": "halves", "calf": "calves", "elf": "elves", "thief": "thieves",
    "scarf": "scarves", "hoof": "hooves", "self": "selves", "sheaf": "sheaves",
    "cactus": "cacti", "fungus": "fungi", "nucleus": "nuclei", "radius": "radii", "stimulus": "stimuli",
    "syllabus": "syllabi", "alumnus": "alumni", "focus": "focuses", "bacterium": "bacteria",
    "datum": "data", "medium": "media", "curriculum": "curricula", "phenomenon": "phenomena",
    "criterion": "criteria", "analysis": "analyses", "crisis": "crises", "oasis": "oases", "thesis": "theses",
    "hypothesis": "hypotheses", "diagnosis": "diagnoses", "axis": "axes", "basis": "bases",
    "appendix": "appendices", "index": "indexes", "matrix": "matrices", "vertex": "vertices",
    "potato": "potatoes", "tomato": "tomatoes", "hero": "heroes", "echo": "echoes", "torpedo": "torpedoes",
    "veto": "vetoes", "mosquito": "mosquitoes", "volcano": "volcanoes", "embargo": "embargoes",
    "quiz": "quizzes", "octopus": "octopuses", "larva": "larvae", "alga": "algae", "vertebra": "vertebrae",
    "antenna": "antennae",
    "passerby": "passersby", "mother in law": "mothers in law", "father in law": "fathers in law",
    "roof": "roofs", "chief": "chiefs", "belief": "beliefs", "proof": "proofs", "cliff": "cliffs",
    "stomach": "stomachs", "monarch": "monarchs",
}  # fmt: skip
_UNCHANGED = frozenset(
    (
        "sheep", "deer", "fish", "moose", "salmon", "trout", "series", "species", "aircraft", "spacecraft",
        "offspring", "bison", "shrimp", "swine",
    )
)  # fmt: skip
_NO_MEN = frozenset(("human", "german", "roman", "shaman", "talisman", "ottoman"))


def plural(noun: str) -> str:
    """Return the plural of an English noun."""
    *before, last = noun.split(" ")
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if last in _UNCHANGED:
        return noun
    if last in _IRREGULAR:
        many = _IRREGULAR[last]
    elif last.endswith("man") and last not in _NO_MEN:
        many = f"{last[:-3]}men"
    elif re.search(r"(s|x|z|ch|sh)$", last):
        many = f"{last}es"
    elif re.search(r"[^aeiou]y$", last):
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return " ".join([*before, many])
