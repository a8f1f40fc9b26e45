"""Turns a chat into the one text that its model was trained on.

The template is a small Jinja program inside the model file, so it is run in Jinja's sandbox: it
can build text and nothing else. Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from assistant.errors import EngineFailed, ModelCorrupt
from assistant.types import Message


class ChatTemplate:
    """One model's chat format. Raises ModelCorrupt when it cannot even render one question."""

    def __init__(self, source: str, begin: str, end: str) -> None:
        """``begin`` and ``end`` are the texts of the model's begin and end tokens."""
        try:
            self._format = Jinja2ChatFormatter(template=source, bos_token=begin, eos_token=end)
        except Exception as error:  # A hostile template may raise anything while it is compiled.
            raise _unusable(error) from error
        self._takes_system = True
        try:
            self._takes_system = self._keeps_system()
            self.render(_PROBE)
        except EngineFailed as error:
            raise _unusable(error) from error

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt, up to where the model's reply begins. Raises EngineFailed."""
        if not self._takes_system:
            messages = _system_in_question(messages)
        chat = [{"role": message.role, "content": message.content} for message in messages]
        try:
            # Models that think aloud before they answer are asked not to: it would be spoken.
            return str(self._format(messages=chat, enable_thinking=False).prompt)  # type: ignore[arg-type]
        except Exception as error:  # Templates refuse a chat by raising whatever they like.
            raise EngineFailed(
                f"The model's chat template could not be used ({type(error).__name__}).",
                "Choose another model (llm.model), or fetch this one again.",
            ) from error

    def _keeps_system(self) -> bool:
        """Some models know no system role: their template raises, or silently leaves it out."""
        try:
            return _PROBE[0].content in self.render(_PROBE)
        except EngineFailed:
            return False


_PROBE = (Message("system", "Zebra crossing."), Message("user", "Hello"))


def _system_in_question(messages: Sequence[Message]) -> list[Message]:
    """Put the system text at the head of the first message that follows it."""
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    chat = [message for message in messages if message.role != "system"]
    if system and chat:
        chat[0] = Message(chat[0].role, f"{system}\n\n{chat[0].content}")
    return chat


def _unusable(error: Exception) -> ModelCorrupt:
    return ModelCorrupt(
        f"The chat template inside the model file does not work ({type(error).__name__}).",
        "Choose another model (llm.model), or fetch this one again.",
    )
