"""A language model in a conversation: chat template, streamed text, and reuse of what it has read.

A follow-up turn reads only what is new: the prompt of a continued conversation begins with the text of the
previous turn, so that turn's tokens are reused, the reply's exactly as the model chose them, and they are
still in the KV cache. The KV cache of the fixed beginning of every prompt can be saved to disk, so not even
the first turn needs to read it. The network runs behind ``Context``, so this module is independent of the
runtime.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from assistant.core.errors import PromptTooLong
from assistant.core.types import Message, Scored
from assistant.engines.llm import prompt_cache as kept_file
from assistant.engines.llm.chat_template import ChatTemplate
from assistant.engines.llm.sampling import Float32s, Sampler, log_probability
from assistant.engines.llm.tokens import TextPieces, common_length
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings

_SCRIPTS = 4
"""Turns whose tokens are remembered: the last one, and earlier ones in case it is retracted."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of one reply."""

    tokens_prompt: int = 0
    tokens_reused: int = 0
    """Prompt tokens that were already in the KV cache."""
    tokens_generated: int = 0
    first_token_s: float = 0.0
    """Seconds from the call to the first token."""
    total_s: float = 0.0
    """Seconds from the call to the end, including the consumer's own time."""

    @property
    def tokens_evaluated(self) -> int:
        return self.tokens_prompt - self.tokens_reused

    @property
    def tokens_per_s(self) -> float:
        """Generation speed after the first token."""
        spent_s = self.total_s - self.first_token_s
        return (self.tokens_generated - 1) / spent_s if self.tokens_generated > 1 and spent_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Script:
    """A prompt, with or without its complete reply, as text and as tokens."""

    text: str
    tokens: tuple[int, ...]


class Vocabulary(Protocol):
    """A model's tokens and their texts. Can be used from any thread."""

    begin: str
    """Spelling of the token that begins a text; empty if there is none."""
    end: str
    """Spelling of the token that ends a text; empty if there is none."""
    first: str
    """What every prompt must begin with; may be empty."""

    def tokenize(self, text: str) -> list[int]:
        """Convert text to tokens; spelled-out control tokens become those tokens."""

    def piece(self, token: int, *, spell_control: bool = False) -> bytes:
        """Return the bytes of a token; empty for control tokens, unless they are to be spelled out."""

    def is_control(self, token: int) -> bool:
        """True if the token controls the model rather than representing text."""

    def ends_reply(self, token: int) -> bool:
        """True if it is one of the model's end tokens."""


class Context(Protocol):
    """A loaded model and its KV cache: tokens in, next token out. Belongs to one thread."""

    context_tokens: int

    @property
    def held(self) -> Sequence[int]:
        """The tokens in the KV cache."""

    def read(self, tokens: Sequence[int]) -> int:
        """Make the KV cache hold exactly ``tokens``; returns how many were already there.

        If interrupted, it holds the first part of them. Raises EngineFailed.
        """

    def append(self, tokens: Sequence[int]) -> None:
        """Evaluate ``tokens`` after those in the KV cache. Raises EngineFailed."""

    def begin_reply(self) -> None:
        """Forget earlier choices: the repeat penalty covers one reply, and a seed starts over."""

    def choose(self) -> int:
        """Choose the next token, without appending it."""

    def scores(self) -> Float32s:
        """Of every token, to follow those read; valid until the next one is appended. Raises EngineFailed."""

    def interruptible(self, cancel: Cancel) -> AbstractContextManager[None]:
        """A block in which ``read`` and ``append`` end within milliseconds once ``cancel`` is set."""

    def state(self) -> bytes:
        """Return the KV cache as bytes, for ``restore`` with the same model."""

    def restore(self, state: bytes, tokens: Sequence[int]) -> bool:
        """Load a ``state`` saved while the cache held ``tokens``; returns False, with an empty cache, on
        failure.
        """

    def close(self) -> None:
        """Free everything; harmless when called twice."""


