"""The texts that models are measured and calibrated on: conversations and plain prose.

The format is that of config/prompts: a line starting with "> " is a question, the text after it is the
answer, and a line "---" ends a conversation. A part without "> " is prose. Lines starting with "#" at the top
of a file are comments. Independent of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import SettingsError
from assistant.runtime import paths

MAX_BYTES = 20_000_000
"""More text only takes time: a few thousand words are enough to find the important weights."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Texts:
    """The contents of one file."""

    conversations: tuple[tuple[Exchange, ...], ...]
    prose: tuple[str, ...]


def shipped(name: str) -> Path:
    """Return the file of an included text."""
    return paths.shipped_folder("models") / "calibration" / name


def read(path: Path) -> Texts:
    """Read a file's texts. Raises SettingsError if it cannot be read or contains none."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise SettingsError(
            f"The text {path} cannot be read: {error.strerror or error}.", "Specify a text file."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The text {path} is not UTF-8.", "Save it as UTF-8 text.") from error
    if len(text) > MAX_BYTES:
        raise SettingsError(f"The text {path} is larger than {MAX_BYTES // 1_000_000} MB.", "Shorten it.")
    texts = parse(text)
    if not texts.conversations and not texts.prose:
        raise SettingsError(f"{path} contains no text.", "Specify a text file with words in it.")
    return texts


def parse(text: str) -> Texts:
    """Parse the conversations and the prose in ``text``; a question without an answer is skipped."""
    lines = text.splitlines()
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        lines.pop(0)
    conversations, prose = [], []
    for part in _parts(lines):
        if any(line.startswith(">") for line in part):
            if exchanges := _exchanges(part):
                conversations.append(exchanges)
        elif joined := "\n".join(part).strip():
            prose.append(joined)
    return Texts(tuple(conversations), tuple(prose))


def _parts(lines: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == "---":
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _exchanges(lines: list[str]) -> tuple[Exchange, ...]:
    exchanges: list[Exchange] = []
    question, answer = "", ""
    for line in [*lines, ">"]:
        if line.startswith(">"):
            if question and answer:
                exchanges.append(Exchange(question, answer))
            question, answer = line[1:].strip(), ""
        else:
            answer = f"{answer} {line.strip()}".strip()
    return tuple(exchanges)
