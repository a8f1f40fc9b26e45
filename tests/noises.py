"""Sounds of a home that nobody speaks in, made up: each a function of a random generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16

Wave = npt.NDArray[np.float64]
Generator = np.random.Generator


def _time(seconds: float) -> Wave:
    return np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _full_scale(wave: Wave) -> Wave:
    scaled: Wave = wave / np.abs(wave).max()
    return scaled


def _hiss(rng: Generator, seconds: float, low_hz: float = 0, high_hz: float = 8000, slope: float = 0) -> Wave:
    """Noise of one band; ``slope`` 1 is pink, 2 brown."""
    samples = len(_time(seconds))
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    return _full_scale(np.fft.irfft(spectrum / np.maximum(frequency, 20) ** (slope / 2), samples))


def _tone(frequency_hz: float | Wave, seconds: float, harmonics: int = 1) -> Wave:
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(frequency_hz, _time(seconds).shape)) / SAMPLE_RATE_HZ
    return _full_scale(sum((np.sin(k * phase) / k for k in range(1, harmonics + 1)), np.zeros_like(phase)))


def _dying(wave: Wave, seconds: float) -> Wave:
    return wave * np.exp(-np.arange(len(wave)) / SAMPLE_RATE_HZ / seconds)


def _swelling(wave: Wave) -> Wave:
    return wave * np.hanning(len(wave))


def _scattered(rng: Generator, seconds: float, count: int, make: Callable[[], Wave]) -> Wave:
    """``count`` of them anywhere in a room that is nearly silent."""
    room = rng.standard_normal(len(_time(seconds))) * 1e-4
    for _ in range(count):
        sound = make()[: len(room)]
        start = rng.integers(0, len(room) - len(sound) + 1)
        room[start : start + len(sound)] += sound
    return room


def sounds(seed: int) -> dict[str, Pcm16]:
    """Six to ten seconds of each, int16 at 16 kHz."""
    rng = np.random.default_rng(seed)
    u = rng.uniform
    waves = {
        "fan": 0.3 * _hiss(rng, 6, slope=2) + 0.05 * _tone(u(80, 140), 6),
        "vacuum cleaner": 0.2 * _hiss(rng, 6, 200, 6000) + 0.05 * _tone(320, 6),
        "mains hum": 0.3 * _tone(50, 6, harmonics=11),
        "white bursts": _scattered(rng, 6, 4, lambda: 0.3 * _hiss(rng, u(0.2, 1.2))),
        "pink bursts": _scattered(rng, 6, 4, lambda: 0.5 * _hiss(rng, u(0.3, 1.5), slope=1)),
        "typing": _scattered(rng, 8, 60, lambda: u(0.1, 0.4) * _dying(_hiss(rng, 0.06, 800, 6000), 0.01)),
        "clicks": _scattered(rng, 6, 12, lambda: 0.5 * _dying(_hiss(rng, 0.02), 0.004)),
        "door": _scattered(rng, 6, 3, lambda: 0.8 * _dying(_hiss(rng, 0.6, 40, 900), 0.1)),
        "knocking": _scattered(rng, 6, 8, lambda: 0.7 * _dying(_hiss(rng, 0.12, 80, 600), 0.03)),
        "applause": _scattered(rng, 6, 900, lambda: u(0.1, 0.3) * _dying(_hiss(rng, 0.05, 500, 5000), 0.01)),
        "dishes": _scattered(rng, 6, 8, lambda: 0.3 * _dying(_tone(u(1500, 6000), 0.5, 3), 0.1)),
        "paper": _scattered(rng, 6, 10, lambda: u(0.05, 0.4) * _hiss(rng, u(0.1, 0.4), 1500, 7500)),
        "water": _scattered(
            rng, 8, 200, lambda: 0.2 * _dying(_tone(np.linspace(u(400, 900), u(900, 1800), 800), 0.05), 0.02)
        ),
        "breath": _scattered(rng, 8, 4, lambda: 0.05 * _swelling(_hiss(rng, u(0.6, 1.4), 300, 3500))),
        "cough": _scattered(rng, 8, 4, lambda: 0.6 * _dying(_hiss(rng, u(0.25, 0.5), 200, 4000), 0.08)),
        "music": _scattered(rng, 10, 50, lambda: 0.2 * _dying(_tone(220 * 2 ** u(0, 2), 0.5, 6), 0.25)),
        "beeps": _scattered(rng, 6, 8, lambda: 0.3 * _tone(u(800, 2500), u(0.1, 0.3))),
        "siren": 0.2 * _tone(700 + 300 * np.sin(2 * np.pi * 0.7 * _time(6)), 6),
        "humming": _scattered(rng, 8, 5, lambda: 0.3 * _swelling(_tone(u(100, 220), u(0.5, 1.5), 4))),
        "whistling": _scattered(rng, 8, 6, lambda: 0.2 * _swelling(_tone(u(900, 1800), u(0.4, 1.2)))),
    }
    return {name: np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16) for name, wave in waves.items()}
