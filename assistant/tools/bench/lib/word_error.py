"""Word errors as papers count them: after Whisper's English normalizer, with jiwer's alignment.

Both packages are in the extra ``bench``. Without them, no words are counted, and the rate is unknown.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any


def counted(said: str, heard: str) -> tuple[int, int]:
    """Return the number of word errors in ``heard``, and of words in ``said``."""
    if not said or not (tools := _tools()):
        return 0, 0
    process_words, normalize = tools
    reference = normalize(said)
    if not reference:
        return 0, 0
    found = process_words(reference, normalize(heard))
    return found.substitutions + found.deletions + found.insertions, len(reference.split())


@cache
def _tools() -> tuple[Any, Any] | None:
    try:
        from jiwer import process_words  # noqa: PLC0415 - extras

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of its escapes the first time that it reads them.
            from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415
    except ImportError:
        return None
    return process_words, EnglishTextNormalizer()
