"""Kitchen timers: several at once, with names.

The loop looks into the book after every skill, so what is silenced here stops ringing.
"""

from __future__ import annotations

from datetime import timedelta

from assistant.skills.builtin.ringing import title
from assistant.skills.timer_book import Timer, TimerBook
from assistant.text.en import wording

_SNOOZE = timedelta(minutes=9)
"""What clock radios do."""


def set_timer(duration: timedelta, timers: TimerBook, name: str = "") -> str:
    """Set a timer that rings after a while, with a name if one was given."""
    timers.count_down("timer", duration, _bare(name))
    called = f" {_bare(name)}" if name else ""
    return f"{wording.capital(wording.duration(duration))}{',' if called else ''}{called}. Starting now."


def ask_duration() -> str:
    """Say how to set a timer when no duration was understood."""
    return "For how long? Say only, for example: set a timer for ten minutes."


def timer_left(timers: TimerBook, name: str = "") -> str:
    """Tell how long is left on the timers, or on the one with this name."""
    found = _called(timers.all("timer"), name)
    if not found:
        return _none(name)
    if len(found) == 1 and not found[0].ringing:
        left = wording.time_left(timedelta(seconds=found[0].left_s))
        return f"{wording.capital(left)} left{_on(found[0])}."
    return wording.capital(wording.listing([_state(timer) for timer in found])) + "."


def list_timers(timers: TimerBook) -> str:
    """Tell which timers are running."""
    found = timers.all("timer")
    if not found:
        return "There are no timers."
    states = wording.listing([_state(timer) for timer in found])
    return f"You have {wording.count(len(found), 'timer')}: {states}."


def cancel_timer(timers: TimerBook, name: str = "", duration: timedelta | None = None) -> str:
    """Cancel the timer, or the one with this name or duration."""
    running = timers.all("timer")
    found = _called([timer for timer in running if duration in (None, timer.duration)], name)
    if ringing := [timer for timer in found if timer.ringing]:
        timers.acknowledge(ringing)
        return "Okay."
    if not found:
        return _none(name) if not running else f"There is no such timer. {list_timers(timers)}"
    if len(found) > 1:
        return f"{list_timers(timers)} Which one?"
    timers.cancel(found)
    return f"The {title(found[0])} is canceled."


def cancel_all_timers(timers: TimerBook) -> str:
    """Cancel every timer."""
    found = timers.all("timer")
    timers.cancel(found)
    return f"{wording.all_of(len(found), 'timer')} canceled." if found else "There are no timers."


def extend_timer(duration: timedelta, timers: TimerBook, name: str = "") -> str:
    """Let the timer, or the one with this name, run longer."""
    found = _called([timer for timer in timers.all("timer") if not timer.ringing], name)
    if not found:
        return _none(name)
    if len(found) > 1:
        return f"{list_timers(timers)} Which one?"
    timers.extend(found[0], duration)
    left = timedelta(seconds=found[0].left_s) + duration
    return f"Okay, {wording.time_left(left)} left{_on(found[0])}."


def snooze(timers: TimerBook, duration: timedelta = _SNOOZE) -> str:
    """Silence what is ringing and let it ring again later."""
    if not timers.snooze(duration):
        return "Nothing is ringing."
    return f"Okay, {wording.duration(duration)} more."


def snooze_minutes(minutes: float, timers: TimerBook) -> str:
    """Let what is ringing ring again after this many minutes."""
    if not 0 < minutes <= 24 * 60:
        return "I cannot snooze for that long."
    return snooze(timers, timedelta(minutes=minutes))


def _state(timer: Timer) -> str:
    if timer.ringing:
        return f"the {title(timer)} is ringing"
    return f"the {title(timer)} with {wording.time_left(timedelta(seconds=timer.left_s))} left"


def _on(timer: Timer) -> str:
    return f" on the {timer.name} timer" if timer.name else ""


def _called(timers: list[Timer], name: str) -> list[Timer]:
    """Those with this name; all when no name was given."""
    wanted = _bare(name).casefold()
    return [timer for timer in timers if wanted in ("", timer.name.casefold())]


def _bare(name: str) -> str:
    """A name without the article before it."""
    first, _, rest = name.partition(" ")
    return rest if rest and first.lower() in {"the", "my", "a", "an", "our"} else name


def _none(name: str) -> str:
    return f"There is no {_bare(name)} timer." if name else "There are no timers."
