"""The language model on a server of your own, with the local one behind it.

While the server answers, this board only listens and speaks. When it does not, or falls silent in
the middle of a sentence, the local model goes on from there: it has read the same conversation
ahead while the person spoke, so that it need not begin then.

Many prompts at once are as many requests, which the server answers side by side if it can. These
are not urgent, so a slow server has ten minutes for a token, and the local model does not replace it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from assistant.core.errors import EngineFailed, EngineUnavailable, PromptTooLong, SettingsError
from assistant.core.types import BatchReply, Message
from assistant.engines import FrugalLlm, Llm, load
from assistant.engines.llm.openai.server import Server
from assistant.runtime import credentials
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings

log = logging.getLogger(__name__)

_CHARACTERS_PER_TOKEN = 3
"""Without its vocabulary a prompt's length is guessed, rather too high (English has about four)."""
_TOKENS_PER_MESSAGE = 5
"""What chat templates put around a message."""


def create(settings: LlmSettings, model: Path | None, threads: int) -> OpenAiLlm:
    """The server that the settings name and, unless ``model`` is None, the local one in that folder.

    Raises what the local model raises, and EngineUnavailable when the key cannot be read. That the
    server is there is no condition: it may be switched on later.
    """
    try:
        key = credentials.read(settings.server.key, settings.server.key_file, "llm-key")
    except SettingsError as error:
        raise EngineUnavailable(error.problem, error.next_step) from error
    local: Llm | None = None
    if model is not None:
        local = load("llm", "llama_cpp", settings=settings, model=model, threads=threads)
    return OpenAiLlm(Server(settings, key), local, settings)


class OpenAiLlm:
    """Asks the server, and the local model for what the server leaves out."""

    def __init__(self, server: Server, local: Llm | None, settings: LlmSettings) -> None:
        self.context_tokens = local.context_tokens if local else settings.context_tokens
        self._server = server
        self._local = local
        self._is_local = False

    @property
    def waits(self) -> bool:
        """It waits for the server and leaves the cores to others; not while the local model answers."""
        return not self._is_local

    def close(self) -> None:
        if self._local:
            self._local.close()

    def warm_up(self) -> None:
        if self._local:
            self._local.warm_up()

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None:
        """Only for the local model: servers keep what they have read by themselves."""
        if self._local:
            self._local.prime(messages, cache)

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None:
        """Only for the local model, whether it will be needed or not."""
        if self._local:
            self._local.read_ahead(messages, cancel)

    @property
    def limits(self) -> Collection[str]:
        return self._local.limits if isinstance(self._local, FrugalLlm) else ()

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        """Only the local model takes memory and threads here. Raises EngineFailed."""
        if isinstance(self._local, FrugalLlm):
            self._local.limit(context_tokens=context_tokens, threads_share=threads_share)
            self.context_tokens = self._local.context_tokens

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of the prompt that these messages become: for the local model, or else guessed."""
        if self._local:
            return self._local.count_tokens(messages)
        return sum(len(each.content) // _CHARACTERS_PER_TOKEN + _TOKENS_PER_MESSAGE for each in messages)

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        """Yield the reply piece by piece, from the server or the local model.

        Raises PromptTooLong before the first piece, and EngineFailed when neither can go on.
        """
        if self.count_tokens(messages) >= self.context_tokens:
            raise PromptTooLong(
                f"The prompt is longer than the {self.context_tokens} tokens that are set for it.",
                "Ask something shorter, shorten the system prompt (llm.prompt), or raise llm.context_tokens.",
            )
        said = ""
        if self._local is None or not self._server.is_away:
            try:
                for text in self._server.stream(messages, cancel):
                    said += text
                    yield text
            except EngineFailed as error:
                if self._local is None:
                    raise
                log.warning("llm=local said_characters=%d problem=%s", len(said), error)
            else:
                return
        yield from self._go_on(messages, said, cancel)

    def _go_on(self, messages: Sequence[Message], said: str, cancel: Cancel) -> Iterator[str]:
        """The rest of a reply that began with ``said``, by the local model."""
        assert self._local is not None  # noqa: S101 - the caller has looked
        self._is_local = True
        begun = said.rstrip()  # A space belongs to the token behind it.
        try:
            pieces = self._local.stream(
                [*messages, Message("assistant", begun)] if begun else messages, cancel
            )
            for number, text in enumerate(pieces):
                yield text.lstrip() if number == 0 and begun != said else text
        finally:
            self._is_local = False


_BATCH_TOKEN_TIMEOUT_S = 600.0
"""For a token: the longest that the settings allow."""


def create_batch(settings: LlmSettings, at_once: int, **_: Any) -> OpenAiBatch:
    """Neither model nor threads are needed. Raises EngineUnavailable when the key cannot be read."""
    try:
        key = credentials.read(settings.server.key, settings.server.key_file, "llm-key")
    except SettingsError as error:
        raise EngineUnavailable(error.problem, error.next_step) from error
    patient = {"first_token_timeout_s": _BATCH_TOKEN_TIMEOUT_S, "idle_timeout_s": _BATCH_TOKEN_TIMEOUT_S}
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
                cancel.set()  # The requests that still run are no longer needed.
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
