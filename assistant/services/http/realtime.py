"""OpenAI's realtime protocol: a program streams a microphone over a WebSocket and gets spoken answers.

The assistant decides with its own end-of-turn detection when someone has finished. Speaking while an answer
is being sent ends the answer. Answers come from the assistant as in the room, skills included.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from assistant.core import events as e
from assistant.core.errors import AssistantError
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Transcript
from assistant.dialog.endpointer import required_silence_ms
from assistant.services.host import Host
from assistant.services.http.microphone import CLIENT_HZ, ClientMicrophone, samples
from assistant.services.http.request import RequestInvalid, json_object
from assistant.services.http.sound import Encoder

_LONGEST_S = 60
"""Longest audio in one commit."""

_DELTA_BYTES = CLIENT_HZ
"""Half a second of audio per event."""

_SILENT_S = 600.0
"""A client that sends nothing for this long is considered gone."""


async def converse(socket: WebSocket, host: Host) -> None:
    """Serve one client until it leaves."""
    await socket.accept()
    await Session(socket, host).run()


class Session:
    """A conversation with one client."""

    def __init__(self, socket: WebSocket, host: Host) -> None:
        self._socket = socket
        self._host = host
        self._hearing = ClientMicrophone(host.pipeline().settings)
        self._decides = True
        """True if the assistant decides when a turn is over; otherwise, the client commits."""
        self._answers, self._interrupts, self._speaks = True, True, True
        self._kept: list[Pcm16] = []
        """Audio since the last commit, if the client commits."""
        self._asked = ""
        self._turn: asyncio.Task[None] | None = None
        """The task that transcribes and answers."""
        self._ahead: asyncio.Task[None] | None = None
        """The task that transcribes during a pause to decide how long to wait."""

    async def run(self) -> None:
        """Process the client's events in order until it disconnects."""
        await self._send("session.created", session=self._session)
        try:
            while True:
                text = await asyncio.wait_for(self._socket.receive_text(), _SILENT_S)
                try:
                    await self._take(json_object(text, "The event"))
                except RequestInvalid as error:
                    await self._complain(str(error), "invalid_request_error", error.param)
        except (
            WebSocketDisconnect,
            asyncio.TimeoutError,
            KeyError,
        ):  # KeyError: the client sent binary data.
            pass
        finally:
            for task in (self._turn, self._ahead):
                if task:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            with suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.close()

    async def _take(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "session.update":
                self._update(event.get("session"))
                await self._send("session.updated", session=self._session)
            case "input_audio_buffer.append":
                await self._hear(samples(event.get("audio")))
            case "input_audio_buffer.clear":
                self._kept.clear()
                self._hearing.reset()
                await self._send("input_audio_buffer.cleared")
            case "input_audio_buffer.commit":
                if not self._kept:
                    raise RequestInvalid("There is no audio to commit.")
                pcm = np.concatenate(self._kept)
                self._kept.clear()
                self._begin(self._heard(pcm, _item(), answers=False))
            case "conversation.item.create":
                self._asked = _words(event.get("item"))
                await self._send("conversation.item.added", item=_message("user", self._asked, _item()))
            case "response.create":
                self._begin(self._answer(await self._question()))
            case "response.cancel":
                await self._interrupt("client_cancelled")
            case "conversation.item.truncate":
                cut = {key: event.get(key) for key in ("item_id", "content_index", "audio_end_ms")}
                await self._send("conversation.item.truncated", **cut)
            case other:
                raise RequestInvalid(f"The event {str(other)[:60]!r} is not supported.", "type")

    @property
    def _session(self) -> dict[str, Any]:
        detection = {"type": "server_vad", "create_response": self._answers}
        detection["interrupt_response"] = self._interrupts
        sound = {"type": "audio/pcm", "rate": CLIENT_HZ}
        heard = {"format": sound, "turn_detection": detection if self._decides else None}
        return {
            "type": "realtime",
            "model": "assistant",
            "output_modalities": ["audio" if self._speaks else "text"],
            "audio": {"input": heard, "output": {"format": sound, "voice": "alloy"}},
        }

    def _update(self, given: object) -> None:
        """Apply a session update. Raises RequestInvalid."""
        if not isinstance(given, dict):
            raise RequestInvalid("session must be an object.", "session")
        if given.get("tools"):
            raise RequestInvalid(
                "The assistant calls its own skills and doesn't accept tools.", "session.tools"
            )
        audio = given.get("audio") or {}
        heard = (audio.get("input") or {}) if isinstance(audio, dict) else None
        if not isinstance(heard, dict):
            raise RequestInvalid("audio.input must be an object.", "session.audio")
        form = heard.get("format") or {}
        if not isinstance(form, dict) or form.get("type", "audio/pcm") != "audio/pcm":
            raise RequestInvalid("Audio must be audio/pcm at 24,000 samples per second.", "session.audio")
        if "turn_detection" in heard:
            detection = heard["turn_detection"]
            self._decides = isinstance(detection, dict)
            if isinstance(detection, dict):
                self._answers = bool(detection.get("create_response", True))
                self._interrupts = bool(detection.get("interrupt_response", True))
        modalities = given.get("output_modalities")
        if isinstance(modalities, list) and modalities:
            self._speaks = "audio" in modalities

    # Hearing

    async def _hear(self, pcm: Pcm16) -> None:
        resampled = self._hearing.resampled(pcm)
        if not self._decides:
            self._kept.append(resampled)
            if sum(map(len, self._kept)) > _LONGEST_S * SAMPLE_RATE_HZ:
                self._kept.clear()
                raise RequestInvalid(f"The buffer holds more than {_LONGEST_S} s of audio; commit sooner.")
            return
        for event in self._hearing.events(resampled):
            match event:
                case e.SpeechStarted():
                    if self._interrupts:
                        await self._interrupt("turn_detected")
                    self._hearing.item = _item()
                    began_ms = max(0, self._hearing.now_ms - self._hearing.utterance_ms)
                    await self._tell_speech("started", audio_start_ms=began_ms)
                case e.SpeechPaused(utterance=utterance):
                    if self._ahead:
                        self._ahead.cancel()
                    self._ahead = asyncio.ensure_future(self._judge(utterance.pcm))
                case e.TurnEnded(utterance=utterance):
                    await self._tell_speech("stopped", audio_end_ms=self._hearing.now_ms)
                    self._begin(self._heard(utterance.pcm, self._hearing.item, answers=self._answers))
                    self._hearing.reset()
                case e.NothingSaid():
                    await self._tell_speech("stopped", audio_end_ms=self._hearing.now_ms)

    async def _tell_speech(self, what: str, **when: int) -> None:
        await self._send(f"input_audio_buffer.speech_{what}", item_id=self._hearing.item, **when)

    async def _judge(self, pcm: Pcm16) -> None:
        """Transcribe what was said up to the pause, which decides how long a pause must be to end the
        turn.
        """
        with suppress(AssistantError):
            transcript = await self._transcribe(pcm)
            pipeline = self._host.pipeline()
            is_matched = pipeline.skills.match(transcript.text) is not None
            if self._hearing.pauses:
                self._hearing.wait_ms = required_silence_ms(
                    transcript, matched=is_matched, settings=pipeline.settings.endpoint
                )

    async def _transcribe(self, pcm: Pcm16) -> Transcript:
        pipeline = self._host.pipeline()
        return await self._host.guests.run(lambda: pipeline.transcribe(pcm))

    async def _heard(self, pcm: Pcm16, item: str, *, answers: bool) -> None:
        await self._send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        text = (await self._transcribe(pcm)).text.strip()
        self._asked = text
        await self._send("conversation.item.added", item=_message("user", text, item, kind="input_audio"))
        usage = {"type": "duration", "seconds": len(pcm) / SAMPLE_RATE_HZ}
        about = {"item_id": item, "content_index": 0, "transcript": text, "usage": usage}
        await self._send("conversation.item.input_audio_transcription.completed", **about)
        if answers and text:
            await self._answer(text)

    async def _question(self) -> str:
        """Return the question to answer: the last one committed or typed."""
        if self._turn:
            await asyncio.gather(self._turn, return_exceptions=True)
        if not self._asked:
            raise RequestInvalid("No question has been asked yet.")
        return self._asked

    # Answering

    def _begin(self, turn: Any) -> None:
        if self._turn:
            self._turn.cancel()
        self._turn = asyncio.ensure_future(self._told(turn))

    async def _told(self, turn: Any) -> None:
        """Run ``turn``; errors are sent to the client, not raised."""
        try:
            await turn
        except AssistantError as error:
            await self._complain(str(error), "server_error", None, error.code)
        except (RuntimeError, WebSocketDisconnect):
            pass  # The client has disconnected.

    async def _interrupt(self, reason: str) -> None:
        if self._turn and not self._turn.done():
            self._turn.cancel(reason)
            await asyncio.gather(self._turn, return_exceptions=True)

    async def _answer(self, text: str) -> None:
        response, item = f"resp_{secrets.token_hex(8)}", _item()
        kind = "audio" if self._speaks else "text"
        told: dict[str, Any] = {
            "id": response,
            "object": "realtime.response",
            "output": [],
            "output_modalities": [kind],
        }
        here = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        await self._send("response.created", response={**told, "status": "in_progress"})
        reply, status = "", "completed"
        details: dict[str, Any] | None = None
        try:
            reply = await self._host.answer(text)
            begun = {"response_id": response, "output_index": 0}
            await self._send("response.output_item.added", **begun, item=_message("assistant", "", item))
            await self._send("response.content_part.added", **here, part={"type": kind})
            if self._speaks:
                await self._send("response.output_audio_transcript.delta", **here, delta=reply)
                async for piece in self._spoken(reply):
                    await self._send("response.output_audio.delta", **here, delta=piece)
                await self._send("response.output_audio.done", **here)
                await self._send("response.output_audio_transcript.done", **here, transcript=reply)
            else:
                await self._send("response.output_text.delta", **here, delta=reply)
                await self._send("response.output_text.done", **here, text=reply)
            part = {"type": kind, "transcript" if self._speaks else "text": reply}
            await self._send("response.content_part.done", **here, part=part)
            whole = _message("assistant", reply, item, kind=f"output_{kind}")
            await self._send("response.output_item.done", **begun, item=whole)
            told["output"] = [whole]
        except asyncio.CancelledError as error:
            status = "cancelled"
            details = {"type": "cancelled", "reason": str(error.args[0]) if error.args else "turn_detected"}
            raise
        except AssistantError as error:
            status, details = (
                "failed",
                {"type": "failed", "error": {"type": "server_error", "code": error.code}},
            )
            raise
        finally:
            with suppress(RuntimeError, WebSocketDisconnect):
                ended = {**told, "status": status, "status_details": details}
                await asyncio.shield(self._send("response.done", response=ended))

    async def _spoken(self, text: str) -> AsyncIterator[str]:
        """Yield the audio of ``text`` in base64."""
        encoder = Encoder("pcm", self._host.pipeline().tts.engine.sample_rate_hz)
        async for pcm in self._host.guests.speak(self._host.pipeline, text):
            for piece in _cut(encoder.add(pcm)):
                yield piece
        for piece in _cut(encoder.finish()):
            yield piece

    # Telling

    async def _complain(self, problem: str, kind: str, param: str | None, code: str | None = None) -> None:
        error = {"message": problem, "type": kind, "param": param, "code": code, "event_id": None}
        await self._send("error", error=error)

    async def _send(self, kind: str, **about: object) -> None:
        event = {"type": kind, "event_id": f"event_{secrets.token_hex(8)}", **about}
        await self._socket.send_text(json.dumps(event))


def _words(given: object) -> str:
    content = given.get("content") if isinstance(given, dict) and given.get("role") == "user" else None
    parts = (
        [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    )
    words = " ".join(part for part in parts if isinstance(part, str)).strip()
    if not words or len(words) > 4096:
        raise RequestInvalid("An item must be a user message with text.", "item")
    return words


def _message(role: str, text: str, item: str, *, kind: str = "input_text") -> dict[str, Any]:
    key = "transcript" if kind.endswith("audio") else "text"
    content = [{"type": kind, key: text}] if text else []
    return {"id": item, "object": "realtime.item", "type": "message", "role": role, "content": content}


def _item() -> str:
    return f"item_{secrets.token_hex(8)}"


def _cut(sound: bytes) -> list[str]:
    cuts = range(0, len(sound), _DELTA_BYTES)
    return [base64.b64encode(sound[at : at + _DELTA_BYTES]).decode() for at in cuts]
