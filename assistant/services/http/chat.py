"""Chat completions: receives a conversation and returns the next message, in one piece or as events."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from assistant.core.errors import AssistantError
from assistant.core.types import Message
from assistant.dialog.pipeline import Pipeline
from assistant.services.host import Host
from assistant.services.http.request import RequestInvalid

LONGEST_CHARS = 100_000
"""Total length of all messages: more than any supported model can read."""

_MOST_MESSAGES = 500
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class Asked:
    """One request."""

    model: str
    messages: Sequence[Message]
    streams: bool
    most_pieces: int | None
    stops: Sequence[str]


class Chat:
    """Answers with the assistant, or with the language model alone."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._reading: set[asyncio.Future[None]] = set()
        """What the model reads again for the room after someone else's chat."""

    def asked(self, request: dict[str, Any]) -> Asked:
        """Validate a request. Raises RequestInvalid."""
        given = request.get("messages")
        if not isinstance(given, list) or not 0 < len(given) <= _MOST_MESSAGES:
            raise RequestInvalid(f"messages must be a list of 1 to {_MOST_MESSAGES} messages.", "messages")
        messages = [_message(each) for each in given]
        if messages[-1].role != "user":
            raise RequestInvalid("The last message must have the role 'user'.", "messages")
        if sum(len(each.content) for each in messages) > LONGEST_CHARS:
            raise RequestInvalid(
                f"The messages may have at most {LONGEST_CHARS} characters in total.", "messages"
            )
        if request.get("tools") or request.get("functions"):
            raise RequestInvalid("The assistant calls its own skills and doesn't accept tools.", "tools")
        most = request.get("max_completion_tokens", request.get("max_tokens"))
        if most is not None and (not isinstance(most, int) or most < 1):
            raise RequestInvalid("max_tokens must be a whole number above 0.", "max_tokens")
        stop = request.get("stop") or []
        stops = [stop] if isinstance(stop, str) else stop
        if not isinstance(stops, list) or not all(isinstance(each, str) and each for each in stops):
            raise RequestInvalid("stop must be a text or a list of texts.", "stop")
        llm = self._host.pipeline().settings.llm.model
        model = llm if request.get("model") == llm else "assistant"
        return Asked(model, messages, bool(request.get("stream")), most, stops[:4])

    async def whole(self, asked: Asked) -> dict[str, Any]:
        """Return the answer as one document. Raises AssistantError."""
        text, reason = "", "stop"
        async with aclosing(self._pieces(asked)) as pieces:
            async for piece, why in pieces:
                text, reason = text + piece, why
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return {**_head("chat.completion", asked.model), "choices": [choice]}

    async def events(self, asked: Asked) -> AsyncIterator[str]:
        """Yield the answer as server-sent events; an error is also sent as an event."""
        head, reason = _head("chat.completion.chunk", asked.model), "stop"
        yield _event({**head, "choices": [_delta({"role": "assistant", "content": ""})]})
        try:
            async with aclosing(self._pieces(asked)) as pieces:
                async for piece, why in pieces:
                    reason = why
                    if piece:
                        yield _event({**head, "choices": [_delta({"content": piece})]})
        except AssistantError as error:
            yield _event({"error": {"message": str(error), "type": "server_error", "code": error.code}})
            return
        yield _event({**head, "choices": [_delta({}, reason)]})
        yield "data: [DONE]\n\n"

    async def _pieces(self, asked: Asked) -> AsyncGenerator[tuple[str, str], None]:
        """Yield each piece of text with the finish reason if it ended there: "stop" or "length"."""
        if asked.model == "assistant":
            yield await self._host.answer(asked.messages[-1].content), "stop"
            return
        async with self._host.guests.alone() as needed:
            pipeline = self._host.pipeline()
            try:
                async with aclosing(self._from_model(asked, pipeline, needed)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                reading = asyncio.ensure_future(self._read_again(pipeline))
                self._reading.add(reading)
                reading.add_done_callback(self._reading.discard)

    async def _from_model(
        self, asked: Asked, pipeline: Pipeline, needed: asyncio.Future[bool]
    ) -> AsyncGenerator[tuple[str, str], None]:
        """Ends early if a stop text is written, or if someone in the room needs the assistant."""
        text, told, count = "", 0, 0
        longest = max((len(stop) for stop in asked.stops), default=1) - 1
        """Characters held back, because they may begin a stop text."""
        stream = pipeline.llm.stream(lambda llm, cancel: llm.stream(asked.messages, cancel))
        async with aclosing(stream) as pieces:
            while count != asked.most_pieces:
                coming = asyncio.ensure_future(_next(pieces))
                try:
                    waiting: set[asyncio.Future[Any]] = {coming, needed}
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                        await asyncio.gather(coming, return_exceptions=True)
                if coming.cancelled() or needed.done():
                    break
                piece = coming.result()
                if piece is None:
                    yield text[told:], "stop"
                    return
                count += 1
                text += piece
                ends = [at for stop in asked.stops if (at := text.find(stop)) >= 0]
                if ends:
                    yield text[told : min(ends)], "stop"
                    return
                ready = max(told, len(text) - longest)
                yield text[told:ready], "stop"
                told = ready
        yield text[told:], "length"

    async def _read_again(self, pipeline: Pipeline) -> None:
        """Make the model read the start of the next question's prompt again."""
        beginning = [*pipeline.conversation.messages_for("")]
        with suppress(AssistantError):
            await self._host.guests.run(lambda: pipeline.llm.run(lambda llm, _: llm.prime(beginning)))


async def _next(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


def _message(given: object) -> Message:
    if not isinstance(given, dict) or given.get("role") not in _ROLES:
        raise RequestInvalid(f"The role of a message must be one of {', '.join(_ROLES)}.", "messages")
    content = given.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if not all(isinstance(part, str) for part in parts):
            raise RequestInvalid("Messages may contain only text.", "messages")
        content = "\n".join(str(part) for part in parts)
    if not isinstance(content, str) or not content.strip():
        raise RequestInvalid("Every message must contain text.", "messages")
    return Message(_ROLES[given["role"]], content)  # type: ignore[arg-type]  # one of the three


def _head(kind: str, model: str) -> dict[str, Any]:
    number = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": number, "object": kind, "created": int(time.time()), "model": model}


def _delta(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"
