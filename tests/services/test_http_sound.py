"""Sound files in and out of the HTTP service."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs the extra http")
pytest.importorskip("openai", reason="the real client")

import av
import soundfile

from assistant.audio.files import write_wav
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.services.http.sound import LONGEST_PIECE_S, pieces
from tests.services.test_http import Scene, serving, silence, tone


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_speech_is_what_its_format_says(kind: str) -> None:
    def talk(scene: Scene) -> bytes:
        speech = scene.client().audio.speech
        sound = speech.create(model="tts-1", voice="alloy", input="One. Two.", response_format=kind)  # type: ignore[arg-type]
        return sound.read()

    sound = serving(talk)
    if kind == "pcm":
        assert len(sound) == 2 * 2 * 24_000
        return
    with av.open(io.BytesIO(sound), "r") as container:
        seconds = [frame.samples / frame.sample_rate for frame in container.decode(audio=0)]
    assert sum(seconds) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg"])
def test_recordings_are_written_down_piece_by_piece(kind: str, tmp_path: Path) -> None:
    pcm = np.concatenate([silence(0.5), tone(1), silence(1), tone(2), silence(1)])
    file = tmp_path / f"sound.{kind}"
    if kind == "wav":
        write_wav(file, pcm, SAMPLE_RATE_HZ)
    else:
        soundfile.write(file, pcm, SAMPLE_RATE_HZ)

    def talk(scene: Scene) -> None:
        create: Any = scene.client().audio.transcriptions.create
        told = create(model="whisper-1", file=file, response_format="verbose_json")
        assert told.duration == pytest.approx(5.5, abs=0.1)
        assert [round(each.start, 1) for each in told.segments] == pytest.approx([0.3, 2.3], abs=0.1)
        assert [round(each.end, 1) for each in told.segments] == pytest.approx([1.7, 4.7], abs=0.1)
        assert told.text == "1.4 seconds 2.4 seconds"
        assert create(model="whisper-1", file=file).text == "4.4 seconds", "as few pieces as possible"
        subtitles = create(model="whisper-1", file=file, response_format="srt")
        assert re.match(r"1\n00:00:00,\d{3} --> 00:00:01,7\d\d\n1.4 seconds\n\n2\n", subtitles)
        assert create(model="whisper-1", file=file, response_format="vtt").startswith("WEBVTT\n\n00:00:00.")

    serving(talk)


@pytest.mark.parametrize("by_pause", [False, True])
def test_pieces_are_short_enough_to_be_heard_at_once_and_lose_nothing(*, by_pause: bool) -> None:
    rng = np.random.default_rng(3)
    pcm = np.concatenate([tone(s) if s > 0 else silence(-s) for s in rng.uniform(-3, 70, 12)])
    cut = list(pieces(pcm, by_pause=by_pause))
    assert all(len(each) <= LONGEST_PIECE_S * SAMPLE_RATE_HZ for _, each in cut)
    heard = np.zeros(len(pcm), bool)
    for begin_s, each in cut:
        begin = round(begin_s * SAMPLE_RATE_HZ)
        assert np.array_equal(pcm[begin : begin + len(each)], each)
        assert not heard[begin : begin + len(each)].any(), "nothing is heard twice"
        heard[begin : begin + len(each)] = True
    loud = np.abs(pcm.astype(int)) > 1000
    assert (loud & heard).sum() >= 0.999 * loud.sum()
    assert list(pieces(silence(3), by_pause=by_pause)) == []
    assert list(pieces(silence(0), by_pause=by_pause)) == []
