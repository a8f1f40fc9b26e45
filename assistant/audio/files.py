"""Sound files: any format libsndfile can read becomes 16 kHz mono; output is plain WAV.

Files are untrusted, so no size in a header is believed: a file is read block by block until it ends, and its
length, rate and kind are checked. Independent of devices and time.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
import soxr

from assistant.audio import riff
from assistant.audio.mixing import Mix
from assistant.audio.resample import to_pcm16
from assistant.core.errors import AssistantError, AudioFileInvalid, StorageFull
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16

LONGEST_S = 3600
"""A longer recording is not a command to an assistant; an hour takes 115 MB of memory."""

SLOWEST_HZ, FASTEST_HZ = 1_000, 768_000
"""Rates of real recorders; a header may claim anything up to 2 GHz."""

BLOCK_SAMPLES = 1 << 18
"""Samples decoded at once, over all channels: 1 MiB as floats."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a write when the disk, the user's quota or the maximum file size is used up."""


def read_sound(path: Path) -> Pcm16:
    """Read the whole file at SAMPLE_RATE_HZ, in mono: the channels with speech, without a constant offset.

    A truncated file is read as far as it goes. Raises AudioFileInvalid.
    """
    with _opened(path) as descriptor:
        try:
            whole = riff.repaired(descriptor)
            source = io.BytesIO(whole) if whole else descriptor
            with soundfile.SoundFile(source, closefd=False) as sound:
                pcm = _decode(sound, path)
        except riff.RiffInvalid as error:
            raise _invalid(path, f"isn't a readable sound file: {error}") from error
        except soundfile.SoundFileError as error:
            reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
            raise _invalid(path, f"isn't a readable sound file: {reason}") from error
    if not len(pcm):
        raise _invalid(path, "contains no sound")
    return pcm


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Yield a file descriptor of a regular file.

    libsndfile gets this instead of the name, since it would trust the extension. Opened without blocking,
    because the other end of a pipe might never write.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _invalid(path, f"cannot be opened: {_reason(error)}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _invalid(path, "isn't a file")
        yield descriptor
    finally:
        os.close(descriptor)


def _decode(sound: soundfile.SoundFile, path: Path) -> Pcm16:
    """Read to the end, block by block, while mixing, resampling and counting."""
    if not SLOWEST_HZ <= sound.samplerate <= FASTEST_HZ:
        raise _invalid(path, f"claims a rate of {sound.samplerate} samples per second")
    stream = soxr.ResampleStream(sound.samplerate, SAMPLE_RATE_HZ, num_channels=1, dtype="float32")
    block_frames = max(1, BLOCK_SAMPLES // sound.channels)
    pieces: list[Pcm16] = []
    frames = 0
    mix: Mix | None = None
    while True:
        raw = sound.read(block_frames, dtype="float32", always_2d=True)
        mix = mix or Mix(raw)
        block = mix.mono(raw)
        frames += len(block)
        if frames > LONGEST_S * sound.samplerate:
            raise _invalid(path, f"is longer than {LONGEST_S // 60} minutes")
        ended = len(block) < block_frames
        same_rate = sound.samplerate == SAMPLE_RATE_HZ
        pieces.append(to_pcm16(block if same_rate else stream.resample_chunk(block, last=ended)))
        if ended:
            return np.concatenate(pieces)


def check_writable(path: Path) -> None:
    """Check before a long conversation that its sound can be saved there. Raises AudioFileInvalid."""
    folder = path.resolve().parent
    if path.is_dir():
        raise _not_written(path, errno.EISDIR)
    if not folder.is_dir():
        raise _not_written(path, errno.ENOENT)
    if not os.access(folder, os.W_OK):
        raise _not_written(path, errno.EACCES)


def write_wav(path: Path, pcm: Pcm16, sample_rate_hz: int) -> None:
    """Write a 16-bit mono WAV completely or not at all: an older file stays until the new one is complete.

    A new file is readable only by its owner, because it may contain speech. Raises StorageFull, or
    AudioFileInvalid if it cannot be written there.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as sink:  # a pipe or /dev/null must not be replaced by a file
                _write(sink, pcm, sample_rate_hz)
        else:
            _replace(target, pcm, sample_rate_hz)
    except OSError as error:
        raise _not_written(path, error.errno) from error


def _replace(target: Path, pcm: Pcm16, sample_rate_hz: int) -> None:
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".part", delete=False
    ) as sink:
        try:
            _write(sink, pcm, sample_rate_hz)
            os.fsync(sink.fileno())
            Path(sink.name).replace(target)
        except BaseException:
            Path(sink.name).unlink(missing_ok=True)
            raise


def _write(sink: IO[bytes], pcm: Pcm16, sample_rate_hz: int) -> None:
    with wave.open(sink, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate_hz)
        sound.setnframes(len(pcm))  # set in advance, so that a pipe's header is right too
        sound.writeframesraw(pcm.astype("<i2").tobytes())
    sink.flush()


def _invalid(path: Path, problem: str) -> AudioFileInvalid:
    return AudioFileInvalid(f"{path} {problem}.", "Use a WAV, FLAC or OGG file that contains speech.")


def _not_written(path: Path, number: int | None) -> AssistantError:
    if number in NO_ROOM:
        return StorageFull(
            f"{path} cannot be written: the disk is full.", "Free up some space, and try again."
        )
    return AudioFileInvalid(
        f"{path} cannot be written: {os.strerror(number or errno.EIO).lower()}.",
        "Choose a file in a folder that you can write to.",
    )


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
