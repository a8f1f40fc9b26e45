"""Turns frames into events: opens the microphone, runs VAD and wake word, and recovers a lost microphone.

It doesn't know the state; the loop opens and closes the listener and sets its mode.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from assistant.audio import Kind, Microphone
from assistant.core.errors import AssistantError
from assistant.core.events import Event, Faulted, Ready, RecordingEnded, Woken
from assistant.core.state import Interruption, ListeningMode, State, listening_mode
from assistant.core.types import FRAME_MS, AudioFrame, Pcm16, Transcript
from assistant.dialog.endpointer import Endpointer, required_silence_ms
from assistant.dialog.interruptions import Interruptions
from assistant.dialog.pipeline import Hearing
from assistant.engines import Vad, WakeWord
from assistant.settings.schema import Settings
from assistant.skills import Match

log = logging.getLogger(__name__)

RETRY_FIRST_S, RETRY_LAST_S = 0.5, 2.0
"""Waits before a lost device is tried again, each twice as long as the last: a reconnected one is back
within 5 s, and meanwhile there is time to hear a word or ring a timer.
"""

_BEGINS = 0.2
"""Speech probability that counts as a beginning after 40 ms; later it is higher. After 74 recordings, 1
noise passed, 5 without the network; speech was noticed within 130 ms (95 %), 100 without.
"""

_BEGINS_NEAR = 0.03
"""The same over the assistant's own voice, which confuses the network: there, the canceller confirms that
it is someone else. Dishes, an office and hiss 10 and 20 dB below paused answers no more often
(docs/echo.md).
"""

_WORD_OVER_FRAMES = 60 // FRAME_MS
"""Silence after which the wake word is over. Detectors bridge the stops inside words."""

_WORD_LATE_FRAMES = 320 // FRAME_MS
"""Maximum delay between the end of the wake word and the network's response."""


_SPEECH_TOO = (ListeningMode.INTERRUPTION, ListeningMode.COMMAND)
"""Modes in which utterances are tracked besides the wake word."""

_OPEN_FRAMES, _OPEN_WINDOW = 5, 8
"""Speech in this many of the latest frames opens the gate: 100 ms within 160 ms is less than a syllable,
and more than most noises that a detector takes for speech in a quiet room.
"""

_BEFORE_FRAMES = 700 // FRAME_MS
"""Sound from before the gate opened: detectors are late when a word begins softly ("hey")."""

_STAY_FRAMES = 1000 // FRAME_MS
"""The gate stays open this long after speech: words have pauses, and networks respond after the word."""

_AT_ONCE = 8
"""Frames returned at once while catching up, one step of the network: more would delay everything else."""


