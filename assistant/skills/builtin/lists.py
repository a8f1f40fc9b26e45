"""Shopping and other lists, and notes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from assistant.skills.contract import Outcome, Question
from assistant.skills.list_book import NOTES, ListBook
from assistant.skills.slot_types import Name
from assistant.text.en import wording
from assistant.text.en.words import Word, keys

_SHOPPING = "shopping"
_SAME = {"grocery": _SHOPPING, "groceries": _SHOPPING, "todo": "to do"}


def add_to_list(items: tuple[str, ...], lists: ListBook, name: str = _SHOPPING) -> str:
    """Add things to the shopping list, or to the list with this name."""
    things = _bare(items)
    there = {item.casefold() for item in lists.items(_name(name))}
    new = [thing for thing in things if thing.casefold() not in there]
    if not new:
        return f"{_are(things)} already on your {_name(name)} list."
    lists.add(_name(name), new)
    return f"{_are(things)} on your {_name(name)} list."


class Thing(Name):
    """Something to add, said without naming a list."""

    __slots__ = ()

    @classmethod
    def from_words(cls, words: Sequence[Word]) -> Thing | None:
        is_placed = not {"to", "into", "in", "on", "onto", "for", "with"}.isdisjoint(keys(words))
        name = None if is_placed else Name.from_words(words)
        return cls(name) if name else None


def ask_list(thing: Thing) -> Outcome:
    """Ask for which list a thing is."""
    commands = (f"add {thing} to ...", f"add {thing} to the ...", f"add {thing} to the ... list")
    return Outcome("Which list?", question=Question(commands))


def tell_lists(lists: ListBook) -> str:
    """Tell which lists there are."""
    names = [name for name in lists.names() if name != NOTES]
    if not names:
        return "There are no lists."
    lists_said = wording.listing([f"the {name} list" for name in names])
    return f"You have {wording.count(len(names), 'list')}: {lists_said}."


def remove_from_list(items: tuple[str, ...], lists: ListBook, name: str = _SHOPPING) -> str:
    """Take things off the shopping list, or off the list with this name."""
    removed = lists.remove(_name(name), _bare(items))
    if not removed:
        return f"{_are(_bare(items))} not on your {_name(name)} list."
    return f"I took {wording.listing(removed)} off your {_name(name)} list."


def read_list(lists: ListBook, name: str = _SHOPPING) -> str:
    """Read out the shopping list, or the list with this name."""
    items = lists.items(_name(name))
    if not items:
        return f"Your {_name(name)} list is empty."
    counts = Counter(item.casefold() for item in items)
    once = list({item.casefold(): item for item in reversed(items)}.items())[::-1]
    told = [f"{item}, {wording.number(counts[key])} times" if counts[key] > 1 else item for key, item in once]
    return f"On your {_name(name)} list: {wording.listing(told)}."


def is_on_list(item: str, lists: ListBook, name: str = _SHOPPING) -> str:
    """Tell whether something is on a list."""
    thing = _bare((item,))[0]
    found = thing.casefold() in (item.casefold() for item in lists.items(_name(name)))
    return f"{'Yes' if found else 'No'}, {thing} {'is' if found else 'is not'} on your {_name(name)} list."


def clear_list(lists: ListBook, name: str = _SHOPPING) -> str:
    """Empty the shopping list, or the list with this name."""
    gone = lists.clear(_name(name))
    return f"Your {_name(name)} list is {'now' if gone else 'already'} empty."


def add_note(note: str, lists: ListBook) -> str:
    """Write a note down."""
    lists.add(NOTES, [note])
    return "Noted."


def read_notes(lists: ListBook) -> str:
    """Read out all notes."""
    notes = lists.items(NOTES)
    if not notes:
        return "There are no notes."
    return f"You have {wording.count(len(notes), 'note')}: " + " ".join(
        f"{wording.capital(note)}." for note in notes
    )


def delete_last_note(lists: ListBook) -> str:
    """Delete the newest note."""
    note = lists.remove_last(NOTES)
    return "There are no notes." if note is None else f"I deleted the note: {note}."


def delete_notes(lists: ListBook) -> str:
    """Delete all notes."""
    gone = lists.clear(NOTES)
    return f"{wording.capital(wording.count(gone, 'note'))} deleted." if gone else "There are no notes."


def _are(things: Sequence[str]) -> str:
    """Begin a sentence: "Milk is", "Eggs are", "Milk and eggs are"."""
    verb = "are" if len(things) > 1 or _is_several(things[0]) else "is"
    return f"{wording.capital(wording.listing(things))} {verb}"


_SEVERAL = re.compile(
    r"(?!.*\b(?:bottle|can|pack|box|bag|loaf|jar|bunch|piece|carton) of )"
    r"(?:.*(?<![siu'])s|.*(?:children|people|mice|geese|feet|teeth)"
    r"|(?:\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|a dozen|dozen|several|some|many) .*s?)"
)
_ONE = re.compile(r"(?:a|an|one|1) (?!dozen|few|couple).*|.*(?:hummus|asparagus|couscous|molasses|news|gas)")


def _is_several(thing: str) -> bool:
    low = thing.lower()
    return not _ONE.fullmatch(low) and _SEVERAL.fullmatch(low.split(" of ")[0]) is not None


def _name(name: str) -> str:
    return _SAME.get(name.lower(), name.lower())


def _bare(items: Sequence[str]) -> list[str]:
    """Remove leading "some" and articles; lowercase except for names."""
    return [_without_article(item) for item in items]


def _without_article(item: str) -> str:
    first, _, rest = item.partition(" ")
    is_count = rest.split(" ")[0].lower() in {"dozen", "couple", "few"}
    return rest if rest and first.lower() in {"some", "a", "an", "the", "more"} and not is_count else item
