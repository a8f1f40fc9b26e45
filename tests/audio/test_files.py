"""Any sound file a person has, and any file that is none."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.audio.files import LONGEST_S, check_writable, read_sound, write_wav
from assistant.core.errors import AudioFileInvalid, StorageFull
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16


def tone(seconds: float = 0.5, rate_hz: int = SAMPLE_RATE_HZ, level: float = 0.5) -> np.ndarray:
    """A sine of 440 Hz as floats."""
    return level * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)


def pitch_hz(pcm: Pcm16) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(pcm))


@pytest.mark.parametrize(
    ("ending", "subtype"),
    [
        *[
            ("wav", subtype)
            for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW")
        ],
        ("flac", "PCM_16"),
        ("flac", "PCM_24"),
        ("ogg", "VORBIS"),
        ("ogg", "OPUS"),
        ("aiff", "PCM_16"),
        ("mp3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_is_read(tmp_path: Path, ending: str, subtype: str, channels: int) -> None:
    path = tmp_path / f"clip.{ending}"
    rate_hz = 48_000 if subtype == "OPUS" else 44_100
    soundfile.write(path, np.stack([tone(1, rate_hz)] * channels, axis=1), rate_hz, subtype=subtype)

    pcm = read_sound(path)

    assert pcm.dtype == np.int16
    assert len(pcm) == pytest.approx(SAMPLE_RATE_HZ, rel=0.1)
    assert pitch_hz(pcm) == pytest.approx(440, abs=2)
    middle = pcm[4000:12000] / 32768
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 32_000, 44_100, 96_000, 192_000])
def test_every_rate_keeps_pitch_and_length(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(1, rate_hz), rate_hz)

    pcm = read_sound(path)

    assert abs(len(pcm) - SAMPLE_RATE_HZ) <= 1
    assert pitch_hz(pcm) == pytest.approx(440, abs=1)


def test_channels_are_mixed(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    left_only = np.stack([tone(level=0.8), np.zeros(8000)], axis=1)
    soundfile.write(path, left_only, SAMPLE_RATE_HZ)

    assert read_sound(path).max() == pytest.approx(0.4 * 32768, rel=0.01)


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=400))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_exactly(tmp_path: Path, samples: list[int]) -> None:
    pcm = np.array(samples, np.int16)
    write_wav(tmp_path / "clip.wav", pcm, SAMPLE_RATE_HZ)

    assert np.array_equal(read_sound(tmp_path / "clip.wav"), pcm)


def test_floats_that_are_too_loud_or_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    samples = np.array([0.0, np.nan, np.inf, -np.inf, 1e30, -3.0, 0.25], np.float32)
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="FLOAT")

    assert read_sound(path).tolist() == [0, 0, 32767, -32768, 32767, -32768, 8192]


def test_a_file_that_ends_early_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_wav(path, np.arange(16_000, dtype=np.int16), SAMPLE_RATE_HZ)
    path.write_bytes(path.read_bytes()[:-10_000])

    assert np.array_equal(read_sound(path), np.arange(11_000, dtype=np.int16))


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "clip.raw"
    write_wav(path, np.full(100, 7, np.int16), SAMPLE_RATE_HZ)

    assert len(read_sound(path)) == 100


def wav_bytes(data: bytes, **changes: int) -> bytes:
    """A WAV file whose header says what it is told to say."""
    head = {"rate": 16_000, "channels": 1, "bits": 16, "kind": 1, "size": len(data)} | changes
    frame = head["channels"] * head["bits"] // 8 % 65_536
    return (
        struct.pack(
            "<4sI8sIHHIIHH4sI",
            *(b"RIFF", (36 + head["size"]) % 2**32, b"WAVEfmt ", 16),
            *(
                head["kind"],
                head["channels"],
                head["rate"],
                head["rate"] * frame % 2**32,
                frame,
                head["bits"],
            ),
            *(b"data", head["size"]),
        )
        + data
    )


SECOND = bytes(32_000)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "isn't a readable sound file"),
        (b"hello, this is text\n" * 100, "isn't a readable sound file"),
        (wav_bytes(SECOND)[:30], "isn't a readable sound file"),
        (wav_bytes(SECOND)[:43], "contains no sound"),
        (wav_bytes(b""), "contains no sound"),
        (wav_bytes(SECOND, rate=2_000_000_000), "a rate of 2000000000 samples"),
        (wav_bytes(SECOND, rate=1), "claims a rate of 1 samples"),
        (wav_bytes(SECOND, rate=0), "isn't a readable sound file"),
        (wav_bytes(SECOND, channels=0), "isn't a readable sound file"),
        (wav_bytes(SECOND, channels=65_535), "isn't a readable sound file"),
        (wav_bytes(SECOND, kind=99), "isn't a readable sound file"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)

    with pytest.raises(AudioFileInvalid) as caught:
        read_sound(path)

    assert says in caught.value.problem
    assert str(path) in caught.value.problem
    assert caught.value.problem.endswith(".")
    assert "\n" not in str(caught.value)


def test_an_absurd_length_in_the_header_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(wav_bytes(SECOND, size=0xFFFF_FF00))

    assert len(read_sound(path)) == 16_000


def test_a_recording_of_hours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"
    rate_hz = 1_000
    soundfile.write(path, np.zeros((LONGEST_S + 60) * rate_hz, np.int16), rate_hz)

    with pytest.raises(AudioFileInvalid, match="longer than 60 minutes"):
        read_sound(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path, says in [
        (tmp_path / "missing.wav", "no such file"),
        (tmp_path, "isn't a file"),
        (pipe, "isn't a file"),
        (Path("/dev/zero"), "isn't a file"),
        (Path("a\0b"), "cannot be opened"),
    ]:
        with pytest.raises(AudioFileInvalid, match=says):
            read_sound(path)


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_read_or_refused_but_never_worse(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "clip.sound"
    ending = data.draw(st.sampled_from(["WAV", "FLAC", "OGG"]))
    soundfile.write(path, tone(0.1), SAMPLE_RATE_HZ, format=ending)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, min(len(content), 200) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])

    try:
        pcm = read_sound(path)
    except AudioFileInvalid:
        return
    assert len(pcm)
    assert pcm.dtype == np.int16


def test_a_written_file_is_a_plain_wav_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "reply.wav"
    write_wav(path, np.arange(50, dtype=np.int16), 22_050)

    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 22_050)
        assert sound.getnframes() == 50
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.wav"
    link.symlink_to(tmp_path / "real.wav")
    write_wav(link, np.zeros(9, np.int16), 16_000)

    assert link.is_symlink()
    assert len(read_sound(tmp_path / "real.wav")) == 9


def test_a_device_is_written_to_not_replaced() -> None:
    write_wav(Path("/dev/null"), np.zeros(100, np.int16), 16_000)

    assert Path("/dev/null").is_char_device()


def test_a_full_disk_says_so() -> None:
    with pytest.raises(StorageFull, match="the disk is full"):
        write_wav(Path("/dev/full"), np.zeros(100_000, np.int16), 16_000)


def test_when_there_is_no_room_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "reply.wav"
    write_wav(path, np.full(10, 3, np.int16), 16_000)
    code = (
        "import sys, numpy as np; from pathlib import Path; from assistant.audio.files import write_wav\n"
        "from assistant.core.errors import StorageFull\n"
        "try: write_wav(Path(sys.argv[1]), np.zeros(100_000, np.int16), 16_000)\n"
        "except StorageFull: sys.exit(7)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        check=False,
    )

    assert done.returncode == 7
    assert read_sound(path).tolist() == [3] * 10
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["missing/reply.wav", "file/reply.wav", "."])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()

    for write in (check_writable, lambda path: write_wav(path, np.zeros(10, np.int16), 16_000)):
        with pytest.raises(AudioFileInvalid, match="cannot be written"):
            write(tmp_path / place)


def test_a_place_that_can_be_written_is_left_alone(tmp_path: Path) -> None:
    check_writable(tmp_path / "reply.wav")
    check_writable(Path("/dev/null"))

    assert not list(tmp_path.iterdir())
