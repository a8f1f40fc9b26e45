"""Many prompts at once on a server: as many requests as were asked for, and each reply under its number."""

from __future__ import annotations

import threading

from assistant.core.types import Message
from assistant.engines import load
from assistant.engines.llm.openai.engine import OpenAiBatch
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings
from tests.http_double import HEAD, event, says, sends, serving, status

PROMPTS = [[Message("user", f"Question {number}?")] for number in range(5)]
END = (event("", finish_reason="stop"), b"data: [DONE]\n\n")


def create(url: str, at_once: int) -> OpenAiBatch:
    settings = LlmSettings.model_validate({"engine": "openai", "server": {"url": url, "retries": 0}})
    batch: OpenAiBatch = load("batch", "openai", settings=settings, model=None, threads=1, at_once=at_once)
    return batch


def test_every_prompt_is_answered() -> None:
    with serving(says("Yes", ", indeed. ")) as server:
        replies = list(create(server.url, 2).answer_all(PROMPTS, Cancel()))
    assert sorted(reply.number for reply in replies) == list(range(5))
    assert {reply.text for reply in replies} == {"Yes, indeed."}
    asked = {question["messages"][0]["content"] for question in server.questions}
    assert asked == {f"Question {number}?" for number in range(5)}
    assert all(reply.began_s <= reply.first_token_s <= reply.end_s for reply in replies)


def test_so_many_are_asked_at_once() -> None:
    together = threading.Barrier(3)
    meeting = sends(HEAD, event("Here."), *END, then=lambda: together.wait(30))
    with serving(meeting) as server:
        replies = list(create(server.url, 3).answer_all(PROMPTS[:3], Cancel()))
    assert not together.broken
    assert len(replies) == 3


def test_a_request_that_fails_is_told_and_the_others_go_on() -> None:
    with serving(says("Yes."), status("400 Bad Request"), sends(HEAD, event("Half")), says("Yes.")) as server:
        replies = list(create(server.url, 1).answer_all(PROMPTS, Cancel()))
    assert [reply.text for reply in replies] == ["Yes.", "", "Half", "Yes.", "Yes."]
    told = [reply.error for reply in replies]
    assert "HTTP status 400" in told[1]
    assert "broke off" in told[2]
    assert [told[0], *told[3:]] == ["", "", ""]


def test_a_server_that_refuses_leaves_every_prompt_with_the_reason() -> None:
    with serving(status("401 Unauthorized")) as server:
        replies = list(create(server.url, 2).answer_all(PROMPTS, Cancel()))
    assert sorted(reply.number for reply in replies) == list(range(5))
    assert all("rejects the key" in reply.error for reply in replies)


def test_cancelled_it_waits_for_nobody() -> None:
    cancel = Cancel()
    with serving(says("unused")) as server:
        server.acts[0] = sends(HEAD, event("Well"), then=server.over.wait)
        batch = create(server.url, 2)
        threading.Timer(0.3, cancel.set).start()
        assert [reply.text for reply in batch.answer_all(PROMPTS, cancel)] == []