class ChatLlm:
    """Continues a conversation, processing each token of it only once."""

    def __init__(
        self,
        context: Context,
        vocabulary: Vocabulary,
        chat: ChatTemplate,
        settings: LlmSettings,
        *,
        file: Path,
        runtime: Sequence[object],
    ) -> None:
        """Set it up; ``file`` and ``runtime`` (its version, its kind of cache) identify what a saved state
        fits.
        """
        self.context_tokens = context.context_tokens
        self.usage = Usage()
        """Cost of the last reply; complete once it has ended."""
        self._context = context
        self._vocabulary = vocabulary
        self._chat = chat
        self._settings = settings
        # The file may be gone when a state is saved: an in-memory one exists only during loading.
        facts = file.stat()
        self._made_of = (file.stem, facts.st_size, facts.st_mtime_ns)
        self._runtime = runtime
        self._scripts: tuple[_Script, ...] = ()
        self.is_factual = False
        """Take the likeliest tokens, whatever the temperature."""
        self._surest = Sampler(settings.model_copy(update={"temperature": 0.0}))
        self._log_probability = 0.0
        """Of the token that was chosen last."""

    def close(self) -> None:
        self._context.close()

    def warm_up(self) -> None:
        """Evaluate one token after the KV cache; the next prompt removes it."""
        self._context.append(self._vocabulary.tokenize("\n")[:1])
        self._context.choose()

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None:
        """Process what every prompt that begins with ``messages`` has in common, whatever the question.

        A user message at the end is a placeholder for the question; its text doesn't matter. With ``cache``,
        a folder, the result is loaded from there, or saved there for the next start. Raises PromptTooLong,
        EngineFailed.
        """
        prefix = self._common_prefix(messages)
        self._check_length(prefix)
        if cache is None:
            self._context.read(prefix)
            return
        stem, *facts = self._made_of
        path = cache / f"{stem}.prefix"
        key = json.dumps([*self._runtime, *facts, prefix]).encode()
        state = kept_file.load(path, key)
        if state is None or not self._context.restore(state, prefix):
            self._context.read(prefix)
            kept_file.save(path, key, self._context.state())

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None:
        """Process the part of the prompt that stays the same although its last message is unfinished."""
        going_on = [*messages[:-1], replace(messages[-1], content=f"{messages[-1].content} and")]
        one, other = (self._tokens(self._prompt(each)) for each in (messages, going_on))
        known = one[: common_length(one, other)]
        if len(known) < self.context_tokens:
            with self._context.interruptible(cancel):
                self._context.read(known)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the prompt length of these messages in tokens. Can be called from any thread."""
        return len(self._vocabulary.tokenize(self._prompt(messages)))

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        """Yield the reply piece by piece; nothing if the model has nothing to say.

        If the last message is the assistant's own, the reply continues it. Ends within milliseconds of
        ``cancel``, even while reading the prompt; what was read until then stays in the cache. Raises
        PromptTooLong before the first piece, EngineFailed at any time.
        """
        prompt = self._begun(messages)
        with closing(self._choose(prompt.tokens, cancel, lambda: self.next_token)) as chosen:
            yield from self._write(prompt, chosen, cancel)

    def _write(self, prompt: _Script, chosen: Iterable[int], cancel: Cancel) -> Iterator[str]:
        """Yield the text of the chosen tokens; it is remembered unless it was cut short."""
        pieces = TextPieces(self._settings.stop)
        reply, said = [], ""
        scores: list[float] = []
        for token in chosen:
            reply.append(token)
            scores.append(self._log_probability)
            if text := pieces.feed(self._vocabulary.piece(token)):
                said += text
                yield Scored(text, scores)
                scores = []
            if pieces.stopped:
                return
        if cancel:
            return
        if text := pieces.finish():
            said += text
            yield Scored(text, scores)
        script = _Script(prompt.text + said, (*prompt.tokens, *reply))
        self._scripts = (*self._scripts[1 - _SCRIPTS :], script)

    def _choose(
        self, prompt: Sequence[int], cancel: Cancel, way: Callable[[], Callable[[], int]]
    ) -> Generator[int, None, None]:
        """Read the prompt, then yield one token after another until the reply ends or the context is full.

        ``way`` is called once the prompt has been read, and returns the function that chooses tokens.
        """
        began_s = time.perf_counter()
        limit = min(self._settings.max_tokens, self.context_tokens - len(prompt))
        with self._context.interruptible(cancel):
            reused = self._context.read(prompt)
            self.usage = Usage(len(prompt), reused)
            self._context.begin_reply()
            self._surest.begin_reply()
            if cancel:
                return
            choose = way()
            for count in range(1, limit + 1):
                if cancel or self._vocabulary.ends_reply(token := choose()):
                    return
                now_s = time.perf_counter() - began_s
                first_s = now_s if count == 1 else self.usage.first_token_s
                self._log_probability = log_probability(self._context.scores(), token)
                self.usage = Usage(len(prompt), reused, count, first_s, now_s)
                yield token
                if count < limit and not cancel:
                    self._context.append([token])

    def next_token(self) -> int:
        """The token to follow those read; it is not appended."""
        if self.is_factual:
            return self._surest.choose(self._context.scores())
        return self._context.choose()

    def _begun(self, messages: Sequence[Message]) -> _Script:
        """Build the prompt plus the existing part of the reply. Raises PromptTooLong."""
        *before, last = messages
        goes_on = last.role == "assistant"
        text = self._prompt(before) + self._plain(last.content) if goes_on else self._prompt(messages)
        tokens = tuple(self._tokens(text))
        if len(tokens) >= self.context_tokens:  # A reply may have more tokens than were counted for it.
            tokens = tuple(self._vocabulary.tokenize(text))
        self._check_length(tokens)
        return _Script(text, tokens)

    def _check_length(self, tokens: Sequence[int]) -> None:
        if len(tokens) >= self.context_tokens:
            raise PromptTooLong(
                f"The prompt has {len(tokens)} tokens, but the model can take "
                f"only {self.context_tokens - 1}.",
                "Ask a shorter question, shorten the system prompt (llm.prompt), "
                "or raise llm.context_tokens.",
            )

    def _prompt(self, messages: Sequence[Message]) -> str:
        return prompt_text(self._vocabulary, self._chat, messages)

    def _plain(self, text: str) -> str:
        return plain(self._vocabulary, text)

    def _tokens(self, prompt: str) -> list[int]:
        """Convert the prompt to tokens; where it repeats an earlier turn, reuse that turn's tokens.

        Tokenizing the text of a reply again may give other tokens than the model chose.
        """
        known = [script for script in self._scripts if prompt.startswith(script.text)]
        longest = max(known, key=lambda script: len(script.text), default=_Script("", ()))
        return [*longest.tokens, *self._vocabulary.tokenize(prompt[len(longest.text) :])]

    def _common_prefix(self, messages: Sequence[Message]) -> list[int]:
        before = list(messages)
        if before and before[-1].role == "user":
            before.pop()
        one, other = (
            self._vocabulary.tokenize(self._prompt([*before, Message("user", question)]))
            for question in ("A", "why")
        )
        return one[: common_length(one, other)]


def prompt_text(vocabulary: Vocabulary, chat: ChatTemplate, messages: Sequence[Message]) -> str:
    """Render the messages as the model's prompt. Raises EngineFailed."""
    harmless = [replace(message, content=plain(vocabulary, message.content)) for message in messages]
    return chat.render(harmless)


def plain(vocabulary: Vocabulary, text: str) -> str:
    """Break up any spelled-out control token, so that no text can end its own message."""
    for token in set(vocabulary.tokenize(text)):
        if vocabulary.is_control(token):
            spelled = vocabulary.piece(token, spell_control=True).decode("utf-8", "replace")
            text = text.replace(spelled, f"{spelled[:1]} {spelled[1:]}")
    return text
