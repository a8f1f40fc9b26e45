"""``assistant bench barge-in``: how fast the assistant stops for a person, and whether it interrupts itself.

The real loop, detectors, echo canceller, recognizer, and voice run in a simulated room. The content of the
answers doesn't matter, so the language model is scripted. Time is virtual and work takes none of it, so the
figures describe the decisions and are the same on every machine.

The onset of a recording is its first 10 ms that are at most 20 dB below its loud parts: anything quieter is
breath, or is drowned out by the voice it interrupts. A recording that ends before it could be noticed is
skipped: a person who stops after the first sound of a word interrupts nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.audio.files import read_sound
from assistant.audio.resample import Samples, to_float, to_pcm16
from assistant.core.errors import AudioFileInvalid
from assistant.core.events import Announced, Stopped
from assistant.core.state import State
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench import barge_in_devices, recorded_echo
from assistant.tools.bench.barge_in_devices import Plan
from assistant.tools.bench.lib.clips import Clip, read_set
from assistant.tools.bench.lib.measuring import Document, Result, ratio, rounded, share, spread_ms, table
from assistant.tools.bench.lib.speech_end import WINDOW_SAMPLES, levels_db
from assistant.tools.bench.lib.variants import changed
from assistant.tools.bench.lib.word_error import counted
from assistant.tools.bench.room.appliance import Stage, open_stage
from assistant.tools.bench.room.simulated import Acoustics, living_room, loudness, unit_energy

WITHIN_MS = 150
"""The target: people stop within 200 ms when they are interrupted."""

ANSWERS = (
    "The Brooklyn Bridge was opened in eighteen eighty three, and it connects Manhattan and Brooklyn.",
    "Sure, I can help with that. First, heat the oven to two hundred degrees, then grease a small pan.",
    "The capital of France is Paris, a city of about two million people on the river Seine.",
    "A rainbow appears when sunlight is bent and reflected inside of small drops of water.",
    "To make good coffee, use fresh beans and clean water, and grind the beans just before you brew.",
    "The moon is about three hundred eighty four thousand kilometers away from the Earth.",
    "Dogs bark for many reasons, such as to warn, to play, or because they are lonely.",
    "Plants turn light, water and carbon dioxide into sugar and oxygen, and that feeds nearly all of us.",
    "William Shakespeare wrote about thirty seven plays and more than one hundred fifty sonnets.",
    "It is cloudy with a high of nineteen degrees, and there may be some rain in the late afternoon.",
)

_ONSET_BELOW_DB = 20.0
_LEAD_S = 0.15
"""How much of the recording is played before its onset."""
_SETTLE_S = 0.45
"""By this time after its onset, an interruption has been noticed or missed."""
_STEP_MS = 20
_STEPS_MS = range(-100, 401, _STEP_MS)
_PERSON_DB = 0.0
"""Loudness of the person at the microphone relative to the assistant's voice."""
_QUIET_S = 2.0
"""After this much silence, an utterance has no further effect."""
_LEARNING = 3
"""Answers played before the first interruption, from which the canceller learns the room."""


@dataclass
class Interruption:
    """One recording that was played into an answer."""

    clip: Clip
    cut_ms: float | None
    """From its onset until the speaker was told to stop; None if it wasn't."""
    silent_ms: float | None
    """From its onset until the last sample, including buffered ones, had left the loudspeaker."""
    heard: str = ""
    """What the recognizer understood over the end of the answer and its echo."""


def run(
    settings: Settings,
    *,
    path: str,
    folder: Path,
    interruptions: int,
    minutes: float,
    room: Path | None,
    replay: Path | None,
    pairs: Path | None,
    noises: Path | None,
    progress: Callable[[str], None],
    **on_devices: Any,
) -> Result:
    """Interrupt the assistant with the recordings below ``folder``, then let it talk for ``minutes``.

    ``room`` is a recorded impulse response; None takes a synthetic living room. ``on_devices`` are fields of
    ``Plan``. With ``replay`` or ``pairs``, recorded microphone audio is used. Raises any AssistantError.
    """
    if replay or pairs:
        return recorded_echo.run(settings, replay=replay, pairs=pairs, progress=progress)
    document: Document = {"path": path}
    texts = []
    if path != "devices":
        document |= _simulated(settings, folder, interruptions, minutes, room, progress)
        texts.append(_as_text(document))
    if path != "simulated":
        people = barge_in_devices.PEOPLE in on_devices["scenes"]
        clips = sorted_out(read_set(folder))[0] if people else []
        on_devices |= {"people": barge_in_devices.people_in(clips, onset), "room": room}
        on_devices["noises"] = barge_in_devices.noises_in(noises) if noises else ()
        plan = Plan(interruptions=interruptions, **on_devices)
        document["devices"] = barge_in_devices.run(settings, plan, progress)
        texts.append(barge_in_devices.as_text(document["devices"]))
    if path == "both":
        texts.append(_side_by_side(document))
    return Result("\n\n".join(texts), document)


