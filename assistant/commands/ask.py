"""``assistant ask``: a written question, answered by a skill or the language model."""

from __future__ import annotations

import argparse
import json

from assistant import configuration, logs
from assistant.cancel import Cancel
from assistant.errors import EmptyAnswer


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("ask", help="answer a written question")
    parser.add_argument("text", help="the question")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assistant import app  # noqa: PLC0415 - engines take a second to import

    settings = configuration.load(arguments.config).settings
    logs.set_up(settings.log.level)
    with app.skill_context() as context:
        match = app.load_skills(settings, context).match(arguments.text)
        outcome, handled_by = (match.run(), match.name) if match else (None, "llm")
    if outcome is None and (agent := app.load_agent(settings)):
        outcome = agent.ask(arguments.text, Cancel())
        handled_by = agent.name if outcome else "llm"
    if outcome:
        reply = outcome.speech
    else:
        llm = app.load_llm(settings)
        messages = app.new_conversation(settings, llm).messages_for(arguments.text)
        reply = "".join(llm.stream(messages, Cancel())).strip()
        llm.close()
    if not reply:
        raise EmptyAnswer
    print(
        json.dumps({"reply": reply, "handled_by": handled_by}, ensure_ascii=False)
        if arguments.json
        else reply
    )
    return 0
