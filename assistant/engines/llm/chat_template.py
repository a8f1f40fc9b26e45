"""Renders a chat as the text format its model was trained on.

The template is a small Jinja program inside the model file, so it runs in Jinja's sandbox: it can build text
and nothing else. Independent of tokens.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NoReturn

from assistant.core.errors import EngineFailed, ModelCorrupt
from assistant.core.types import Message
from assistant.engines.llm.template_sandbox import TemplateSandbox, TooMuch
from assistant.text.inner import opened_thought


class ChatTemplate:
    """One model's chat format. Raises ModelCorrupt if it cannot render even one question."""

    def __init__(self, source: str, begin: str, end: str, first: str = "") -> None:
        """Compile it; ``begin`` and ``end`` are the texts of the model's begin and end tokens.

        ``first`` must begin every prompt; it isn't added again if the template writes it.
        """
        try:
            self._sandbox = TemplateSandbox()
            with self._sandbox.limited():
                self._template = self._sandbox.from_string(source)
        except Exception as error:  # A hostile template may raise anything during compilation.
            raise _unusable(error) from error
        if not source.strip():
            raise ModelCorrupt(
                "The model file has no chat template, so it was not made for conversations.",
                "Choose a model for conversations (llm.model); its name often ends in Instruct or Chat.",
            )
        self._marks = {"bos_token": begin, "eos_token": end}
        self._first = first
        self._takes_system = True
        self._in_parts = False
        try:
            self._settle_form()
        except EngineFailed as error:
            raise _unusable(error.__cause__ or error) from error

    def render(self, messages: Sequence[Message]) -> str:
        """Render the prompt, up to where the model's reply begins. Raises EngineFailed."""
        if not self._takes_system:
            messages = _system_in_question(messages)
        chat = [{"role": message.role, "content": self._content(message.content)} for message in messages]
        try:
            # Models that reason before they answer are asked not to: it would be spoken.
            with self._sandbox.limited():
                prompt = self._template.render(
                    messages=chat,
                    **self._marks,
                    **_OFFERED,
                    add_generation_prompt=True,
                    enable_thinking=False,
                )
        except Exception as error:  # Templates reject a chat by raising anything they like.
            raise EngineFailed(
                f"The model's chat template could not be used ({_cause(error)}).",
                "Choose a different model (llm.model), or fetch this one again.",
            ) from error
        if closing := opened_thought(prompt):  # thoughts would be dropped, and take their time
            prompt = f"{prompt.rstrip()}\n\n{closing}\n\n"
        return prompt if prompt.startswith(self._first) else self._first + prompt

    def _settle_form(self) -> None:
        """Find the form of messages whose words this template keeps. Raises EngineFailed, ModelCorrupt.

        Some models know no system role: their template raises, or silently leaves it out. Others want the
        content as a list of parts.
        """
        for self._in_parts in (False, True):
            for self._takes_system in (True, False):
                if self._keeps_words():
                    return
        self._in_parts = False
        self.render(_PROBE)
        raise ModelCorrupt(
            "The chat template inside the model file loses what is said.",
            "Choose a model for plain text (llm.model), or fetch this one again.",
        )

    def _keeps_words(self) -> bool:
        try:
            prompt = self.render(_PROBE)
        except EngineFailed as error:
            if isinstance(error.__cause__, TooMuch):
                raise  # another form would take as long
            return False
        return all(message.content in prompt for message in _PROBE)

    def _content(self, text: str) -> str | list[dict[str, str]]:
        return [{"type": "text", "text": text}] if self._in_parts else text


def _raise_exception(message: str) -> NoReturn:
    raise ValueError(message)


def _strftime_now(form: str) -> str:
    return dt.datetime.now().astimezone().strftime(form)


_OFFERED = {
    "raise_exception": _raise_exception,
    "strftime_now": _strftime_now,
    "tools": None,
    "documents": None,
}
"""Functions and values available to templates."""

_PROBE = (Message("system", "Zebra crossing."), Message("user", "Violet teapot"))
"""A conversation whose words must all be in the prompt."""


def _system_in_question(messages: Sequence[Message]) -> list[Message]:
    """Put the system text at the start of the message that follows it."""
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    chat = [message for message in messages if message.role != "system"]
    if system and chat:
        chat[0] = Message(chat[0].role, f"{system}\n\n{chat[0].content}")
    return chat


def _cause(error: BaseException) -> str:
    """What is wrong, in a line: "UndefinedError: 'tool_use' is undefined"."""
    text = " ".join(str(error).split())[:120]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _unusable(error: BaseException) -> ModelCorrupt:
    return ModelCorrupt(
        f"The chat template inside the model file does not work ({_cause(error)}).",
        "Choose a different model (llm.model), or fetch this one again.",
    )
