"""Scenes in a room of devices: the appliance talks alone, people interrupt it, noises, a sound server that
dies.

``own_voice`` counts how often the appliance takes its own voice for a person. Levels are relative to the
echo, both as recorded by the microphone. An interruption is measured from its onset in the microphone's
recording to the last sample at the loudspeaker's monitor.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assistant.audio.resample import Samples, to_float, to_pcm16
from assistant.core.state import State
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.tools.bench.lib.clips import Clip
from assistant.tools.bench.lib.measuring import Document, rounded, spread_ms
from assistant.tools.bench.room.device_world import World
from assistant.tools.bench.room.monitors import found_in
from assistant.tools.bench.room.simulated import loudness

ANNOUNCEMENTS = (
    "This is the weather for tomorrow: it starts with fog, and in the afternoon the sun comes through.",
    "Your parcel will arrive between nine and eleven, and somebody has to be at home to sign for it.",
    "The oven has reached two hundred degrees, so you can put the bread in now and set it for forty minutes.",
    "There are six eggs, a carton of milk and some butter left, so pancakes for four would be possible.",
    "The next train to the airport leaves at seven fifteen from platform two, and it is said to be on time.",
    "Don't forget that the recycling is collected on Thursday, and that the blue bin is nearly full already.",
    "Okay, the living room lamp is on, the bedroom window is open, and the front door has just been locked.",
    "The Brooklyn Bridge was opened in eighteen eighty three, and it connects Manhattan and Brooklyn.",
    "A rainbow appears when sunlight is bent and reflected inside of small drops of water.",
    "Six thousand people watched the match yesterday; it ended in a draw after a very long second half.",
)

WITHIN_MS = 300
"""The target for the loudspeaker to be silent, including its buffers and the sound server's."""

LEARNS_S = 10.0
"""Time after the start without interruptions."""

PLACES = ("beginning", "middle", "end")

_ALONE_EVERY = 4
"""Every n-th announcement is not interrupted."""

_CHARACTER_S = 0.058
"""Time the voice takes per letter."""

_BEGINNING_S = 0.5
_BEFORE_END_S = 1.5
_LEAD_S = 0.15
"""How much of a recording is played before its onset; a stop before the onset is not due to the person."""

_NOTICED_S = 1.0
"""An interruption not noticed within this time after its onset was missed."""

_STARTS_S = 1.5
"""A player may take this long to become audible."""

_ECHOES_S = 1.0
"""Time for the room's reverberation and the decision that someone has spoken."""

_BACK_WITHIN_S = 20.0

_STEPS = (0.3, 1.0)
"""Factors of the gain, in order, if the volume changes during an announcement."""

_STEP_S = 1.5

_NO_WORDS = ("NothingSaid", "ReplyRefused")
"""Events after which an interrupted answer continues."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that is played into the room, and where in it it becomes audible."""

    name: str
    samples: Samples
    onset_s: float

    @staticmethod
    def spoken(clip: Clip, onset_s: float) -> Sound:
        """Return the clip from shortly before its onset to the end of the speech."""
        begin_s = max(0.0, onset_s - _LEAD_S)
        begin, end = (round(at_s * SAMPLE_RATE_HZ) for at_s in (begin_s, clip.spoken.end_s))
        return Sound(clip.name, to_float(clip.pcm[begin:end]), onset_s - begin_s)


def own_voice(world: World, count: int, first: int = 0) -> Document:
    """Play ``count`` announcements, one after the other, and count how often it takes its own voice for a
    person.
    """
    delay_ms = gain = None
    hushed = 0
    for number in range(count):
        began_s = world.say(ANNOUNCEMENTS[(first + number) % len(ANNOUNCEMENTS)])
        disturb(world)
        hushed += not world.settle()
        if delay_ms is None:
            delay_ms, gain = world.echo_found(began_s, began_s + 3)
    time.sleep(1.0)
    return {
        "announcements": count,
        **heard_itself(world),
        "hushed": hushed,
        "delay_ms": rounded(delay_ms, 1),
        "gain": rounded(gain, 3),
    }


def disturb(world: World) -> None:
    """Apply the cell's changes in the middle of an announcement."""
    cell = world.cell
    for step in range(len(_STEPS) if cell.volume_steps or cell.jump_ms else 0):
        time.sleep(_STEP_S)
        if cell.volume_steps:
            world.path.change(gain=cell.gain * _STEPS[step])
        if cell.jump_ms:
            world.path.change(delay_ms=cell.delay_ms + (cell.jump_ms if step == 0 else 0))


