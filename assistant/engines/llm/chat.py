"""A language model that holds a conversation: its chat template, streamed text, a memory of what was read.

A follow-up turn reads only what is new: the prompt of a conversation that went on begins with
the text of the turn before, so the tokens of that turn are taken over, the reply's exactly as
the model chose them, and the memory still holds them. What the static beginning of every prompt
leaves in memory can be kept on disk, so that the first turn need not read it either. What runs the
network is behind ``Context``: this knows no runtime.
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
from assistant.engines.llm.sampling import Float32s, log_probability
from assistant.engines.llm.tokens import TextPieces, common_length
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings

_SCRIPTS = 4
"""Turns whose tokens are remembered: the last one, and those before it in case it is taken back."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one reply cost."""

    tokens_prompt: int = 0
    tokens_reused: int = 0
    """Of the prompt, those that the memory held already."""
    tokens_generated: int = 0
    first_token_s: float = 0.0
    """From the call to the first token, seconds."""
    total_s: float = 0.0
    """From the call to the end, seconds, the consumer's own time included."""

    @property
    def tokens_evaluated(self) -> int:
        return self.tokens_prompt - self.tokens_reused

    @property
    def tokens_per_s(self) -> float:
        """Speed of generation once it had begun."""
        spent_s = self.total_s - self.first_token_s
        return (self.tokens_generated - 1) / spent_s if self.tokens_generated > 1 and spent_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Script:
    """A prompt, with its whole reply or without, as text and as tokens."""

    text: str
    tokens: tuple[int, ...]


class Vocabulary(Protocol):
    """A model's tokens and their texts. May be used from any thread."""

    begin: str
    """Spells the token that begins a text; empty when there is none."""
    end: str
    """Spells the token that ends a text; empty when there is none."""
    first: str
    """What every prompt must begin with; empty where the model wants nothing."""

    def tokenize(self, text: str) -> list[int]:
        """Tokens of a text; control tokens that it spells out become those tokens."""

    def piece(self, token: int, *, spell_control: bool = False) -> bytes:
        """The bytes that a token stands for; nothing for control tokens, unless they are to be spelled."""

    def is_control(self, token: int) -> bool:
        """Whether it steers the model instead of standing for text."""

    def ends_reply(self, token: int) -> bool:
        """Whether it is one of the model's end marks."""


class Context(Protocol):
    """A loaded model and its memory: tokens in, the next token out. Belongs to one thread."""

    context_tokens: int

    @property
    def held(self) -> Sequence[int]:
        """The tokens that the memory holds."""

    def read(self, tokens: Sequence[int]) -> int:
        """Bring the memory to exactly ``tokens``; how many of them it held already.

        Interrupted, it holds the first part of them. Raises EngineFailed.
        """

    def append(self, tokens: Sequence[int]) -> None:
        """Evaluate ``tokens`` after those that the memory holds. Raises EngineFailed."""

    def begin_reply(self) -> None:
        """Forget what was chosen before: the repeat penalty looks at one reply, a seed starts anew."""

    def choose(self) -> int:
        """The token to follow those read; it is not appended."""

    def scores(self) -> Float32s:
        """Of every token, to follow those read; valid until the next one is appended. Raises EngineFailed."""

    def interruptible(self, cancel: Cancel) -> AbstractContextManager[None]:
        """Inside it ``read`` and ``append`` end within milliseconds once ``cancel`` is set."""

    def state(self) -> bytes:
        """The memory as bytes, for ``restore`` with the same model."""

    def restore(self, state: bytes, tokens: Sequence[int]) -> bool:
        """Bring the memory to what ``state`` said when it held ``tokens``; false and empty if it cannot."""

    def close(self) -> None:
        """Free everything; harmless when done twice."""


