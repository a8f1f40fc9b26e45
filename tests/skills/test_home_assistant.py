"""Home Assistant's conversation API: it answers, declines, refuses, dawdles, lies and is not there."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.runtime.cancel import Cancel
from assistant.skills import Outcome
from assistant.skills.home_assistant import HomeAssistant
from tests.http_double import Act, ChatServer, sends, serving, status

FOREVER_S = 30.0
AWAY = Outcome("Sorry, Home Assistant isn't responding.")


def replies(document: object, *parts: bytes) -> Act:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return sends(head.encode(), body, *parts)


def response(kind: str, speech: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    """What its documentation shows."""
    spoken = {"plain": {"speech": speech, "extra_data": None}}
    data: dict[str, Any] = {"code": code} if code else {"targets": [], "success": [], "failed": []}
    answer = {"response_type": kind, "language": "en", "speech": spoken, "data": data}
    return {"response": answer, "conversation_id": None, **more}


def home(server: ChatServer | str, **changes: Any) -> HomeAssistant:
    url = server if isinstance(server, str) else server.url.removesuffix("/v1")
    given: dict[str, Any] = {"language": "en", "timeout_s": FOREVER_S / 2, "when_away": "apology", **changes}
    return HomeAssistant(url, "sesame", **given)


def ask(agent: HomeAssistant, text: str = "turn on the lamp") -> Outcome | None:
    return agent.ask(text, Cancel())


def test_it_is_asked_in_its_own_words_and_its_answer_is_said() -> None:
    with serving(replies(response("action_done", "Turned on the lamp"))) as server:
        assert ask(home(server, agent="conversation.house")) == Outcome("Turned on the lamp")
    assert server.heads[0].startswith("POST /api/conversation/process HTTP/1.1\r\n")
    assert "Authorization: Bearer sesame" in server.heads[0]
    assert server.questions == [
        {"text": "turn on the lamp", "language": "en", "agent_id": "conversation.house"}
    ]


def test_a_conversation_goes_on() -> None:
    first = response("query_answer", "Which lamp?", conversation_id="01ABC")
    with serving(replies(first), replies(response("action_done", "Done"))) as server:
        agent = home(server)
        ask(agent)
        ask(agent, "the red one")
    assert server.questions[1]["conversation_id"] == "01ABC"


def test_what_it_does_not_understand_is_for_the_model() -> None:
    declined = response("error", "Sorry, I couldn't understand that", "no_intent_match")
    with serving(replies(declined)) as server:
        assert ask(home(server)) is None


def test_what_it_cannot_do_it_says_itself() -> None:
    failed = response("error", "There is no device called sun.", "no_valid_targets")
    with serving(replies(failed)) as server:
        assert ask(home(server)) == Outcome("There is no device called sun.")


def test_it_may_do_something_without_a_word() -> None:
    silent = response("action_done", "")
    silent["response"]["speech"] = {}
    with serving(replies(silent)) as server:
        assert ask(home(server)) == Outcome("")


AWAYS: dict[str, Act] = {
    "refused": status("401 Unauthorized"),
    "elsewhere": status("302 Found", "Location: http://192.0.2.1/"),
    "broken": status("500 Internal Server Error"),
    "nothing": sends(),
    "not json": sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "cut off": sends(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b'{"response":'),
    "another json": replies([1, 2]),
    "half": replies({"response": {"response_type": "error", "speech": {}}}),
    "speech that is none": replies(response("query_answer", 7)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("act", AWAYS.values(), ids=AWAYS.keys())
@pytest.mark.parametrize(("when_away", "answer"), [("llm", None), ("apology", AWAY)])
def test_whoever_is_to_answer_when_it_does_not(act: Act, when_away: str, answer: Outcome | None) -> None:
    with serving(act) as server:
        assert ask(home(server, when_away=when_away)) == answer
    assert len(server.questions) == 1


def test_one_that_is_not_there_is_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert ask(home("http://127.0.0.1:1"), "my secret") == AWAY
    assert "home_assistant=away" in caplog.text
    assert "secret" not in caplog.text
    assert "sesame" not in caplog.text


def test_one_that_dawdles_is_not_waited_for() -> None:
    over = threading.Event()
    began_s = time.monotonic()
    with serving(sends(b"HTTP/1.1 200 OK\r\n", then=lambda: over.wait(FOREVER_S))) as server:
        assert ask(home(server, timeout_s=0.3)) == AWAY
        over.set()
    assert time.monotonic() - began_s < FOREVER_S / 3


def test_it_is_let_go_when_nobody_wants_to_know_any_more(caplog: pytest.LogCaptureFixture) -> None:
    over, cancel = threading.Event(), Cancel()
    began_s = time.monotonic()
    with serving(sends(then=lambda: over.wait(FOREVER_S))) as server:
        threading.Timer(0.1, cancel.set).start()
        home(server).ask("turn on the lamp", cancel)
        over.set()
    assert time.monotonic() - began_s < FOREVER_S / 3
    assert not caplog.records


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["response", "response_type", "speech", "plain", "data", "code", "conversation_id"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON.map(lambda document: json.dumps(document).encode()) | st.binary())
def test_no_answer_does_harm(content: bytes) -> None:
    agent = home("http://127.0.0.1:1")
    agent._post = lambda *_: content  # type: ignore[method-assign]
    assert ask(agent) is None or isinstance(ask(agent), Outcome)
