"""Answers a file of prompts, one per line, with the language model, several at once."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from assistant.app import memory_fit
from assistant.core.errors import EngineFailed, PromptsUnreadable
from assistant.core.types import BatchReply, Message
from assistant.engines import BatchLlm
from assistant.engines.llm.one_by_one import OneByOne
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_spec import spec
from assistant.settings.schema import Settings

log = logging.getLogger(__name__)

MAX_BYTES = 10_000_000
"""Limit for a file of prompts; a night is not long enough for more."""


def read(file: Path) -> list[str]:
    """Return its lines, without empty ones. Raises PromptsUnreadable."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise PromptsUnreadable(
                f"{file} is larger than {MAX_BYTES // 1_000_000} MB.", "Split it into smaller files."
            )
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PromptsUnreadable(
            f"The prompts in {file} cannot be read: {error}.",
            "Use a UTF-8 text file with one prompt per line.",
        ) from error
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise PromptsUnreadable(f"{file} contains no prompts.", "Write one prompt on each line.")
    return prompts


def answer(settings: Settings, prompts: Sequence[str], at_once: int, *, as_json: bool) -> None:
    """Print the answers in the order of the prompts, each as soon as those before it are done.

    Raises EngineFailed at the end if some have no answer, and AssistantError.
    """
    from assistant.dialog.conversation import opening  # noqa: PLC0415
    from assistant.settings import load as configuration  # noqa: PLC0415 - as in _loaded

    before = opening(configuration.prompt_text(settings))
    failed = []
    with closing(_loaded(settings, min(at_once, len(prompts)))) as batch:
        chats = [[*before, Message("user", prompt)] for prompt in prompts]
        for reply in in_order(batch.answer_all(chats, Cancel())):
            prompt = prompts[reply.number]
            if reply.error:
                failed.append(reply)
            elif not reply.text:
                log.warning("prompt=%d reply=empty", reply.number + 1)
            print(_as_json(reply, prompt) if as_json else _as_text(reply, prompt), flush=True)
    if failed:
        raise EngineFailed(
            f"{len(failed)} of {len(prompts)} prompts were not answered. The first: {failed[0].error}",
            "Ask those again. All other answers are complete.",
        )


def _loaded(settings: Settings, at_once: int) -> BatchLlm:
    """Load an engine that answers this many at once, or one after the other if it can't. Raises
    AssistantError.
    """
    from assistant.app import engines as loading  # noqa: PLC0415 - engines take a second to import

    name = settings.llm.engine
    if spec("llm", name).create_batch:
        return loading.load_batch(settings, at_once)
    if at_once > 1:
        print(
            f"The llm engine '{name}' answers one prompt at a time, so --batch has no effect.",
            file=sys.stderr,
        )
    memory_fit.require(settings, llm_only=True)
    return OneByOne(loading.load_llm(settings))


def in_order(replies: Iterator[BatchReply]) -> Iterator[BatchReply]:
    """Yield the replies by number, holding back early ones."""
    held: dict[int, BatchReply] = {}
    number = 0
    for reply in replies:
        held[reply.number] = reply
        while number in held:
            yield held.pop(number)
            number += 1


def _as_text(reply: BatchReply, prompt: str) -> str:
    text = f"> {prompt}\n{reply.text}\n"
    return f"{text}[Not answered: {reply.error}]\n" if reply.error else text


def _as_json(reply: BatchReply, prompt: str) -> str:
    document = {
        "number": reply.number + 1,
        "prompt": prompt,
        "reply": reply.text,
        "error": reply.error or None,
        "tokens_prompt": reply.tokens_prompt,
        "tokens_generated": reply.tokens_generated,
        "began_s": round(reply.began_s, 3),
        "first_token_s": round(reply.first_token_s, 3),
        "end_s": round(reply.end_s, 3),
    }
    return json.dumps(document, ensure_ascii=False)