def heard_itself(world: World) -> Document:
    """Count false pauses, answers that ended by them, and answers to itself."""
    reports = [each.report for each in world.told() if each.report]
    said = [report for report in reports if report["handled_by"] == "announcement"]
    turns = [report for report in reports if report["handled_by"] != "announcement"]
    busy = (State.LISTENING.value, State.INTERRUPTED.value, State.THINKING.value)
    return {
        "false_pauses": len(world.events("BargedIn")),
        "woken": len(world.events("Woken")),
        "cut_off": sum(report["interrupted"] for report in said),
        "self_answers": sum(report["refused"] is None for report in turns),
        "states": sum(each.state in busy for each in world.told()),
    }


def interrupted(world: World, people: Sequence[Sound], person_db: float, count: int, first: int) -> Document:
    """Interrupt ``count`` announcements, mixed with some that nobody interrupts."""
    level, alone = _learn(world, first)
    said: list[Document] = []
    number = over = 0
    while len(said) < count:
        text = ANNOUNCEMENTS[(first + number) % len(ANNOUNCEMENTS)]
        number += 1
        if number % _ALONE_EVERY == 0:
            world.say(text)
            disturb(world)
            world.settle()
            alone += 1
            continue
        which = first + len(said)
        sound = people[which % len(people)]
        found = _interrupt(world, text, sound, level * 10 ** (person_db / 20), PLACES[which % 3])
        if found["over"] and over < count:
            over += 1  # The announcement was already over: try again with a different one.
        else:
            said.append(found)
    silent_ms = [each["silent_ms"] for each in said if each["silent_ms"] is not None]
    return {
        "person_db": person_db,
        "interruptions": len(said),
        "spoken_when_it_was_over": over,
        "stopped": len(silent_ms),
        "within_300_ms": sum(ms <= WITHIN_MS for ms in silent_ms),
        "stopped_before_anybody_spoke": sum(each["early"] for each in said),
        "silent": spread_ms(silent_ms),
        "said": said,
        "alone": alone,
        **_other_pauses(world, said),
    }


def _learn(world: World, first: int) -> tuple[float, int]:
    """Let it talk alone for a while; return the loudness of its echo, and the number of announcements
    used.
    """
    began_s = spoken_s = time.monotonic()
    number = 0
    while time.monotonic() - began_s < LEARNS_S or number == 0:
        spoken_s = world.say(ANNOUNCEMENTS[(first - number - 1) % len(ANNOUNCEMENTS)])
        world.settle()
        number += 1
    return world.echo_loudness(spoken_s, time.monotonic()), number


def _interrupt(world: World, text: str, sound: Sound, level: float, place: str) -> Document:
    begun_s = world.say(text)
    disturb(world)
    whole_s = len(text) * _CHARACTER_S
    wait_s = {"beginning": _BEGINNING_S, "middle": whole_s / 2, "end": whole_s - _BEFORE_END_S}[place]
    time.sleep(max(0.0, begun_s + wait_s - _STARTS_S / 10 - time.monotonic()))
    samples = _at(sound.samples, level)
    played_s, player = world.play(samples)
    player.wait()
    world.settle()
    heard_s = _heard_s(world, samples, played_s)
    onset_s = heard_s + sound.onset_s
    stops_s = world.events("BargedIn", begun_s) + world.events("Woken", begun_s)
    early = [at_s for at_s in stops_s if at_s < onset_s - _LEAD_S]
    # A wake word is noticed when all of it has been said, so its length counts.
    spoken_until_s = heard_s + len(samples) / SAMPLE_RATE_HZ
    noticed_until_s = max(onset_s + _NOTICED_S - _LEAD_S, spoken_until_s + _ECHOES_S / 2)
    noticed_s = min((at_s for at_s in stops_s if onset_s - _LEAD_S <= at_s <= noticed_until_s), default=None)
    silent_s = _silent_s(world, begun_s, noticed_s) if noticed_s is not None else None
    ended_s = min(world.events("ReplyFinished", begun_s), default=None)
    return {
        "name": sound.name,
        "place": place,
        "onset_in_answer_s": round(onset_s - begun_s, 2),
        "over": ended_s is not None and ended_s < onset_s,
        "early": len(early),
        "noticed_ms": None if noticed_s is None else round((noticed_s - onset_s) * 1000),
        "silent_ms": None if silent_s is None else round((silent_s - onset_s) * 1000),
        "spoken_s": [onset_s - _LEAD_S, spoken_until_s + _ECHOES_S],
    }


