"""The same model in several formats, side by side: size, loss, speed. Nothing is installed.

The files are made one after the other in the workshop, and gone afterwards.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import AssistantError
from assistant.prepare import dialogues, gate, methods, planning
from assistant.prepare.building import Recipe, build
from assistant.prepare.dialogues import Texts
from assistant.prepare.dithering import dithered
from assistant.prepare.groundwork import Groundwork
from assistant.prepare.loss import Loss, Reference
from assistant.prepare.making import Wish, found, groundwork, matching, settled, target, text
from assistant.prepare.outcome import figures
from assistant.prepare.passages import Passage
from assistant.prepare.scorers import engine_of, opened
from assistant.prepare.workshop import workshop
from assistant.store import Store
from assistant.store.progress import Meter, Watcher, duration, megabytes

EVERYTHING = (
    "f16,bf16,q8_0,q6_k,q5_k_m,q4_k_m+plain,q4_k_m+rtn,q4_k_m,q4_k_m+awq,iq4_xs,iq4_nl,q4_1+rtn,q4_1,"
    "q4_0+plain,q4_0+rtn,q4_0,q4_0+awq,onnx-fp32,onnx-fp16,onnx-int8,onnx-fp16-int8,onnx-int4+plain,onnx-int4+rtn,"
    "onnx-int4,onnx-int4+awq,hf-f16,hf-int8,hf-nf4,hf-int4,hf-int4+awq,q4_0+qat"
)
"""What ``--types all`` stands for: every way that there is."""

PROMPT_TOKENS = 128
REPLY_TOKENS = 32
ROUNDS = 3
"""The median of so many; a noisy machine still moves it by a tenth."""


NOT_MEASURED = Loss(0, 0.0)


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second."""

    threads: int
    prompt: float
    """While a prompt of PROMPT_TOKENS is read."""
    reply: float
    """While REPLY_TOKENS are written, one after the other."""


@dataclass(frozen=True, slots=True)
class Row:
    """One format."""

    format: str
    imatrix: bool = False
    method: str = "rtn"
    size_bytes: int = 0
    loss: Loss = NOT_MEASURED
    speeds: tuple[Speed, ...] = ()
    """At one thread, and at all."""
    fell_back: int = 0
    seconds: float = 0.0
    """What making it took."""
    fault: str = ""
    """Why there are no figures; the others are not valid then."""

    def document(self) -> dict[str, Any]:
        """As plain values."""
        made = {"format": self.format, "imatrix": self.imatrix, "method": self.method}
        if self.fault:
            return {**made, "fault": self.fault}
        return {
            **made,
            "bytes": self.size_bytes,
            **figures(self.loss),
            "speeds": [
                {"threads": one.threads, "prompt_tokens_per_s": one.prompt, "reply_tokens_per_s": one.reply}
                for one in self.speeds
            ],
            "fell_back": self.fell_back,
            "seconds": self.seconds,
        }


def compare(wishes: Sequence[Wish], store: Store, watcher: Watcher, *, dither: bool = False) -> list[Row]:
    """The source as it is, then a row for each wish; all wishes name the same source.

    With ``dither`` the source is taken off the grid that it was rounded to first (``dithering``).

    A format that cannot be made has its fault in its row. Raises what finding and measuring the
    source may raise.
    """
    first = wishes[0]
    validation = dialogues.read(text("validation.txt"))
    with workshop(store.models_dir, watcher) as shop:
        source = found(first, store, shop, watcher)
        wishes = [settled(wish, source) for wish in wishes]
        matching(source, first.keep_f16)
        if dither:
            source = dithered(source, shop / "dithered", first.threads, watcher)
        planning.plan([wish.recipe for wish in wishes], source, shop, watcher)
        with gate.reference(source.folder, validation, first.threads, shop, watcher) as reference:
            fast = speeds(source.folder, first.threads, watcher)
            rows = [Row("source", size_bytes=source.size_bytes, loss=reference.loss, speeds=fast)]
            ground = groundwork(wishes, source, validation, shop, watcher)
            for number, wish in enumerate(wishes):
                to = target(shop, f"{number}-{wish.format.name}")
                try:
                    rows.append(_row(wish.recipe, ground, to, validation, reference))
                except AssistantError as error:
                    rows.append(Row(wish.format.name, wish.recipe.imatrix, wish.method, fault=error.problem))
                shutil.rmtree(to.parent)
                watcher.note(said(rows[-1]))
    return rows


