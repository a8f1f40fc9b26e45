"""Many prompts at once on a server: so many requests that it answers side by side, if it can.

Nobody waits here, so a server that is slow with many of them gets all the time it wants, and the local model
does not stand in for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from assistant.core.errors import EngineFailed, EngineUnavailable, SettingsError
from assistant.core.types import BatchReply, Message
from assistant.engines.llm.openai.server import Server
from assistant.runtime import credentials
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings

_PATIENCE_S = 600.0
"""For a token: the longest that the settings allow."""


def create(settings: LlmSettings, at_once: int, **_: Any) -> OpenAiBatch:
    """Neither model nor threads are needed. Raises EngineUnavailable when the key cannot be read."""
    try:
        key = credentials.read(settings.server.key, settings.server.key_file, "llm-key")
    except SettingsError as error:
        raise EngineUnavailable(error.problem, error.next_step) from error
    patient = {"first_token_timeout_s": _PATIENCE_S, "idle_timeout_s": _PATIENCE_S}
    server = settings.server.model_copy(update=patient)
    return OpenAiBatch(settings.model_copy(update={"server": server}), key, at_once)


class OpenAiBatch:
    """A ``BatchLlm``."""

    def __init__(self, settings: LlmSettings, key: str | None, at_once: int) -> None:
        self._settings = settings
        self._key = key
        self._at_once = at_once

    def close(self) -> None:
        """There is nothing to free."""

    def answer_all(self, prompts: Sequence[Sequence[Message]], cancel: Cancel) -> Iterator[BatchReply]:
        """Yield the replies in the order in which they are done; stops at once after ``cancel``.

        A request that fails is a reply with an ``error``: the others go on.
        """
        began_s = time.perf_counter()
        with ThreadPoolExecutor(self._at_once, "request") as pool:
            asked = [
                pool.submit(self._ask, number, messages, cancel, began_s)
                for number, messages in enumerate(prompts)
            ]
            try:
                for each in as_completed(asked):
                    if cancel:
                        return
                    yield each.result()
            finally:
                cancel.set()  # Those that still run are of no use to anybody.
                pool.shutdown(cancel_futures=True)

    def _ask(self, number: int, messages: Sequence[Message], cancel: Cancel, began_s: float) -> BatchReply:
        def now_s() -> float:
            return time.perf_counter() - began_s

        started_s = now_s()
        text, first_token_s, error = "", 0.0, ""
        try:
            for piece in Server(self._settings, self._key).stream(messages, cancel):
                first_token_s = first_token_s or now_s()
                text += piece
        except EngineFailed as failure:
            error = failure.problem
        return BatchReply(number, text.strip(), started_s, first_token_s, now_s(), error=error)