def _silent_s(world: World, begun_s: float, noticed_s: float) -> float:
    """Return when the last sample of the interrupted answer left the loudspeaker, before it spoke again."""
    again_s = [
        told.at_s for told in world.told() if told.at_s > noticed_s and told.state == State.SPEAKING.value
    ]
    last_s = world.speaker.last_sound_s(begun_s, min([*again_s, noticed_s + _NOTICED_S]))
    return last_s if last_s is not None else noticed_s


def _at(samples: Samples, level: float) -> Samples:
    scaled: Samples = (samples * np.float32(level / loudness(samples))).clip(-1, 1)
    return scaled


def _heard_s(world: World, samples: Samples, played_s: float) -> float:
    """Return when the microphone recorded the first sample of ``samples``."""
    heard, heard_s = world.room.between(played_s, played_s + len(samples) / SAMPLE_RATE_HZ + _STARTS_S)
    return heard_s + found_in(to_pcm16(samples), heard) / SAMPLE_RATE_HZ


def _other_pauses(world: World, said: Sequence[Document]) -> Document:
    """Count stops without a speaker, and repeated stops for a person who kept talking after the first
    stop.
    """
    stops_s = world.events("BargedIn") + world.events("Woken")
    spoken = [each.pop("spoken_s") for each in said]
    beside = sum(any(begin <= at_s <= end for begin, end in spoken) for at_s in stops_s)
    noticed = sum(each["noticed_ms"] is not None for each in said)
    return {"false_pauses": len(stops_s) - beside, "stopped_again": beside - noticed}


def noises(world: World, sounds: Sequence[Sound], noise_db: float, count: int, first: int) -> Document:
    """Play noises over ``count`` announcements; count whether it continues, pauses and resumes, or ends
    the answer.
    """
    level, _ = _learn(world, first)
    outcomes = []
    for number in range(first, first + count):
        sound = sounds[number % len(sounds)]
        before = len(world.told())
        begun_s = world.say(ANNOUNCEMENTS[number % len(ANNOUNCEMENTS)])
        time.sleep(_BEGINNING_S)
        _, player = world.play(_at(sound.samples, level * 10 ** (noise_db / 20)))
        player.wait()
        world.settle()
        reports = [each.report for each in world.told(before) if each.report]
        paused = len(world.events("BargedIn", begun_s))
        resumed = sum(
            told.state == State.SPEAKING.value and told.event in _NO_WORDS for told in world.told(before)
        )
        cut_off = any(each["interrupted"] for each in reports if each["handled_by"] == "announcement")
        outcomes.append({
            "name": sound.name,
            "pauses": paused,
            "goes_on": not cut_off and paused <= resumed,
            "answers": sum(
                each["handled_by"] != "announcement" and each["refused"] is None for each in reports
            ),
        })  # fmt: skip
    return {
        "noise_db": noise_db,
        "noises": len(outcomes),
        "false_pauses": sum(each["pauses"] for each in outcomes),
        "paused_and_went_on": sum(each["pauses"] > 0 and each["goes_on"] for each in outcomes),
        "ended_by_noise": sum(not each["goes_on"] for each in outcomes),
        "self_answers": sum(each["answers"] for each in outcomes),
        "outcomes": outcomes,
    }


def restarted(world: World, first: int) -> Document:
    """Kill the sound server during an answer; measure how soon it recovers and whether it then hears
    itself.
    """
    world.say(ANNOUNCEMENTS[first % len(ANNOUNCEMENTS)])
    time.sleep(2.0)
    killed_s = time.monotonic()
    world.restart_server()
    back = world.appliance.wait(lambda: bool(world.events("Ready", killed_s)), _BACK_WITHIN_S)
    back_s = min(world.events("Ready", killed_s), default=None)
    for number in range(1, 4) if back else ():
        world.settle()
        world.say(ANNOUNCEMENTS[(first + number) % len(ANNOUNCEMENTS)])
    well = back and world.settle()
    return {
        "restarts": 1,
        "well_again_s": rounded(back_s - killed_s if back_s is not None else None, 1),
        "well": well and world.appliance.state == State.SLEEPING.value,
        "announcements": 4,
        **heard_itself(world),
    }
