"""After an answer: for how long, and about what, somebody may go on without the wake word.

Between two rings of a timer only commands count, such as "stop" or "snooze": what else is heard then, a
television perhaps, is not answered, and the next ring does not wait for it. It does not know the state.
"""

from __future__ import annotations

import asyncio
import math

from assistant.dialog.listener import Listener
from assistant.dialog.ringer import Ringer
from assistant.dialog.turns import Turns

_COMMAND_MS = 3000
"""Longer speech between two rings is no command."""

_TAIL_S = 0.38
"""Where nothing takes the assistant's own voice away, the end of it is heard so much later. Whoever speaks
meanwhile loses nothing: the pre-roll of 0.4 s brings it back."""


class FollowUp:
    """Of one loop. ``hears_itself``: nothing keeps the assistant's own voice from the ``listener``."""

    def __init__(self, turns: Turns, listener: Listener, ringer: Ringer, *, hears_itself: bool) -> None:
        self._turns = turns
        self._listener = listener
        self._ringer = ringer
        self._hears_itself = hears_itself

    def choose(self, wait_s: float) -> float:
        """Return for how long to listen after an answer, ``wait_s`` by the settings; 0 is not at all.

        From now on what is said after ``wait_s`` must be a command. Without a wake word all that is said is
        answered anyway.
        """
        pause_s = self._ringer.pause_s if self._listener.has_wake_word else 0.0
        if pause_s > wait_s:
            self._turns.commands_from_s = asyncio.get_running_loop().time() + wait_s
        return max(wait_s, pause_s)

    def begun(self) -> None:
        """The listener is open: the end of the answer may still be on its way."""
        if self._hears_itself:
            self._listener.hold_judgement(_TAIL_S)

    @property
    def only_commands(self) -> bool:
        """Whether nobody was called, and commands are listened for between two rings."""
        return self._turns.commands_from_s < math.inf

    def answer_all(self) -> None:
        """Somebody was called, or nobody is listened to any more."""
        self._turns.commands_from_s = math.inf

    @property
    def may_hear_command(self) -> bool:
        """Whether somebody may just be saying one."""
        endpointer = self._listener.endpointer
        return endpointer.in_speech and endpointer.utterance_ms <= _COMMAND_MS
