"""The language model on a server that answers, lies, dawdles and dies."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import EngineError, EngineFailed, PromptTooLong
from assistant.core.types import Message
from assistant.engines import Llm
from assistant.engines.llm.openai.engine import OpenAiLlm
from assistant.engines.llm.openai.server import Server, read_event
from assistant.runtime.cancel import Cancel
from assistant.runtime.http import MAX_ANSWER_BYTES, MAX_LINE_BYTES, CallFailed
from assistant.settings.engines import LlmSettings
from tests.http_double import HEAD, Act, ChatServer, event, says, sends, serving, status

QUESTION = [Message("system", "Be brief."), Message("user", "What is the capital of France?")]
PATIENT: dict[str, Any] = {"first_token_timeout_s": 20, "idle_timeout_s": 20, "connect_timeout_s": 10}
"""Long enough for a machine that is busy with something else."""
HASTY: dict[str, Any] = {"first_token_timeout_s": 0.4, "idle_timeout_s": 0.3, "connect_timeout_s": 0.3}
FOREVER_S = 30.0
"""Longer than any test waits."""


class Local:
    """A local model that says one thing, and knows what it was asked."""

    context_tokens = 500

    def __init__(self, reply: str = "Paris, I believe.") -> None:
        self.reply = reply
        self.asked: list[list[Message]] = []
        self.read: list[str] = []

    def warm_up(self) -> None: ...

    def close(self) -> None: ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None: ...

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None:
        self.read.append(messages[-1].content)

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        self.asked.append(list(messages))
        for word in self.reply.split():
            yield f" {word}"


def engine(
    server: ChatServer | str, local: Llm | None = None, *, key: str | None = None, **changes: Any
) -> OpenAiLlm:
    url = server if isinstance(server, str) else server.url
    found = {**PATIENT, "retries": 0, "url": url, **changes}
    settings = LlmSettings.model_validate({"engine": "openai", "temperature": 0, "server": found})
    return OpenAiLlm(Server(settings, key), local, settings)


def ask(llm: OpenAiLlm) -> str:
    return "".join(llm.stream(QUESTION, Cancel()))


def test_it_passes_on_what_the_server_says_piece_by_piece() -> None:
    with serving(says("The capital", " is", " Paris.")) as server:
        llm = engine(server, key="sesame", model="big")
        assert list(llm.stream(QUESTION, Cancel())) == ["The capital", " is", " Paris."]
    (question,) = server.questions
    assert server.heads[0].startswith("POST /v1/chat/completions HTTP/1.1")
    assert "Authorization: Bearer sesame" in server.heads[0]
    assert question["messages"][1] == {"role": "user", "content": QUESTION[1].content}
    assert (question["model"], question["stream"], question["max_tokens"]) == ("big", True, 160)


def test_signs_of_life_costs_and_empty_pieces_are_no_text() -> None:
    parts = [
        b": ping\r\n\r\n",
        b"event: message\nid: 7\n",
        b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n',
        event("Paris"),
        b'data:{"choices":[],"usage":{"total_tokens":3}}\n\n',
        event(".", finish_reason="length"),
    ]
    with serving(sends(HEAD, *parts)) as server:
        assert list(engine(server).stream(QUESTION, Cancel())) == ["Paris", "."]


def test_letters_may_be_torn_apart_on_the_way() -> None:
    chunk = event("Málaga ist schön. 🎉").replace(b"\\u00e1", "á".encode())
    done = b"data: [DONE]\n\n"
    head = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")
    torn = [b"1\r\n" + bytes([byte]) + b"\r\n" for byte in chunk + done]
    with serving(sends(head, *torn, b"0\r\n\r\n")) as server:
        assert ask(engine(server)) == "Málaga ist schön. 🎉"


def test_half_a_surrogate_pair_is_no_text() -> None:
    with serving(says("a\ud83dz")) as server:
        assert ask(engine(server)).encode() == b"a?z"


BROKEN: dict[str, Act] = {
    "closed at once": sends(),
    "no http": sends(b"SSH-2.0-OpenSSH\r\n"),
    "html": sends(HEAD, b"<html>It works!</html>"),
    "not json": sends(HEAD, b"data: {oops\n\n"),
    "another json": sends(HEAD, b'data: {"choices": [{"delta": 3}]}\n\n'),
    "an error": sends(HEAD, b'data: {"error": {"message": "out of memory"}}\n\n'),
    "deep json": sends(HEAD, b"data: " + b"[" * 60_000 + b"\n\n"),
    "not utf-8": sends(HEAD, b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n'),
    "a line without end": sends(HEAD, b"data: " + b"x" * (MAX_LINE_BYTES + 10)),
    "signs of life without end": sends(HEAD, *[b":" + b"x" * 60_000 + b"\n"] * (MAX_ANSWER_BYTES // 50_000)),
    "headers without end": sends(HEAD[:-2], *[b"X: y\r\n"] * 500, b"\r\n"),
    "bad chunks": sends(HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked"), b"zz\r\nhello"),
    "refused": status("401 Unauthorized"),
    "busy": status("503 Service Unavailable"),
    "elsewhere": status("307 Temporary Redirect", "Location: http://192.0.2.1/"),
}


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN.keys())
def test_whatever_it_says_instead_of_a_reply_the_local_model_answers(act: Act) -> None:
    local = Local()
    with serving(act) as server:
        assert ask(engine(server, local)).strip() == "Paris, I believe."
    assert local.asked == [QUESTION]
    assert len(server.questions) == 1, "a redirect is not followed"


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN.keys())
def test_without_a_local_model_it_is_one_clear_fault(act: Act) -> None:
    with serving(act) as server, pytest.raises(EngineFailed, match="server didn't give a complete answer"):
        ask(engine(server))


def trickling(server_is_over: threading.Event) -> Act:
    """A byte now and then, for ever."""

    def act(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        while not server_is_over.wait(0.05):
            connection.sendall(b":")

    return act


@pytest.mark.parametrize("kind", ["accepts and is silent", "trickles", "pings"])
def test_a_server_that_dawdles_is_not_waited_for(kind: str) -> None:
    over = threading.Event()
    act = {
        "accepts and is silent": sends(then=lambda: over.wait(FOREVER_S)),
        "trickles": trickling(over),
        "pings": sends(HEAD, b": ping\n\n", then=lambda: over.wait(FOREVER_S)),
    }[kind]
    began_s = time.monotonic()
    with serving(act) as server:
        assert ask(engine(server, Local(), **HASTY)).strip() == "Paris, I believe."
        assert time.monotonic() - began_s < FOREVER_S / 3
        over.set()


def test_a_name_that_nobody_looks_up_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def dawdle(*_: object, **__: object) -> list[object]:
        over.wait(FOREVER_S)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", dawdle)
    began_s = time.monotonic()
    llm = engine("http://chat.example/v1", Local(), **HASTY)
    assert ask(llm).strip() == "Paris, I believe."
    assert time.monotonic() - began_s < FOREVER_S / 3
    over.set()


def test_a_busy_server_is_asked_again() -> None:
    with serving(status("503 Service Unavailable"), says("Paris.")) as server:
        assert ask(engine(server, retries=1)) == "Paris."
    assert len(server.questions) == 2


def test_one_that_refuses_the_key_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        serving(status("401 Unauthorized"), says("Paris.")) as server,
        pytest.raises(EngineFailed, match="rejects the key") as raised,
    ):
        ask(engine(server, key="sesame", retries=3))
    assert len(server.questions) == 1
    assert "sesame" not in caplog.text + str(raised.value)


def test_cut_off_in_the_middle_the_local_model_goes_on() -> None:
    local = Local("is Paris.")
    with serving(sends(HEAD, event("The capital"), event(" of France "))) as server:
        reply = ask(engine(server, local))
    assert reply == "The capital of France is Paris."
    assert local.asked == [[*QUESTION, Message("assistant", "The capital of France")]]


def test_falling_silent_in_the_middle_the_local_model_goes_on() -> None:
    over = threading.Event()
    act = sends(HEAD, event("The capital"), then=lambda: over.wait(FOREVER_S))
    with serving(act) as server:
        llm = engine(server, Local("is Paris."), **{**HASTY, "first_token_timeout_s": 20})
        assert ask(llm) == "The capital is Paris."
        over.set()


def test_cut_off_in_the_middle_with_nobody_to_go_on_is_a_fault() -> None:
    pieces = []
    with serving(sends(HEAD, event("The capital"))) as server, pytest.raises(EngineFailed):
        pieces += list(engine(server).stream(QUESTION, Cancel()))
    assert pieces == []  # `list` never got to give them; the turn has heard the first piece


def test_a_server_that_was_away_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(sends(), says("Paris.")) as server:
        llm = engine(server, Local())
        for _ in range(3):
            assert ask(llm).strip() == "Paris, I believe."
        assert len(server.questions) == 1
        later_s = time.monotonic() + 60
        monkeypatch.setattr("assistant.engines.llm.openai.server.time.monotonic", lambda: later_s)
        assert ask(llm) == "Paris."


def test_it_ends_at_once_when_cancelled() -> None:
    over = threading.Event()
    act = sends(HEAD, event("The"), then=lambda: over.wait(FOREVER_S))
    with serving(act) as server:
        local = Local()
        llm = engine(server, local)
        cancel = Cancel()
        pieces = llm.stream(QUESTION, cancel)
        assert next(pieces) == "The"
        began_s = time.monotonic()
        threading.Timer(0.1, cancel.set).start()
        assert list(pieces) == []
        assert time.monotonic() - began_s < FOREVER_S / 3
        assert local.asked == []
        assert not llm._server.is_away, "who was cancelled is not away"
        over.set()


def test_a_reply_that_nobody_reads_on_ends_its_connection() -> None:
    ended = threading.Event()

    def act(connection: socket.socket) -> None:
        connection.sendall(HEAD + event("The"))
        while connection.recv(1):
            pass
        ended.set()

    with serving(act) as server:
        pieces = engine(server).stream(QUESTION, Cancel())
        next(pieces)
        del pieces
        assert ended.wait(FOREVER_S)


def test_a_server_that_minds_no_limit_is_ended() -> None:
    with serving(sends(HEAD, *[event("blah " * 20)] * 200)) as server:
        assert len(ask(engine(server))) == 160 * 16


def test_an_empty_reply_yields_nothing() -> None:
    with serving(says()) as server:
        assert list(engine(server, Local()).stream(QUESTION, Cancel())) == []


def test_a_prompt_that_does_not_fit_is_refused_before_anybody_is_asked() -> None:
    with serving(says("Paris.")) as server, pytest.raises(PromptTooLong):
        next(engine(server).stream([Message("user", "word " * 5000)], Cancel()))
    assert server.questions == []


def test_the_local_model_reads_ahead_in_case_it_is_needed() -> None:
    local = Local()
    engine("http://127.0.0.1:1/v1", local).read_ahead(QUESTION, Cancel())
    assert local.read == [QUESTION[1].content]


def test_it_leaves_the_cores_to_others_while_the_server_answers() -> None:
    with serving(sends(HEAD, event("The"))) as server:
        llm = engine(server, Local("capital"))
        pieces = llm.stream(QUESTION, Cancel())
        next(pieces)
        assert llm.waits
        next(pieces)
        assert not llm.waits
        list(pieces)
        assert llm.waits


@pytest.mark.parametrize("url", ["chat.example", "ftp://chat.example", "http://me:key@chat.example/v1", ""])
def test_an_address_that_is_none_is_a_mistake_in_the_settings(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        LlmSettings.model_validate({"server": {"url": url}})


@given(st.binary() | st.from_regex(rb'data: \{"choices": ?\[.*\]\}', fullmatch=True))
def test_no_line_does_more_than_fail(line: bytes) -> None:
    try:
        text, is_last = read_event(line)
    except CallFailed:
        return
    assert text.encode().decode() == text
    assert isinstance(is_last, bool)


def test_its_faults_are_of_the_engines_kind() -> None:
    with pytest.raises(EngineError):
        ask(engine("http://127.0.0.1:1/v1", **HASTY))
