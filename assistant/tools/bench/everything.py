"""``assistant bench all``: every bench, each in a separate process, compared with the targets.

The result is a section of Markdown; ``--into`` writes it to a file, between two marks. All figures in
``docs/performance.md`` are printed by this one command, including missed targets.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from assistant.core.errors import AssistantError
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.measuring import Document, Result, ratio, share

BEGIN, END = "<!-- results -->", "<!-- /results -->"
"""The text between these marks is replaced."""

PICTURE = "response.svg"
"""Written next to the file."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure and its target."""

    what: str
    value: float | None
    limit: float
    at_most: bool = True
    show: Callable[[float], str | None] = lambda value: f"{value:.0f}"

    def row(self) -> str:
        """Return a row of a Markdown table."""
        wanted = f"at {'most' if self.at_most else 'least'} {self.show(self.limit)}"
        if self.value is None:
            return f"| {self.what} | not measured | {wanted} | - |"
        kept = self.value <= self.limit if self.at_most else self.value >= self.limit
        return f"| {self.what} | {self.show(self.value)} | {wanted} | {'met' if kept else '**missed**'} |"


def run(
    _: Settings,
    *,
    config: Path | None,
    commands: Path,
    dialog: Path,
    limit: int | None,
    into: Path | None,
    progress: Callable[[str], None],
) -> Result:
    """Run all benches: 45 minutes with 50 recordings. Raises AssistantError if one fails."""
    if into is not None:
        _split(into)
    few = () if limit is None else ("--limit", str(limit))
    picture = ("--picture", str(into.with_name(PICTURE))) if into else ()
    benches: Mapping[str, Sequence[str]] = {
        "latency": ("latency", "--set", str(commands), *few, *picture),
        "plain": ("latency", "--set", str(commands), *few, "--plain"),
        "warm": ("latency", "--repeat", "10"),
        "stt": ("stt", "--set", str(commands), *few),
        "llm": ("llm",),
        "tts": ("tts",),
        "dialog": ("endpoint", "--set", str(dialog), *few),
        "pauses": ("endpoint", "--set", str(commands), *few, "--insert-pauses"),
        "barge-in": ("barge-in", "--set", str(commands)),
    }
    results = {}
    for name, arguments in benches.items():
        progress(f"assistant bench {' '.join(arguments)}")
        results[name] = _bench(config, arguments)
    documents = {name: result.document for name, result in results.items()}
    section = _section(results, documents, benches)
    if into is not None:
        before, after = _split(into)
        into.write_text(f"{before}{BEGIN}\n{section}\n{END}{after}", "utf-8")
    return Result(section, dict(documents))


def promises(found: Mapping[str, Document]) -> list[Promise]:
    """Compare these documents, keyed as in ``run``, with the targets."""
    latency, stt, llm = found["latency"], found["stt"], found["llm"]
    follow_ups = llm["conversation"][1:]
    stops, own_voice = found["barge-in"]["interruptions"], found["barge-in"]["own_voice"]
    return [
        Promise("LLM answers, response p50, ms", latency["llm"]["response"]["p50_ms"], 700),
        Promise("LLM answers, response p95, ms", latency["llm"]["response"]["p95_ms"], 1300),
        Promise("skills, response p50, ms", latency["skills"]["response"]["p50_ms"], 450),
        Promise(
            "times faster than chained plainly, p50",
            ratio(found["plain"]["response"]["p50_ms"], latency["response"]["p50_ms"]),
            2,
            at_most=False,
            show=_two_digits,
        ),
        Promise("peak RSS, MB", latency["peak_rss_mb"], 1000),
        Promise("underruns", latency["underruns"], 0),
        Promise("cut off, read and free speech", found["dialog"]["cut_off"]["rate"], 0.03, show=share),
        Promise("cut off, pause put into commands", found["pauses"]["cut_off"]["rate"], 0.10, show=share),
        Promise("STT time over stock", stt["ratio"], 1 / 3, show=_two_digits),
        Promise("STT word errors above stock, points", _points_above(stt), 0.3, show=_two_digits),
        Promise("the same, recordings below 2 s", _points_above(stt["short"]), 0.3, show=_two_digits),
        Promise("LLM speed over bare llama.cpp", llm["ratio"], 0.95, at_most=False, show=_two_digits),
        Promise(
            "tokens read again in a follow-up",
            max((turn["read"] - turn["new"] for turn in follow_ups), default=None),
            0,
        ),
        Promise("first turn over the tenth", _first_over_last(found["warm"]), 1.1, show=_two_digits),
        Promise(
            "interruptions that stopped it within 150 ms",
            ratio(stops["within_150_ms"], stops["n"]),
            1,
            at_most=False,
            show=share,
        ),
        Promise("self-interruptions in half an hour", own_voice["self_interruptions"], 0),
        Promise("answers to itself in half an hour", own_voice["self_answers"], 0),
    ]


def _first_over_last(latency: Document) -> float | None:
    """Return the first response time divided by the last, for one question that is asked repeatedly."""
    turns = latency["turns"]
    return ratio(turns[0]["response"], turns[-1]["response"]) if len(turns) > 1 else None


def _bench(config: Path | None, arguments: Sequence[str]) -> Result:
    """Run a bench in a separate process, so that its memory and caches don't affect the next one."""
    command = [sys.executable, "-c", "from assistant.cli.main import main; raise SystemExit(main())"]
    chosen = ["--config", str(config)] if config else []
    done = subprocess.run(  # noqa: S603 - our own program and arguments
        [*command, *chosen, "bench", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    text, _, line = done.stdout.rstrip("\n").rpartition("\n")
    if done.returncode != 0:
        raise AssistantError(
            f"`assistant bench {' '.join(arguments)}` exited with status {done.returncode}.",
            "See its output above.",
        )
    return Result(text.strip(), json.loads(line))


def _section(
    results: Mapping[str, Result], documents: Mapping[str, Document], benches: Mapping[str, Sequence[str]]
) -> str:
    lines = [
        f"Measured on {date.today()}: {machine.headline(documents['latency']).splitlines()[0]}.",  # noqa: DTZ011
        "",
        "| | measured | wanted | |",
        "|---|---|---|---|",
        *(promise.row() for promise in promises(documents)),
    ]
    for name, result in results.items():
        # Leaves out the local paths of the recordings.
        command = " ".join(Path(word).name for word in benches[name])
        lines += ["", f"`assistant bench {command}`", "", "```text", result.text, "```"]
    return "\n".join(lines)


def _split(file: Path) -> tuple[str, str]:
    """Return the text before and after the results in ``file``. Raises AssistantError without the marks."""
    try:
        before, begin, rest = file.read_text("utf-8").partition(BEGIN)
    except (OSError, UnicodeDecodeError) as error:
        raise AssistantError(f"{file} cannot be read: {error}.", "Specify a Markdown file.") from error
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise AssistantError(f"{file} has no place for results.", f"Add the lines {BEGIN} and {END} to it.")
    return before, after


def _points_above(stt: Document) -> float | None:
    """Return the difference in word error rate, ours minus stock, in percentage points."""
    one, other = stt["ours"]["word_error_rate"], stt["stock"]["word_error_rate"]
    return None if one is None or other is None else (one - other) * 100


def _two_digits(value: float) -> str:
    return f"{value:.2f}"
