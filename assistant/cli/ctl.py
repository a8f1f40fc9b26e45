"""``assistant ctl``: sends a command to the running assistant, and prints the result."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from assistant.runtime import paths
from assistant.services.control import client as control_client


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("ctl")
    actions = parser.add_subparsers(dest="order", required=True, metavar="ORDER")

    def order(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", help="print the answer as JSON")
        sub.set_defaults(run=run)
        return sub

    order("status", "show what it is doing and since when, its models, and the last fault")
    order("mute", "close the microphone")
    order("unmute", "open the microphone again")
    order("say", "say something aloud").add_argument("text")
    ask = order("ask", "answer a written question")
    ask.add_argument("text")
    ask.add_argument("--speak", action="store_true", help="also say the answer aloud")
    order("stop", "stop speaking, thinking or ringing")
    order("listen", "listen, as if the wake word had been said")
    order("reload", "reload the settings")
    order("watch", "print the state, now and at every change, as one JSON document per line")


def run(arguments: argparse.Namespace) -> int:
    """Run the command. Raises AssistantError: NotRunning, or the assistant's own answer."""
    if arguments.order == "watch":
        for state in control_client.watch(paths.controls()):
            print(json.dumps(state), flush=True)
        return 0
    order = {"order": arguments.order}
    order |= {key: vars(arguments)[key] for key in ("text", "speak") if key in vars(arguments)}
    answer = control_client.ask(paths.controls(), order)
    show = _SHOW.get(arguments.order, _state)
    print(json.dumps(answer, ensure_ascii=False) if arguments.json else show(answer))
    return 0


def _state(answer: dict[str, Any]) -> str:
    return str(answer["state"])


def _status(answer: dict[str, Any]) -> str:
    fault = answer["last_fault"]
    rows = {
        "state": answer["state"],
        "running for": f"{_span(answer['uptime_s'])} (version {answer['version']}, pid {answer['pid']})",
        "turns": answer["turns"],
        "last fault": f"{fault['problem']} [{fault['code']}] {_span(fault['ago_s'])} ago"
        if fault
        else "none",
        "models": ", ".join(answer["models"].values()),
    }
    missing = answer.get("missing", {})
    if missing:
        rows["state"] += f" ({', '.join(_without(part) for part in missing)})"
    for part, fault in missing.items():
        rows[part] = fault["problem"]
    if interruption := answer.get("interruption"):
        rows["interrupted"] = _BY[interruption["by"]]
        if why := interruption["why_not"]:
            rows["interrupted"] += f". {why[0]} {why[1]}"
    for shortage, given_up in answer["gives_up"].items():
        rows[f"low {shortage}" if shortage != "heat" else "too hot"] = f"has given up {given_up}"
    return "\n".join(f"{name:<12}{value}" for name, value in rows.items())


_BY = {"off": "by nothing", "wake_word": "by the wake word", "speech": "by speech"}


def _without(part: str) -> str:
    return "an engine hangs" if part == "engine" else f"no {part}"


def _say(answer: dict[str, Any]) -> str:
    if answer.get("said", True):
        return _state(answer)
    return "There is no speaker. It will be said if one is connected within an hour."


def _reload(answer: dict[str, Any]) -> str:
    lines = [f"Changed: {', '.join(answer['changed']) or 'nothing'}"]
    if answer["after_restart"]:
        lines.append(f"After the next restart: {', '.join(answer['after_restart'])}")
    return "\n".join(lines)


def _span(seconds: float) -> str:
    """Format a rough duration in its largest unit: "3 h"."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


_SHOW: dict[str, Callable[[dict[str, Any]], str]] = {
    "status": _status,
    "ask": lambda answer: str(answer["reply"]),
    "say": _say,
    "reload": _reload,
}
