"""Streams the chat of an OpenAI-compatible server (llama-server, vLLM, Ollama, TGI).

Sends only what all of them understand. The response is untrusted: anything but the next piece of a reply ends
it. Independent of the local model.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from assistant.core.errors import EngineFailed
from assistant.core.types import Message
from assistant.runtime.cancel import Cancel
from assistant.runtime.http import Call, CallFailed, json_headers
from assistant.settings.engines import LlmSettings

log = logging.getLogger(__name__)

_REST_S = 15.0
"""After a failure the server is skipped for this long: otherwise each answer would wait for it in vain."""
_RETRY_AFTER_S = 0.2
"""By then, an unstable network or a restarting server may be back."""
_OK = 200
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that mean: try again."""
_IN_WORDS = {
    **dict.fromkeys((301, 302, 303, 307, 308), "it redirects to another address"),
    **dict.fromkeys((401, 403), "it rejects the key"),
    404: "it doesn't know this address or model",
}
_CHARACTERS_PER_TOKEN = 16
"""More than any language has on average: limits a server that ignores ``max_tokens``."""


class Server:
    """One server, used by one thread."""

    def __init__(self, settings: LlmSettings, key: str | None) -> None:
        self._settings = settings
        self._url = settings.server.url.rstrip("/") + "/chat/completions"
        self._headers = {**json_headers(key), "Accept": "text/event-stream"}
        self._away_until_s = 0.0

    @property
    def is_away(self) -> bool:
        """True for a while after a failure."""
        return time.monotonic() < self._away_until_s

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        """Yield the reply piece by piece; ends at once after ``cancel``.

        Raises EngineFailed, and then counts as unavailable for a while.
        """
        deadline_s = time.monotonic() + self._settings.server.first_token_timeout_s
        try:
            with closing(self._call(self._question(messages), deadline_s, cancel)) as call:
                yield from self._pieces(call, deadline_s)
        except CallFailed as failure:
            if cancel:
                return
            self._away_until_s = time.monotonic() + _REST_S
            raise EngineFailed(
                f"The language model's server didn't give a complete answer: {failure}.",
                "Check that the server is running, that the network works, and that llm.server is correct.",
            ) from failure

    def _question(self, messages: Sequence[Message]) -> bytes:
        settings = self._settings
        question = {
            "model": settings.server.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": True,
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
        }
        if settings.seed is not None:
            question["seed"] = settings.seed
        if settings.stop:
            question["stop"] = settings.stop
        return json.dumps(question).encode()

    def _call(self, body: bytes, deadline_s: float, cancel: Cancel) -> Call:
        """Return a call that the server has begun to answer, after retries if necessary. Raises
        CallFailed.
        """
        server = self._settings.server
        tries_left = server.retries
        while True:
            call = Call(
                self._url, body, self._headers, connect_timeout_s=server.connect_timeout_s, cancel=cancel
            )
            try:
                status = call.status(deadline_s - time.monotonic())
                if status == _OK:
                    return call
                failure = CallFailed(_IN_WORDS.get(status, f"HTTP status {status}"))
                may_pass = status in _BUSY
            except CallFailed as error:
                failure, may_pass = error, True
            call.close()
            has_time = deadline_s - time.monotonic() > _RETRY_AFTER_S
            if not (may_pass and tries_left and has_time) or cancel.wait(_RETRY_AFTER_S):
                raise failure
            tries_left -= 1
            log.debug("llm_server=again reason=%r", str(failure))

    def _pieces(self, call: Call, deadline_s: float) -> Iterator[str]:
        """Yield the texts as they arrive. Raises CallFailed if one is late or the reply has no end.

        Only text counts as arriving: stray bytes or keep-alives don't extend the wait.
        """
        room = self._settings.max_tokens * _CHARACTERS_PER_TOKEN
        while (line := call.line(deadline_s - time.monotonic())) is not None:
            text, is_last = read_event(line)
            if text:
                yield text[:room]
                room -= len(text)
                deadline_s = time.monotonic() + self._settings.server.idle_timeout_s
            if is_last or room <= 0:
                return
        raise CallFailed("it broke off")


def read_event(line: bytes) -> tuple[str, bool]:
    """Parse a line of the event stream; returns its text, and True if it was the last.

    Raises CallFailed for anything that isn't part of a reply.
    """
    field, _, value = line.partition(b":")
    if field.strip() != b"data":
        return "", False  # keep-alives, and fields that chats don't use
    if value.strip() == b"[DONE]":
        return "", True
    try:
        choices = json.loads(value)["choices"]
        if not choices:
            return "", False  # usage statistics
        text = choices[0]["delta"].get("content") or ""
        # Half a surrogate pair can't be spoken.
        return text.encode("utf-8", "replace").decode(), choices[0].get("finish_reason") is not None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise CallFailed("its response is not part of a chat") from None
