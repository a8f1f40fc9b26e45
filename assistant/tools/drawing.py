"""Opens a matplotlib figure, and gives it back as an SVG whose words stay words.

matplotlib is in the extras ``bench`` and ``prepare``.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

from assistant.core.errors import EngineUnavailable


def figure(width: float, height: float) -> Any:
    """An empty figure of that many inches. Raises EngineUnavailable without matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and half a second
    except ImportError as error:
        raise EngineUnavailable(
            f"Drawing needs the Python package '{error.name}', which is not installed.",
            "Install the assistant with the extra `bench`, or leave the picture out.",
        ) from error
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the words stay words
    return Figure((width, height), layout="constrained")


def svg(drawn: Any) -> str:
    """The figure as text, the same each time."""
    from matplotlib import rc_context  # noqa: PLC0415

    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "assistant"}):
        drawn.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def printable(text: str) -> str:
    """A name from outside: no formula, and without control characters, for which XML has no place."""
    return "".join(letter for letter in text if letter.isprintable()).replace("$", r"\$")