def _side_by_side(document: Document) -> str:
    """Show the figures that both paths have in common."""
    own, other = document["own_voice"], document["devices"]["own_voice"]
    rows = [
        ("announcements", own["answers"], other["announcements"]),
        ("self-interruptions", own["self_interruptions"], other["false_pauses"]),
        ("self-answers", own["self_answers"], other["self_answers"]),
    ]
    for each in document["devices"]["people"]:
        if each["person_db"] == _PERSON_DB:
            stops = document["interruptions"]
            rows += [
                ("interruptions", stops["n"], each["interruptions"]),
                ("stopped it", stops["stopped"], each["stopped"]),
                ("silent after ms, p50", stops["silent"]["p50_ms"], each["silent_p50_ms"]),
                ("silent after ms, p95", stops["silent"]["p95_ms"], each["silent_p95_ms"]),
            ]
    return table(("", "simulated", "devices"), rows)


def _simulated(  # noqa: PLR0917
    settings: Settings,
    folder: Path,
    interruptions: int,
    minutes: float,
    response: Path | None,
    progress: Callable[[str], None],
) -> Document:
    clips, broken_off = sorted_out(read_set(folder, interruptions))
    settings = changed(settings, {"conversation": {"interruption": "speech", "follow_up_ms": 0}})
    acoustics = Acoustics(unit_energy(to_float(read_sound(response))) if response else living_room())
    found: Document = {}

    async def all_of_it() -> None:
        async with open_stage(settings, acoustics) as stage:
            for answer in ANSWERS[:_LEARNING]:
                await stage.talk(answer)
            said = [
                await _interrupt(stage, number, clips[number % len(clips)], progress)
                for number in range(interruptions)
            ]
            found["interruptions"] = summary(said)
            found["interruptions"]["words"] = await _words(stage, said)
        async with open_stage(settings, acoustics) as stage:
            found["own_voice"] = await _own_voice(stage, minutes * 60, progress)

    clock.run(all_of_it(), "virtual")
    return {"room": response.name if response else "living room", "left_out": broken_off, **found}


def sorted_out(clips: Sequence[Clip]) -> tuple[list[Clip], list[str]]:
    """Return the usable recordings, and the names of those that end too early. Raises AudioFileInvalid."""
    long_enough = [clip for clip in clips if (clip.spoken.end_s - onset(clip)) * 1000 >= WITHIN_MS]
    if not long_enough:
        raise AudioFileInvalid("Every recording ends immediately.", "Use recordings of whole words.")
    return long_enough, [clip.name for clip in clips if clip not in long_enough]


def onset(clip: Clip) -> float:
    """Return when the first audible sound begins, in seconds."""
    a_second = SAMPLE_RATE_HZ / WINDOW_SAMPLES
    first = round(clip.spoken.begin_s * a_second)
    levels = levels_db(clip.pcm)[first : round(clip.spoken.end_s * a_second)]
    loud = np.flatnonzero(levels >= np.percentile(levels, 95) - _ONSET_BELOW_DB)
    return float((first + loud[0]) / a_second)


async def _interrupt(stage: Stage, number: int, clip: Clip, progress: Callable[[str], None]) -> Interruption:
    """Play ``clip`` into an answer, 0.5 to 2.5 s after the answer starts."""
    room, now = stage.room, asyncio.get_running_loop().time
    await asyncio.sleep(0.5)
    before = len(stage.reports)
    stage.voice_loop.post(Announced(ANSWERS[number % len(ANSWERS)]))
    await stage.until(State.SPEAKING)
    await asyncio.sleep(0.5 + 2.0 * (number * 0.618 % 1))
    onset_s, begin_s = onset(clip), max(0.0, onset(clip) - _LEAD_S)
    spoken = _spoken(clip, begin_s)
    level = room.echo_loudness / loudness(spoken) * 10 ** (_PERSON_DB / 20)
    heard_s = room.say(spoken * np.float32(level)) + onset_s - begin_s
    await asyncio.sleep(heard_s + _SETTLE_S - now())
    stopped = stage.voice_loop.state is not State.SPEAKING
    result = Interruption(
        clip,
        cut_ms=(room.speaker.cut_s - heard_s) * 1000 if stopped else None,
        silent_ms=(room.speaker.last_sound_s - heard_s) * 1000 if stopped else None,
    )
    while room.somebody_talks:  # noqa: ASYNC110 - the room has a schedule, not an event
        await asyncio.sleep(0.02)
    await stage.voice_loop.idle(_QUIET_S)
    result.heard = " ".join(
        report.transcript for report in stage.reports[before:] if report.handled_by == "llm"
    )
    stage.voice_loop.post(Stopped())
    took = "not stopped" if result.cut_ms is None else f"{result.cut_ms:.0f} ms"
    progress(f"{number + 1}: {clip.name}: {took}")
    return result


