"""Checks whether a text is suitable for calibration: size, language, and similarity to spoken replies.

A language is identified by its most common short words, which is enough for a warning. Only a few languages
are known; a text with hardly any of their words is reported as being in no known language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assistant.core.errors import SettingsError
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.scoring import Passage

MIN_TOKENS = 1_000
"""With fewer tokens, the importance of most columns would be a matter of chance."""

STRANGE = 0.7
"""Fraction of the tokens of spoken replies that are missing in a calibration text. The included text lacks
0.27, a license 0.45, Python code 0.61, Spanish 0.84 (SmolLM2's tokens).
"""

MIN_SHARE = 0.1
"""Fraction of common words: 0.2 to 0.5 in a text's own language, 0.05 in another."""

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
    """Return warnings about ``texts``, each a sentence with its figure; ``spoken`` is what the assistant
    says.

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
    """Return the best match in COMMON, or none, and the fraction of the words that are common in it."""
    words = re.findall(r"[^\W\d_]+", " ".join(_parts(texts)).lower())
    shares = {
        name: sum(word in known for word in words) / max(len(words), 1)
        for name, known in ((name, frozenset(text.split())) for name, text in COMMON.items())
    }
    name = max(shares, key=lambda each: shares[each])
    return (name if shares[name] >= MIN_SHARE else ""), shares[name]


def lacking(read: Sequence[Passage], spoken: Sequence[Passage]) -> float:
    """Return the fraction of the scored tokens of ``spoken`` that do not occur in ``read``."""
    known = {token for passage in read for token in passage.tokens}
    said = [passage.tokens[place] for passage in spoken for place in passage.scored]
    return sum(token not in known for token in said) / max(len(said), 1)


def _parts(texts: Texts) -> Iterator[str]:
    yield from texts.prose
    for conversation in texts.conversations:
        for exchange in conversation:
            yield exchange.question
            yield exchange.answer
