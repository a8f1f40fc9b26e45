"""Text as written and as spoken. Each language has its own folder.

Such a folder, or another package, has a ``Language``: the rules of one language that other rooms use.
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
    """The rules of one language. Another package can add one with an entry point in
    ``shelf_assistant.languages``, named by its code, such as "de".
    """

    spell: Callable[[str], str]
    """Turns written text into spoken text: numbers, units, abbreviations and signs as words."""
    open_words: Collection[str] = ()
    """Lowercase words that can't end a request, because more must follow."""
    open_unless_asked: Collection[str] = ()
    """Words that can end a question, but no other request."""
    intents: Path | None = None
    """Sentences that call skills; None uses the file in config/intents/ named by the code."""


@functools.cache
def language(code: str) -> Language | None:
    """Return the rules of a language, or None if there are none. Regions ("en-us") make no difference."""
    code = re.split("[-_]", code.lower())[0]
    if code.isalpha() and (Path(__file__).parent / code).is_dir():
        found: Language = extensions.imported(f"{__name__}.{code}:LANGUAGE")
        return found
    return extensions.found("languages", Language).get(code)