def _row(recipe: Recipe, ground: Groundwork, to: Path, validation: Texts, reference: Reference) -> Row:
    """Make one file and measure it."""
    began_s = time.monotonic()
    made = build(recipe, ground, to)
    seconds = round(time.monotonic() - began_s, 1)
    folder = made.file.parent
    return Row(
        recipe.format.name,
        recipe.imatrix,
        recipe.method,
        size_bytes=made.size_bytes,
        loss=gate.measure(folder, validation, reference, ground.threads, ground.watcher),
        # What none of our engines runs has no speed that would tell anything.
        speeds=speeds(folder, ground.threads, ground.watcher) if engine_of(folder) else (),
        fell_back=len(made.fell_back),
        seconds=seconds,
    )


def speeds(folder: Path, threads: int, watcher: Watcher) -> tuple[Speed, ...]:
    """How fast the model in ``folder`` is at one thread and at ``threads``. Raises EngineFailed."""
    counts = sorted({1, threads})
    meter = Meter("Measuring the speed", len(counts) * ROUNDS, watcher, unit="rounds")
    return tuple(_speed(folder, count, meter, watcher) for count in counts)


def _speed(folder: Path, threads: int, meter: Meter, watcher: Watcher) -> Speed:
    with opened(folder, threads, watcher) as scorer:
        words = scorer.vocabulary.tokenize(
            "The story of the fox and the hen goes on and on. " * PROMPT_TOKENS
        )
        prompt = Passage(tuple(words[:PROMPT_TOKENS]), (PROMPT_TOKENS - 1,))
        prompts, replies = [], []
        for _ in range(ROUNDS):
            began_s = time.perf_counter()
            scorer.read(prompt)
            read_s = time.perf_counter()
            for place in range(REPLY_TOKENS):
                scorer.append(words[place], PROMPT_TOKENS + place)
            prompts.append(PROMPT_TOKENS / (read_s - began_s))
            replies.append(REPLY_TOKENS / (time.perf_counter() - read_s))
            meter.add(1)
    return Speed(threads, round(statistics.median(prompts), 1), round(statistics.median(replies), 1))


def table(rows: Sequence[Row]) -> str:
    """For people."""
    heads = ["FORMAT", "SIZE", "PERPLEXITY", "KL", "SAME FIRST"]
    columns = len(rows[0].speeds)
    heads += [f"{what}, {one.threads} THR" for one in rows[0].speeds for what in ("PROMPT/S", "REPLY/S")]
    heads.append("MADE IN")
    cells = [heads, *(_cells(row, columns) for row in rows if not row.fault)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    lines = [
        "  ".join(
            f"{cell:>{width}}" if at else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    lines += [f"{name(row)}: {row.fault}" for row in rows if row.fault]
    for row in rows:
        if row.fell_back:
            lines.append(
                f"{name(row)}: {row.fell_back} tensors have another type, because of the length of their rows"
            )
    return "\n".join(lines)


def _cells(row: Row, speeds_: int) -> list[str]:
    loss = row.loss
    figures_ = [
        f"{row.size_bytes / 1e6:.0f} MB",
        f"{loss.perplexity:.2f}",
        f"{loss.kl:.4f} ± {loss.kl_error:.4f}",
    ]
    fast = [f"{figure:.0f}" for one in row.speeds for figure in (one.prompt, one.reply)]
    fast = fast or ["-"] * 2 * speeds_
    return [name(row), *figures_, f"{100 * loss.same_first:.1f} %", *fast, duration(row.seconds)]


def said(row: Row) -> str:
    """One line, as soon as it is known."""
    if row.fault:
        return f"{name(row)}: {row.fault}"
    loss = f"{row.loss.kl:.4f} ± {row.loss.kl_error:.4f} nats per token"
    return f"{name(row)}: {megabytes(row.size_bytes)}, {loss}, made in {duration(row.seconds)}"


def name(row: Row) -> str:
    """As the table calls it."""
    method = "" if row.method == methods.PLAIN else f" + {row.method}"
    return row.format + method + (" + imatrix" if row.imatrix else "")


def way(row: Row) -> str:
    """As the picture colours it: what was done beyond plain rounding that counts most."""
    return row.method if row.method != methods.PLAIN else "imatrix" if row.imatrix else ""
