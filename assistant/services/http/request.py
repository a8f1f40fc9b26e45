"""What clients ask, checked: JSON that can't be used is refused with a sentence."""

from __future__ import annotations

import json
from typing import Any


class RequestInvalid(Exception):
    """The request cannot be fulfilled; ``param`` is the name of the invalid parameter."""

    def __init__(self, reason: str, param: str | None = None) -> None:
        super().__init__(reason)
        self.param = param


def json_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object; ``what`` names it in the error. Raises RequestInvalid."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestInvalid(f"{what} is not JSON.") from error
    if not isinstance(found, dict):
        raise RequestInvalid(f"{what} is not a JSON object.")
    return found
