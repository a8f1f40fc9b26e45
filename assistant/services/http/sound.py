"""Decodes audio files and encodes audio streams."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import soxr

from assistant.audio.files import read_sound
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16
from assistant.runtime.aio import in_thread
from assistant.services.http.request import RequestInvalid

LONGEST_PIECE_S = 25
"""A recognizer processes 30 s at a time."""

_PAUSE_S = 0.6
"""A pause between two pieces."""
_MARGIN_S = 0.2
_ABOVE_NOISE_DB = 9.0
_QUIETEST_DB = -60.0

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}

_CODECS: Final = {
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "aac": ("adts", "aac"),
    "flac": ("flac", "flac"),
    "wav": ("wav", "pcm_s16le"),
}
"""FFmpeg's names of the container and codec."""

_PCM_HZ = 24_000
"""OpenAI's clients expect this rate for ``pcm``, and every codec supports it."""


async def sound_in(file: bytes, *, by_pause: bool) -> tuple[list[tuple[float, Pcm16]], float]:
    """Return the speech in an audio file as ``pieces``, and its length in seconds.

    Raises RequestInvalid.
    """

    def read() -> tuple[list[tuple[float, Pcm16]], float]:
        pcm = _read(file)
        return list(pieces(pcm, by_pause=by_pause)), len(pcm) / SAMPLE_RATE_HZ

    return await in_thread(read)


def _read(file: bytes) -> Pcm16:
    with tempfile.TemporaryFile() as kept:
        kept.write(file)
        kept.flush()
        path = Path(f"/dev/fd/{kept.fileno()}")
        try:
            return read_sound(path)
        except AudioFileInvalid as error:
            raise RequestInvalid(f"{error.problem.replace(str(path), 'The file')}", "file") from error


def pieces(pcm: Pcm16, *, by_pause: bool) -> Iterator[tuple[float, Pcm16]]:
    """Split a recording at its pauses; yield the start time of each piece in seconds, and its samples.

    A piece is at most LONGEST_PIECE_S long; speech without a pause is cut at the quietest moment. With
    ``by_pause``, every pause ends a piece; otherwise, there are as few pieces as possible. Anything as quiet
    as the recording's own noise is trimmed from both ends.
    """
    frames = len(pcm) // FRAME_SAMPLES
    if not frames:
        return
    levels_db = _levels_db(pcm[: frames * FRAME_SAMPLES])
    noise_db, most_db = float(np.percentile(levels_db, 10)), float(levels_db.max())
    loud = np.flatnonzero(levels_db > max(_QUIETEST_DB, min(noise_db + _ABOVE_NOISE_DB, most_db - 1)))
    if not len(loud):
        return
    gap, margin, longest = (round(s * 1000 / FRAME_MS) for s in (_PAUSE_S, _MARGIN_S, LONGEST_PIECE_S))
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > gap) + 1)
    begin = max(0, int(runs[0][0]) - margin)
    ends = [min(frames, int(run[-1]) + 1 + margin) for run in runs]
    for number, end in enumerate(ends):
        while end - begin > longest:
            half = begin + longest // 2
            cut = half + int(np.argmin(levels_db[half : begin + longest]))
            yield _piece(pcm, begin, cut)
            begin = cut
        following = ends[number + 1] if number + 1 < len(ends) else None
        if by_pause or following is None or following - begin > longest:
            yield _piece(pcm, begin, end)
            if following is not None:
                begin = max(end, int(runs[number + 1][0]) - margin)


def _piece(pcm: Pcm16, begin: int, end: int) -> tuple[float, Pcm16]:
    return begin * FRAME_MS / 1000, pcm[begin * FRAME_SAMPLES : end * FRAME_SAMPLES]


def _levels_db(pcm: Pcm16) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the level of each frame. It takes a minute at a time: an hour of floats is half a gigabyte."""
    minute = 60_000 // FRAME_MS * FRAME_SAMPLES
    powers = [
        np.square(pcm[at : at + minute].reshape(-1, FRAME_SAMPLES).astype(np.float32) / 2**15).mean(axis=1)
        for at in range(0, len(pcm), minute)
    ]
    levels: np.ndarray[Any, np.dtype[np.float32]] = 10 * np.log10(np.concatenate(powers) + 1e-12)
    return levels


def subtitles(segments: Sequence[Mapping[str, Any]], kind: str) -> str:
    """Return the segments as SubRip (``srt``) or WebVTT (``vtt``)."""
    mark = "," if kind == "srt" else "."
    lines = [] if kind == "srt" else ["WEBVTT\n"]
    for number, each in enumerate(segments, 1):
        span = f"{_clock(each['start'], mark)} --> {_clock(each['end'], mark)}"
        lines.append(f"{number}\n{span}\n{each['text']}\n" if kind == "srt" else f"{span}\n{each['text']}\n")
    return "\n".join(lines)


def _clock(seconds: float, mark: str) -> str:
    ms = round(1000 * seconds)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


class _Pipe:
    """A file object for FFmpeg's output that cannot seek."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)


class Encoder:
    """Encodes a stream of samples piece by piece."""

    def __init__(self, kind: str, rate_hz: int) -> None:
        """``kind`` is one of MEDIA_TYPES, ``rate_hz`` that of the samples."""
        self._resampler = soxr.ResampleStream(rate_hz, _PCM_HZ, num_channels=1, dtype="int16")
        self._pipe = _Pipe()
        self._container: Any = None
        if kind in _CODECS:
            container, codec = _CODECS[kind]
            options = {"write_xing": "0"} if kind == "mp3" else {}
            self._container = av.open(self._pipe, "w", format=container, options=options)
            self._stream: Any = self._container.add_stream(codec, rate=_PCM_HZ, layout="mono")
        self._samples = 0

    def add(self, pcm: Pcm16) -> bytes:
        """Encode the samples, and return the output that is ready."""
        return self._encoded(self._resampler.resample_chunk(pcm))

    def finish(self) -> bytes:
        """Return the remaining output."""
        rest = self._encoded(self._resampler.resample_chunk(np.zeros(0, np.int16), last=True))
        if self._container is None:
            return rest
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return rest + self._taken()

    def _encoded(self, pcm: Pcm16) -> bytes:
        if self._container is None:
            return pcm.astype("<i2").tobytes()
        if len(pcm):
            frame = av.AudioFrame.from_ndarray(pcm[np.newaxis, :], format="s16", layout="mono")
            frame.sample_rate, frame.pts = _PCM_HZ, self._samples
            self._samples += len(pcm)
            self._container.mux(self._stream.encode(frame))
        return self._taken()

    def _taken(self) -> bytes:
        taken, self._pipe.written = bytes(self._pipe.written), bytearray()
        return taken
