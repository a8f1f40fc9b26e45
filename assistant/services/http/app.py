"""OpenAI's protocol over HTTP: the routes, and how errors are reported.

The model ``assistant`` answers as the assistant does in the room, skills included, in the same conversation.
The language model's own name reaches only the model. OpenAI's names (``gpt-4o``, ``whisper-1``, ``tts-1``)
stand for the assistant, its recognizer, and its voice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from assistant.core.errors import AssistantError, EngineTimeout, OrderInvalid, OrderRefused
from assistant.services.host import Host
from assistant.services.http.chat import Chat
from assistant.services.http.realtime import converse
from assistant.services.http.request import RequestInvalid, json_object
from assistant.services.http.sound import MEDIA_TYPES, Encoder, sound_in, subtitles

LONGEST_INPUT_CHARS = 4096
"""Longest text to speak; OpenAI's own limit."""

_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")


def application(host: Host) -> Starlette:
    """Return the ASGI application that answers with the engines of ``host``."""
    api = _Api(host)
    return Starlette(
        routes=[
            Route("/v1/models", api.models),
            Route("/v1/chat/completions", api.chat, methods=["POST"]),
            Route("/v1/audio/transcriptions", api.transcriptions, methods=["POST"]),
            Route("/v1/audio/speech", api.speech, methods=["POST"]),
            WebSocketRoute("/v1/realtime", api.realtime),
        ],
        exception_handlers={RequestInvalid: _told, AssistantError: _told, 404: _unknown, 405: _unknown},
    )


class _Api:
    """The request handlers, one method each."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._chat = Chat(host)
        self._one_upload = asyncio.Lock()
        """An hour of sound takes 115 MB when decoded."""

    async def models(self, _: Request) -> Response:
        """List the assistant and the models behind it."""
        settings = self._host.pipeline().settings
        names = dict.fromkeys(("assistant", settings.llm.model, settings.stt.model, settings.tts.model))
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "assistant"} for name in names]
        return JSONResponse({"object": "list", "data": listed})

    async def chat(self, request: Request) -> Response:
        """Answer the last message, in one piece or as events."""
        asked = self._chat.asked(json_object(await request.body(), "The request"))
        if not asked.streams:
            return JSONResponse(await self._chat.whole(asked))
        return StreamingResponse(self._chat.events(asked), media_type="text/event-stream")

    async def transcriptions(self, request: Request) -> Response:
        """Transcribe the uploaded file."""
        async with request.form(max_files=1, max_fields=20) as form:
            file = form.get("file")
            if file is None or isinstance(file, str):
                raise RequestInvalid("The request has no file.", "file")
            wanted = str(form.get("response_format") or "json")
            if wanted not in _FORMATS:
                raise RequestInvalid(
                    f"response_format must be one of {', '.join(_FORMATS)}.", "response_format"
                )
            has_times = wanted not in ("json", "text")
            async with self._one_upload:
                pieces, seconds = await sound_in(await file.read(), by_pause=has_times)
        told: list[dict[str, Any]] = []
        for begin_s, pcm in pieces:
            text = await self._transcribe(pcm)
            if text:
                end_s = begin_s + len(pcm) / 16_000
                told.append({"id": len(told), "start": begin_s, "end": end_s, "text": text})
        text = " ".join(each["text"] for each in told)
        if wanted == "json":
            return JSONResponse({"text": text})
        if wanted == "verbose_json":
            language = self._host.pipeline().settings.stt.language
            whole = {"task": "transcribe", "language": language, "duration": seconds}
            return JSONResponse({**whole, "text": text, "segments": told})
        lines = f"{text}\n" if wanted == "text" else subtitles(told, wanted)
        return Response(lines, media_type="text/plain; charset=utf-8")

    async def _transcribe(self, pcm: Any) -> str:
        pipeline = self._host.pipeline()
        hear = pipeline.stt.run
        transcript = await self._host.guests.run(
            lambda: hear(lambda stt, cancel: stt.transcribe(pcm, cancel))
        )
        return transcript.text.strip()

    async def speech(self, request: Request) -> Response:
        """Speak a text; the audio arrives sentence by sentence."""
        asked = json_object(await request.body(), "The request")
        text = asked.get("input")
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_INPUT_CHARS:
            raise RequestInvalid(
                f"input must be a text of at most {LONGEST_INPUT_CHARS} characters.", "input"
            )
        kind = asked.get("response_format", "mp3")
        if not isinstance(kind, str) or kind not in MEDIA_TYPES:
            raise RequestInvalid(
                f"response_format must be one of {', '.join(MEDIA_TYPES)}.", "response_format"
            )
        if asked.get("speed", 1) != 1:
            raise RequestInvalid("speed must be 1; set the pace of the voice in tts.pace.", "speed")
        encoder = Encoder(str(kind), self._host.pipeline().tts.engine.sample_rate_hz)
        sounds = self._sound(text, encoder)
        first = await anext(sounds, b"")  # A failure before the first sound is returned as an error.

        async def stream() -> AsyncIterator[bytes]:
            yield first
            async for piece in sounds:
                yield piece

        return StreamingResponse(stream(), media_type=MEDIA_TYPES[kind])

    async def realtime(self, socket: WebSocket) -> None:
        """Hold a conversation with one client."""
        await converse(socket, self._host)

    async def _sound(self, text: str, encoder: Encoder) -> AsyncIterator[bytes]:
        async for pcm in self._host.guests.speak(self._host.pipeline, text):
            yield encoder.add(pcm)
        yield encoder.finish()


async def _told(_: Request, error: Exception) -> Response:
    code, status, param = "server_error", 500, None
    if isinstance(error, RequestInvalid):
        code, status, param = "invalid_request", 400, error.param
    elif isinstance(error, OrderInvalid):
        code, status = error.code, 400
    elif isinstance(error, AssistantError):
        code, status = error.code, 503 if isinstance(error, EngineTimeout | OrderRefused) else 500
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse(
        {"error": {"message": str(error), "type": kind, "param": param, "code": code}}, status
    )


async def _unknown(request: Request, _: Exception) -> Response:
    reason = f"No route matches {request.method} {request.url.path[:100]}."
    error = {"message": reason, "type": "invalid_request_error", "param": None, "code": "unknown_url"}
    return JSONResponse({"error": error}, 404)
