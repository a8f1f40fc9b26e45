"""The language model on llama.cpp: a GGUF file, its own chat template, streamed text.

A follow-up turn reads only what is new: the prompt of a conversation that went on begins with
the text of the turn before, so the tokens of that turn are taken over, the reply's exactly as
the model chose them, and the memory still holds them. What the static beginning of every prompt
leaves in memory can be kept on disk, so that the first turn need not read it either.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import llama_cpp

from assistant.cancel import Cancel
from assistant.engines import gguf_model, kept_file
from assistant.engines.chat_template import ChatTemplate
from assistant.engines.llama_cpp_context import LlamaCppContext, common_length
from assistant.engines.llama_cpp_grammar import keeping_to
from assistant.engines.text_pieces import TextPieces
from assistant.errors import ModelCorrupt, PromptTooLong
from assistant.settings_engines import LlmSettings
from assistant.types import Call, Message

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
    """A prompt with its whole reply, as text and as tokens."""

    text: str
    tokens: tuple[int, ...]


def create(settings: LlmSettings, model: Path, threads: int) -> LlamaCppLlm:
    """Load the GGUF file in the folder ``model``; 0 threads are as many as there are processors.

    Raises ModelMissing, ModelCorrupt, or EngineFailed when memory does not suffice.
    """
    found = gguf_model.find(model)
    context = LlamaCppContext(found.file, settings, threads or os.cpu_count() or 1)
    try:
        chat = ChatTemplate(found.chat_template, begin=context.vocabulary.begin, end=context.vocabulary.end)
    except ModelCorrupt:
        context.close()
        raise
    return LlamaCppLlm(context, chat, settings, file=found.file)


class LlamaCppLlm:
    """Continues a conversation, reading each token of it once."""

    def __init__(
        self, context: LlamaCppContext, chat: ChatTemplate, settings: LlmSettings, *, file: Path
    ) -> None:
        self.context_tokens = context.context_tokens
        self.parameters = context.parameters
        self.usage = Usage()
        """What the last reply cost; complete once it has ended."""
        self._context = context
        self._vocabulary = context.vocabulary
        self._chat = chat
        self._settings = settings
        self._file = file
        self._scripts: tuple[_Script, ...] = ()

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
        path = cache / f"{self._file.stem}.prefix"
        facts = self._file.stat()
        layout = (self._settings.flash_attention, self._settings.kv_type)
        key = json.dumps([llama_cpp.__version__, facts.st_size, facts.st_mtime_ns, layout, prefix]).encode()
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
        with closing(self._reply(messages, cancel, None)) as pieces:
            for piece in pieces:
                if isinstance(piece, str):
                    yield piece

    def stream_or_call(
        self, messages: Sequence[Message], cancel: Cancel, grammar: str
    ) -> Iterator[str | Call]:
        """As ``stream``; but where the likeliest reply begins with "@" it is one Call of the ``grammar``.

        The grammar costs nothing until then. A call is written with the likeliest tokens, whatever
        the settings for replies. Raises EngineFailed for one that had no room to end, too.
        """
        return self._reply(messages, cancel, grammar)

    def _reply(
        self, messages: Sequence[Message], cancel: Cancel, grammar: str | None
    ) -> Generator[str | Call, None, None]:
        prompt = self._begun(messages)
        tokens = self._tokens(prompt)
        self._check_length(tokens)
        pieces = TextPieces(self._settings.stop)
        reply, said = [], ""
        with closing(self._choose(tokens, cancel, grammar)) as chosen:
            for token in chosen:
                reply.append(token)
                if grammar and self._is_mark(reply[0]):
                    continue
                if text := pieces.feed(self._vocabulary.piece(token)):
                    said += text
                    yield text
                if pieces.stopped:
                    return
        if cancel:
            return
        if grammar and reply and self._is_mark(reply[0]):
            yield Call(b"".join(map(self._vocabulary.piece, reply)).decode("utf-8", "replace"))
            return
        if text := pieces.finish():
            said += text
            yield text
        script = _Script(prompt + said, (*tokens, *reply))
        self._scripts = (*self._scripts[1 - _SCRIPTS :], script)

    def _choose(
        self, prompt: Sequence[int], cancel: Cancel, grammar: str | None
    ) -> Generator[int, None, None]:
        """Read the prompt, then give one token after the other until the reply ends or room does."""
        began_s = time.perf_counter()
        limit = min(self._settings.max_tokens, self.context_tokens - len(prompt))
        with self._context.interruptible(cancel), ExitStack() as stack:
            reused = self._context.read(prompt)
            self.usage = Usage(len(prompt), reused)
            self._context.begin_reply()
            choose = self._context.choose
            if grammar and not cancel:
                choose = self._way_to_choose(grammar, stack)
            for count in range(1, limit + 1):
                if cancel or self._vocabulary.ends_reply(token := choose()):
                    return
                now_s = time.perf_counter() - began_s
                first_s = now_s if count == 1 else self.usage.first_token_s
                self.usage = Usage(len(prompt), reused, count, first_s, now_s)
                yield token
                if count < limit and not cancel:
                    self._context.append([token])

    def _way_to_choose(self, grammar: str, stack: ExitStack) -> Callable[[], int]:
        """Within the grammar if a call is what the model wants most; otherwise anything but a call."""
        likeliest = self._context.likeliest()
        if self._is_mark(likeliest):
            allowed = stack.enter_context(keeping_to(grammar, self._vocabulary))
            return partial(self._context.choose_within, allowed)
        # A call that was chosen by chance, at some temperature, would be meant by nobody.
        first = self._context.choose()
        waiting = [likeliest if self._is_mark(first) else first]
        return lambda: waiting.pop() if waiting else self._context.choose()

    def _is_mark(self, token: int) -> bool:
        return self._vocabulary.piece(token).lstrip().startswith(b"@")

    def _check_length(self, tokens: Sequence[int]) -> None:
        if len(tokens) >= self.context_tokens:
            raise PromptTooLong(
                f"The prompt is {len(tokens)} tokens long, and the model can take {self.context_tokens - 1}.",
                "Ask something shorter, shorten the system prompt (llm.prompt), or raise llm.context_tokens.",
            )

    def _prompt(self, messages: Sequence[Message]) -> str:
        plain = [replace(message, content=self._plain(message.content)) for message in messages]
        return self._vocabulary.begun(self._chat.render(plain))

    def _begun(self, messages: Sequence[Message]) -> str:
        """The prompt and, behind it, what of the reply is there already."""
        *before, last = messages
        return (
            self._prompt(before) + self._plain(last.content)
            if last.role == "assistant"
            else self._prompt(messages)
        )

    def _plain(self, text: str) -> str:
        """Break up what spells a control token, so that no words can end their own message."""
        for token in set(self._vocabulary.tokenize(text)):
            if self._vocabulary.is_control(token):
                spelled = self._vocabulary.piece(token, spell_control=True).decode("utf-8", "replace")
                text = text.replace(spelled, f"{spelled[:1]} {spelled[1:]}")
        return text

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
