"""Matches sentences against a transcript, from the first word to the last.

Politeness around the sentence is ignored. Pure; independent of what a sentence calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assistant.text import pattern
from assistant.text.en.durations import duration
from assistant.text.en.moments import Days, moment
from assistant.text.en.words import Word, keys, words
from assistant.text.intents import Intents, Sentence

_MAX_WORDS = 60
"""Longer than any command or note; keeps the search for a match short."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A sentence that matches a transcript."""

    sentence: Sentence
    found: pattern.Found
    ends_open: bool
    """True if it ends in a name, a note or the like, which may continue after a pause."""

    @property
    def arguments(self) -> dict[str, object]:
        """Return the values by slot."""
        return {slot.name: slot.value for slot in self.found}


class Matcher:
    """All sentences of some files, indexed by their first word."""

    def __init__(self, intents: Intents) -> None:
        self._before, self._after = pattern.Automaton(intents.before), pattern.Automaton(intents.after)
        self._automata: dict[int, pattern.Automaton] = {}
        self._by_first_word: dict[str, list[tuple[int, Sentence]]] = defaultdict(list)
        for order, sentence in enumerate(intents.sentences):
            for key in sentence.node.first():
                self._by_first_word[key].append((order, sentence))
        self.called = frozenset(sentence.skill for sentence in intents.sentences)
        """Names that the sentences call."""

    def fits(self, text: str) -> Iterator[Fit]:
        """Yield every sentence that matches the text, most important first; about a millisecond each at
        most.
        """
        said = words(text)
        if len(said) > _MAX_WORDS:
            return
        bare = self._bare(said)
        for sentence, asked in self._candidates([bare, said] if len(bare) < len(said) else [said]):
            found = self._automaton(sentence).match(asked)
            if found is not None:
                last = found[-1] if found else None
                open_end = last is not None and last.name in sentence.free and last.end == len(asked.words)
                yield Fit(sentence, found, open_end)

    def bare(self, text: str) -> Sequence[Word]:
        """Return the words without the politeness around them."""
        return self._bare(words(text))

    def is_value(self, text: str) -> bool:
        """True if this is only a duration, a time or a day, as in the answer to a question."""
        found = [key for key in keys(self._bare(words(text))) if key not in {"for", "at"}]
        return any(read(found) is not None for read in (duration, moment, Days.from_keys))

    def _automaton(self, sentence: Sentence) -> pattern.Automaton:
        """Build the automaton on first use."""
        if id(sentence) not in self._automata:
            self._automata[id(sentence)] = pattern.Automaton(sentence.node)
        return self._automata[id(sentence)]

    def _candidates(self, readings: Sequence[Sequence[Word]]) -> Iterator[tuple[Sentence, pattern.Said]]:
        """Yield the sentences that may begin like one of these readings, most important first."""
        candidates: dict[tuple[int, int], tuple[Sentence, pattern.Said]] = {}
        for number, reading in enumerate(readings):
            if reading:
                said = pattern.Said(reading)
                for key in (reading[0].key, pattern.ANY):
                    for order, sentence in self._by_first_word.get(key, ()):
                        candidates[order, number] = (sentence, said)
        return (candidates[place] for place in sorted(candidates))

    def _bare(self, said: Sequence[Word]) -> Sequence[Word]:
        while end := self._politeness_to(pattern.Said(said)):
            said = said[end:]
        while (start := self._politeness_from(pattern.Said(said))) is not None:
            said = said[:start]
        return said

    def _politeness_to(self, said: pattern.Said) -> int:
        """Return where the politeness at the beginning ends."""
        return max((end for end, _ in self._before.ends(said, 0)), default=0)

    def _politeness_from(self, said: pattern.Said) -> int | None:
        """Return where the politeness at the end begins."""
        starts = range(len(said.words))
        return next((start for start in starts if self._after.match(said, start) is not None), None)