class Listener:
    """The microphone, and the detectors that process its frames.

    Without a ``wake_word`` it must not be set to listen for one. ``rescan`` is called before a lost
    microphone is reopened.
    """

    def __init__(
        self,
        *,
        microphone: Microphone,
        vad: Vad,
        wake_word: WakeWord | None,
        settings: Settings,
        post: Callable[[Event], None],
        rescan: Callable[[Kind], Awaitable[None]],
        interruptions: Interruptions | None = None,
    ) -> None:
        self._microphone = microphone
        self._vad = vad
        self._wake_word = wake_word
        self._gate = WakeGate()
        self._settings = settings
        self._post = post
        self._rescan = rescan
        self._mode = ListeningMode.NOTHING
        self._listening: asyncio.Task[None] | None = None
        self._retry_s = RETRY_FIRST_S
        self._speech_s = 0.0
        self._judge_from_s = 0.0
        self._word_until_s = 0.0
        self._recent: deque[tuple[AudioFrame, bool]] = deque(maxlen=_WORD_LATE_FRAMES)
        self.endpointer = Endpointer(settings.endpoint)
        self._interruptions = interruptions or Interruptions(hears_itself=False, echo=None)

    def attend(self, state: State, interruption: Interruption, *, only_commands: bool) -> None:
        """Set the mode for this state."""
        self.mode = listening_mode(
            state,
            has_wake_word=self.has_wake_word,
            interruption=interruption,
            only_commands=only_commands,
        )

    @property
    def mode(self) -> ListeningMode:
        return self._mode

    @mode.setter
    def mode(self, mode: ListeningMode) -> None:
        """Set the mode; a change starts over, and drops sound heard for another purpose.

        But an interruption is kept from its beginning.
        """
        before, self._mode = self._mode, mode
        if mode is before or (before in _SPEECH_TOO and mode is ListeningMode.SPEECH):
            return
        self._forget()
        if mode is ListeningMode.INTERRUPTION:
            self.endpointer.start_ms = self._settings.conversation.interruption_ms

    @property
    def quiet_s(self) -> float:
        """How long there has been no speech-like sound, including the wake word."""
        return asyncio.get_running_loop().time() - self._speech_s

    def hold_judgement(self, seconds: float) -> None:
        """Ignore speech for this long, but keep the sound, in case speech follows at once.

        For sounds that resemble speech: the end of the wake word, the assistant's own chimes.
        """
        self._judge_from_s = max(self._judge_from_s, asyncio.get_running_loop().time() + seconds)

    @property
    def has_wake_word(self) -> bool:
        return self._wake_word is not None

    def adopt(self, settings: Settings, hearing: Hearing | None) -> None:
        """Use these from now on, while nobody is speaking; without ``hearing``, keep the detectors."""
        self._settings = settings
        if hearing:
            self._vad, self._wake_word = hearing
            self._forget()
        else:  # a wake word may be half spoken
            self.endpointer = Endpointer(settings.endpoint)

    def wait_for(self, transcript: Transcript, match: Match | None) -> None:
        """Set the wait for the end of the turn, now that the words are known."""
        if not self.endpointer.pauses:
            return
        if match and match.asks_back:
            self.wait_for_the_rest()
        else:
            self.endpointer.required_silence_ms = required_silence_ms(
                transcript,
                matched=match is not None and not match.ends_open,
                settings=self._settings.endpoint,
            )

    def wait_for_the_rest(self) -> None:
        """Wait longer: what was said so far needs no answer, but may be the beginning of something that
        does.
        """
        if self.endpointer.pauses:
            self.endpointer.required_silence_ms = self._settings.endpoint.unfinished_ms

    def open(self) -> None:
        """Start listening; posts Ready with the first frame, Faulted if the microphone fails."""
        self._listening = asyncio.ensure_future(self._listen())

    def reopen(self) -> None:
        """Look for a lost microphone, after a wait that grows while it stays lost."""
        self._listening = asyncio.ensure_future(self._find())

    async def close(self) -> None:
        """Close the microphone."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def _forget(self) -> None:
        self.endpointer = Endpointer(self._settings.endpoint)
        self._judge_from_s = self._word_until_s = 0.0
        self._recent.clear()
        self._gate.reset()
        if self._wake_word is not None:
            self._wake_word.reset()

    async def _find(self) -> None:
        await asyncio.sleep(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)
        try:
            await self._rescan("input")
        except AssistantError as error:
            self._post(Faulted(error))
        else:
            await self._listen()

    async def _listen(self) -> None:
        try:
            self._vad.reset()
            self._forget()
            async with aclosing(self._microphone.frames()) as frames:
                if first := await anext(frames, None):
                    self._retry_s = RETRY_FIRST_S
                    log.info("microphone=heard")
                    self._post(Ready())
                    self._judge(first)
                async for frame in frames:
                    self._judge(frame)
            self._post(RecordingEnded())
        except Exception as error:  # noqa: BLE001 - whatever stops the listener must reach the loop
            self._post(Faulted(error))

    def _judge(self, frame: AudioFrame) -> None:
        if self._mode is ListeningMode.NOTHING:
            return
        sounds_like_speech = self._sounds_like_speech(frame)
        is_speech = sounds_like_speech and not frame.is_echo
        if is_speech:
            self._speech_s = frame.end_s
        heard_for = self._mode
        if heard_for is not ListeningMode.SPEECH and self._wake_word:
            self._await_word(frame, is_speech=sounds_like_speech)  # the network is not fooled by an echo
        if self._mode is not heard_for:
            return  # that was the wake word
        if heard_for in (ListeningMode.SPEECH, ListeningMode.COMMAND):
            self._follow_speech(frame, is_speech=is_speech)
        elif heard_for is ListeningMode.INTERRUPTION:
            self._await_interruption(frame, is_speech=is_speech)

    def _await_interruption(self, frame: AudioFrame, *, is_speech: bool) -> None:
        """Interrupt for speech, unless the assistant's own voice has caused too many false interruptions."""
        self._interruptions.spoke(FRAME_MS / 1000)
        if not self._interruptions.speech_is_off:
            self._follow_speech(frame, is_speech=is_speech)
        elif self.endpointer.push(frame, is_speech=is_speech) is not None:
            self._interruptions.was_false()
            self.endpointer.reset()

    def _sounds_like_speech(self, frame: AudioFrame) -> bool:
        """Judge quickly rather than surely during an answer: if it was noise, the answer continues."""
        threshold = self._settings.vad.threshold
        if self._mode is ListeningMode.INTERRUPTION:
            threshold = min(threshold, _BEGINS_NEAR if frame.is_near else _BEGINS)
        return self._vad.speech_probability(frame.pcm) >= threshold

    def _follow_speech(self, frame: AudioFrame, *, is_speech: bool) -> None:
        if frame.end_s - self._speech_s >= _WORD_OVER_FRAMES * FRAME_MS / 1000:
            self._word_until_s = 0.0
        judged = is_speech and frame.end_s > max(self._judge_from_s, self._word_until_s)
        event = self.endpointer.push(frame, is_speech=judged)
        if event:
            self._post(event)

    def _await_word(self, frame: AudioFrame, *, is_speech: bool) -> None:
        assert self._wake_word is not None  # noqa: S101
        self._recent.append((frame, is_speech))
        words = [self._wake_word.detect(pcm) for pcm in self._gate.push(frame.pcm, is_speech=is_speech)]
        if word := next(filter(None, words), None):
            self._post(Woken(by=word))
            self._go_on(frame.end_s)

    def _go_on(self, now_s: float) -> None:
        """Listen to what follows the wake word at once, because it may be said in one breath.

        The network responds a little before or after the end of the word. That end doesn't count as speech
        but is kept, as what follows may sound like it, for as long as the pre-roll restores it.
        """
        recent = list(self._recent)
        if self._mode in _SPEECH_TOO:
            self._forget()  # what was heard besides is the word, and no part of what follows
        over = end_of_speech([is_speech for _, is_speech in recent], _WORD_OVER_FRAMES)
        self.mode = ListeningMode.SPEECH
        if over is None:
            self._word_until_s = now_s + (self._settings.endpoint.pre_roll_ms - FRAME_MS) / 1000
        else:
            for frame, is_speech in recent[over:]:
                self._follow_speech(frame, is_speech=is_speech)


