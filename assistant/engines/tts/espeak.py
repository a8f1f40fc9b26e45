"""Text to phonemes with the ``espeak-ng`` program.

It runs as a separate process, as Coqui runs it, because its library is under the GPL. A text is cut at its
punctuation marks, espeak-ng pronounces what is between them, and the marks are kept: a VITS voice derives its
intonation and pauses from them. Independent of voices' symbols.

Starting a process per text takes a few milliseconds. A persistent process would be no faster where it
matters, and could not signal the end of a text.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from assistant.core.errors import EngineFailed, EngineUnavailable

PROGRAM = "espeak-ng"

TIMEOUT_S = 20.0
"""A sentence takes milliseconds; a board that is swapping needs longer, but not this long."""

CACHED_TEXTS = 128
"""Short phrases recur ("Okay."), and so does text synthesized again after a canceled turn."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Words spoken in one breath, and the mark they end with."""

    phonemes: str
    """IPA with stress marks; one space between words."""
    mark: str
    """One of ``. ? ! , ; :`` or empty."""


class Espeak:
    """Pronounces one language."""

    def __init__(self, voice: str) -> None:
        """Check that espeak-ng has ``voice`` ("en-us"). Raises EngineUnavailable."""
        program = shutil.which(PROGRAM)
        if program is None:
            raise EngineUnavailable(
                "The voice needs the program 'espeak-ng', which is not installed.",
                "Install it. On Debian and its derivatives: sudo apt install espeak-ng",
            )
        self._command = (program, "-q", "-b", "1", "--ipa", "-v", voice, "--stdin")
        self.clauses = lru_cache(CACHED_TEXTS)(self._clauses)
        try:
            self.clauses("1")
        except EngineFailed as error:
            raise EngineUnavailable(
                f"The program 'espeak-ng' doesn't have the language '{voice}', which the voice needs.",
                "Install a newer espeak-ng, or choose a different voice in the settings (tts.model).",
            ) from error

    def _clauses(self, text: str) -> tuple[Clause, ...]:
        """Pronounce ``text``; empty if nothing is pronounceable. Raises EngineFailed."""
        pieces = split_at_marks(text)
        spoken = self._run("\n\n".join(words for words, _ in pieces)) if pieces else []
        if len(spoken) != len(pieces):
            # espeak-ng prints one line per clause, and decides on its own what a clause is.
            spoken = [" ".join(self._run(words)) for words, _ in pieces]
        return tuple(Clause(ipa, mark) for ipa, (_, mark) in zip(spoken, pieces, strict=True) if ipa)

    def _run(self, text: str) -> list[str]:
        """Run espeak-ng and return its non-empty output lines."""
        try:
            # The text goes through stdin: as an argument, it could be taken for an option.
            done = subprocess.run(  # noqa: S603
                self._command, input=text.encode(), capture_output=True, timeout=TIMEOUT_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineFailed(
                f"The program 'espeak-ng' failed: {_reason(error)}.",
                "Check that this works: espeak-ng -q --ipa hello",
            ) from error
        lines = (_LANGUAGE_SWITCH.sub("", line) for line in done.stdout.decode(errors="replace").splitlines())
        return [" ".join(line.split()) for line in lines if line.strip()]


def split_at_marks(text: str) -> list[tuple[str, str]]:
    """Cut at punctuation into (words, mark); pieces without a letter or digit are dropped.

    A mark inside a word or number ("3.5", "10:30", "well-known") does not cut.
    """
    text = _pronounceable(text)
    pieces: list[tuple[str, str]] = []
    start = 0
    for cut in _MARKS.finditer(text):
        pieces.append((text[start : cut.start()].strip(), _strongest(cut.group())))
        start = cut.end()
    pieces.append((text[start:].strip(), ""))

    spoken: list[tuple[str, str]] = []
    for words, mark in pieces:
        if any(map(str.isalnum, words)):
            spoken.append((words, mark))
        elif spoken:
            # Nothing between two marks, as in "(now).": the stronger one counts.
            before, earlier_mark = spoken[-1]
            spoken[-1] = (before, _strongest(earlier_mark + mark))
    return spoken


# A mark cuts if white space or the end follows, with or without a closing quote; so does a lone hyphen.
_MARKS = re.compile(r"[.?!,;:]+(?='*(?:\s|$))|(?<=\s)-(?=\s)")

_STRONGEST_FIRST = "?!.;:,"

_FULL_WIDTH = 0xFF01 - ord("!")
"""Chinese and Japanese text has its own wide ASCII, in the same order."""

_PLAIN = str.maketrans(
    {
        **dict.fromkeys('"\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}„«»'),
        **dict.fromkeys("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}", "'"),
        **dict.fromkeys("()[]{}\N{EM DASH}\N{EN DASH}、،", " , "),
        **dict.fromkeys("。।", ". "),
        **{chr(ord(mark) + _FULL_WIDTH): f"{mark} " for mark in _STRONGEST_FIRST},
        "؟": "? ",
        "؛": "; ",
        "…": "...",
    }
)
"""Marks of all languages -> those that voices know. Quotes are silent; brackets and dashes are pauses."""

# "(en)" and "(de)" around a foreign word say which language's rules were used for it.
_LANGUAGE_SWITCH = re.compile(r"\([a-z-]+\)")


def _strongest(marks: str) -> str:
    # A lone hyphen is in none of them and becomes a comma.
    return next((mark for mark in _STRONGEST_FIRST if mark in marks), ",")


def _pronounceable(text: str) -> str:
    """Convert to plain marks, without control characters (commands to espeak-ng) and emoji (which it
    names).
    """
    text = unicodedata.normalize("NFC", text).translate(_PLAIN)
    return " ".join("".join(" " if _is_command_or_picture(char) else char for char in text).split())


def _is_command_or_picture(char: str) -> bool:
    category = unicodedata.category(char)
    # Below the arrows, "other symbols" are degree signs and the like, which are read.
    return category[0] == "C" or (category == "So" and char >= "\N{LEFTWARDS ARROW}")


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {TIMEOUT_S:.0f} s"
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr.decode(errors="replace").strip().splitlines()
        return said[-1].rstrip(".") if said else f"exit status {error.returncode}"
    return str(error)
