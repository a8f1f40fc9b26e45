"""Locates the sentence templates of a language, and tells what is missing without them."""

from __future__ import annotations

from pathlib import Path

from assistant.runtime import paths
from assistant.text import language as rules_of
from assistant.text.languages import NAMES

_AUTO = "auto"


def sentence_file(language: str) -> Path | None:
    """The file of the sentences that call skills in this language; None where there is none."""
    rules = rules_of(language)
    file = (rules and rules.intents) or paths.shipped_folder("config") / "intents" / f"{language}.yaml"
    return file if file.is_file() else None


def without_sentences(language: str) -> str:
    """What to tell somebody whose language has no sentences; empty where it has."""
    if sentence_file(language):
        return ""
    name = "a language that is detected" if language == _AUTO else NAMES.get(language, language).title()
    return (
        f"There are no sentences for {name} (stt.language): only the language model answers, "
        "and there is no time, no timer, no list and no other skill."
    )
