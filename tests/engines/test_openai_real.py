"""The same engine against llama.cpp's own server: what holds for the local model holds for it.

Needs what ``python -m llama_cpp.server`` needs, which is not among our requirements:
starlette, starlette-context, fastapi, uvicorn, sse-starlette and pydantic-settings.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from assistant.core.types import Message
from assistant.engines import load
from assistant.engines.llm.openai.engine import OpenAiLlm
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings

FOLDER = Path("~/.local/share/assistant/models/smollm2-135m-instruct-q4_1").expanduser()
SYSTEM = Message("system", "You are a helpful assistant. You answer in one short sentence.")
FRANCE = [SYSTEM, Message("user", "What is the capital of France?")]
STORY = [SYSTEM, Message("user", "Tell me a long story about a fox.")]
NEEDED = ("starlette", "starlette_context", "fastapi", "uvicorn", "sse_starlette", "pydantic_settings")
START_S = 120.0

pytestmark = pytest.mark.models


class LlamaServer:
    """A process of llama.cpp's server."""

    def __init__(self) -> None:
        for package in NEEDED:
            pytest.importorskip(package, reason="llama_cpp.server needs it")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        model = next(FOLDER.glob("*.gguf"))
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--n_threads", "1", "--n_ctx", "1024"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "llama_cpp.server", "--model", str(model), *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and self.process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/models"):  # noqa: S310 - loopback
                return
            time.sleep(0.2)
        raise AssertionError("the server did not start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    running = LlamaServer()
    yield running
    running.kill()


def create(server: LlamaServer, *, fallback: bool = False, **changes: Any) -> OpenAiLlm:
    patient = {"connect_timeout_s": 20, "first_token_timeout_s": 60, "idle_timeout_s": 60}
    settings = LlmSettings.model_validate(
        {
            "engine": "openai",
            "temperature": 0,
            "max_tokens": 40,
            "server": {"url": server.url, "fallback": fallback, **patient},
            **changes,
        }
    )
    engine: OpenAiLlm = load(
        "llm", "openai", settings=settings, model=FOLDER if fallback else None, threads=1
    )
    return engine


def ask(llm: OpenAiLlm, messages: list[Message] = FRANCE) -> str:
    return "".join(llm.stream(messages, Cancel()))


def test_it_answers_in_whole_pieces(server: LlamaServer) -> None:
    pieces = list(create(server).stream(FRANCE, Cancel()))
    assert len(pieces) > 3
    assert all(pieces)
    assert "Paris" in "".join(pieces)
    assert "<|" not in "".join(pieces)


def test_stop_strings_and_the_limit_end_the_reply(server: LlamaServer) -> None:
    assert "P" not in ask(create(server, stop=["Paris"]))
    assert len(list(create(server, max_tokens=3).stream(STORY, Cancel()))) <= 3


def test_it_stops_at_the_next_token_when_cancelled_and_answers_again(server: LlamaServer) -> None:
    llm, cancel, pieces = create(server), Cancel(), []
    for piece in llm.stream(STORY, cancel):
        pieces.append(piece)
        cancel.set()
    assert len(pieces) == 1
    assert "Paris" in ask(llm)


def test_killed_in_the_middle_the_local_model_goes_on_and_answers_from_then_on() -> None:
    server = LlamaServer()
    with closing(create(server, fallback=True, max_tokens=120)) as llm:
        pieces = llm.stream(STORY, Cancel())
        before = [next(pieces) for _ in range(5)]
        server.kill()
        whole = "".join([*before, *pieces])
        assert whole.startswith("".join(before))
        assert len(whole) > len("".join(before)) + 40
        assert llm._server.is_away, "it was the local model that went on"
        assert "Paris" in ask(llm)


def test_the_local_model_goes_on_with_a_sentence_as_if_it_were_its_own() -> None:
    local = load(
        "llm", "llama_cpp", settings=LlmSettings(temperature=0, max_tokens=40), model=FOLDER, threads=1
    )
    whole = "".join(local.stream(FRANCE, Cancel()))
    begun = whole[: whole.index(" Paris")]
    rest = "".join(local.stream([*FRANCE, Message("assistant", begun)], Cancel()))
    assert begun + rest == whole
    local.close()
