"""All settings: key, type, bounds, default and description.

Defaults are defined here and, for the engines, in ``engines``, nowhere else: ``config/assistant.yaml`` is
generated from them and ``assistant config schema`` prints them as JSON Schema. ``load`` layers files, board
profiles and the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from assistant.runtime import extensions
from assistant.settings.engines import (
    LlmSettings,
    SttSettings,
    TtsSettings,
    VadSettings,
    WakeSettings,
)
from assistant.settings.extending import AT_START, Named
from assistant.settings.section import Fraction, Milliseconds, Section
from assistant.settings.skills import KnowledgeSettings, PlaceSettings, SkillsSettings


class EarconSettings(Section):
    """Short sounds that mean: listening, done, failed, muted."""

    enabled: bool = True
    """Play these sounds."""
    wake: Path | None = None
    """Sound file played when it has heard the wake word and is listening; null plays the built-in sound."""
    done: Path | None = None
    """Sound file played after a command without a spoken answer, and when it goes back to sleep on its
    own.
    """
    error: Path | None = None
    """Sound file played when something failed and could not be said aloud."""
    muted: Path | None = None
    """Sound file played when the microphone is muted."""


class AudioSettings(Section):
    """The microphone and the speaker."""

    backend: Annotated[str, Named(lambda: ("portaudio", *extensions.found("audio", object))), AT_START] = (
        "portaudio"
    )
    """How microphone and speaker are reached: through PortAudio, or as an installed package does it."""
    input: Annotated[str | None, AT_START] = None
    """Microphone: part of its name as shown by `assistant devices`; null uses the system default."""
    output: Annotated[str | None, AT_START] = None
    """Speaker: part of its name as shown by `assistant devices`; null uses the system default."""
    reference_channel: Annotated[Annotated[int, Field(ge=1, le=2)] | None, AT_START] = None
    """Channel of a stereo microphone that carries the speaker's signal (a loopback channel). The echo
    canceller uses it as its reference, and the other channel as the microphone. `assistant doctor
    --sound` tells you if there is one. null uses the signal sent to the speaker.
    """
    volume: Fraction = 1.0
    """Volume of the voice, 0 to 1."""
    echo_cancellation: Annotated[bool, AT_START] = True
    """Remove the assistant's own voice from the microphone signal, so you can speak over it. Uses 2 % of a
    core while it speaks. You don't need this with a headset, or with a microphone that cancels echo
    itself.
    """
    noise_suppression: Annotated[int, Field(ge=0, le=3), AT_START] = 0
    """Needs the `echo` extra. 0 is off; 1, 2 and 3 remove up to 12, 18 and 21 dB of steady noise. Whisper
    was trained on noisy speech, so this seldom helps; try it if there is a fan beside the microphone.
    """
    automatic_gain: Annotated[bool, AT_START] = False
    """Needs the `echo` extra. Amplify quiet voices to a constant level, for a microphone that is too
    quiet.
    """
    silent_minutes: Annotated[float, Field(ge=0, le=1440), AT_START] = 5.0
    """Reopen a microphone that delivers only zeros for this long; 0 never does. A real room always has
    some noise, but a microphone with its own noise gate hides it.
    """
    earcons: EarconSettings = EarconSettings()


class CoresSettings(Section):
    """Which processor cores do what."""

    pin: Annotated[bool, AT_START] = True
    """With three or more cores, reserve one for listening and run the models on the others. `assistant
    doctor` shows which; `assistant bench cores` measures what you gain.
    """
    engines: Annotated[tuple[Annotated[int, Field(ge=0, lt=8192)], ...], AT_START] = ()
    """Core numbers for the models; empty uses the fastest, with one thread on each. The engines take
    turns.
    """


class EndpointSettings(Section):
    """When an utterance begins and when a turn has ended."""

    start_ms: Milliseconds = 100
    """How much speech within a quarter of a second counts as a start; shorter sounds are clicks."""
    pre_roll_ms: Milliseconds = 400
    """How much sound to keep from before the first speech frame, so the first phoneme is complete, even if
    you don't pause after the wake word.
    """
    min_speech_ms: Milliseconds = 160
    """Discard utterances with less speech than this without transcribing them."""
    max_utterance_ms: Milliseconds = 28_000
    """Maximum length of an utterance; Whisper hears 30 s at a time."""
    read_ahead_ms: Milliseconds = 800
    """While you speak, transcribe the words so far this often, and let the model read them; 0 turns it
    off.
    """
    pause_ms: Milliseconds = 100
    """The first pause: transcription starts here, in case you have finished. With 140, 7 turns instead of
    9 were started in vain over 16 recordings, and answers came 30 ms later.
    """
    complete_ms: Milliseconds = 260
    """How long to wait after a complete sentence before answering (a skill matched, or it ends with a
    period).
    """
    unclear_ms: Milliseconds = 600
    """How long to wait after anything else."""
    unfinished_ms: Milliseconds = 1200
    """How long to wait after words that need a continuation ("and", "the", "um")."""
    turn_model: str | None = None
    """A model of kind turn (smart-turn-v3) that hears whether you have finished; null decides by the
    words.
    """
    listen_timeout_ms: Milliseconds = 6000
    """Go back to sleep if no one speaks for this long after the wake word."""

    @model_validator(mode="after")
    def _ordered(self) -> EndpointSettings:
        waits = (self.pause_ms, self.complete_ms, self.unclear_ms, self.unfinished_ms)
        if list(waits) != sorted(waits):
            raise ValueError("pause_ms <= complete_ms <= unclear_ms <= unfinished_ms must hold")
        if self.min_speech_ms >= self.max_utterance_ms:
            raise ValueError("min_speech_ms must be less than max_utterance_ms")
        return self


class ConversationSettings(Section):
    """How turns follow one another."""

    follow_up_ms: Milliseconds = 0
    """How long to keep listening after an answer, without a wake word; 0 is off."""
    forget_after_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """Start a new conversation after this much quiet."""
    interruption: Literal["auto", "off", "wake_word", "speech"] = "auto"
    """What stops an answer: any speech over it, or the wake word, if there is one. auto: any speech if
    audio.echo_cancellation keeps the assistant from hearing itself, otherwise the wake word.
    """
    interruption_ms: Milliseconds = 40
    """How much speech within a quarter of a second stops an answer. Higher values ignore more coughs and
    knocks, though these only pause the answer for a moment. Less than 40 is a click.
    """
    repair_ms: Milliseconds = 1000
    """If you speak before this much of an answer was played, it counts as a continuation; 0 turns it off."""
    apology: Annotated[str, Field(min_length=1)] = "Sorry, something went wrong."
    """Said instead of an answer that failed."""
    turn_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Give up on an answer if no part of it arrives for this long."""
    ring_limit_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """A timer or alarm that nobody stops rings for this long."""
    speculate: bool = True
    """Prepare the answer during a pause that may end the turn; it is discarded if you continue."""


