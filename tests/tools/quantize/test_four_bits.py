"""What the default of 4 bits costs a real model that was taken off its grid first: 0.06 nats a token at most.

The whole held-out dialogues, because the figure is about them.
"""

from __future__ import annotations

import pytest

from assistant.store import Store
from assistant.store.progress import Unwatched
from assistant.tools.quantize import comparing
from assistant.tools.quantize.request import Request
from tests.tools.quantize.conftest import NAME, store

__all__ = ["store"]

MOST_KL = 0.06


@pytest.mark.models
def test_the_default_loses_little(store: Store) -> None:
    requests = [Request(NAME, "q4_k_m", threads=1)]
    _, row = comparing.compare(requests, store, Unwatched(), dither=True)
    assert row.name == "q4_k_m + gptq + imatrix"
    assert row.loss.kl < MOST_KL
    assert row.loss.tokens > 800
