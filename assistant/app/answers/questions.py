"""A set of questions with accepted answers: one JSON object per line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its right answers."""

    id: str
    text: str
    accepted: tuple[str, ...]
    """Words, numbers or dates; a right answer contains one of them."""
    pattern: str = ""
    """Alternatively, a regular expression that a right answer matches in lowercase."""
    source: str = ""
    """Source of the answer; its first words group the questions."""

    @property
    def group(self) -> str:
        return self.source.split(",")[0].split(" (")[0] or "own"


def read(file: Path) -> list[Question]:
    """Read a set. Raises SettingsError, with the line, if it is invalid."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The questions in {file} cannot be read: {error}.", "Use a JSON Lines file."
        ) from error
    questions = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                questions.append(_question(json.loads(line), number))
            except (ValueError, TypeError, KeyError, re.error) as error:
                raise SettingsError(
                    f"{file}, line {number} is not a question: {error}.",
                    '\'It needs "question" and "accepted", a list of answers.\'',
                ) from error
    if not questions:
        raise SettingsError(
            f"{file} has no questions.", '\'Write one JSON object per line, with "question" and "accepted".\''
        )
    return questions


def _question(fields: Any, number: int) -> Question:
    pattern = str(fields.get("pattern") or "")
    re.compile(pattern)
    accepted = tuple(map(str, fields.get("accepted") or ()))
    if not pattern and not accepted:
        raise ValueError("it has no accepted answer")
    return Question(
        str(fields.get("id") or number),
        str(fields["question"]),
        accepted,
        pattern,
        str(fields.get("source") or ""),
    )
