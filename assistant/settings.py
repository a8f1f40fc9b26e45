"""Everything that can be set: its key, type, bounds, default and reason.

Defaults live here and, for the engines, in ``settings_engines``, nowhere else:
``config/assistant.yaml`` is written from them and ``assistant config schema`` prints them as JSON
Schema. How files, board profiles and the environment are layered is in ``configuration``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from assistant.settings_engines import LlmSettings, SttSettings, TtsSettings, VadSettings, WakeSettings
from assistant.settings_section import Fraction, Milliseconds, Section


class EarconSettings(Section):
    """Short sounds that say: I listen, done, that failed, muted."""

    enabled: bool = True
    """Whether they sound at all."""
    wake: Path | None = None
    """Sound file to play when it has heard the wake word and waits for words; null is the built-in one."""
    done: Path | None = None
    """Sound file for a command carried out without an answer, and for going back to sleep unasked."""
    error: Path | None = None
    """Sound file for what failed and could not be said."""
    muted: Path | None = None
    """Sound file for the microphone being closed."""


class AudioSettings(Section):
    """The microphone and the speaker."""

    input: str | None = None
    """Microphone: part of its name as `assistant devices` prints it; null is the system's default."""
    output: str | None = None
    """Speaker: part of its name as `assistant devices` prints it; null is the system's default."""
    volume: Fraction = 1.0
    """Loudness of the voice, 0 to 1."""
    echo_cancellation: bool = True
    """Take the assistant's own voice out of what the microphone hears, so that you can speak over it. Costs
    2 % of a core while it speaks. A headset, or a microphone that does it by itself, needs it not."""
    noise_suppression: Annotated[int, Field(ge=0, le=3)] = 0
    """Needs the extra `echo`: 0 is off; 1, 2 and 3 take up to 12, 18 and 21 dB of steady noise away. Whisper
    was trained on noisy speech and is seldom helped by it; a fan beside the microphone is a reason."""
    automatic_gain: bool = False
    """Needs the extra `echo`: bring quiet voices up to one level, for a microphone that is too quiet."""
    earcons: EarconSettings = EarconSettings()


class EndpointSettings(Section):
    """When an utterance begins and when a turn has ended."""

    start_ms: Milliseconds = 100
    """Speech needed within a quarter of a second before it counts: shorter sounds are clicks."""
    pre_roll_ms: Milliseconds = 400
    """Sound kept from before the first speech frame, so that the first phoneme is whole, also of what is
    said in one breath with the wake word."""
    min_speech_ms: Milliseconds = 160
    """An utterance with less speech than this is dropped without being transcribed."""
    max_utterance_ms: Milliseconds = 28_000
    """Longer speech is ended here: Whisper hears 30 s at once."""
    pause_ms: Milliseconds = 160
    """The first pause: transcription starts here, in case the turn is over."""
    complete_ms: Milliseconds = 320
    """Silence that ends a turn whose words are complete (a skill matched, or a final stop)."""
    unclear_ms: Milliseconds = 600
    """Silence that ends a turn otherwise."""
    unfinished_ms: Milliseconds = 1400
    """Silence that ends a turn whose words ask for more ("and", "the", "um")."""
    listen_timeout_ms: Milliseconds = 6000
    """Back to sleep when nobody speaks for this long after the wake word."""

    @model_validator(mode="after")
    def _ordered(self) -> EndpointSettings:
        waits = (self.pause_ms, self.complete_ms, self.unclear_ms, self.unfinished_ms)
        if list(waits) != sorted(waits):
            raise ValueError("pause_ms <= complete_ms <= unclear_ms <= unfinished_ms must hold")
        if self.min_speech_ms >= self.max_utterance_ms:
            raise ValueError("min_speech_ms must be below max_utterance_ms")
        return self


class ConversationSettings(Section):
    """How turns follow one another."""

    follow_up_ms: Milliseconds = 0
    """Listen this long after an answer without a wake word; 0 is off."""
    forget_after_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """A conversation is over after this much quiet; the next turn starts a new one."""
    interruption: Literal["auto", "off", "wake_word", "speech"] = "auto"
    """What stops an answer: any speech over it, or the wake word, if there is one. auto: any speech where
    audio.echo_cancellation keeps the assistant from hearing itself, otherwise the wake word."""
    interruption_ms: Milliseconds = 40
    """Speech within a quarter of a second that stops an answer. More lets coughs and knocks pass, which stop
    it only for a moment: it goes on where it stopped. Less than 40 is a click."""
    apology: Annotated[str, Field(min_length=1)] = "Sorry, something went wrong."
    """Said instead of an answer that failed."""
    turn_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Give up on an answer when no part of it comes for this long."""
    ring_limit_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """A timer or alarm that nobody stops falls silent after this long."""
    speculate: bool = True
    """Work on the answer during the pause that may end the turn; thrown away if you go on."""


class SkillsSettings(Section):
    """What is answered without the language model."""

    folder: Path | None = None
    """Your own skills: Python files and YAML sentences that only you can write to; null is none."""


class PrivacySettings(Section):
    """What is kept of what was said."""

    log_transcripts: bool = False
    """Write what was said and answered into the log."""


class LogSettings(Section):
    """What the assistant tells about itself, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is written to stderr."""


class StoreSettings(Section):
    """Where big files lie."""

    models: Path | None = None
    """Where models are kept; null is ~/.local/share/assistant/models (XDG)."""


class Settings(Section):
    """The whole configuration of one assistant."""

    device: str = "auto"
    """Board profile: a file of config/devices/ without its ending; auto recognises the board."""
    audio: AudioSettings = AudioSettings()
    wake: WakeSettings = WakeSettings()
    vad: VadSettings = VadSettings()
    endpoint: EndpointSettings = EndpointSettings()
    stt: SttSettings = SttSettings()
    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    conversation: ConversationSettings = ConversationSettings()
    skills: SkillsSettings = SkillsSettings()
    privacy: PrivacySettings = PrivacySettings()
    log: LogSettings = LogSettings()
    store: StoreSettings = StoreSettings()
