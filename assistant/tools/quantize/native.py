"""What llama.cpp says while it works, caught instead of printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llama_cpp.llama_cpp as lib

from assistant.engines.llm.llama_cpp.model import LOG_LEVEL_ERROR

MAX_REASON = 200


class Said:
    """The errors among what llama.cpp said."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def reason(self) -> str:
        """The first error, as the rest of a sentence; empty without one."""
        if not self.errors:
            return ""
        text = " ".join(self.errors[0].split("error loading model:")[-1].split())
        return f": {''.join(letter for letter in text if letter.isprintable())[:MAX_REASON].rstrip('.')}"


_listener: list[Said] = []


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _receive(level: int, text: bytes, _: Any) -> None:
    if level == LOG_LEVEL_ERROR and _listener:
        _listener[-1].errors.append(text.decode("utf-8", "replace"))


@contextmanager
def quiet() -> Iterator[Said]:
    """Inside it nothing is printed, and errors are kept."""
    said = Said()
    _listener.append(said)
    lib.llama_log_set(_receive, None)
    try:
        yield said
    finally:
        _listener.pop()