class GpioSettings(Section):
    """A button and an LED on the pins of a Raspberry Pi (needs the `gpio` extra)."""

    button: Annotated[Annotated[int, Field(ge=0, le=63)] | None, AT_START] = None
    """BCM pin number of a button to ground. A press starts listening, or stops speech or ringing; holding
    it for a second mutes or unmutes. null is none.
    """
    lamp: Annotated[Annotated[int, Field(ge=0, le=63)] | None, AT_START] = None
    """BCM pin number of an LED: on while listening; blinking while thinking, speaking or faulted; a short
    flash every three seconds while muted. null is none.
    """

    @model_validator(mode="after")
    def _apart(self) -> GpioSettings:
        if self.button is not None and self.button == self.lamp:
            raise ValueError("button and lamp need two different pins")
        return self


class PrivacySettings(Section):
    """What is kept of what you say."""

    log_transcripts: bool = False
    """Write transcripts and answers to the log."""
    record_failed_turns: bool = False
    """Keep recordings of turns that failed or were taken for noise, as sound files in the folder
    `recordings` beside the timers. When this is off, existing ones are deleted at the next start.
    """
    recordings_days: Annotated[int, Field(ge=1, le=365)] = 7
    """Delete recordings older than this."""
    recordings_mb: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Delete the oldest recordings if they take more than this in total; a minute takes 2 MB."""


class SheddingSettings(Section):
    """When to give something up, before something fails: `assistant doctor` shows what was given up. 0
    turns a limit off.
    """

    memory_mb: Annotated[float, Field(ge=0, le=1_000_000)] = 80.0
    """Below this much free memory, halve the language model's context. The recognizer and the voice each
    need up to 100 MB more for a moment.
    """
    stalled_percent: Annotated[float, Field(ge=0, le=100)] = 20.0
    """Do the same if programs wait for memory this much of the time, because the model's weights are then
    read from disk over and over. Needs a kernel with PSI.
    """
    disk_mb: Annotated[float, Field(ge=0, le=1_000_000)] = 100.0
    """Below this much free disk space, save only timers and lists."""
    hot_c: Annotated[float, Field(ge=0, le=150)] = 80.0
    """From this temperature on, halve the language model's threads. At this point, a Raspberry Pi slows
    down on its own, and less evenly.
    """


class LogSettings(Section):
    """What the assistant writes to the log (stderr)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much to log."""


def _with_a_scheme(address: object) -> object:
    if isinstance(address, str) and not address.startswith(("tcp://", "unix://")):
        raise ValueError("this must begin with tcp:// or unix://, such as tcp://0.0.0.0:10300")
    return address


class HttpSettings(Section):
    """OpenAI's protocol, for programs that speak it (docs/api.md). Needs the `http` extra."""

    listen: Annotated[str, Field(pattern=r"^[^\s/@]+:\d{1,5}$")] = "127.0.0.1:8765"
    """Address and port. Other machines can reach it only if you also set a token."""
    token_file: Path | None = None
    """File with the secret that programs must send (`Authorization: Bearer ...`); null uses the systemd
    credential http-token, if there is one.
    """


