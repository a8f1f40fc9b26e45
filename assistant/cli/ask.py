"""``assistant ask``: a written question, answered by a skill or the language model."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path

from assistant.app import memory_fit, proof
from assistant.cli import _prompts
from assistant.core.errors import EmptyAnswer
from assistant.core.types import Call
from assistant.dialog.report import Report
from assistant.engines import CallingLlm
from assistant.runtime import logs
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_thread import Meter
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.skills import Skills

MAX_AT_ONCE = 64
"""They share a context of thousands of tokens; no board computes more than this at once."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "ask",
        description=(
            "Answer a written question with a skill or the language model. With "
            "--file, the model alone answers a file of prompts, one per line, "
            "several at once: each answer takes longer, but all of them together are "
            "done sooner."
        ),
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("text", nargs="?", help="question to answer")
    what.add_argument("--file", type=Path, metavar="PROMPTS", help="text file with one prompt per line")
    parser.add_argument(
        "--batch",
        type=count,
        default=1,
        metavar="N",
        help="answer N prompts at once (default 1)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON (with a file, one document per line)")
    parser.set_defaults(run=run)


def count(text: str) -> int:
    """Parse a number from 1 to 64; argparse shows this function's name in its errors."""
    number = int(text)
    if not 1 <= number <= MAX_AT_ONCE:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_AT_ONCE}")
    return number


def run(arguments: argparse.Namespace) -> int:
    from assistant.app import build as app  # noqa: PLC0415 - engines take a second to import

    settings = configuration.load(arguments.config).settings
    logs.set_up(settings.log.level)
    if arguments.file is not None:
        prompts = _prompts.read(arguments.file)
        _prompts.answer(settings, prompts, arguments.batch, as_json=arguments.json)
        return 0
    with app.skill_context() as context:
        report = asyncio.run(_answered(settings, app.load_skills(settings, context), arguments.text))
    reply = report.reply
    if not reply:
        raise EmptyAnswer
    print(
        json.dumps({"reply": reply, "handled_by": report.handled_by}, ensure_ascii=False)
        if arguments.json
        else reply
    )
    return 0


async def _answered(settings: Settings, skills: Skills, text: str) -> Report:
    """Answer it; the model is loaded only if nothing else has an answer."""
    from assistant.app import build as app  # noqa: PLC0415
    from assistant.app import engines as loading  # noqa: PLC0415
    from assistant.dialog.pipeline import Answer  # noqa: PLC0415

    async def ask_model(text: str, _: Meter) -> AsyncGenerator[str | Call, None]:
        nonlocal settings
        settings = proof.usable(settings, loading.store_of(settings), ("llm",))
        memory_fit.require(settings, llm_only=True)
        with closing(loading.load_llm(settings)) as llm:

            def ask() -> Iterator[str | Call]:
                if isinstance(llm, CallingLlm) and app.offers_calls(settings, llm, skills):
                    messages = app.new_conversation(settings, llm, skills).messages_for(text)
                    return llm.stream_or_call(messages, Cancel(), skills.grammar)
                return llm.stream(app.new_conversation(settings, llm).messages_for(text), Cancel())

            honesty = app.honesty(settings, llm)
            honesty.prepare(text, llm)
            for piece in honesty.answer(text, ask):
                yield piece
                await asyncio.sleep(0)  # lets Ctrl-C take effect

    agent = app.load_agent(settings)
    return await Answer(text, skills=skills, agent=agent, ask_model=ask_model, settings=settings).whole()
