"""Sound files: any that libsndfile can read becomes 16 kHz mono; what is written is a plain WAV.

Files come from strangers, so no size in a header is believed: a file is read block by block until
it ends, and its length, rate and kind are checked. Knows nothing of devices or time.
"""

from __future__ import annotations

import contextlib
import errno
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

from assistant.audio.resample import Samples, to_pcm16
from assistant.core.errors import AssistantError, AudioFileInvalid, StorageFull
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16

LONGEST_S = 3600
"""A longer recording is not something said to an assistant; an hour takes 115 MB of memory."""

SLOWEST_HZ, FASTEST_HZ = 1_000, 768_000
"""Rates that recorders really have; a header may claim anything up to 2 GHz."""

BLOCK_SAMPLES = 1 << 18
"""Samples decoded at once, over all channels: 1 MiB as floats."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write fails with when the disk, the person's quota or the largest file size is used up."""


def read_sound(path: Path) -> Pcm16:
    """The whole file at SAMPLE_RATE_HZ, its channels mixed into one.

    A file that ends early is read as far as it goes. Raises AudioFileInvalid.
    """
    with _opened(path) as descriptor:
        try:
            with soundfile.SoundFile(descriptor, closefd=False) as sound:
                pcm = _decode(sound, path)
        except soundfile.SoundFileError as error:
            reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
            raise _invalid(path, f"is not a sound file that can be read: {reason}") from error
    if not len(pcm):
        raise _invalid(path, "holds no sound")
    return pcm


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file descriptor of a regular file.

    libsndfile gets this rather than the name, since it would trust the ending of a name.
    Opened without blocking: the other end of a pipe might never write.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _invalid(path, f"cannot be opened: {_reason(error)}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _invalid(path, "is not a file")
        yield descriptor
    finally:
        os.close(descriptor)


def _decode(sound: soundfile.SoundFile, path: Path) -> Pcm16:
    """Read to the end, block by block, mixing, resampling and counting on the way."""
    if not SLOWEST_HZ <= sound.samplerate <= FASTEST_HZ:
        raise _invalid(path, f"claims to have {sound.samplerate} samples a second")
    stream = soxr.ResampleStream(sound.samplerate, SAMPLE_RATE_HZ, num_channels=1, dtype="float32")
    block_frames = max(1, BLOCK_SAMPLES // sound.channels)
    pieces: list[Pcm16] = []
    frames = 0
    while True:
        block = _mono(sound.read(block_frames, dtype="float32", always_2d=True))
        frames += len(block)
        if frames > LONGEST_S * sound.samplerate:
            raise _invalid(path, f"is longer than {LONGEST_S // 60} minutes")
        ended = len(block) < block_frames
        same_rate = sound.samplerate == SAMPLE_RATE_HZ
        pieces.append(to_pcm16(block if same_rate else stream.resample_chunk(block, last=ended)))
        if ended:
            return np.concatenate(pieces)


def _mono(block: Samples) -> Samples:
    """The mean of all channels, shape (frames, channels) to (frames,); within -1 to 1."""
    audible = np.nan_to_num(block, nan=0.0).clip(-1.0, 1.0)
    mixed: Samples = audible.mean(axis=1, dtype=np.float32)
    return mixed


def check_writable(path: Path) -> None:
    """Find out before a long conversation whether its sound can be kept there. Raises AudioFileInvalid."""
    folder = path.resolve().parent
    if path.is_dir():
        raise _not_written(path, errno.EISDIR)
    if not folder.is_dir():
        raise _not_written(path, errno.ENOENT)
    if not os.access(folder, os.W_OK):
        raise _not_written(path, errno.EACCES)


def write_wav(path: Path, pcm: Pcm16, sample_rate_hz: int) -> None:
    """Write a 16-bit mono WAV, whole or not at all: an older file stays until the new one is complete.

    A new file is readable by its owner only, as it may hold what somebody said.
    Raises StorageFull, or AudioFileInvalid when it cannot be written there.
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
        sound.setnframes(len(pcm))  # known before, so that the header of a pipe is right too
        sound.writeframesraw(pcm.astype("<i2").tobytes())
    sink.flush()


def _invalid(path: Path, problem: str) -> AudioFileInvalid:
    return AudioFileInvalid(f"{path} {problem}.", "Give it a WAV, FLAC or OGG file with speech in it.")


def _not_written(path: Path, number: int | None) -> AssistantError:
    if number in NO_ROOM:
        return StorageFull(f"{path} could not be written: no room is left.", "Make room and try again.")
    return AudioFileInvalid(
        f"{path} cannot be written: {os.strerror(number or errno.EIO).lower()}.",
        "Choose a file in a folder that you may write to.",
    )


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
