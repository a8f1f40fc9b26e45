"""``assistant models choose`` and ``calibrate``: language models, judged by questions on this machine."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from assistant.app import memory_fit, model_choice
from assistant.board.recognise import recognise
from assistant.core.errors import ModelMissing
from assistant.runtime import paths
from assistant.store import Store
from assistant.store.disk import writing
from assistant.store.folder import amend_record
from assistant.store.progress import Terminal

T = TypeVar("T")

LIMIT = 40
"""Questions a model is asked by `choose`: a minute or two for each model."""


def add_options(choose: argparse.ArgumentParser, calibrate: argparse.ArgumentParser) -> None:
    choose.add_argument("--pull", action="store_true", help="first download the models that fit")
    choose.add_argument(
        "--limit", type=int, default=LIMIT, metavar="N", help=f"ask N questions (default: {LIMIT})"
    )
    calibrate.add_argument("names", nargs="*", metavar="NAME", help="a model (default: the one in use)")
    for each in (choose, calibrate):
        each.add_argument(
            "--questions",
            type=Path,
            default=paths.shipped_folder("models") / "questions" / "people.jsonl",
            metavar="FILE",
            help="questions with their answers, JSON Lines (default: those that came with the assistant)",
        )


def choose(store: Store, arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Raises any AssistantError."""
    from assistant.app.answers import choosing, questions  # noqa: PLC0415 - engines take a second to import

    settings = arguments.settings
    asked = _spread(questions.read(arguments.questions), arguments.limit)
    if arguments.pull:
        store.pull(list(choosing.fitting(store)), terminal, accept=False)
    names = list(choosing.candidates(settings, store))
    if not names:
        raise ModelMissing("No language model that fits is here.", "Run `assistant models pull`.")
    measured = [choosing.measure(settings, name, asked, terminal.note) for name in names]
    found = choosing.best(measured)
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    kept = model_choice.Kept(found.model, today, recognise().name)
    model_choice.keep(kept, [asdict(each) for each in measured])
    if arguments.json:
        print(json.dumps({**asdict(kept), "figures": [asdict(each) for each in measured]}))
        return 0
    print(f"{'MODEL':<40} RIGHT  FALSE  FIRST WORDS  TOKENS/S  MEMORY")
    for each in measured:
        print(
            f"{each.model:<40} {each.right:>5}  {each.false:>5}  {each.first_words_ms:>8} ms  "
            f"{each.tokens_per_s:>8}  {each.memory_mb} MB{'' if each.is_fast_enough else '  (slow)'}"
        )
    print(
        f"Of {len(asked)} questions. With `llm: {{model: auto}}`, {found.model} is used from the next start."
    )
    return 0


def calibrate(store: Store, arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Raises any AssistantError."""
    from assistant.app.answers import asking, calibrating, questions  # noqa: PLC0415 - as above

    asked = questions.read(arguments.questions)
    done = {}
    for name in arguments.names or [model_choice.choice(arguments.settings).model]:
        wanted = memory_fit.with_model(arguments.settings, name)
        plain = {"temperature": 0.0, "knowledge": "always"}
        wanted = wanted.model_copy(update={"llm": wanted.llm.model_copy(update=plain)})
        memory_fit.require(wanted, llm_only=True)
        answered = asking.ask_all(wanted, asked, terminal.note)
        known = store.catalog.models.get(store.catalog.unmeasured or "")
        start = known.calibration.weights if known and known.calibration else None
        found = calibrating.calibrated(answered, start)
        with writing(store.models_dir):
            amend_record(store.models_dir / name, calibration=found)
        done[name] = found
    if arguments.json:
        print(json.dumps({name: found.model_dump() for name, found in done.items()}))
        return 0
    for name, found in done.items():
        print(
            f'{name}: plain from {found.plain}, "I think" from {found.think}, on {found.questions} questions'
        )
    return 0


def _spread(items: list[T], limit: int) -> list[T]:
    limit = min(limit, len(items))
    return [items[number * len(items) // limit] for number in range(limit)]
