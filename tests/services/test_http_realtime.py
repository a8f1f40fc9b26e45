"""OpenAI's own client against the realtime protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import pytest
import soxr

pytest.importorskip("uvicorn", reason="needs the extra http")
pytest.importorskip("openai", reason="the real client")

import socket

from openai import AsyncOpenAI

from assistant.audio.files import read_sound
from assistant.core.state import State
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.services.http import server
from assistant.services.http.app import application
from assistant.settings.schema import Settings
from tests.conftest import Clip
from tests.services.test_http import TOKEN, Scene, tone

T = TypeVar("T")

Story = Callable[[Scene, Any], Awaitable[T]]


def conversing(story: Story[T]) -> T:
    async def main() -> T:
        scene = Scene()
        scene.engines.settings = Settings()  # type: ignore[assignment]
        scene.engines.skills = type("", (), {"match": staticmethod(lambda _: None)})  # type: ignore[attr-defined]
        scene.engines.transcribe = scene.transcribe  # type: ignore[attr-defined]
        listener = socket.create_server(("127.0.0.1", 0))
        scene.port = listener.getsockname()[1]
        async with server.serve(listener, application(scene.host), token=TOKEN):
            base = f"http://127.0.0.1:{scene.port}/v1"
            client = AsyncOpenAI(base_url=base, api_key=TOKEN, websocket_base_url=base.replace("http", "ws"))
            async with client.realtime.connect(model="assistant") as connection:
                return await asyncio.wait_for(story(scene, connection), 60)

    return asyncio.run(main())


async def until(connection: Any, kind: str) -> list[Any]:
    """Every event until one of this kind."""
    events = []
    async for event in connection:
        events.append(event)
        if event.type == kind:
            return events
    raise AssertionError(f"no {kind} in {events}")


def base64_of(pcm: Pcm16, rate_hz: int = SAMPLE_RATE_HZ) -> str:
    return base64.b64encode(soxr.resample(pcm, rate_hz, 24_000).astype("<i2").tobytes()).decode()


async def push_to_talk(connection: Any) -> None:
    await connection.session.update(
        session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    )


def test_what_is_typed_is_answered_aloud() -> None:
    async def story(scene: Scene, connection: Any) -> None:
        content = [{"type": "input_text", "text": "What time is it?"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await connection.response.create()
        events = await until(connection, "response.done")
        assert [event.type for event in events][:4] == [
            "session.created",
            "conversation.item.added",
            "response.created",
            "response.output_item.added",
        ]
        sound = b"".join(
            base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta"
        )
        assert len(sound) == pytest.approx(2 * 24_000, rel=0.01)
        assert events[-1].response.status == "completed"
        assert events[-1].response.output[0].content[0].transcript == "It's noon."
        assert scene.orders == [{"order": "ask", "text": "What time is it?"}]

    conversing(story)


def test_push_to_talk_is_transcribed_and_answered_in_writing() -> None:
    async def story(_: Scene, connection: Any) -> None:
        await push_to_talk(connection)
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        for _number in range(4):
            await connection.input_audio_buffer.append(audio=base64_of(tone(0.5)))
        await connection.input_audio_buffer.commit()
        events = await until(connection, "conversation.item.input_audio_transcription.completed")
        assert events[-1].transcript == "2.0 seconds"
        await connection.response.create()
        events = await until(connection, "response.done")
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "It's noon."

    conversing(story)


def test_who_speaks_is_heard_out_by_the_assistants_own_end_of_turn(shared_audio: list[Clip]) -> None:
    question = next(clip.path for clip in shared_audio if clip.path.stem == "what_time_is_it")
    pcm = np.concatenate([read_sound(question), np.zeros(2 * SAMPLE_RATE_HZ, np.int16)])

    async def story(scene: Scene, connection: Any) -> None:
        for begin in range(0, len(pcm), 1600):
            await connection.input_audio_buffer.append(audio=base64_of(pcm[begin : begin + 1600]))
            await asyncio.sleep(0.02)
        kinds = [event.type for event in await until(connection, "response.done")]
        expected = ["speech_started", "speech_stopped", "committed"]
        at = [kinds.index(f"input_audio_buffer.{each}") for each in expected]
        assert at == sorted(at)
        assert kinds.index("response.created") > at[-1]
        assert len(scene.orders) == 1

    conversing(story)


def test_an_answer_that_is_cancelled_says_so() -> None:
    async def story(scene: Scene, connection: Any) -> None:
        scene.guests.follow(State.LISTENING)  # the answer has to wait
        content = [{"type": "input_text", "text": "What time is it?"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await connection.response.create()
        await until(connection, "response.created")
        await connection.response.cancel()
        events = await until(connection, "response.done")
        assert events[-1].response.status == "cancelled"
        assert events[-1].response.status_details.reason == "client_cancelled"
        await connection.conversation.item.truncate(item_id="item_x", content_index=0, audio_end_ms=200)
        assert (await until(connection, "conversation.item.truncated"))[-1].audio_end_ms == 200

    conversing(story)


def test_a_connection_outlives_the_time_for_a_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_WITHIN_S", 0.2)

    async def story(_: Scene, connection: Any) -> None:
        await asyncio.sleep(0.6)
        await connection.session.update(session={"type": "realtime"})
        await until(connection, "session.updated")

    conversing(story)


def test_nonsense_is_told_and_the_conversation_goes_on() -> None:
    rng = random.Random(5)  # noqa: S311 - a seed, no secret
    kinds: list[Any] = [
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "conversation.item.create",
        "conversation.item.truncate",
        "nonsense",
        None,
        {},
    ]
    values: list[Any] = [None, [], {}, 3, "x", "QUJD", {"content": [3]}, {"audio": 3}, {"tools": [1]}]

    async def story(_: Scene, connection: Any) -> None:
        await push_to_talk(connection)
        await until(connection, "session.updated")
        for _number in range(300):
            keys = ("session", "audio", "item", "item_id")
            event = {"type": rng.choice(kinds), **{key: rng.choice(values) for key in keys}}
            text = json.dumps(event)
            if rng.random() < 0.3:
                text = text[: rng.randrange(len(text))]
            await connection._connection.send(text)
        await connection.session.update(session={"type": "realtime"})
        kinds_told = set()
        while "session.updated" not in kinds_told:
            kinds_told.add((await anext(aiter(connection))).type)
        assert kinds_told <= {
            "error",
            "session.updated",
            "conversation.item.truncated",
            "input_audio_buffer.committed",
        }

    conversing(story)
