"""OpenAI's own client against the HTTP service: everything it can ask, and clients that misbehave."""

from __future__ import annotations

import asyncio
import io
import json
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs the extra http")
pytest.importorskip("openai", reason="the real client")

import openai
import soundfile
from openai import OpenAI

from assistant.core.errors import EngineFailed, SettingsError
from assistant.core.state import State
from assistant.core.types import SAMPLE_RATE_HZ, Message, Pcm16, Transcript
from assistant.services import http
from assistant.services.guests import Guests
from assistant.services.host import Host
from assistant.services.http import server
from assistant.services.http.app import application
from assistant.settings.schema import HttpSettings, Settings

T = TypeVar("T")

VOICE_HZ = 22_050
TOKEN = "sesame"  # noqa: S105 - opens nothing
QUESTION = [{"role": "user", "content": "What time is it?"}]


def tone(seconds: float, rate_hz: int = SAMPLE_RATE_HZ) -> Pcm16:
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.round(8000 * np.sin(2 * np.pi * 440 * at_s)).astype(np.int16)


def silence(seconds: float) -> Pcm16:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)


class Pipeline:
    """Engines that answer at once."""

    settings = SimpleNamespace(
        llm=SimpleNamespace(model="qwen"),
        stt=SimpleNamespace(model="tiny", language="en"),
        tts=SimpleNamespace(model="joe"),
    )
    tts = SimpleNamespace(engine=SimpleNamespace(sample_rate_hz=VOICE_HZ))
    conversation = SimpleNamespace(messages_for=lambda _: [Message("user", "")])

    def __init__(self) -> None:
        self.asked: list[Sequence[Message]] = []
        self.primed = 0
        self.stt = SimpleNamespace(run=self._transcribe)
        self.llm = SimpleNamespace(stream=self._stream, run=self._prime)

    async def _transcribe(self, call: Callable[[Any, Any], T]) -> T:
        def transcribe(pcm: Pcm16, _: object) -> object:
            if len(pcm) < SAMPLE_RATE_HZ // 2:
                raise EngineFailed("It broke.", "Try again.")
            return SimpleNamespace(text=f" {len(pcm) / SAMPLE_RATE_HZ:.1f} seconds")

        return call(SimpleNamespace(transcribe=transcribe), None)

    async def _stream(self, call: Callable[[Any, Any], Iterator[str]]) -> AsyncIterator[str]:
        def stream(messages: Sequence[Message], _: object) -> Iterator[str]:
            self.asked.append(messages)
            yield from ("It ", "is ", "no", "on. ", "Or ", "not.")

        for piece in call(SimpleNamespace(stream=stream), None):
            await asyncio.sleep(0)
            yield piece

    async def _prime(self, _: Callable[[Any, Any], object]) -> None:
        self.primed += 1

    async def speak(self, sentences: AsyncIterator[Any]) -> AsyncIterator[object]:
        async for _ in sentences:
            yield SimpleNamespace(pcm=tone(1, VOICE_HZ))


