"""Makes untrusted text harmless on its way to a terminal or a log.

File names, model cards, server responses and errors from users' skills may contain anything. A terminal obeys
control characters, and a reader trusts whole lines. So everything this program prints goes through a
``HarmlessStream``, and every value that must stay on its line through ``one_line``. Both show what they
remove as ``\\u001b``, which is also valid in JSON.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters except tab and line end, those that reverse or hide text, unpaired surrogates."""

_BREAKS = re.compile(r"[\n\t]")

_ADDRESS = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<rest>[^\s'\"<>]+)")
"""A URL in the middle of a text."""

_SECRET_PART = re.compile(r"([?#])[^\s.,;:)].*")
"""Query and fragment; a mark that only ends a sentence is neither."""


def harmless(text: str) -> str:
    """Make ``text`` safe to print: no control sequences, and no passwords or tokens from URLs."""
    return _ADDRESS.sub(_bare, _OBEYED.sub(_shown, text))


def one_line(text: object) -> str:
    """Make ``text`` safe to print on one line, for a value among others."""
    return _BREAKS.sub(_shown, harmless(str(text)))


def _shown(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _bare(found: re.Match[str]) -> str:
    """Return the URL without user and password, and without the content of a query or fragment."""
    rest = _SECRET_PART.sub(r"\1...", found["rest"])
    place, slash, path = rest.partition("/")
    return f"{found['scheme']}{place.rpartition('@')[2]}{slash}{path}"


class HarmlessStream:
    """Wraps an open text stream; everything written to it becomes ``harmless``.

    Characters that the stream cannot encode are shown as escapes instead of ending the command.
    """

    def __init__(self, stream: TextIO) -> None:
        self.underlying = stream
        """For code that draws on the terminal itself, and makes each text harmless first."""

    def write(self, text: str) -> int:
        safe = harmless(text)
        try:
            self.underlying.write(safe)
        except UnicodeEncodeError:
            encoding = self.underlying.encoding or "ascii"
            self.underlying.write(safe.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.underlying, name)


def underlying(stream: TextIO) -> TextIO:
    """Return the wrapped stream of a HarmlessStream, or else the stream itself."""
    return stream.underlying if isinstance(stream, HarmlessStream) else stream


@contextmanager
def output() -> Iterator[None]:
    """Make everything printed inside the block harmless."""
    out: Any = HarmlessStream(underlying(sys.stdout))
    err: Any = HarmlessStream(underlying(sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield
