"""Shopping and other lists, and notes."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.skills.list_book import NOTES, ListBook
from assistant.text.en import wording

_SHOPPING = "shopping"
_SAME = {"grocery": _SHOPPING, "groceries": _SHOPPING, "todo": "to do"}


def add_to_list(items: tuple[str, ...], lists: ListBook, name: str = _SHOPPING) -> str:
    """Add things to the shopping list, or to the list with this name."""
    things = _bare(items)
    lists.add(_name(name), things)
    return f"{_are(things)} on your {_name(name)} list."


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
    return f"On your {_name(name)} list: {wording.listing(items)}."


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
    """ "Milk is", "Milk and eggs are"."""
    return f"{wording.capital(wording.listing(things))} {'is' if len(things) == 1 else 'are'}"


def _name(name: str) -> str:
    return _SAME.get(name.lower(), name.lower())


def _bare(items: Sequence[str]) -> list[str]:
    """Things without "some" and articles before them, in small letters unless they are names."""
    return [_without_article(item) for item in items]


def _without_article(item: str) -> str:
    first, _, rest = item.partition(" ")
    return rest if rest and first.lower() in {"some", "a", "an", "the", "more"} else item
