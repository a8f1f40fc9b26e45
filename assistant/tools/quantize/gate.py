"""Decides whether a model may be installed: it must load, answer, and predict as its source does.

Some faults are final (it cannot be loaded, computes invalid numbers, or tokenizes differently): those are
raised. Others are judgments with a figure and a limit, which the user may override.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from assistant.core.errors import ModelCorrupt
from assistant.store.disk import require
from assistant.store.formats.gguf import Value, read_header
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import safetensors, scanning
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.loss import Loss, Reference
from assistant.tools.quantize.scorers import opened
from assistant.tools.quantize.scoring import Scorer
from assistant.tools.quantize.trial import Answer

MAX_PERPLEXITY = 1000.0
"""Limit for the source, on plain English dialogues. Tiny models have about 20; models of another language,
some hundreds; damaged ones, thousands and more.
"""

MAX_REPEATED = 0.5
"""Limit for the fraction of one word in an answer of MIN_WORDS or more."""
MIN_WORDS = 8
MIN_LETTERS = 0.5
"""Limit for the fraction of letters in an answer, without spaces. Code and lists have more."""


def reference(folder: Path, texts: Texts, threads: int, work_dir: Path, watcher: Watcher) -> Reference:
    """Measure the source in ``folder`` and keep its predictions for comparison. The caller must close it.

    Raises ModelCorrupt if it is damaged, StorageFull, EngineFailed.
    """
    scanning.check_weights(folder)
    with opened(folder, threads, watcher) as scorer:
        passages = scorer.passages(texts)
        require(2 * scorer.vocabulary_size * sum(len(passage.scored) for passage in passages), work_dir)
        kept = Reference(passages, work_dir)
        kept.pieces, kept.shape = pieces(scorer), shape_of(folder)
        meter = Meter("Measuring the source", kept.tokens, watcher, unit="tokens")
        try:
            kept.record(scorer, meter.add)
        except BaseException:
            kept.close()
            raise
    return kept


def measure(folder: Path, texts: Texts, against: Reference, threads: int, watcher: Watcher) -> Loss:
    """Return the loss of the model in ``folder``. Raises ModelCorrupt if it is broken, EngineFailed."""
    scanning.check_weights(folder)
    safetensors.check_weights(folder)
    _check_shape(against.shape, shape_of(folder))
    with opened(folder, threads, watcher) as scorer:
        if tuple(scorer.passages(texts)) != against.passages:
            raise ModelCorrupt(
                "The new file reads text differently: its vocabulary or chat template has changed.",
                "Make it again from an intact source.",
            )
        _check_vocabulary(against.pieces, pieces(scorer))
        meter = Meter("Measuring the loss", against.tokens, watcher, unit="tokens")
        return against.compare(scorer, meter.add)


def shape_of(folder: Path) -> dict[str, Value]:
    """Return the model's hyperparameters other than weights: lengths, and the base of its rotary positions.

    Empty for anything but a GGUF file; writers of other formats take them from the source's header.
    """
    for file in folder.glob("*.gguf"):
        header = read_header(file)
        family = f"{header.architecture}."
        return {
            key.removeprefix(family): value
            for key, value in header.metadata.items()
            if key.startswith(family)
        }
    return {}


def _check_shape(source: Mapping[str, Value], made: Mapping[str, Value]) -> None:
    """Raises ModelCorrupt if the two differ in a hyperparameter that both state."""
    for key in source.keys() & made.keys():
        if source[key] != made[key]:
            raise ModelCorrupt(
                f"The new file computes differently: its {key} is "
                f"{_shown(made[key])}, but its source's is {_shown(source[key])}.",
                "Make it again from a source whose description matches its weights.",
            )


def _shown(value: Value) -> str:
    return f"{value:.9g}" if isinstance(value, float) else f"{value!s:.40}"


def pieces(scorer: Scorer) -> tuple[bytes, ...]:
    """Return the text of each token."""
    words = scorer.vocabulary
    return tuple(words.piece(token, spell_control=True) for token in range(scorer.vocabulary_size))


def _check_vocabulary(source: Sequence[bytes], made: Sequence[bytes]) -> None:
    """Raises ModelCorrupt unless both are the same; a token without text fills a gap."""
    for token, (one, other) in enumerate(zip(source, made, strict=False)):
        if one and other and one != other:
            raise ModelCorrupt(
                f"The tokenizer does not match: token {token} is {one!r:.40} in "
                f"the source and {other!r:.40} here.",
                "Make it again from a source with its own tokenizer.",
            )
    if len(source) != len(made):
        raise ModelCorrupt(
            f"The tokenizer does not match: the source has {len(source)} tokens, but this has {len(made)}.",
            "Make it again from a source with its own tokenizer.",
        )


def doubts_about_source(loss: Loss) -> list[str]:
    """Return reasons against the source itself; empty if there are none."""
    if loss.perplexity <= MAX_PERPLEXITY:
        return []
    figure = f"its perplexity is {loss.perplexity:,.0f}, but the limit is {MAX_PERPLEXITY:,.0f}"
    return [f"the source is damaged or isn't for English: {figure}"]


def doubts(source: Loss, made: Loss, kl_limit: float, answers: Sequence[Answer]) -> list[str]:
    """Return reasons against the new model, each a clause with its figure; empty if there are none."""
    found = []
    if not made.kl <= kl_limit:
        found.append(
            f"its distance from the source is {made.kl:.3f} nats per token, but the limit is {kl_limit:g}"
        )
    ratio = math.exp(min(made.nats - source.nats, 700.0))
    if not ratio <= math.exp(kl_limit):
        found.append(
            f"its perplexity is {ratio:,.2f} times its source's, but the limit is {math.exp(kl_limit):.2f}"
        )
    return found + doubts_about_answers(answers)


def doubts_about_answers(answers: Sequence[Answer]) -> list[str]:
    """Return reasons against its answers; empty if there are none."""
    found = []
    silent = [answer for answer in answers if not answer.text]
    if answers and len(silent) == len(answers):
        found.append("it answers nothing at all")
    found += [
        f"its answer to '{answer.question}' is {wrong}"
        for answer in answers
        if (wrong := gibberish(answer.text))
    ]
    return found


def gibberish(text: str) -> str:
    """Return what is wrong with an answer, in a few words; empty if it looks like language."""
    words = re.findall(r"\w+", text.lower())
    if len(words) >= MIN_WORDS:
        word, times = Counter(words).most_common(1)[0]
        if times > MAX_REPEATED * len(words):
            return f"'{word[:20]}' {times} times in {len(words)} words"
    dense = [letter for letter in text if not letter.isspace()]
    if len(dense) >= 20 and sum(letter.isalpha() for letter in dense) < MIN_LETTERS * len(dense):
        return "mostly not letters"
    return ""
