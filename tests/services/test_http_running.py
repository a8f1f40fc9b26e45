"""OpenAI's client asks the running assistant, with its real engines, for everything it can do."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra http")
pytest.importorskip("openai", reason="the real client")

from openai import OpenAI

from assistant.text.word_error import word_error_rate
from assistant.tools.bench.room.sound_server import SoundServer
from tests.cli.test_run_on_devices import running, server

__all__ = ["server"]  # the fixture

pytestmark = [pytest.mark.models, pytest.mark.sound_server]

TEXT = "Dinner is ready in 15 minutes."


def test_what_it_speaks_it_understands_and_questions_are_answered(
    server: SoundServer, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = tmp_path / "token"
    token.write_text("sesame\n")
    services: dict[str, Any] = {
        "ASSISTANT__SERVICES__HTTP__LISTEN": f"127.0.0.1:{port}",
        "ASSISTANT__SERVICES__HTTP__TOKEN_FILE": str(token),
    }
    with running(server, tmp_path, **services) as appliance:
        appliance.logged("microphone=heard")
        client: Any = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sesame", max_retries=0)
        spoken = tmp_path / "spoken.mp3"
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT).write_to_file(spoken)
        heard = client.audio.transcriptions.create(model="whisper-1", file=spoken).text
        assert word_error_rate(TEXT, heard) <= 0.2, heard
        question = [{"role": "user", "content": "Set a timer for ten minutes."}]
        answer = client.chat.completions.create(model="assistant", messages=question)
        assert "minute" in str(answer.choices[0].message.content)
        model = next(each.id for each in client.models.list() if each.id != "assistant")
        sums = [{"role": "user", "content": "Count from one to five."}]
        chunks = client.chat.completions.create(model=model, messages=sums, stream=True, max_tokens=40)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text.strip()
