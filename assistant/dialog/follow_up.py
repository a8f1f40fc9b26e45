"""The follow-up: after an answer, the user may speak for a while without the wake word.

Between two rings of a timer only commands count, such as "stop" or "snooze": anything else, perhaps from a
television, is not answered, and doesn't delay the next ring. ``SpeechTimeout`` measures the wait for the user
to speak, here and after the wake word. Neither knows the state.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from assistant.dialog.listener import Listener
from assistant.dialog.ringer import Ringer
from assistant.dialog.turns import Turns

_COMMAND_MS = 3000
"""Longer speech between two rings is not a command."""

_ANSWER_S = 6.0
"""How long an answer is waited for after a question of ours, whatever the settings say of follow-ups."""

_TAIL_S = 0.38
"""Without echo cancellation, the end of the assistant's own voice is still heard this long. A user who
speaks meanwhile loses nothing: the pre-roll of 0.4 s restores it.
"""


class FollowUp:
    """Follow-up of one loop. ``hears_itself``: the ``listener`` hears the assistant's own voice."""

    def __init__(self, turns: Turns, listener: Listener, ringer: Ringer, *, hears_itself: bool) -> None:
        self._turns = turns
        self._listener = listener
        self._ringer = ringer
        self._hears_itself = hears_itself

    def choose(self, wait_s: float) -> float:
        """Return how long to listen after an answer, ``wait_s`` according to the settings; 0 means not at
        all.

        What is said after ``wait_s`` must be a command. Without a wake word, all speech is answered anyway.
        """
        if self._turns.has_asked:
            wait_s = max(wait_s, _ANSWER_S)
        pause_s = self._ringer.pause_s if self._listener.has_wake_word else 0.0
        if pause_s > wait_s:
            self._turns.commands_from_s = asyncio.get_running_loop().time() + wait_s
        return max(wait_s, pause_s)

    def begun(self) -> None:
        """The listener is open, but may still hear the end of the answer."""
        if self._hears_itself:
            self._listener.hold_judgement(_TAIL_S)

    @property
    def only_commands(self) -> bool:
        """True while only commands count: between two rings, without the wake word."""
        return self._turns.commands_from_s < math.inf

    def answer_all(self) -> None:
        """Answer all speech: the wake word was said, or nobody is listened to anymore."""
        self._turns.commands_from_s = math.inf

    @property
    def may_hear_command(self) -> bool:
        """True if the user may just be saying a command."""
        endpointer = self._listener.endpointer
        return endpointer.in_speech and endpointer.utterance_ms <= _COMMAND_MS


class SpeechTimeout:
    """Waits for the user to start speaking; ``on_end`` is called when the time is over.

    Sound pauses the wait; if it was noise, the rest of the wait remains.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._until_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, wait_s: float) -> None:
        """Wait this long from now on."""
        self._until_s = asyncio.get_running_loop().time() + wait_s
        self.resume()

    def pause(self) -> None:
        """The user may have begun, so ``on_end`` is not called before ``resume``."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    @property
    def is_left(self) -> bool:
        """Whether the person still has time."""
        return asyncio.get_running_loop().time() < self._until_s

    def resume(self) -> bool:
        """Continue the wait; returns False, without effect, if no time is left."""
        self.pause()
        if self.is_left:
            self._timer = asyncio.get_running_loop().call_at(self._until_s, self._on_end)
        return self.is_left

    def end(self) -> None:
        """Stop waiting."""
        self.pause()
        self._until_s = 0.0
