"""Runs the cases of ``cases.jsonl`` and tells what is wrong with each; ``scripts/cases`` prints a table.

A case has the prose of what is expected beside what can be checked:

    before     commands said first; "+301" lets so many seconds pass
    book       the timers, alarms and reminders that are set afterwards
    lists      the lists afterwards
    says       words that the answer has, in this order
    asks       the answer is a question
    volume     what the volume is set to
    spoken     what is read aloud, word by word
    settings   a settings file, and ``problem``, a part of what is said of it; empty where it is right
    template   a chat template, and ``prompt``, what the prompt of a question ends with, or ``problem``
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from assistant import skills as room
from assistant.core.errors import AssistantError
from assistant.core.types import Message
from assistant.dialog.sentences import Sentences
from assistant.engines.llm.chat_template import ChatTemplate
from assistant.settings import load as configuration
from assistant.skills import ListBook, Outcome, SkillContext, Skills, TimerBook, Volume
from assistant.skills.timer_book import Timer
from assistant.text.markup import speakable
from tests.skills.conftest import ENGLISH, Time

Case = Mapping[str, Any]
_LINES = (Path(__file__).parent / "cases.jsonl").read_text("utf-8").split("\n")
CASES = [json.loads(line) for line in _LINES if line]


def complaints(case: Case) -> list[str]:
    """What is wrong with it; nothing where it is right."""
    if "spoken" in case:
        return _differs("spoken", " ".join(_spoken(case["input"]).split()), case["spoken"])
    if "settings" in case:
        return _problem(case, _settings_problem(case["settings"]))
    if "template" in case:
        return _template(case)
    return list(_command(case))


@functools.cache
def _household() -> tuple[Time, TimerBook, ListBook, Skills]:
    """One for all cases: reading the sentences takes longer than all of them."""
    folder, time = Path(tempfile.mkdtemp(prefix="cases-")), Time()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    timers, lists = TimerBook(folder / "timers.db", time.clocks()), ListBook(folder / "lists.db")
    context = SkillContext(timers, lists, clock=lambda: time.wall, loudness=lambda: 0.5)
    return time, timers, lists, room.load([ENGLISH], context)


def _command(case: Case) -> Iterator[str]:
    time, timers, lists, skills = _household()
    time.wall, time.boot_s = Time().wall, Time().boot_s
    timers.cancel(timers.all())
    for name in lists.names():
        lists.clear(name)
    match = skills.match("never mind")
    outcome = match.run() if match else Outcome("")  # nothing is asked any more
    for text in (*case.get("before", ()), case["input"]):
        if text.startswith("+"):
            time.run(float(text))
            continue
        match = skills.match(text)
        outcome = match.run() if match else Outcome("")
    if match is None:
        yield "no skill"
        return
    yield from _differs("book", [_entry(timer) for timer in timers.all()], case.get("book", []))
    if "lists" in case:
        yield from _differs("lists", {name: lists.items(name) for name in lists.names()}, case["lists"])
    yield from _says(outcome, case)


def _says(outcome: Outcome, case: Case) -> Iterator[str]:
    rest = outcome.speech.lower()
    for words in case.get("says", ()):
        _, found, rest = rest.partition(words.lower())
        if not found:
            yield f"it says {outcome.speech!r} without {words!r}"
    if case.get("asks") and not outcome.speech.endswith("?"):
        yield f"it says {outcome.speech!r}, which is no question"
    level = outcome.action.level if isinstance(outcome.action, Volume) else None
    yield from _differs("volume", level, case.get("volume"))


def _entry(timer: Timer) -> str:
    """ "alarm pasta 2025-12-24 18:00 024"."""
    when = f"{timer.local:%Y-%m-%d %H:%M}" if timer.local else str(timedelta(seconds=round(timer.left_s)))
    days = "".join(str(day) for day in sorted(timer.every))
    return " ".join(filter(None, (timer.kind, timer.name, when, days, "paused" if timer.is_paused else "")))


def _spoken(text: str) -> str:
    sentences = Sentences()
    return " ".join(speakable(each.text) for each in (*sentences.add(text), *sentences.finish()))


def _settings_problem(text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "assistant.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            configuration.load(file, {})
        except AssistantError as error:
            return error.problem
    return ""


def _template(case: Case) -> list[str]:
    try:
        prompt = ChatTemplate(case["template"], "<s>", "</s>").render([Message("user", "Violet teapot")])
    except AssistantError as error:
        return _problem(case, error.problem)
    ending = case.get("prompt", "\0")
    return [] if prompt.endswith(ending) else [f"the prompt ends with {prompt[-40:]!r}, not {ending!r}"]


def _problem(case: Case, found: str) -> list[str]:
    wanted = case.get("problem", "")
    fits = wanted in found if wanted else not found
    return [] if fits else [f"it says {found!r}, not {wanted!r}"]


def _differs(what: str, found: object, wanted: object) -> list[str]:
    return [] if found == wanted else [f"{what} is {found!r}, not {wanted!r}"]


def main() -> int:
    """Print a table by kind, and what is wrong below it."""
    right: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    wrong = []
    for case in CASES:
        total[case["kind"]] += 1
        found = complaints(case)
        right[case["kind"]] += not found
        wrong += [f"{case['id']} {case['input']!r} ({case['expected']}): {each}" for each in found]
    for kind, count in total.items():
        sys.stdout.write(f"{kind:<55} {right[kind]:>3} of {count:>3}\n")
    sys.stdout.write(f"{'all':<55} {sum(right.values()):>3} of {len(CASES):>3}\n")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
