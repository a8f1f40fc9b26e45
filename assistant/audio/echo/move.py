"""Detects that what is left of a frame is the echo itself, moved or at another volume, not a person.

A stream that lost samples, or a volume knob, leaves as much residual as a person who begins to speak. But
then the predicted echo fits again a little earlier or later, or louder; a person's voice fits nowhere. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assistant.audio.echo.alignment import beside_peak
from assistant.audio.resample import Samples

DOUBTFUL, CERTAIN = 0.6, 0.35
"""Share of the residual that may remain if the echo has moved: possibly, and certainly. With a voice over
it, 6 dB louder to 6 dB softer, 0.5 % of a person's frames were below the first and none below the
second at the best position; of the first two frames after a jump 88 % were, of later ones all.
"""

_SAME_PLACE = 1
"""Tolerance in samples of the best position if only the volume changed."""

_MOST_GAIN, _MOST_GAIN_ELSEWHERE = 20.0, 2.0
"""Limits of a volume change, up or down. A stream that jumped keeps its volume: a fit at another position
and another volume is coincidence.
"""


@dataclass(frozen=True, slots=True)
class Move:
    """The echo's new position, relative to the old one."""

    samples: float
    """How much later it is, to about a tenth of a sample; 0 if only the volume changed."""
    gain: float
    """How much louder it is."""
    left: float
    """Share that would remain of the current residual, or of the signal if that is smaller: 0 is certain."""


def find_move(heard: Samples, rest: Samples, echo: Samples) -> Move | None:
    """Return the likely change of the echo, or None if no other position or volume explains more.

    ``heard`` and ``rest``, of the same shape (n,), are the last frames before and after the filter. ``echo``
    is predicted for all positions: sample i of ``heard`` belongs to sample ``len(echo) // 2 + i``.
    """
    # Differences are whiter than speech: low vowels agree everywhere.
    wanted, left, all_echo = np.diff(heard), np.diff(rest), np.diff(echo)
    wanted_power = float(wanted @ wanted)
    left_power = min(float(left @ left), wanted_power)  # removing a wrong echo leaves more than before
    size = 1 << (len(all_echo) - 1).bit_length()
    spectrum = np.fft.rfft(all_echo, size) * np.fft.rfft(wanted, size).conj()
    places = len(all_echo) - len(wanted) + 1
    products = np.fft.irfft(spectrum, size)[:places]
    sums = np.concatenate([[0.0], np.cumsum(np.square(all_echo, dtype=np.float64))])
    powers = sums[len(wanted) :] - sums[: len(sums) - len(wanted)]
    powers = np.maximum(powers, 1e-3 * powers.max() + 1e-12)
    explained = np.where(products > 0, np.square(products) / powers, 0.0)
    if wanted_power - explained.max() > DOUBTFUL * left_power:
        return None
    gains = np.clip(products / powers, 1e-6, None)
    middle = len(echo) // 2
    most = np.full(places, _MOST_GAIN_ELSEWHERE)
    most[middle - _SAME_PLACE : middle + _SAME_PLACE + 1] = _MOST_GAIN
    explained[(gains > most) | (gains < 1 / most)] = 0
    best = int(explained.argmax())
    if not explained[best]:
        return None
    share = (wanted_power - explained[best]) / max(left_power, 1e-12)
    later = middle - best - beside_peak(explained, best)
    return Move(0.0 if abs(middle - best) <= _SAME_PLACE else later, float(gains[best]), max(0.0, share))