class ServicesSettings(Section):
    """Services for other programs; only those set here are opened."""

    wyoming: Annotated[
        Annotated[str, Field(pattern=r"^(tcp|unix)://"), BeforeValidator(_with_a_scheme)] | None, AT_START
    ] = None
    """Address at which Home Assistant can use the speech recognizer and the voice, such as
    tcp://0.0.0.0:10300. Anyone who can reach it can use it. Needs the `services` extra."""
    http: Annotated[HttpSettings | None, AT_START] = None
    """OpenAI's protocol over HTTP, such as `{listen: "127.0.0.1:8765", token_file: null}` (docs/api.md)."""


class StoreSettings(Section):
    """Where large files are stored."""

    models: Path | None = None
    """Folder for models; null is ~/.local/share/assistant/models (XDG)."""
    key_file: Path | None = None
    """File with the key for encrypted models, readable only by its owner; null uses the systemd credential
    model-key, if there is one.
    """


class Settings(Section):
    """The whole configuration of one assistant."""

    device: str = "auto"
    """Board profile: a file in config/devices/ without its extension; auto recognizes the board."""
    cores: CoresSettings = CoresSettings()
    audio: AudioSettings = AudioSettings()
    wake: WakeSettings = WakeSettings()
    vad: VadSettings = VadSettings()
    endpoint: EndpointSettings = EndpointSettings()
    stt: SttSettings = SttSettings()
    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    conversation: ConversationSettings = ConversationSettings()
    skills: SkillsSettings = SkillsSettings()
    place: PlaceSettings = PlaceSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    gpio: GpioSettings = GpioSettings()
    privacy: PrivacySettings = PrivacySettings()
    shedding: SheddingSettings = SheddingSettings()
    log: LogSettings = LogSettings()
    services: ServicesSettings = ServicesSettings()
    store: StoreSettings = StoreSettings()

    @property
    def most_threads(self) -> int:
        """The largest thread count set for an engine; 0 if none is set."""
        return max(section.threads for section in (self.stt, self.llm, self.tts))
