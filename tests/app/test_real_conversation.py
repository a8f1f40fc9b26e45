"""Real people's recordings, real models, the real loop: what the product promises of them.

Time skips over the waiting, so a conversation takes as long as its work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from assistant.app.build import open_loop, skill_context
from assistant.app.converse import hold
from assistant.app.engines import load_stt
from assistant.audio.files import read_sound
from assistant.audio.resample import resample, to_float, to_pcm16
from assistant.audio.wav import WavMicrophone, WavSpeaker
from assistant.core.types import SAMPLE_RATE_HZ, Message, Pcm16, SpokenAudio
from assistant.dialog.report import Report
from assistant.engines.llm.llama_cpp import engine as llama_cpp_llm
from assistant.runtime import clock
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.text.markup import speakable
from assistant.text.word_error import word_error_rate
from tests.conftest import Clip

pytestmark = pytest.mark.models

MAX_WORD_ERROR_RATE = 0.15
"""For questions over all clips, and for replies heard back."""


@dataclass
class Conversation:
    """What came of a conversation with recordings."""

    reports: list[Report] = field(default_factory=list)
    spoken: list[Pcm16] = field(default_factory=list)
    """The sound of each turn's answer, 16 kHz."""


class _Recorder(WavSpeaker):
    """Keeps the sound of the answer that is being given."""

    def __init__(self) -> None:
        super().__init__(None)
        self.answer: list[Pcm16] = []

    def write(self, audio: SpokenAudio) -> None:
        super().write(audio)
        self.answer.append(to_pcm16(resample(to_float(audio.pcm), audio.sample_rate_hz, SAMPLE_RATE_HZ)))


def conversation(files: Sequence[Path], tmp_path: Path, **sections: object) -> Conversation:
    """Hold a conversation of these recordings with the default models."""
    # What is said to an answer that was held up and goes on would be counted twice.
    uninterrupted = {"conversation": {"interruption": "off"}}
    settings = Settings.model_validate(
        {"llm": {"seed": 1, "knowledge": "always"}, **uninterrupted, **sections}
    )
    result = Conversation()

    async def main() -> None:
        microphone, speaker = WavMicrophone([read_sound(file) for file in files]), _Recorder()

        def on_report(report: Report) -> None:
            result.reports.append(report)
            result.spoken.append(np.concatenate([np.zeros(0, np.int16), *speaker.answer]))
            speaker.answer.clear()

        with skill_context(tmp_path) as context:
            async with open_loop(
                settings, microphone, speaker, on_report=on_report, context=context
            ) as voice_loop:
                await hold(voice_loop, microphone, settings)

    clock.run(main(), "skipping")
    return result


def of_kind(clips: Sequence[Clip], *kinds: str) -> list[Clip]:
    return [clip for clip in clips if clip.category == "commands" and clip.kind in kinds]


def test_questions_and_commands_are_understood_and_answered_aloud(
    shared_audio: list[Clip], tmp_path: Path
) -> None:
    clips = of_kind(shared_audio, "question", "command")
    talk = conversation([clip.path for clip in clips], tmp_path)
    asked = " ".join(clip.text for clip in clips)
    understood = " ".join(report.transcript for report in talk.reports)
    assert word_error_rate(asked, understood) <= MAX_WORD_ERROR_RATE

    answered = [report for report in talk.reports if report.refused is None]
    to_be_answered = [clip for clip in clips if clip.text != "stop"]  # that one asks for silence
    # On a busy machine one that was said in two parts may be answered as one with the next.
    assert len(answered) >= len(to_be_answered) - 1
    stt = load_stt(Settings())
    replies, heard_back = [], []
    for report, sound in zip(talk.reports, talk.spoken, strict=True):
        if report.refused or report.handled_by == "stop":
            continue
        assert report.error is None
        assert report.reply
        replies.append(speakable(report.reply))
        heard_back.append(speakable(stt.transcribe(sound, Cancel()).text))
    stt.close()
    assert word_error_rate(" ".join(replies), " ".join(heard_back)) <= MAX_WORD_ERROR_RATE


def test_noise_never_reaches_the_model(shared_audio: list[Clip], tmp_path: Path) -> None:
    clips = [clip for clip in shared_audio if clip.category in ("nonspeech", "noise")]
    assert clips
    talk = conversation([clip.path for clip in clips], tmp_path)
    assert {report.handled_by for report in talk.reports} <= {"nobody"}


def test_the_second_question_is_asked_with_the_first(
    shared_audio: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[Message]] = []

    class Overheard(llama_cpp_llm.LlamaCppLlm):
        def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
            asked.append(list(messages))
            return super().stream(messages, cancel)

    monkeypatch.setattr(llama_cpp_llm, "LlamaCppLlm", Overheard)
    by_name = {clip.path.stem: clip.path for clip in shared_audio}
    talk = conversation([by_name["audio"], by_name["seine"]], tmp_path, knowledge={"tables": None})
    first, second = talk.reports
    told = [message.content for message in asked[-1]]
    assert told[-1] == second.transcript
    assert first.transcript in told
    assert told[told.index(first.transcript) + 1].split(".")[0] in first.reply
