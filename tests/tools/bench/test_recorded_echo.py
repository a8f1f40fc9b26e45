"""What the bench records of an echo can be played to a canceller again, and so can pairs of recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assistant.app import engines as loading
from assistant.audio.files import write_wav
from assistant.cli.main import main
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16
from assistant.engines.scripted import ScriptedVad
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import echo_trace
from assistant.tools.bench.lib.echo_trace import Begun, Step, Told, TracedReference
from assistant.tools.bench.onsets import listen
from tests.rooms import babble

SILENCE = np.zeros(SAMPLE_RATE_HZ, np.int16)


def steps_of(mic: Pcm16, lpb: Pcm16) -> list[Step]:
    steps: list[Step] = [Begun(SAMPLE_RATE_HZ)]
    for number in range(len(mic) // FRAME_SAMPLES):
        piece = slice(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES)
        steps += [Told(lpb[piece]), AudioFrame(mic[piece], (number + 1) * 0.02)]
    return steps


def test_what_is_written_is_read_again_in_its_order(tmp_path: Path) -> None:
    mic, lpb = babble(2), babble(2, seed=1)
    steps = steps_of(mic, lpb)
    frame = steps[10]
    assert isinstance(frame, AudioFrame)
    steps[10] = AudioFrame(frame.pcm, frame.end_s, is_echo=True)
    echo_trace.write(steps, tmp_path, "some")
    again = echo_trace.read(tmp_path, "some")
    assert [type(step) for step in again] == [type(step) for step in steps]
    for before, after in zip(steps, again, strict=True):
        if isinstance(before, Told):
            assert isinstance(after, Told)
            assert after.block.tolist() == before.block.tolist()
        elif isinstance(before, AudioFrame):
            assert isinstance(after, AudioFrame)
            assert (after.pcm.tolist(), after.is_echo) == (before.pcm.tolist(), before.is_echo)


def test_both_files_begin_at_the_same_moment(tmp_path: Path) -> None:
    """The speaker was opened half a second before the microphone, at another rate."""
    rate_hz = 48_000
    click = np.zeros(2 * rate_hz, np.int16)
    click[rate_hz] = 20_000
    steps: list[Step] = [Begun(rate_hz)]
    for number in range(200):
        steps.append(Told(click[number * 480 : (number + 1) * 480]))
        if number >= 50 and number % 2:
            steps.append(AudioFrame(SILENCE[:FRAME_SAMPLES], 7.02 + number / 100 - 0.01))
    echo_trace.write(steps, tmp_path, "late")
    lpb = echo_trace.sound_of(tmp_path, "late_lpb")
    assert np.abs(lpb).argmax() == pytest.approx(SAMPLE_RATE_HZ / 2, abs=160)
    told = np.concatenate(
        [step.block for step in echo_trace.read(tmp_path, "late") if isinstance(step, Told)]
    )
    assert np.abs(told).argmax() == pytest.approx(SAMPLE_RATE_HZ, abs=2)


def test_sound_that_was_lost_leaves_a_gap(tmp_path: Path) -> None:
    mic = babble(2)
    steps = [step for step in steps_of(mic, mic) if not 0.5 < getattr(step, "end_s", 0) < 1.2]
    echo_trace.write(steps, tmp_path, "gap")
    assert len(echo_trace.sound_of(tmp_path, "gap_mic")) == len(mic)
    frames = [step for step in echo_trace.read(tmp_path, "gap") if isinstance(step, AudioFrame)]
    assert frames[-1].pcm.tolist() == mic[-FRAME_SAMPLES:].tolist()


def test_the_speaker_is_noted_as_it_was_told() -> None:
    reference = TracedReference()
    sound = babble(0.1)
    played = reference.begin(SAMPLE_RATE_HZ)
    played.tell(sound)
    begun, told = reference.steps
    assert isinstance(begun, Begun)
    assert isinstance(told, Told)
    assert told.block.tolist() == sound.tolist()
    assert reference.stream is played


def test_somebody_is_found_and_silence_is_not() -> None:
    settings = Settings()
    lpb = babble(4, peak=0.2)
    somebody = np.concatenate([SILENCE, SILENCE, babble(2, seed=3, peak=0.6)])
    assert listen(settings, steps_of(0 * lpb, lpb), ScriptedVad()).onsets_s == []
    found = listen(settings, steps_of(somebody, lpb), ScriptedVad())
    assert found.onsets_s
    assert 2 <= found.onsets_s[0] < 3
    alone = listen(settings, steps_of(somebody, 0 * lpb), ScriptedVad())
    assert alone.onsets_s == []
    assert len(alone.others_s) >= 1


def test_pairs_are_told_apart_by_their_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_vad", lambda _: ScriptedVad())
    lpb = babble(4, peak=0.2)
    near = np.concatenate([SILENCE, SILENCE, babble(2, seed=3, peak=0.6)])
    sounds = {
        "a_farend_singletalk": (0 * lpb, lpb),
        "b_doubletalk": (near, lpb),
        "c": (0 * lpb, lpb),
    }
    for name, (mic, played) in sounds.items():
        write_wav(tmp_path / f"{name}_mic.wav", mic, SAMPLE_RATE_HZ)
        write_wav(tmp_path / f"{name}_lpb.wav", played, SAMPLE_RATE_HZ)
    write_wav(tmp_path / "b_doubletalk_near.wav", near, SAMPLE_RATE_HZ)
    assert main(["bench", "barge-in", "--pairs", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in document["recordings"]] == ["far end", "both", "not told"]
    assert document["sums"]["far end"]["onsets"] == 0
    assert document["sums"]["both"]["share_with_an_onset"] == 1
    assert 0 <= document["recordings"][1]["found_after_ms"] < 1000


def test_a_folder_without_pairs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioFileInvalid):
        echo_trace.sound_of(tmp_path, "nothing")
    assert main(["bench", "barge-in", "--pairs", str(tmp_path)]) != 0
