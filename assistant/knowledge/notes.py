"""A person's own notes: Markdown, text and PDF in a folder, answered with their own lines.

They are read into SQLite's full-text index, in memory only, and read again when a file changes. Nothing in
them is ever given to a model or run: a line is read out, or it is not.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from assistant.knowledge import recall
from assistant.knowledge.contract import Fact, Lookup
from assistant.text.en.words import Word

log = logging.getLogger(__name__)

_ENDINGS = (".md", ".markdown", ".txt", ".pdf")
_MAX_FILES = 2000
_MAX_TEXT_BYTES = 1_000_000
_MAX_PDF_BYTES = 20_000_000
_MAX_PAGES = 200
_MAX_SAID = 240
"""A longer line is cut at a word: nobody listens to a page."""
_LOOKS_EVERY_S = 5.0
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_MARKUP = re.compile(r"^\s*(?:[-*+>]|\d+[.)])\s+|[*_`]{1,3}|\[[ xX]\]\s*")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_HYPHEN = re.compile(r"(?<=\w)-(?=\w)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a note that answers a question."""

    text: str
    file: str


class Notes:
    """The topic. ``None`` is no folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.expanduser().resolve() if folder else None
        self.readers = {"note": self._read}
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._looking: threading.Thread | None = None
        self._seen: dict[Path, tuple[int, int]] = {}
        self._index = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._index.execute("CREATE VIRTUAL TABLE lines USING fts5(about, text UNINDEXED, file UNINDEXED)")
        self._look_if_due()

    def lookups(self) -> Iterable[Lookup]:
        return (self.from_note,)

    def from_note(self, note: Line) -> Fact | None:
        return Fact(f"Your notes say: {note.text}", f"your note {note.file}")

    def wait(self) -> None:
        """Until what has changed by now has been read."""
        if self._looking:
            self._looking.join()
        self.look()

    def _read(self, words: Sequence[Word]) -> Line | None:
        wanted = recall.asked(words)
        if self._folder is None or not wanted:
            return None
        self._look_if_due()
        query = " AND ".join(f'"{stem}"' for stem in sorted(wanted) if stem.isalnum())
        if not query:
            return None
        with self._lock:
            row = self._index.execute(
                "SELECT text, file FROM lines WHERE lines MATCH ? ORDER BY length(about) LIMIT 1", (query,)
            ).fetchone()
        return Line(row[0], row[1].decode("utf-8", "replace")) if row else None

    def _look_if_due(self) -> None:
        """Look for changes beside the question, which is answered from what has been read."""
        is_busy = self._looking is not None and self._looking.is_alive()
        if self._folder is None or is_busy or monotonic() - self._looked_s < _LOOKS_EVERY_S:
            return
        self._looked_s = monotonic()
        self._looking = threading.Thread(target=self.look, name="notes", daemon=True)
        self._looking.start()

    def look(self) -> None:
        """Read what is new or changed, and forget what is gone. Never raises."""
        if self._folder is None:
            return
        try:
            found = {file: _stamp(file) for file in _files(self._folder)}
        except OSError as error:
            log.error("notes=%s problem=%s", self._folder.name, error.strerror or error)
            return
        for file in self._seen.keys() | found.keys():
            if self._seen.get(file) != found.get(file):
                try:
                    self._replace(file, list(_lines(file)) if file in found else [])
                except Exception as error:  # noqa: BLE001 - whatever is in it, the others are read
                    log.warning("note=%s problem=%s", _writable(file.name), type(error).__name__)
                self._seen.pop(file, None)
                if file in found:
                    self._seen[file] = found[file]

    def _replace(self, file: Path, lines: Sequence[tuple[str, str]]) -> None:
        assert self._folder is not None  # noqa: S101 - asked before
        name = os.fsencode(file.relative_to(self._folder))  # a name needn't be UTF-8
        with self._lock:
            self._index.execute("DELETE FROM lines WHERE file = ?", (name,))
            self._index.executemany(
                "INSERT INTO lines VALUES (?, ?, ?)",
                [(_about(_writable(context), text), _writable(text), name) for context, text in lines],
            )


def _files(folder: Path) -> Iterator[Path]:
    """The notes in the folder and below; hidden ones, and links that lead out of it, are left out."""
    for number, file in enumerate(sorted(folder.rglob("*"))):
        if number >= _MAX_FILES:
            log.warning("notes=%s problem=too_many_files limit=%d", folder.name, _MAX_FILES)
            return
        inside = file.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or file.suffix.lower() not in _ENDINGS:
            continue
        if file.is_file() and file.resolve().is_relative_to(folder):
            yield file


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _writable(text: str) -> str:
    """Text without halves of characters, which names of files and PDFs may contain, and SQLite refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Each line with what stands above it: the file's name and the headings. Never raises."""
    try:
        text = _pdf(file) if file.suffix.lower() == ".pdf" else _text(file)
    except Exception as error:  # noqa: BLE001 - a PDF may be anything
        log.warning("note=%s problem=%s", file.name, type(error).__name__)
        return
    headings: dict[int, str] = {}
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            level = len(line) - len(line.lstrip("#"))
            headings = {above: title for above, title in headings.items() if above < level}
            headings[level] = heading[1]
        elif said := _said(line):
            yield " ".join((file.stem, *headings.values())), said


def _text(file: Path) -> str:
    """UTF-8, or else Latin-1; a file of zeros and the like is none."""
    with file.open("rb") as opened:
        content = opened.read(_MAX_TEXT_BYTES)
    if b"\0" in content:
        log.warning("note=%s problem=no_text", file.name)
        return ""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _pdf(file: Path) -> str:
    """The text of a PDF; scans have none."""
    try:
        from pypdf import PdfReader  # noqa: PLC0415 - an extra
    except ImportError:
        log.warning("note=%s problem=no_pypdf next_step='scripts/setup run notes'", file.name)
        return ""
    if file.stat().st_size > _MAX_PDF_BYTES:
        log.warning("note=%s problem=too_large limit_mb=%d", file.name, _MAX_PDF_BYTES // 1_000_000)
        return ""
    pages = PdfReader(file).pages[:_MAX_PAGES]
    text = "\n".join(page.extract_text() or "" for page in pages)
    if not text.strip():
        log.warning("note=%s problem=no_text hint='a scan has no text'", file.name)
    return text


def _said(line: str) -> str:
    """A line without its markup, as long as anybody listens to."""
    plain = " ".join(_MARKUP.sub("", _LINK.sub(r"\1", line)).split())
    if len(plain) <= _MAX_SAID:
        return plain
    return plain[:_MAX_SAID].rsplit(" ", 1)[0]


def _about(context: str, text: str) -> str:
    """The stems of a line and of what stands above it; "Wi-Fi" is asked for as "wifi" too."""
    whole = f"{context} {text}".replace("_", " ")
    parts = [whole[place : place + 300] for place in range(0, len(whole), 300)]
    joined = _HYPHEN.sub("", whole)
    parts += [joined[place : place + 300] for place in range(0, len(joined), 300)]
    return " ".join(sorted(frozenset().union(*(recall.stems(part) for part in parts))))
