"""A file of prompts, one a line, answered by the language model, several at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from assistant.cancel import Cancel
from assistant.errors import PromptsUnreadable
from assistant.settings import Settings
from assistant.types import BatchReply, Message

log = logging.getLogger(__name__)

MAX_BYTES = 10_000_000
"""Of a file of prompts; a night is not long enough for more."""


def read(file: Path) -> list[str]:
    """Its lines, without those that are empty. Raises PromptsUnreadable."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise PromptsUnreadable(f"{file} is larger than {MAX_BYTES // 1_000_000} MB.", "Split it.")
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PromptsUnreadable(
            f"The prompts in {file} cannot be read: {error}.", "Name a text file in UTF-8, a prompt a line."
        ) from error
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise PromptsUnreadable(f"There is no prompt in {file}.", "Write one on each line.")
    return prompts


def answer(settings: Settings, prompts: Sequence[str], at_once: int, *, as_json: bool) -> None:
    """Print the answers in the order of the prompts, each as soon as those before it are there.

    Raises AssistantError.
    """
    from assistant import app, configuration  # noqa: PLC0415 - engines take a second to import
    from assistant.conversation import opening  # noqa: PLC0415

    before = opening(configuration.prompt_text(settings))
    with closing(app.load_batch(settings, min(at_once, len(prompts)))) as batch:
        chats = [[*before, Message("user", prompt)] for prompt in prompts]
        for reply in in_order(batch.answer_all(chats, Cancel())):
            prompt = prompts[reply.number]
            if not reply.text:
                log.warning("prompt=%d reply=empty", reply.number + 1)
            told = _as_json(reply, prompt) if as_json else f"> {prompt}\n{reply.text}\n"
            print(told, flush=True)


def in_order(replies: Iterator[BatchReply]) -> Iterator[BatchReply]:
    """The replies by their number; what is done early is held back."""
    held: dict[int, BatchReply] = {}
    number = 0
    for reply in replies:
        held[reply.number] = reply
        while number in held:
            yield held.pop(number)
            number += 1


def _as_json(reply: BatchReply, prompt: str) -> str:
    document = {
        "number": reply.number + 1,
        "prompt": prompt,
        "reply": reply.text,
        "tokens_prompt": reply.tokens_prompt,
        "tokens_generated": reply.tokens_generated,
        "began_s": round(reply.began_s, 3),
        "first_token_s": round(reply.first_token_s, 3),
        "end_s": round(reply.end_s, 3),
    }
    return json.dumps(document, ensure_ascii=False)