class Scene:
    """The service and what it was asked."""

    def __init__(self) -> None:
        self.guests, self.engines = Guests(), Pipeline()
        self.guests.follow(State.SLEEPING)
        self.orders: list[dict[str, Any]] = []
        control: Any = SimpleNamespace(obey=self._obey)
        engines: Any = self.engines
        self.host = Host(Settings(), control, [], lambda: engines, self.guests)
        self.port = 0
        self.loop = asyncio.get_running_loop()

    async def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        self.orders.append(order)
        return {"reply": "It's noon."}

    async def transcribe(self, pcm: Pcm16) -> Any:
        """As a pipeline does."""
        return Transcript(f"{len(pcm) / SAMPLE_RATE_HZ:.1f} seconds")

    def client(self, token: str = TOKEN) -> OpenAI:
        return OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key=token, max_retries=0, timeout=20)

    def ask(self, request: bytes, *, wait_s: float = 10) -> bytes:
        """Send these bytes; whatever is answered until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), wait_s) as connection:
            connection.sendall(request)
            answer = b""
            with suppress(ConnectionError):
                while piece := connection.recv(65_536):
                    answer += piece
            return answer


def serving(talk: Callable[[Scene], T], token: str | None = TOKEN) -> T:
    async def main() -> T:
        scene = Scene()
        listener = socket.create_server(("127.0.0.1", 0))
        scene.port = listener.getsockname()[1]
        async with server.serve(listener, application(scene.host), token=token):
            return await asyncio.wait_for(asyncio.to_thread(talk, scene), 60)

    return asyncio.run(main())


def test_the_assistant_answers_and_its_models_are_named() -> None:
    def talk(scene: Scene) -> None:
        client = scene.client()
        assert [each.id for each in client.models.list()] == ["assistant", "qwen", "tiny", "joe"]
        answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == "It's noon."
        assert answer.choices[0].finish_reason == "stop"
        assert scene.orders == [{"order": "ask", "text": "What time is it?"}]
        assert not scene.engines.asked

    serving(talk)


def test_the_model_alone_reads_all_messages_and_the_room_is_read_again_after_it() -> None:
    def talk(scene: Scene) -> None:
        messages: Any = [{"role": "system", "content": [{"type": "text", "text": "Be short."}]}, *QUESTION]
        answer = scene.client().chat.completions.create(model="qwen", messages=messages)
        assert answer.choices[0].message.content == "It is noon. Or not."
        assert scene.engines.asked == [[Message("system", "Be short."), Message("user", "What time is it?")]]
        while not scene.engines.primed:
            time.sleep(0.01)

    serving(talk)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("limits", "text", "reason"),
    [
        ({}, "It is noon. Or not.", "stop"),
        ({"max_tokens": 2}, "It is ", "length"),
        ({"stop": "noon"}, "It is ", "stop"),
        ({"stop": ["never", "Or"]}, "It is noon. ", "stop"),
    ],
)
def test_an_answer_ends_where_it_should(
    limits: dict[str, Any], text: str, reason: str, *, streams: bool
) -> None:
    def talk(scene: Scene) -> None:
        create: Any = scene.client().chat.completions.create
        if not streams:
            choice = create(model="qwen", messages=QUESTION, **limits).choices[0]
            assert (choice.message.content, choice.finish_reason) == (text, reason)
            return
        chunks = list(create(model="qwen", messages=QUESTION, stream=True, **limits))
        assert "".join(each.choices[0].delta.content or "" for each in chunks) == text
        assert [each.choices[0].finish_reason for each in chunks] == [None] * (len(chunks) - 1) + [reason]

    serving(talk)


def test_what_cannot_be_done_is_said() -> None:
    def talk(scene: Scene) -> None:
        client: Any = scene.client()
        chat, speech, hear = client.chat.completions, client.audio.speech, client.audio.transcriptions
        tool = {"type": "function", "function": {"name": "x", "parameters": {}}}
        refused: list[tuple[Callable[[], object], str]] = [
            (lambda: chat.create(model="qwen", messages=[]), "1 to"),
            (lambda: chat.create(model="qwen", messages=QUESTION, tools=[tool]), "doesn't accept tools"),
            (lambda: chat.create(model="qwen", messages=QUESTION, max_tokens=0), "above 0"),
            (lambda: chat.create(model="x", messages=[{"role": "tool", "content": "x"}]), "role"),
            (
                lambda: chat.create(model="x", messages=[*QUESTION, {"role": "assistant", "content": "x"}]),
                "last",
            ),
            (lambda: speech.create(model="x", voice="x", input=" "), "input"),
            (lambda: speech.create(model="x", voice="x", input="x", speed=2), "tts.pace"),
            (lambda: hear.create(model="x", file=("x.wav", b"nonsense")), "sound file"),
        ]
        for ask, words in refused:
            with pytest.raises(openai.BadRequestError, match=words):
                ask()
        with pytest.raises(openai.NotFoundError, match="GET /v1/files"):
            client.files.list()
        short = io.BytesIO()
        soundfile.write(short, tone(0.3), SAMPLE_RATE_HZ, format="WAV")
        with pytest.raises(openai.InternalServerError, match="It broke"):
            hear.create(model="x", file=("x.wav", short.getvalue()))

    serving(talk)


def test_who_has_no_token_or_is_a_web_page_is_refused() -> None:
    def talk(scene: Scene) -> None:
        with pytest.raises(openai.AuthenticationError):
            scene.client("guess").models.list()
        head = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sesame\r\nConnection: close\r\n"
        assert scene.ask(head + b"\r\n").startswith(b"HTTP/1.1 200")
        assert scene.ask(head + b"Origin: http://evil\r\n\r\n").startswith(b"HTTP/1.1 403")

    serving(talk)


def test_without_a_token_only_this_machine_may_ask_by_its_own_name() -> None:
    def talk(scene: Scene) -> None:
        assert len(list(scene.client("anything").models.list())) == 4
        head = b"GET /v1/models HTTP/1.1\r\nConnection: close\r\nHost: "
        assert scene.ask(head + b"rebound.example:80\r\n\r\n").startswith(b"HTTP/1.1 403")
        assert scene.ask(head + b"localhost\r\n\r\n").startswith(b"HTTP/1.1 200")

    serving(talk, token=None)


def test_the_network_needs_a_token() -> None:
    with pytest.raises(SettingsError, match="no token is set"):
        http._listening(HttpSettings(listen="0.0.0.0:0"), has_token=False)
    http._listening(HttpSettings(listen="127.0.0.1:0"), has_token=False).close()
    with pytest.raises(SettingsError, match="can't listen"):
        http._listening(HttpSettings(listen="127.0.0.1:99999"), has_token=True)


def test_bodies_and_connections_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_WITHIN_S", 0.3)
    monkeypatch.setattr(server, "_BODY_WITHIN_S", 0.3)

    def talk(scene: Scene) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sesame\r\n"
        assert b"413" in scene.ask(head + b"Content-Length: 30000000\r\n\r\n")
        assert scene.ask(b"") == b"", "it says nothing, and is closed"
        assert b"200" not in scene.ask(head + b"Content-Length: 100\r\n\r\n{", wait_s=10)
        assert b"400" in scene.ask(b"\x16\x03\x01 nonsense\r\n\r\n")
        crowd = [socket.create_connection(("127.0.0.1", scene.port)) for _ in range(200)]
        with suppress(openai.APIError):
            scene.client().models.list()  # it may have to come again
        for each in crowd:
            each.close()
        for _ in range(50):
            with suppress(openai.APIError):
                scene.client().models.list()
                break
        else:
            pytest.fail("the crowd has gone, and nobody is let in")

    serving(talk)


def test_no_request_is_answered_with_a_raw_error() -> None:
    """Mutations of good requests, from a seed."""
    rng = random.Random(7)  # noqa: S311 - a seed, no secret
    good = json.dumps(
        {"model": "qwen", "messages": QUESTION, "stream": False, "stop": ["x"], "max_tokens": 3}
    )
    values = ["null", "[]", "{}", "1e999", "-1", '"\\ud800"', "true", "[" * 2000, '{"role": 3}', "NaN", '""']

    def mutated() -> bytes:
        body = good
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(body))
            body = body[:at] + rng.choice(values) + body[at + rng.randint(0, 8) :]
        return body.encode()

    def talk(scene: Scene) -> None:
        path = rng.choice(["/v1/chat/completions", "/v1/audio/speech", "/v1/audio/transcriptions"])
        for _ in range(300):
            body = mutated()
            head = (
                f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            answer = scene.ask(head.encode() + body)
            assert answer.split(b" ", 2)[1] in (b"200", b"400"), (body, answer)

    serving(talk)


def test_a_chat_ends_early_for_a_person_in_the_room() -> None:
    async def endless(_: object) -> AsyncIterator[str]:
        while True:
            yield "more "
            await asyncio.sleep(0.01)

    def talk(scene: Scene) -> None:
        scene.engines.llm.stream = endless
        threading.Timer(
            0.5, lambda: scene.loop.call_soon_threadsafe(scene.guests.follow, State.LISTENING)
        ).start()
        answer = scene.client().chat.completions.create(model="qwen", messages=QUESTION)  # type: ignore[arg-type]
        assert answer.choices[0].finish_reason == "length"
        assert answer.choices[0].message.content.startswith("more more")  # type: ignore[union-attr]
        assert not scene.engines.primed, "the room comes first"

    serving(talk)


def test_a_person_in_the_room_goes_first() -> None:
    def talk(scene: Scene) -> None:
        loop_of = scene.guests
        loop_of.follow(State.LISTENING)
        with pytest.raises(openai.APITimeoutError):
            scene.client().with_options(timeout=0.5).audio.speech.create(model="x", voice="x", input="One.")
        assert not scene.orders

    serving(talk)
