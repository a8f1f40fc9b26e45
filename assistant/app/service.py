"""The appliance as a service: one voice loop, and everything that controls it.

Signals and the control socket come first, so it can be muted or stopped while it is still loading; then
engines, then sound. Everything closes in reverse order. ``app`` builds the loop itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from assistant.app import replacement
from assistant.app.build import kept_prompts, open_loop, skill_context
from assistant.app.recordings import Recordings
from assistant.app.reload import Reloader
from assistant.app.shedding import Shedding
from assistant.app.supervisor import Heartbeat, Repairs, Supervisor, Watch
from assistant.audio.backends import Devices
from assistant.audio.files import write_wav
from assistant.audio.filtered import LiveMicrophone
from assistant.board import strain
from assistant.board.recognise import recognise
from assistant.board.shortage import Shortages
from assistant.core.errors import AlreadyRunning, AssistantError, ControlError, StateUnavailable
from assistant.core.events import Event
from assistant.core.state import BETWEEN_TURNS, Observer, State
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.outages import Outages
from assistant.dialog.report import Report
from assistant.runtime import paths
from assistant.services.control.api import ControlApi, MuteMark
from assistant.services.control.server import ControlServer
from assistant.services.host import Host, open_services
from assistant.services.systemd import Notifier
from assistant.settings.load import Loaded
from assistant.skills import TimerBook

log = logging.getLogger(__name__)

_SIGNALS = {signal.SIGUSR1, signal.SIGHUP}
"""Blocked until handlers are set, because they would otherwise end the process (``cli.run``)."""

_BEATS_PER_WATCHDOG = 4
"""One beat may be late, or get lost, without a restart."""

_IN_WORDS = {
    State.STARTING: "Loading the models.",
    State.SLEEPING: "Waiting for the wake word.",
    State.LISTENING: "Listening.",
    State.THINKING: "Thinking.",
    State.SPEAKING: "Speaking.",
    State.INTERRUPTED: "Interrupted: listening.",
    State.MUTED: "Muted: the microphone is closed.",
    State.FAULTED: "Not working.",
}

_NORMAL_ENDS = (None, asyncio.CancelledError, KeyboardInterrupt)
"""What ends it because somebody wants that, as the kind of exception."""

_ENDS_WITHIN_S = 4.5
"""After this, it exits without closing everything: all that must be kept is already on disk."""


async def until_ended(life: Coroutine[Any, Any, None]) -> None:
    """Run until SIGTERM or SIGINT. Raises the AssistantError that makes it impossible, or Replaced."""
    living = asyncio.ensure_future(life)
    loop = asyncio.get_running_loop()

    def end() -> None:
        living.cancel()
        last = threading.Timer(_ENDS_WITHIN_S, _leave)
        last.daemon = True
        last.start()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, end)
    await asyncio.wait({living})
    if living.cancelled():
        return
    if isinstance(error := living.exception(), AssistantError):
        Notifier().tell(f"STATUS={error.problem}")
    living.result()


async def live(
    loaded: Loaded,
    load: Callable[[], Loaded],
    devices: Devices,
    *,
    on_report: Callable[[Report], None],
) -> None:
    """Run until canceled, first with the settings in ``loaded``, later with what ``load`` reads.

    Raises the AssistantError that makes it impossible, or Replaced if only a new process restores the sound.
    """
    settings = loaded.settings
    systemd = Notifier()
    shortages = Shortages()
    orders = ControlApi(settings, shortages)
    mark = MuteMark(paths.control().with_name("muted"))
    if mark.is_set:
        orders.toggle_mute()
    reloader = Reloader(load, loaded)
    recordings = Recordings(
        paths.data() / "recordings",
        lambda: orders.settings.privacy,
        write_wav,
        has_room=lambda: "disk" not in shortages.now,
    )
    recordings.prune()

    def note_report(report: Report) -> None:
        orders.on_report(report)
        recordings.keep(report)
        if report.in_writing and report.reply and report.handled_by != "announcement":
            control.publish({"state": orders.state.value, "reply": report.reply})
        on_report(report)

    async with AsyncExitStack() as stack:
        stack.enter_context(_signals(orders))
        control = await stack.enter_async_context(_control(orders))
        log.info("profile=%s reason=%r machine=%r", loaded.profile, loaded.why, recognise().equipment)
        outages = Outages(lambda: systemd.tell(f"STATUS={_in_words(orders.state, outages)}"))

        def tell_systemd(_: Event, state: State) -> None:
            is_ready = orders.state is State.STARTING  # and this is its first change
            systemd.tell(*(["READY=1"] if is_ready else []), f"STATUS={_in_words(state, outages)}")

        observers: list[Observer] = [
            tell_systemd,
            orders.on_change,
            lambda event, _: mark.follow(event),
            lambda _, state: control.publish({"state": state.value}),
        ]
        host = Host(settings, orders, observers, lambda: voice_loop.pipeline)
        await open_services(stack, host, before_engines=True)
        control.publish({"state": orders.state.value})
        systemd.tell(f"STATUS={_IN_WORDS[orders.state]}")
        stack.callback(systemd.tell, "STOPPING=1", "STATUS=Ending.")
        # After an error, systemd starts it again, and it must stay muted.
        stack.push(lambda kind, *_: mark.clear() if kind in _NORMAL_ENDS else None)
        context = stack.enter_context(skill_context(loudness=lambda: devices.speaker.volume))
        voice_loop = await stack.enter_async_context(
            open_loop(
                settings,
                LiveMicrophone(devices.microphone, 60 * settings.audio.silent_minutes),
                devices.speaker,
                on_report=note_report,
                observers=observers,
                outages=outages,
                rescan=devices.rescan,
                context=context,
                hands_free=True,
                reference=devices.reference,
            )
        )
        heartbeat = Heartbeat(
            post=voice_loop.post,
            is_broken=lambda: voice_loop.state is not State.MUTED and "engine" in voice_loop.outages,
            beat=lambda: systemd.tell("WATCHDOG=1"),
        )
        await open_services(stack, host, before_engines=False)
        orders.attach(
            voice_loop,
            reload=lambda: reloader.reload(voice_loop, context),
            is_ringing=lambda: _rings(context.timers),
        )
        shedding = Shedding(voice_loop, shortages, lambda: strain.read(paths.data()), kept_prompts())
        table = {
            "engines": Watch(1.0, Repairs(voice_loop).look),
            # Asking for the dates of two or three files costs next to nothing.
            "settings": Watch(2.0, lambda: reloader.look(voice_loop, context)),
            # A few files of /proc and /sys are read in a millisecond; a disk that fills takes longer.
            "shortages": Watch(5.0, shedding.look),
        }
        if systemd.watchdog_s:
            table["watchdog"] = Watch(systemd.watchdog_s / _BEATS_PER_WATCHDOG, heartbeat.look)
        await stack.enter_async_context(_in_background(Supervisor(table).watch()))
        _take_up(voice_loop, replacement.taken_over())
        await _run(voice_loop, lambda: _may_be_replaced(voice_loop, orders, context.timers))


async def _run(voice_loop: VoiceLoop, may_be_replaced: Callable[[], bool]) -> None:
    """Run the loop. Raises Replaced when the process must be replaced."""
    running = asyncio.ensure_future(voice_loop.run())
    replaced = asyncio.ensure_future(replacement.due(may_be_replaced))
    try:
        await asyncio.wait({running, replaced}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise replacement.Replaced(_kept(voice_loop))
        running.result()
    finally:
        for task in (replaced, running):
            task.cancel()
        await asyncio.gather(replaced, running, return_exceptions=True)


def _kept(voice_loop: VoiceLoop) -> dict[str, object]:
    """Collect what a replacement process needs: the conversation, and what nobody could hear."""
    pipeline = voice_loop.pipeline
    said, volume = pipeline.conversation.kept, pipeline.speaker.volume
    return {"said": said, "volume": volume, "unheard": voice_loop.ringer.kept}


def _take_up(voice_loop: VoiceLoop, kept: dict[str, Any]) -> None:
    """Continue with what a previous process left, if there was one."""
    if kept:
        voice_loop.pipeline.conversation.take_up(kept["said"])
        voice_loop.pipeline.speaker.volume = kept["volume"]
        voice_loop.ringer.take_up(**kept["unheard"])
        log.info("took_over=yes turns=%d unheard=%d", len(kept["said"]), len(kept["unheard"]["kept"]))


def _may_be_replaced(voice_loop: VoiceLoop, orders: ControlApi, timers: TimerBook) -> bool:
    """True if a device is missing, nothing is playing, and nobody is being answered."""
    outages = voice_loop.outages
    is_idle = voice_loop.state in BETWEEN_TURNS and not orders.is_answering
    is_missing = "microphone" in outages or "speaker" in outages
    return is_idle and is_missing and ("speaker" in outages or not _rings(timers))


def _in_words(state: State, outages: Outages) -> str:
    """Describe what it is doing and what is missing: "Not working: no microphone." """
    words = _IN_WORDS[state]
    joint = ": " if state is State.FAULTED else "; "
    return f"{words[:-1]}{joint}{outages}." if str(outages) else words


def _leave() -> None:
    """End the process now, even if a driver blocks."""
    log.error("ending=at-once reason=something-does-not-close")
    os._exit(0)


@contextmanager
def _signals(orders: ControlApi) -> Iterator[None]:
    """Handle SIGUSR1 (mute, unmute) and SIGHUP (reload), including ones that arrived early.

    On a terminal, SIGHUP means that it was closed: then everything ends, as its owner expects.
    """
    living = asyncio.current_task()
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Future[None]] = set()

    def reload() -> None:
        job = asyncio.ensure_future(_obey_quietly(orders, "reload"))
        reloads.add(job)
        job.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGUSR1, orders.toggle_mute)
    loop.add_signal_handler(signal.SIGHUP, living.cancel if living and at_terminal else reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for name in _SIGNALS:
            loop.remove_signal_handler(name)
        for job in reloads:
            job.cancel()


async def _obey_quietly(orders: ControlApi, name: str) -> None:
    """Carry out a command whose sender expects no answer."""
    try:
        await orders.obey({"order": name})
    except ControlError as error:  # a reload reports mistakes in the settings itself
        log.warning("order=%s refused=%s", name, error)
    except Exception:
        log.debug("order=%s failed", name, exc_info=True)


@asynccontextmanager
async def _control(orders: ControlApi) -> AsyncIterator[ControlServer]:
    """Open the control socket. Without one, the assistant still listens."""
    control = ControlServer(orders.obey)
    try:
        await control.open(paths.control())
    except AlreadyRunning:
        raise
    except ControlError as error:
        log.error("control=none problem=%s", error)
    try:
        yield control
    finally:
        await control.close()


def _rings(timers: TimerBook) -> bool:
    try:
        return bool(timers.due())
    except StateUnavailable:  # already logged by the ringer
        return False


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``work`` in the background inside the block."""
    job = asyncio.ensure_future(work)
    try:
        yield
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
