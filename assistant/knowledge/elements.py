"""The chemical elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assistant.knowledge.contract import Fact, Lookup
from assistant.knowledge.tables import Tables
from assistant.text.en import wording
from assistant.text.en.numbers import whole
from assistant.text.en.words import Word, keys, said

SOURCE = "the periodictable package"


@dataclass(frozen=True, slots=True)
class Element:
    """A row of the table."""

    number: int
    name: str
    symbol: str
    mass: float


class Elements:
    """The topic."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.readers = {"element": self._read, "symbol": self._read_symbol, "number": self._read_number}

    def lookups(self) -> Iterable[Lookup]:
        return (self.symbol_of, self.number_of, self.mass_of, self.element_of_symbol, self.element_of_number)

    def symbol_of(self, element: Element) -> Fact | None:
        return Fact(f"The symbol of {element.name} is {' '.join(element.symbol.upper())}.", SOURCE)

    def number_of(self, element: Element) -> Fact | None:
        return Fact(f"{wording.capital(element.name)} has the atomic number {element.number}.", SOURCE)

    def mass_of(self, element: Element) -> Fact | None:
        return Fact(f"The atomic mass of {element.name} is {element.mass:.4g}.", SOURCE)

    def element_of_symbol(self, symbol: Element) -> Fact | None:
        return Fact(f"{' '.join(symbol.symbol.upper())} is the symbol of {symbol.name}.", SOURCE)

    def element_of_number(self, number: Element) -> Fact | None:
        return Fact(f"The element with the atomic number {number.number} is {number.name}.", SOURCE)

    def _read(self, words: Sequence[Word]) -> Element | None:
        if len(words) != 1:
            return None
        return self._row("number = (SELECT number FROM element_name WHERE key = ?)", words[0].key)

    def _read_symbol(self, words: Sequence[Word]) -> Element | None:
        """Parse "Fe" or "F E"."""
        letters = "".join(said(words).split())
        return self._row("symbol = ? COLLATE NOCASE", letters) if 0 < len(letters) <= 2 else None

    def _read_number(self, words: Sequence[Word]) -> Element | None:
        number = whole(list(keys(words)))
        return self._row("number = ?", number) if number else None

    def _row(self, where: str, value: object) -> Element | None:
        row = self._tables.row(f"SELECT * FROM element WHERE {where}", value)  # noqa: S608 - one of three above
        return Element(*row) if row else None
