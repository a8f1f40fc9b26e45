"""Home Assistant as a skill: its conversation API gets what no sentence of ours matches.

It may act on the request, for example switch a light, so it is asked once, and only when the user has
finished. What it doesn't understand either is left to the language model.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import closing
from typing import Literal

from assistant.runtime.cancel import Cancel
from assistant.runtime.http import Call, CallFailed, json_headers
from assistant.skills.contract import Outcome

log = logging.getLogger(__name__)

_NOT_UNDERSTOOD = "no_intent_match"
_AWAY = "Sorry, Home Assistant isn't responding."
_OK = 200
_IN_WORDS = {401: "it rejects the token", 404: "it has no conversation API at that address"}
_LONGEST_ANSWER = 1000
"""In characters; a minute of speech."""
_LONGEST_ID = 200


class HomeAssistant:
    """One Home Assistant server. ``language`` is its code for the spoken language; None uses its own."""

    name = "home_assistant"

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        language: str | None,
        agent: str | None = None,
        timeout_s: float,
        when_away: Literal["llm", "apology"],
    ) -> None:
        self._url = url.rstrip("/") + "/api/conversation/process"
        self._headers = json_headers(token)
        self._about = {"language": language, "agent_id": agent}
        self._timeout_s = timeout_s
        self._when_away = when_away
        self._conversation: str | None = None
        """Its id for this conversation, so that "and in the kitchen" refers to what was said before."""

    def ask(self, text: str, cancel: Cancel) -> Outcome | None:
        """Return its answer; None if the language model should answer. Blocks; never raises."""
        question = {"text": text, "conversation_id": self._conversation, **self._about}
        try:
            return self._read(self._post({key: value for key, value in question.items() if value}, cancel))
        except CallFailed as failure:
            if not cancel:
                log.error("home_assistant=away reason=%r see=skills.home_assistant", str(failure))
            return Outcome(_AWAY) if self._when_away == "apology" else None

    def _post(self, question: dict[str, str], cancel: Cancel) -> bytes:
        deadline_s = time.monotonic() + self._timeout_s
        body = json.dumps(question).encode()
        call = Call(self._url, body, self._headers, connect_timeout_s=self._timeout_s, cancel=cancel)
        with closing(call):
            status = call.status(deadline_s - time.monotonic())
            if status != _OK:
                raise CallFailed(_IN_WORDS.get(status, f"HTTP status {status}"))
            return call.rest(deadline_s - time.monotonic())

    def _read(self, content: bytes) -> Outcome | None:
        try:
            answer = json.loads(content)
            response = answer["response"]
            if response["response_type"] == "error" and response["data"]["code"] == _NOT_UNDERSTOOD:
                return None
            speech = response["speech"].get("plain", {}).get("speech") or ""
            said = speech[:_LONGEST_ANSWER].encode("utf-8", "replace").decode().strip()
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise CallFailed("its response is not from the conversation API") from None
        named = answer.get("conversation_id")
        self._conversation = named if isinstance(named, str) and len(named) <= _LONGEST_ID else None
        return Outcome(said)
