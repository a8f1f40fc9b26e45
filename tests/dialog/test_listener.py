"""What the listener reports of what it hears, in each of its modes; in virtual time, frame by frame."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from assistant.audio import nothing_plugs_in
from assistant.audio.filtered import FilteredMicrophone, SoundFilter
from assistant.audio.scripted import ScriptedMicrophone
from assistant.core.events import Event, Faulted, Ready, SpeechStarted, TurnEnded, Woken
from assistant.core.state import ListeningMode
from assistant.core.types import SAMPLE_RATE_HZ, AudioFrame, Pcm16
from assistant.dialog.listener import Listener
from assistant.engines import Vad
from assistant.engines.scripted import ScriptedVad, ScriptedWake, clip
from assistant.runtime import clock
from assistant.settings.schema import Settings

WORD, SPEECH, QUIET = 500, 1000, 1


class Room:
    """A listener, and what it reported and when (seconds, rounded to the frame)."""

    def __init__(self, mode: ListeningMode, vad: Vad | None = None, *filters: SoundFilter) -> None:
        self.heard: list[tuple[float, Event]] = []
        self.microphone = ScriptedMicrophone()
        self.wake_word = ScriptedWake({WORD: "okay_nabu"})
        self.listener = Listener(
            microphone=FilteredMicrophone(self.microphone, filters),
            vad=vad or ScriptedVad(),
            wake_word=self.wake_word,
            settings=Settings(),
            post=self._post,
            rescan=nothing_plugs_in,
        )
        self.listener.mode = mode

    def _post(self, event: Event) -> None:
        self.heard.append((round(asyncio.get_running_loop().time(), 2), event))

    @property
    def kinds(self) -> list[type[Event]]:
        return [type(event) for _, event in self.heard]

    def when(self, kind: type[Event]) -> float:
        return next(at_s for at_s, event in self.heard if isinstance(event, kind))

    @property
    def utterance(self) -> Pcm16:
        return next(event.utterance.pcm for _, event in self.heard if isinstance(event, TurnEnded))


def listen(sounds: Sequence[tuple[int, int]], mode: ListeningMode, room: Room | None = None) -> Room:
    """Hear (loudness, milliseconds) one after the other, and three seconds of silence."""

    async def main() -> Room:
        here = room or Room(mode)
        for loudness, duration_ms in sounds:
            here.microphone.say(clip(loudness, duration_ms))
        here.listener.open()
        await asyncio.sleep(sum(duration_ms for _, duration_ms in sounds) / 1000 + 3)
        await here.listener.close()
        return here

    return clock.run(main(), "virtual")


def test_attending_to_nothing_they_only_say_that_they_are_there() -> None:
    room = listen([(SPEECH, 1000), (WORD, 1000)], ListeningMode.NOTHING)
    assert room.kinds == [Ready]


def test_attending_to_speech_the_wake_word_is_a_sound_like_any_other() -> None:
    room = listen([(QUIET, 500), (WORD, 1000)], ListeningMode.SPEECH)
    assert Woken not in room.kinds
    assert room.kinds[-1] is TurnEnded
    assert room.wake_word.taken == 0


def test_attending_to_the_wake_word_nothing_else_is_reported() -> None:
    room = listen([(SPEECH, 1000), (QUIET, 1000), (SPEECH, 2000)], ListeningMode.WAKE_WORD)
    assert room.kinds == [Ready]
    assert room.wake_word.taken > 100


def test_the_wake_word_alone_is_reported_and_no_utterance() -> None:
    room = listen([(QUIET, 500), (WORD, 500)], ListeningMode.WAKE_WORD)
    assert room.kinds == [Ready, Woken]
    assert room.when(Woken) == pytest.approx(0.5 + 0.4, abs=0.05)
    assert room.listener.mode is ListeningMode.SPEECH


@pytest.mark.parametrize("end_ms", [0, 40, 100, 200, 300])
def test_however_long_the_word_goes_on_its_end_is_no_utterance(end_ms: int) -> None:
    room = listen([(WORD, 400), (SPEECH, end_ms)], ListeningMode.WAKE_WORD)
    assert room.kinds == [Ready, Woken]


@pytest.mark.parametrize("gap_ms", [0, 20, 40, 80, 200, 1000])
def test_what_follows_the_word_is_heard_whole(gap_ms: int) -> None:
    room = listen([(WORD, 440), (QUIET, gap_ms), (SPEECH, 900)], ListeningMode.WAKE_WORD)
    assert room.kinds[:3] == [Ready, Woken, SpeechStarted]
    assert np.sum(np.abs(room.utterance) > SPEECH / 2) == pytest.approx(
        np.sum(np.abs(clip(SPEECH, 900)) > SPEECH / 2), abs=2
    )


def test_of_the_word_itself_at_most_its_end_is_kept() -> None:
    room = listen([(WORD, 480), (SPEECH, 900)], ListeningMode.WAKE_WORD)
    before = int(np.argmax(np.abs(room.utterance) > WORD))
    assert before <= 0.1 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("late_ms", [60, 120, 180])
def test_a_network_that_answers_late_loses_nothing_of_a_short_command(late_ms: int) -> None:
    """The word is over, there was a pause, and the command has begun when the network answers."""
    room = Room(ListeningMode.WAKE_WORD)
    room.wake_word = room.listener._wake_word = ScriptedWake({SPEECH: "okay_nabu"}, frames=late_ms // 20)
    listen([(WORD, 500), (QUIET, 60), (SPEECH, 320)], ListeningMode.WAKE_WORD, room)
    assert room.kinds[-1] is TurnEnded
    assert np.sum(np.abs(room.utterance) > SPEECH / 2) == np.sum(np.abs(clip(SPEECH, 320)) > SPEECH / 2)


def test_a_short_command_after_a_short_pause_counts_from_its_beginning() -> None:
    room = listen([(WORD, 480), (QUIET, 60), (SPEECH, 200)], ListeningMode.WAKE_WORD)
    assert room.kinds[-1] is TurnEnded


def test_judgement_held_back_is_no_sound_lost() -> None:
    async def main() -> Room:
        room = Room(ListeningMode.SPEECH)
        room.listener.open()
        await asyncio.sleep(1)
        room.listener.hold_judgement(0.39)
        room.microphone.say(clip(SPEECH, 800))
        await asyncio.sleep(3)
        await room.listener.close()
        return room

    room = clock.run(main(), "virtual")
    assert room.when(SpeechStarted) == pytest.approx(1.39 + 0.1, abs=0.03)
    assert np.sum(np.abs(room.utterance) > SPEECH / 2) == np.sum(np.abs(clip(SPEECH, 800)) > SPEECH / 2)


def test_a_sound_while_judgement_is_held_back_is_no_speech() -> None:
    async def main() -> Room:
        room = Room(ListeningMode.SPEECH)
        room.listener.open()
        await asyncio.sleep(1)
        room.listener.hold_judgement(0.39)
        room.microphone.say(clip(SPEECH, 300))
        await asyncio.sleep(3)
        await room.listener.close()
        return room

    assert clock.run(main(), "virtual").kinds == [Ready]


def test_changing_attention_forgets_what_was_heard_for_another_purpose() -> None:
    async def main() -> Room:
        room = Room(ListeningMode.WAKE_WORD)
        room.listener.open()
        room.microphone.say(clip(SPEECH, 1000))
        await asyncio.sleep(1.1)
        room.listener.mode = ListeningMode.SPEECH
        await asyncio.sleep(2)
        await room.listener.close()
        return room

    assert clock.run(main(), "virtual").kinds == [Ready]


def test_a_microphone_that_cannot_be_opened_is_reported() -> None:
    room = Room(ListeningMode.SPEECH)
    room.microphone.broken = True
    assert listen([], ListeningMode.SPEECH, room).kinds == [Faulted]


def test_a_lost_microphone_is_looked_for_ever_more_rarely() -> None:
    async def main() -> list[float]:
        room = Room(ListeningMode.SPEECH)
        room.microphone.broken = True
        waits = []
        for _ in range(9):
            began_s = asyncio.get_running_loop().time()
            room.heard.clear()
            room.listener.reopen()
            while not room.heard:  # noqa: ASYNC110 - watches from outside
                await asyncio.sleep(0.01)
            waits.append(round(asyncio.get_running_loop().time() - began_s, 1))
        return waits

    waits = clock.run(main(), "virtual")
    assert waits[0] == pytest.approx(0.5, abs=0.1)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(2, abs=0.1)


class Unsure(ScriptedVad):
    """A network that an echo confuses."""

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def speech_probability(self, pcm: Pcm16) -> float:
        return self._probability * super().speech_probability(pcm)


class Vouching:
    """A canceller that hears somebody beside the assistant's own voice, or cannot tell."""

    def __init__(self, *, is_near: bool) -> None:
        self._is_near = is_near

    def process(self, frame: AudioFrame) -> AudioFrame:
        return replace(frame, is_near=self._is_near)


@pytest.mark.parametrize(
    ("probability", "is_near", "interrupts"),
    [(0.05, True, True), (0.05, False, False), (0.3, False, True), (0.01, True, False)],
)
def test_where_the_canceller_hears_somebody_the_detector_need_not_be_sure(
    probability: float, is_near: bool, interrupts: bool
) -> None:
    async def main() -> Room:
        room = Room(ListeningMode.INTERRUPTION, Unsure(probability), Vouching(is_near=is_near))
        room.microphone.say(clip(SPEECH, 1000))
        room.listener.open()
        await asyncio.sleep(1)
        await room.listener.close()
        return room

    assert (SpeechStarted in clock.run(main(), "virtual").kinds) is interrupts
