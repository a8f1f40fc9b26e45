"""Text as written and as spoken. Each language has its own folder.

Such a folder, or another package, has a ``Language``: the rules of one language that other rooms ask for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from assistant.runtime import extensions


@dataclass(frozen=True, slots=True)
class Language:
    """The rules of one language. Another package adds one by an entry point in ``shelf_assistant.languages``,
    named by its code, such as "de"."""

    spell: Callable[[str], str]
    """Text on paper -> what a person would say: numbers, units, abbreviations and signs as words."""
    open_words: Collection[str] = ()
    """Words that can't end a request, in lower case: more must come."""
    open_unless_asked: Collection[str] = ()
    """Words that can end a question, but no other request."""
    intents: Path | None = None
    """Sentences that call skills; without them, the file of config/intents/ that is named by the code."""


@functools.cache
def language(code: str) -> Language | None:
    """The rules of a language; None where there are none. Regions ("en-us") make no difference."""
    code = re.split("[-_]", code.lower())[0]
    if code.isalpha() and (Path(__file__).parent / code).is_dir():
        found: Language = extensions.imported(f"{__name__}.{code}:LANGUAGE")
        return found
    return extensions.found("languages", Language).get(code)
