"""Opens a matplotlib figure and returns it as an SVG whose text stays text.

matplotlib is in the extras ``bench`` and ``prepare``.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

from assistant.core.errors import EngineUnavailable


def figure(width: float, height: float) -> Any:
    """Return an empty figure; width and height in inches. Raises EngineUnavailable without matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and half a second
    except ImportError as error:
        raise EngineUnavailable(
            f"Drawing needs the Python package '{error.name}', which is not installed.",
            "Install the assistant with the extra `bench`, or leave the picture out.",
        ) from error
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # Keeps text as text.
    return Figure((width, height), layout="constrained")


def svg(drawn: Any) -> str:
    """Return the figure as SVG text, identical for identical input."""
    from matplotlib import rc_context  # noqa: PLC0415

    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "assistant"}):
        drawn.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def printable(text: str) -> str:
    """Escape an external name: no formulas, and no control characters, which XML doesn't allow."""
    return "".join(letter for letter in text if letter.isprintable()).replace("$", r"\$")
