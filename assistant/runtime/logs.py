"""Log lines for the person at 2 a.m.: ``level logger key=value ...`` on stderr.

Under systemd, the journal adds the time and reads the level from the ``<N>`` prefix (sd-daemon(3)); elsewhere
the line carries its own time.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from assistant.runtime.harmless import harmless, one_line

_PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


class _Formatter(logging.Formatter):
    """A message is one line, whatever it quotes; only tracebacks are several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


class _JournalFormatter(_Formatter):
    """Each line of a record needs the level in front."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITY.get(record.levelname, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).split("\n"))


def set_up(level: str) -> None:
    """Write records of ``level`` ("info") and above to stderr; for libraries, only warnings and above."""
    handler = logging.StreamHandler(_own[-1] if _own else sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(name)s %(message)s"))
    else:
        handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("assistant").setLevel(level.upper())


def keep_stderr() -> None:
    """Use a duplicate of stderr from the next ``set_up`` on.

    File descriptor 2 is redirected while the sound library is called, to silence its messages. A driver that
    hangs in such a call must not swallow the log.
    """
    _own.append(os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1))


_own: list[TextIO] = []