class WakeGate:
    """Takes every frame, and returns those that the wake word network should process: those around speech.

    The network costs fifty times as much as speech detection. So it sleeps until speech is detected, then
    gets the sound from just before, and sleeps again after a while without speech. The network never sees the
    silence in between. Pure: knows neither the network nor the detector.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Close it, and forget what was heard."""
        self._waiting: deque[Pcm16] = deque(maxlen=_BEFORE_FRAMES)
        self._latest: deque[bool] = deque(maxlen=_OPEN_WINDOW)
        self._open_frames = 0
        """How many more frames the gate stays open."""

    def push(self, pcm: Pcm16, *, is_speech: bool) -> list[Pcm16]:
        """Process the next frame. Returns nothing while closed, several frames while catching up."""
        self._waiting.append(pcm)
        self._latest.append(is_speech)
        self._open_frames -= 1
        if sum(self._latest) >= _OPEN_FRAMES:
            self._open_frames = _STAY_FRAMES
        if self._open_frames <= 0:
            return []
        return [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]


def end_of_speech(latest: Sequence[bool], silent_frames: int) -> int | None:
    """Return where, among the latest frames, the last silence of that length began; None without one."""
    end = len(latest)
    while end:
        start = end
        while start and not latest[start - 1]:
            start -= 1
        if end - start >= silent_frames:
            return start
        end = start - 1 if start else 0
    return None
