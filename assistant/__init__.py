"""An offline voice assistant for a small board on a shelf.

Data goes one way: frames -> utterance -> transcript -> tokens -> sentences -> audio.
Read ``core`` first (``types``, ``events``, ``state``), then ``turn`` and ``loop`` in ``dialog``.
"""

import os
import sys

__version__ = "0.1.0"

_HOW_THREADS_WAIT = {
    "OPENBLAS_THREAD_TIMEOUT": "4",
    "OMP_WAIT_POLICY": "active",
    "GOMP_SPINCOUNT": "10000",
}
"""Threads that wait for more work keep a core busy, which the next engine wants (``runtime.engine_thread``).

numpy's spin for 2**26 cycles unless told otherwise: 30 ms after every utterance, in which a token took the
language model 60 ms instead of 42. With 2**4 they sleep at once. CTranslate2's (OpenMP) meet hundreds of
times an utterance: spinning for at most half a millisecond they take 0.56 of the time that sleeping ones do,
and without the bound they never stop. The libraries read this when they are loaded, so it comes first.
"""
if sys.platform == "linux":
    for _name, _value in _HOW_THREADS_WAIT.items():
        os.environ.setdefault(_name, _value)
