"""Makes the text of strangers harmless where it leaves: on its way to a terminal or into a log.

Names of files, model cards, what servers answer and what own skills raise may hold anything. A terminal obeys
control characters, and a reader believes whole lines. So everything that this program prints goes through a
``HarmlessStream``, and every value that must stay on its line through ``one_line``. Both show what they
take away as ``\\u001b``, which is right in JSON too. Knows nothing of who says what.
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
"""Control characters except tab and line end, those that turn text around or hide it, halves of pairs."""

_BREAKS = re.compile(r"[\n\t]")

_ADDRESS = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<rest>[^\s'\"<>]+)")
"""A web address in the middle of a text."""

_SECRET_PART = re.compile(r"([?#])[^\s.,;:)].*")
"""Query and fragment; a mark that only ends a sentence is neither."""


def harmless(text: str) -> str:
    """``text`` as it may be printed: nothing that a terminal obeys, no password or token of an address."""
    return _ADDRESS.sub(_bare, _OBEYED.sub(_shown, text))


def one_line(text: object) -> str:
    """The same on one line, for a value among others."""
    return _BREAKS.sub(_shown, harmless(str(text)))


def _shown(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _bare(found: re.Match[str]) -> str:
    """The address without user and password, and without what a query or a fragment may hold."""
    rest = _SECRET_PART.sub(r"\1...", found["rest"])
    place, slash, path = rest.partition("/")
    return f"{found['scheme']}{place.rpartition('@')[2]}{slash}{path}"


class HarmlessStream:
    """Stands for an open text stream; all that is written becomes ``harmless``.

    What the stream cannot encode is shown as an escape instead of ending the command.
    """

    def __init__(self, stream: TextIO) -> None:
        self.underlying = stream
        """For what draws on the terminal itself and makes each text harmless before."""

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
    """The stream itself, where it is a harmless one."""
    return stream.underlying if isinstance(stream, HarmlessStream) else stream


@contextmanager
def output() -> Iterator[None]:
    """While inside, all that is printed is harmless."""
    out: Any = HarmlessStream(underlying(sys.stdout))
    err: Any = HarmlessStream(underlying(sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield
