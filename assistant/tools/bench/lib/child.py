"""Part of a bench in a separate process that exchanges lines of JSON with the bench.

Whatever libraries print there goes to standard error, so that only answers come back.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from assistant.core.errors import AssistantError, EngineFailed
from assistant.settings.schema import Settings

_ENDS_S = 20
_answers = sys.stdout


class Child:
    """Runs ``work(settings, **order)`` in a child process; its return value, if any, is the last answer."""

    def __init__(
        self,
        work: Callable[..., Any],
        settings: Settings | None,
        what: str,
        *,
        env: Mapping[str, str] | None = None,
        **order: Any,
    ) -> None:
        """``what`` names what could not be measured if the process fails."""
        code = f"from {__name__} import serve; serve({work.__module__!r}, {work.__qualname__!r})"
        self._what = what
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", code],
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.tell({"settings": settings and settings.model_dump(mode="json"), "order": order})

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, what: object) -> bool:
        """Send a message to the child. False if it has ended."""
        assert self._process.stdin  # noqa: S101 - it was asked for
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def hear(self) -> Any:
        """Return the child's next answer. Raises EngineFailed."""
        answer = next(iter(self), None)
        if answer is None:
            raise EngineFailed(f"{self._what} could not be measured.", "See its output above.")
        return answer

    def __iter__(self) -> Iterator[Any]:
        """Yield all answers until the child ends."""
        assert self._process.stdout  # noqa: S101
        while line := self._process.stdout.readline():
            yield json.loads(line)

    def finish(self) -> None:
        """Tell the child that no more messages will follow."""
        assert self._process.stdin  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def close(self, within_s: float = 0.0) -> None:
        """End the child, by force if it doesn't end within ``within_s``."""
        self.finish()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        assert self._process.stdout  # noqa: S101
        self._process.stdout.close()


def in_own_process(work: Callable[..., Any], settings: Settings, what: str, **order: Any) -> dict[str, Any]:
    """Return the result of ``work(settings, **order)`` in a child process. Raises EngineFailed."""
    with Child(work, settings, what, **order) as child:
        found: dict[str, Any] = child.hear()
    return found


def serve(module: str, name: str) -> None:
    """In the child: run the work that the first line of standard input orders."""
    global _answers  # noqa: PLW0603 - standard output becomes something else here
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    told = json.loads(sys.stdin.readline())
    settings = told["settings"] and Settings.model_validate_json(json.dumps(told["settings"]))
    try:
        found = getattr(import_module(module), name)(settings, **told["order"])
    except AssistantError as error:
        sys.exit(str(error))
    if found is not None:
        say(found)


def say(answer: object) -> None:
    """In the child: send an answer."""
    _answers.write(json.dumps(answer) + "\n")
    _answers.flush()


def told() -> Iterator[Any]:
    """In the child: yield further messages until the parent calls ``finish``."""
    for line in iter(sys.stdin.readline, ""):
        yield json.loads(line)
