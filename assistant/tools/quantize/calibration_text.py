"""Whether a text is fit to show which weights matter: size, language, how far it is from what is said.

Languages are told by their commonest short words, which is enough for a warning: it knows a few, and
says that it knows none where a text has hardly any of their words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assistant.core.errors import SettingsError
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.scoring import Passage

MIN_TOKENS = 1_000
"""Fewer say little about which columns matter: most would be driven by chance."""

STRANGE = 0.7
"""Share of the tokens of spoken replies that a calibration text lacks. The text that ships lacks 0.27,
a licence 0.45, Python code 0.61, Spanish 0.84 (SmolLM2's tokens)."""

MIN_SHARE = 0.1
"""Of common words: texts in a language have 0.2 to 0.5 of its own, 0.05 of another's."""

COMMON = {
    "English": "the and of to in is it you that a for are was with on be have not this an i he they what",
    "German": "der die das und ist nicht ein eine zu den mit es ich sie auf von wie im für auch dem sich",
    "French": "le la les de et est un une des il elle que qui pas dans pour vous en ce du sur avec au je",
    "Spanish": "el la los las de y es un una que en no se por con para lo del su como más al está yo",
    "Italian": "il la di e che un una è non in per sono del con i le si da lo come della gli più al",
    "Dutch": "de het een en van is dat in niet op te ik je zijn met voor er aan hij ook als maar om",
    "Portuguese": "o a os as de e que é um uma não em para com do da se por no na você mais como ao",
}
"""Language -> words that make up much of any text in it."""


def check(
    texts: Texts, passages: Sequence[Passage], spoken: Texts, spoken_passages: Sequence[Passage]
) -> list[str]:
    """Warnings about ``texts``, each a sentence with its figure; ``spoken`` is what the assistant says.

    Raises SettingsError for a text that is too short.
    """
    tokens = sum(len(passage.tokens) for passage in passages)
    if tokens < MIN_TOKENS:
        raise SettingsError(
            f"The calibration text has only {tokens} tokens, but at least {MIN_TOKENS} are needed.",
            "Add more text of the kind the model will read, or remove --calibration.",
        )
    warnings = []
    (theirs, theirs_share), (ours, _) = language(texts), language(spoken)
    if theirs != ours:
        looks = f"seems to be {theirs} ({100 * theirs_share:.0f} % of its words are common in it)"
        none = f"is in no known language ({100 * theirs_share:.0f} % common words)"
        warnings.append(f"The calibration text {looks if theirs else none}, but the assistant speaks {ours}.")
    if (share := lacking(passages, spoken_passages)) > STRANGE:
        warnings.append(
            f"Of the words the assistant says, {100 * share:.0f} % do not occur "
            f"in the calibration text. More than {100 * STRANGE:.0f} % means "
            "that it is about other things."
        )
    return warnings


def language(texts: Texts) -> tuple[str, float]:
    """The language of COMMON that ``texts`` are in, or none, and the share of their words that says so."""
    words = re.findall(r"[^\W\d_]+", " ".join(_parts(texts)).lower())
    shares = {
        name: sum(word in known for word in words) / max(len(words), 1)
        for name, known in ((name, frozenset(text.split())) for name, text in COMMON.items())
    }
    name = max(shares, key=lambda each: shares[each])
    return (name if shares[name] >= MIN_SHARE else ""), shares[name]


def lacking(read: Sequence[Passage], spoken: Sequence[Passage]) -> float:
    """The share of the scored tokens of ``spoken`` that do not occur in ``read``."""
    known = {token for passage in read for token in passage.tokens}
    said = [passage.tokens[place] for passage in spoken for place in passage.scored]
    return sum(token not in known for token in said) / max(len(said), 1)


def _parts(texts: Texts) -> Iterator[str]:
    yield from texts.prose
    for conversation in texts.conversations:
        for exchange in conversation:
            yield exchange.question
            yield exchange.answer
