"""``assistant bench intents``: commands and small talk, spoken by the voice through the whole chain.

Each sentence is synthesized, heard by the real loop (detectors, end of turn, recognition), and answered. A
command is right if the skill and slots are those of the written sentence (tests of the table check that those
are the intended ones). Small talk is right if no skill did anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from assistant.app import build as app
from assistant.app import engines as loading
from assistant.audio.resample import rendered
from assistant.core.errors import EngineFailed
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Sentence, SpokenAudio
from assistant.runtime import clock
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.skills import Match, Skills
from assistant.text.markup import speakable
from assistant.tools.bench.corpus import COMMANDS, CONVERSATION
from assistant.tools.bench.lib import speech_end
from assistant.tools.bench.lib.clips import Clip
from assistant.tools.bench.lib.measuring import (
    Document,
    Result,
    ratio,
    rounded,
    share,
    spread_ms,
    table,
    timed,
)
from assistant.tools.bench.lib.rehearsal import Said, Session, rehearse
from assistant.tools.bench.lib.variants import changed

_BRIEF = {"llm": {"max_tokens": 8}}
"""Only who answers counts, not what the language model says."""

_ROOM_S = 0.3
_ROOM_AMPLITUDE = 5
"""Noise around each sentence: almost none, but not digital silence, which no microphone produces."""

_NOBODY = frozenset({"llm", "nobody", "apology"})


def run(settings: Settings, *, limit: int | None, progress: Callable[[str], None]) -> Result:
    """Speak all sentences, or ``limit`` of each kind. Raises any AssistantError."""
    commands = _spread([text for text, _, _ in COMMANDS], limit)
    talk = _spread(CONVERSATION, limit)
    progress(f"the voice speaks {len(commands) + len(talk)} sentences")
    clips = list(_spoken(settings, [*commands, *talk]))
    session = Session()

    def on_turn(said: Said) -> None:
        progress(f"{len(session.said)} of {len(clips)}: {said.clip.text}")

    clock.run(rehearse(changed(settings, _BRIEF), clips, session, on_turn=on_turn), "skipping")
    # Sentences after the last answer that never got one are not counted.
    silent = [Said(clip, 0.0) for clip in clips[len(session.said) :]]
    with TemporaryDirectory() as folder, app.skill_context(Path(folder)) as context:
        skills = app.load_skills(settings, context)
        document: Document = {
            **judged(skills, [*session.said, *silent]),
            "matched_in": matched_in(skills, [clip.text for clip in clips]),
        }
    return Result(_as_text(document), document)


def judged(skills: Skills, said: Sequence[Said]) -> Document:
    """Judge commands and small talk, which differ by whether a skill matches the written sentence."""
    commands: Document = {"n": 0, "right": 0, "right_skill": 0, "no_skill": 0, "other_skill": 0, "wrong": []}
    talk: Document = {"n": 0, "acted_upon": 0, "wrong": []}
    for each in said:
        want, found, answered_by = skills.match(each.clip.text), _understood(skills, each), _answered_by(each)
        verdict = _verdict(want, found, answered_by)
        of = commands if want else talk
        of["n"] += 1
        if want:
            of["right_skill"] += verdict in ("right", "other values")
            of["right"] += verdict == "right"
            of["no_skill"] += verdict == "no skill"
            of["other_skill"] += verdict == "another skill"
        else:
            of["acted_upon"] += verdict != "right"
        if verdict != "right":
            heard = [turn.report.transcript for turn in each.turns]
            of["wrong"].append(
                {"said": each.clip.text, "heard": heard, "answered_by": answered_by, "verdict": verdict}
            )
    return {"commands": commands, "small_talk": talk}


def matched_in(skills: Skills, texts: Sequence[str]) -> Document:
    """Time the matching of a sentence with all skills: the shortest of three runs."""
    took_s = [min(timed(partial(skills.match, text))[0] for _ in range(3)) for text in texts]
    return {**spread_ms(second * 1000 for second in took_s), "max_ms": rounded(1000 * max(took_s), 1)}


def _answered_by(said: Said) -> list[str]:
    return [turn.report.handled_by for turn in said.turns]


def _understood(skills: Skills, said: Said) -> Match | None:
    """Return what the turn matched: matching is pure, so the recognized text is matched again."""
    return skills.match(said.turns[0].report.transcript) if said.turns else None


def _verdict(want: Match | None, found: Match | None, answered_by: Sequence[str]) -> str:
    skills = [name for name in answered_by if name not in _NOBODY]
    if not skills:
        return "no skill" if want else "right"
    if want is None or skills != [want.name] or found is None:
        return "another skill"
    return "right" if _plain(found) == _plain(want) else "other values"


def _plain(match: Match) -> dict[str, Any]:
    """Return the slots without differences in spelling: "12 x 7" equals "twelve times seven"."""
    return {name: _bare(value) for name, value in match.arguments.items()}


def _bare(value: Any) -> Any:
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, tuple):
        return tuple(each.lower() for each in value)
    return replace(value, said="") if hasattr(value, "said") else value


def _spread(texts: Sequence[str], limit: int | None) -> list[str]:
    limit = min(limit or len(texts), len(texts))
    return [texts[number * len(texts) // limit] for number in range(limit)]


def _spoken(settings: Settings, texts: Sequence[str]) -> Iterator[Clip]:
    network = speech_end.load_network()
    room = np.random.default_rng(0)
    voice = loading.load_tts(settings)
    try:
        for text in texts:
            said = voice.synthesize(Sentence(speakable(text)), Cancel())
            sound = rendered(SpokenAudio(text, said, voice.sample_rate_hz), SAMPLE_RATE_HZ, 1.0)
            quiet = np.zeros(round(_ROOM_S * SAMPLE_RATE_HZ), np.int16)
            pcm = np.concatenate([quiet, sound, quiet])
            pcm = np.clip(pcm + room.normal(0, _ROOM_AMPLITUDE, len(pcm)), -32768, 32767).astype(np.int16)
            yield _clip(text, pcm, network)
    finally:
        voice.close()


def _clip(text: str, pcm: Pcm16, network: Any) -> Clip:
    spoken = speech_end.find(pcm, network)
    if spoken is None:
        raise EngineFailed(
            f"The voice produced no recognizable speech for '{text}'.", "Try a different voice."
        )
    return Clip(text, pcm, spoken, text)


def _as_text(document: Document) -> str:
    commands, talk = document["commands"], document["small_talk"]

    def of(part: Document, name: str) -> Sequence[object]:
        return [f"{part[name]} of {part['n']}", share(ratio(part[name], part["n"]))]

    rows = [
        ["commands: right skill and values", *of(commands, "right")],
        ["commands: right skill", *of(commands, "right_skill")],
        ["commands: another skill", *of(commands, "other_skill")],
        ["commands: no skill", *of(commands, "no_skill")],
        ["small talk: a skill did something", *of(talk, "acted_upon")],
    ]
    wrong = [
        f"  {each['said']}\n    heard {each['heard']}: {each['answered_by']} ({each['verdict']})"
        for each in [*commands["wrong"], *talk["wrong"]]
    ]
    return "\n".join(
        [
            "Sentences spoken by the voice, through the whole chain",
            "",
            table(["", "", ""], rows),
            "matched within {p50_ms} ms (median), {max_ms} ms (longest)".format(**document["matched_in"]),
            *(["", "not right:", *wrong] if wrong else []),
        ]
    )
