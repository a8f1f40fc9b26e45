"""What happens to a model that there are doubts about."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.core.errors import ModelRefused

OTHERWISE = "Try another format (one of more bits loses less) or another source"
ANOTHER = "Choose another source, or fetch it again"


def refuse(doubts: Sequence[str], what: str, *, force: bool, instead: str = OTHERWISE) -> None:
    """Raises ModelRefused when there are ``doubts`` that nobody overruled; ``what`` was not done."""
    if doubts and not force:
        raise ModelRefused(f"{what}: {'; '.join(doubts)}.", f"{instead}; --force installs it all the same.")
