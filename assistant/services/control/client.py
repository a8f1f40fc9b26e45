"""The client of the control socket, for programs that wait for the answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from assistant.core.errors import AssistantError, ControlError, NotRunning, OrderRefused

ANSWER_WITHIN_S = 120.0
"""A small board may take a minute."""


def ask(paths: Sequence[Path], order: dict[str, Any]) -> dict[str, Any]:
    """Send a command to the assistant at the first of ``paths`` that answers.

    Raises NotRunning, or the AssistantError that the assistant answered with.
    """
    with _connected(paths) as lines:
        _send(lines, order)
        return _answer(lines.readline())


def watch(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield the state, now and at every change, until the assistant ends. Raises NotRunning."""
    with _connected(paths, timeout_s=None) as lines:
        _send(lines, {"order": "watch"})
        for line in lines:
            yield _answer(line)


@contextmanager
def _connected(paths: Sequence[Path], timeout_s: float | None = ANSWER_WITHIN_S) -> Iterator[BinaryIO]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        _connect(client, paths)
        try:
            with client.makefile("rwb") as lines:
                yield lines  # type: ignore[misc]
        except (OSError, ValueError) as error:
            raise ControlError(
                f"The assistant didn't answer ({type(error).__name__}).", "Check its log, and try again."
            ) from error


def _connect(client: socket.socket, paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            return client.connect(str(path))
        except PermissionError as error:  # noqa: PERF203 - two places at most
            raise ControlError(
                f"You don't have permission to use {path}.",
                "Add yourself to the group 'assistant' (sudo adduser $USER "
                "assistant), then log out and back in.",
            ) from error
        except OSError:  # nobody is listening there
            continue
    raise NotRunning(
        "The assistant is not running.",
        "Start one with `assistant run`, or the service with: sudo systemctl start assistant",
    )


def _send(lines: BinaryIO, order: dict[str, Any]) -> None:
    lines.write(json.dumps(order).encode() + b"\n")
    lines.flush()


def _answer(line: bytes) -> dict[str, Any]:
    if not line:
        raise NotRunning("The assistant exited before it answered.", "Check its log.")
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise ValueError(line)
    if answer.get("ok") is False:
        kind = _kinds(AssistantError).get(str(answer.get("code")), OrderRefused)
        raise kind(str(answer.get("problem")), str(answer.get("next_step")))
    return answer


def _kinds(kind: type[AssistantError]) -> dict[str, type[AssistantError]]:
    """Return every error class of the tree by its code."""
    below = [_kinds(sub) for sub in kind.__subclasses__()]
    return {kind.code: kind} | {code: found for kinds in below for code, found in kinds.items()}