def _spoken(clip: Clip, begin_s: float) -> Samples:
    """Return the samples from ``begin_s`` to the end of the speech."""
    begin, end = (round(at_s * SAMPLE_RATE_HZ) for at_s in (begin_s, clip.spoken.end_s))
    return to_float(clip.pcm[begin:end])


async def _own_voice(stage: Stage, seconds: float, progress: Callable[[str], None]) -> Document:
    """Let the assistant talk, and count how often it takes its own voice for another person."""
    number = 0
    while stage.room.speaker.heard_s < seconds:
        await stage.talk(ANSWERS[number % len(ANSWERS)])
        number += 1
        if number % len(ANSWERS) == 0:
            progress(f"own voice: {stage.room.speaker.heard_s / 60:.1f} min")
    answers = [report for report in stage.reports if report.handled_by == "announcement"]
    turns = [report for report in stage.reports if report.handled_by != "announcement"]
    return {
        "minutes": rounded(stage.room.speaker.heard_s / 60, 1),
        "answers": len(answers),
        "self_interruptions": sum(report.resumed + report.interrupted for report in answers),
        "self_answers": sum(report.refused is None for report in turns),
    }


def summary(said: Sequence[Interruption]) -> Document:
    """Count the interruptions that stopped the assistant, and how fast."""
    stopped = [(each.cut_ms, each.silent_ms) for each in said if each.cut_ms and each.silent_ms]
    early = [cut_ms for cut_ms, _ in stopped if cut_ms < -_LEAD_S * 1000]
    cuts = [cut_ms for cut_ms, _ in stopped if cut_ms not in early]
    silences = [silent_ms for cut_ms, silent_ms in stopped if cut_ms not in early]
    return {
        "n": len(said),
        "stopped": len(cuts),
        "stopped_before_anybody_spoke": len(early),
        "within_150_ms": sum(ms <= WITHIN_MS for ms in cuts),
        "cut": {**spread_ms(cuts), "max_ms": rounded(max(cuts, default=None), 1)},
        "silent": {**spread_ms(silences), "max_ms": rounded(max(silences, default=None), 1)},
        "steps": [[upto, sum(upto - _STEP_MS < ms <= upto for ms in cuts)] for upto in _STEPS_MS],
    }


async def _words(stage: Stage, said: Sequence[Interruption]) -> Document:
    """Return the word error rate of the interruptions, and of the same recordings in an otherwise silent
    room.
    """
    known = [each for each in said if each.clip.text]
    count = over = alone = 0
    for each in known:
        pcm = to_pcm16(_spoken(each.clip, max(0.0, onset(each.clip) - _LEAD_S)))
        clean = await stage.voice_loop.pipeline.transcribe(pcm)
        wrong, words = counted(each.clip.text, each.heard)
        count, over = count + words, over + wrong
        alone += counted(each.clip.text, clean.text)[0]
    return {"n": count, "error_rate": ratio(over, count), "error_rate_alone": ratio(alone, count)}


def _as_text(document: Document) -> str:
    stops, own, words = document["interruptions"], document["own_voice"], document["interruptions"]["words"]
    rows = [
        (name, spread["p50_ms"], spread["p95_ms"], spread["max_ms"])
        for name, spread in (("cut", stops["cut"]), ("silent, with 60 ms of device", stops["silent"]))
    ]
    own_voice = (
        f"{own['minutes']} min of its own voice: {own['self_interruptions']} self-interruptions, "
        f"{own['self_answers']} self-answers"
    )
    head = (
        f"{stops['n']} interruptions in: {document['room']}; {stops['stopped']} stopped it, "
        f"{stops['within_150_ms']} within {WITHIN_MS} ms of their onset"
    )
    most = max((count for _, count in stops["steps"]), default=1) or 1
    return "\n".join(
        [
            "",
            head,
            *(f"left out, as it breaks off: {name}" for name in document["left_out"]),
            "",
            table(("from the onset, ms", "p50", "p95", "max"), rows),
            "",
            *(
                f"{upto - _STEP_MS:4d} to {upto:3d} ms  {'#' * round(40 * count / most)} {count}"
                for upto, count in stops["steps"]
                if count
            ),
            "",
            f"words wrong in them: {share(words['error_rate'])}, alone {share(words['error_rate_alone'])}",
            own_voice,
        ]
    )
