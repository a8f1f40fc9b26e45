"""``assistant ask``: a written question, answered by a skill or the language model."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path

from assistant.app import memory_fit
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
"""Most of them share a context of thousands of tokens; more than this no board computes at once."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "ask",
        description="Answer a written question by a skill or the language model; or a file of prompts, one a "
        "line, by the model alone, several at once: each is answered later, and all of them sooner.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("text", nargs="?", help="the question")
    what.add_argument("--file", type=Path, metavar="PROMPTS", help="a text file with a prompt on each line")
    parser.add_argument(
        "--batch",
        type=count,
        default=1,
        metavar="N",
        help="of the file, answer N at once; default 1",
    )
    parser.add_argument("--json", action="store_true", help="a JSON document; of a file, one a line")
    parser.set_defaults(run=run)


def count(text: str) -> int:
    """From 1 to 64; argparse names this function in its complaints."""
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
    """The answer; the model is loaded only if nobody else gives it."""
    from assistant.app import build as app  # noqa: PLC0415
    from assistant.app import engines as loading  # noqa: PLC0415
    from assistant.dialog.pipeline import Answer  # noqa: PLC0415

    async def ask_model(text: str, _: Meter) -> AsyncGenerator[str | Call, None]:
        memory_fit.require(settings, llm_only=True)
        with closing(loading.load_llm(settings)) as llm:

            def ask() -> Iterator[str | Call]:
                if isinstance(llm, CallingLlm) and app.offers_calls(settings, llm, skills):
                    messages = app.new_conversation(settings, llm, skills).messages_for(text)
                    return llm.stream_or_call(messages, Cancel(), skills.grammar)
                return llm.stream(app.new_conversation(settings, llm).messages_for(text), Cancel())

            for piece in app.honesty(settings, llm).answer(text, ask):
                yield piece
                await asyncio.sleep(0)  # Ctrl-C is noticed here

    agent = app.load_agent(settings)
    return await Answer(text, skills=skills, agent=agent, ask_model=ask_model, settings=settings).whole()
