"""Everything that can be set: its key, type, bounds, default and reason.

Defaults live here and, for the engines, in ``engines``, nowhere else:
``config/assistant.yaml`` is written from them and ``assistant config schema`` prints them as JSON
Schema. How files, board profiles and the environment are layered is in ``load``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from assistant.settings.engines import (
    Fraction,
    LlmSettings,
    Milliseconds,
    Section,
    SttSettings,
    TtsSettings,
    VadSettings,
    WakeSettings,
    WebAddress,
)


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
    reference_channel: Annotated[int, Field(ge=1, le=2)] | None = None
    """Channel of a stereo microphone that carries what the speaker plays (a loopback channel). The echo
    canceller uses it as its reference, and the other channel is the microphone. `assistant doctor --sound`
    tells whether there is one; null uses what is sent to the speaker."""
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
    silent_minutes: Annotated[float, Field(ge=0, le=1440)] = 5.0
    """A microphone that gives nothing but zeros for so long is taken for lost and opened again; 0: never. A
    real room always has some noise, but a microphone with a noise gate of its own hides it."""
    earcons: EarconSettings = EarconSettings()


class CoresSettings(Section):
    """Which processor cores do what."""

    pin: bool = True
    """With three cores or more, keep one for listening and the models on the others. `assistant doctor` shows
    which; `assistant bench cores` measures what it is worth here."""
    engines: tuple[Annotated[int, Field(ge=0, lt=8192)], ...] = ()
    """Cores for the models, by number; empty: the fastest, one thread on each. They take turns on them."""


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
    read_ahead_ms: Milliseconds = 800
    """So often while somebody speaks the words so far are recognised, and the model reads them; 0: never."""
    pause_ms: Milliseconds = 100
    """The first pause: transcription starts here, in case the turn is over. With 140, 7 turns
    instead of 9 were begun in vain over 16 recordings, and answers came 30 ms later."""
    complete_ms: Milliseconds = 260
    """Silence that ends a turn whose words are complete (a skill matched, or a final stop)."""
    unclear_ms: Milliseconds = 600
    """Silence that ends a turn otherwise."""
    unfinished_ms: Milliseconds = 1200
    """Silence that ends a turn whose words ask for more ("and", "the", "um")."""
    turn_model: str | None = None
    """A model of kind turn (smart-turn-v3) that hears whether you have finished; null judges by the words."""
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
    repair_ms: Milliseconds = 1000
    """Until so much of an answer was heard, what you say goes on with what you said before; 0 is never."""
    apology: Annotated[str, Field(min_length=1)] = "Sorry, something went wrong."
    """Said instead of an answer that failed."""
    turn_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Give up on an answer when no part of it comes for this long."""
    ring_limit_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """A timer or alarm that nobody stops falls silent after this long."""
    speculate: bool = True
    """Work on the answer during the pause that may end the turn; thrown away if you go on."""


class HomeAssistantSettings(Section):
    """Home Assistant answers what no skill here does, and does it; the rest is for the language model."""

    url: WebAddress | None = None
    """Such as http://homeassistant.local:8123; null is off."""
    token: SecretStr | None = None
    """A long-lived access token of it. Better in a file of its own."""
    token_file: Path | None = None
    """File with nothing but the token; null is the systemd credential home-assistant-token."""
    agent: str | None = None
    """Which of its conversation agents, such as conversation.home_assistant; null is its usual one."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Go on without it when it has not answered by then."""
    when_away: Literal["llm", "apology"] = "llm"
    """Who answers then: the language model, or a sentence that says so."""


class SkillsSettings(Section):
    """What is answered without the language model."""

    folder: Path | None = None
    """Your own skills: Python files and YAML sentences that only you can write to; null is none."""
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()


class PlaceSettings(Section):
    """Where the assistant is: for sunrise, public holidays and emergency numbers."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """Two-letter code of the country, such as US or DE."""
    city: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    """The city, or a larger one nearby, such as Berlin; null uses the capital."""


class KnowledgeSettings(Section):
    """Facts that are answered from sources instead of the language model."""

    tables: str = "knowledge-en"
    """The knowledge tables: a model of kind knowledge. `scripts/knowledge` makes them."""


class GpioSettings(Section):
    """A button and a lamp on the pins of a Raspberry Pi (needs the extra `gpio`)."""

    button: Annotated[int, Field(ge=0, le=63)] | None = None
    """BCM number of the pin that a button connects with ground. A press listens, or ends what is said or
    rung; a second long it mutes or unmutes. null is none."""
    lamp: Annotated[int, Field(ge=0, le=63)] | None = None
    """BCM number of the pin of a lamp: lit while it listens, blinking while it thinks, speaks or is out of
    order, a short flash every three seconds while muted. null is none."""


class PrivacySettings(Section):
    """What is kept of what was said."""

    log_transcripts: bool = False
    """Write what was said and answered into the log."""
    record_failed_turns: bool = False
    """Keep what was said in turns that failed or were taken for noise, as sound files in the folder
    `recordings` beside the timers. Switched off, those that are there go at the next start."""
    recordings_days: Annotated[int, Field(ge=1, le=365)] = 7
    """Recordings older than this are deleted."""
    recordings_mb: Annotated[int, Field(ge=1, le=10_000)] = 50
    """The oldest recordings go when all together take more; a minute takes 2 MB."""


class SheddingSettings(Section):
    """When to make do with less, before something fails: `assistant doctor` says what was given up. Each
    value may be 0: never."""

    memory_mb: Annotated[float, Field(ge=0, le=1_000_000)] = 80.0
    """So little memory left, and the language model gets half its context. The recogniser and the voice take
    up to 100 MB more for a moment each: below that something may have to go."""
    stalled_percent: Annotated[float, Field(ge=0, le=100)] = 20.0
    """The same where programs wait for memory for so much of the time: then a model's weights are read from
    the disk again and again. Only kernels with PSI tell."""
    disk_mb: Annotated[float, Field(ge=0, le=1_000_000)] = 100.0
    """So little of the disk left, and nothing is kept on it but timers and lists."""
    hot_c: Annotated[float, Field(ge=0, le=150)] = 80.0
    """From this temperature on the language model gets half its threads: where a Raspberry Pi slows down
    by itself, and less evenly."""


class LogSettings(Section):
    """What the assistant tells about itself, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is written to stderr."""


class ServicesSettings(Section):
    """What others may use; nothing listens unless it is named here."""

    wyoming: Annotated[str, Field(pattern=r"^(tcp|unix)://")] | None = None
    """Where Home Assistant may use the ears and the voice, such as tcp://0.0.0.0:10300: anybody who reaches
    that address can. Needs the extra `services`."""


class StoreSettings(Section):
    """Where big files lie."""

    models: Path | None = None
    """Where models are kept; null is ~/.local/share/assistant/models (XDG)."""
    key_file: Path | None = None
    """File with the key of encrypted models, readable by its owner only; null is the systemd credential
    model-key, where there is one."""


class Settings(Section):
    """The whole configuration of one assistant."""

    device: str = "auto"
    """Board profile: a file of config/devices/ without its ending; auto recognises the board."""
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
        """The largest number of threads that is fixed for an engine; 0 where none is."""
        return max(section.threads for section in (self.stt, self.llm, self.tts))