class ChatLlm:
    """Continues a conversation, reading each token of it once."""

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
        """``file`` and ``runtime`` (its version, its kind of memory) say what a kept state is good for."""
        self.context_tokens = context.context_tokens
        self.usage = Usage()
        """What the last reply cost; complete once it has ended."""
        self._context = context
        self._vocabulary = vocabulary
        self._chat = chat
        self._settings = settings
        # The file may be gone by the time that a state is kept: one in memory only is there for loading.
        facts = file.stat()
        self._made_of = (file.stem, facts.st_size, facts.st_mtime_ns)
        self._runtime = runtime
        self._scripts: tuple[_Script, ...] = ()
        self._log_probability = 0.0
        """Of the token that was chosen last."""

    def close(self) -> None:
        self._context.close()

    def warm_up(self) -> None:
        """Read one token after what the memory holds; the next prompt takes it back."""
        self._context.append(self._vocabulary.tokenize("\n")[:1])
        self._context.choose()

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None:
        """Read what every prompt that begins with ``messages`` has in common, whatever is asked.

        A user's message at their end stands for the question and does not matter. With ``cache``,
        a folder, the result is taken from there, or else kept there for the next start. Raises
        PromptTooLong, EngineFailed.
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
        """Read what a prompt with these messages, the last of which will go on, has in common with them."""
        going_on = [*messages[:-1], replace(messages[-1], content=f"{messages[-1].content} and")]
        one, other = (self._tokens(self._prompt(each)) for each in (messages, going_on))
        known = one[: common_length(one, other)]
        if len(known) < self.context_tokens:
            with self._context.interruptible(cancel):
                self._context.read(known)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of the prompt that these messages become. May be called from any thread."""
        return len(self._vocabulary.tokenize(self._prompt(messages)))

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        """Yield the reply piece by piece; a model with nothing to say yields nothing.

        A last message of the assistant's own is gone on with. Ends within milliseconds of ``cancel``,
        while the prompt is being read too; what was read until then stays in memory. Raises
        PromptTooLong before the first piece, EngineFailed at any time.
        """
        prompt = self._begun(messages)
        with closing(self._choose(prompt.tokens, cancel, lambda: self._context.choose)) as chosen:
            yield from self._write(prompt, chosen, cancel)

    def _write(self, prompt: _Script, chosen: Iterable[int], cancel: Cancel) -> Iterator[str]:
        """The text of the tokens that are chosen; remembered, unless it was cut short."""
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
        """Read the prompt, then give one token after the other until the reply ends or room does.

        ``way``, asked when the prompt has been read, gives what chooses the tokens.
        """
        began_s = time.perf_counter()
        limit = min(self._settings.max_tokens, self.context_tokens - len(prompt))
        with self._context.interruptible(cancel):
            reused = self._context.read(prompt)
            self.usage = Usage(len(prompt), reused)
            self._context.begin_reply()
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

    def _begun(self, messages: Sequence[Message]) -> _Script:
        """The prompt and, behind it, what of the reply is there already. Raises PromptTooLong."""
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
                f"The prompt is {len(tokens)} tokens long, and the model can take {self.context_tokens - 1}.",
                "Ask something shorter, shorten the system prompt (llm.prompt), or raise llm.context_tokens.",
            )

    def _prompt(self, messages: Sequence[Message]) -> str:
        return prompt_text(self._vocabulary, self._chat, messages)

    def _plain(self, text: str) -> str:
        return plain(self._vocabulary, text)

    def _tokens(self, prompt: str) -> list[int]:
        """Tokens of the prompt; where it repeats an earlier turn, the very ones of that turn.

        Splitting the text of a reply anew may give other tokens than the model chose.
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
    """The text that a chat becomes for its model. Raises EngineFailed."""
    harmless = [replace(message, content=plain(vocabulary, message.content)) for message in messages]
    return chat.render(harmless)


def plain(vocabulary: Vocabulary, text: str) -> str:
    """Break up what spells a control token, so that no words can end their own message."""
    for token in set(vocabulary.tokenize(text)):
        if vocabulary.is_control(token):
            spelled = vocabulary.piece(token, spell_control=True).decode("utf-8", "replace")
            text = text.replace(spelled, f"{spelled[:1]} {spelled[1:]}")
    return text
