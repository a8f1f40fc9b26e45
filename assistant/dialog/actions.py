"""What skills ask of the appliance once their answer has been heard."""

from __future__ import annotations

from collections.abc import Callable

from assistant.core.events import Event, Muted
from assistant.dialog.pipeline import Chain
from assistant.dialog.ringer import Ringer
from assistant.skills import Action, Forget, Mute, Stop, Volume


def carry_out(action: Action | None, chain: Chain, ringer: Ringer, post: Callable[[Event], None]) -> None:
    """Do it. What changes the state is posted, as everything else that happens."""
    match action:
        case Stop():
            ringer.silence()
        case Mute():
            post(Muted())
        case Forget():
            chain.conversation.forget()
        case Volume(level=level):
            chain.speaker.volume = level
