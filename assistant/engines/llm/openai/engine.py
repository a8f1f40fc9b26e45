"""The language model on your own server, with the local one as a fallback.

While the server answers, this board only listens and speaks. If it doesn't answer, or stops in the middle of
a sentence, the local model continues from there: it has already read the same conversation while the user was
speaking, so it can start at once.

Many prompts at once are sent as that many requests, which the server answers in parallel if it can. These are
not urgent, so a slow server has ten minutes per token, and the local model does not take over.
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
"""Without its vocabulary, a prompt's length is estimated, rather too high (English has about four)."""
_TOKENS_PER_MESSAGE = 5
"""Tokens that chat templates add to each message."""


def create(settings: LlmSettings, model: Path | None, threads: int) -> OpenAiLlm:
    """Connect to the server in the settings and, unless ``model`` is None, load the local model in that
    folder.

    Raises the local model's errors, and EngineUnavailable if the key cannot be read. The server need not be
    running: it may be switched on later.
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
        """True while it waits for the server, so others can use the cores; False while the local model
        answers.
        """
        return not self._is_local

    def close(self) -> None:
        if self._local:
            self._local.close()

    def warm_up(self) -> None:
        if self._local:
            self._local.warm_up()

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None:
        """Prime only the local model: servers cache prompts on their own."""
        if self._local:
            self._local.prime(messages, cache)

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None:
        """Read ahead only on the local model, which may be needed later."""
        if self._local:
            self._local.read_ahead(messages, cancel)

    @property
    def limits(self) -> Collection[str]:
        return self._local.limits if isinstance(self._local, FrugalLlm) else ()

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        """Limit only the local model, which uses memory and threads here. Raises EngineFailed."""
        if isinstance(self._local, FrugalLlm):
            self._local.limit(context_tokens=context_tokens, threads_share=threads_share)
            self.context_tokens = self._local.context_tokens

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the prompt length of these messages: exact for the local model, otherwise estimated."""
        if self._local:
            return self._local.count_tokens(messages)
        return sum(len(each.content) // _CHARACTERS_PER_TOKEN + _TOKENS_PER_MESSAGE for each in messages)

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        """Yield the reply piece by piece, from the server or the local model.

        Raises PromptTooLong before the first piece, and EngineFailed if neither can continue.
        """
        if self.count_tokens(messages) >= self.context_tokens:
            raise PromptTooLong(
                f"The prompt is longer than the limit of {self.context_tokens} tokens.",
                "Ask a shorter question, shorten the system prompt (llm.prompt), "
                "or raise llm.context_tokens.",
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
        """Yield the rest of a reply that began with ``said``, from the local model."""
        assert self._local is not None  # noqa: S101 - the caller has looked
        self._is_local = True
        begun = said.rstrip()  # a space belongs to the token after it
        try:
            pieces = self._local.stream(
                [*messages, Message("assistant", begun)] if begun else messages, cancel
            )
            for number, text in enumerate(pieces):
                yield text.lstrip() if number == 0 and begun != said else text
        finally:
            self._is_local = False


_BATCH_TOKEN_TIMEOUT_S = 600.0
"""Per token: the longest time the settings allow."""


def create_batch(settings: LlmSettings, at_once: int, **_: Any) -> OpenAiBatch:
    """Create it without model and threads. Raises EngineUnavailable if the key cannot be read."""
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
        """Do nothing: there is nothing to free."""

    def answer_all(self, prompts: Sequence[Sequence[Message]], cancel: Cancel) -> Iterator[BatchReply]:
        """Yield the replies in order of completion; stops at once after ``cancel``.

        A request that fails is a reply with an ``error``: the others continue.
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
                cancel.set()  # requests still running are no longer needed
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
