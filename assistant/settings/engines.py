"""The settings of each engine, and the base of all groups of settings. ``schema`` adds the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from assistant.core.types import Beginning

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]
WebAddress = Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$")]
"""Neither a key in it nor a question behind it: both would be logged with it."""
Threads = Annotated[int, Field(ge=0, le=256)]


class Section(BaseModel):
    """A frozen group of keys; unknown ones are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


BuiltInWord = Literal["okay_nabu", "hey_jarvis", "alexa", "hey_mycroft", "hey_rhasspy"]


Provider = Literal["tensorrt", "cuda", "coreml", "cpu"]


def _named_places(providers: object) -> object:
    """No names mean that all are tried. Tuples, because strictness allows a list in JSON only."""
    if isinstance(providers, str):
        return () if providers == "auto" else (providers,)
    return tuple(providers) if isinstance(providers, list) else providers


Providers = Annotated[
    tuple[Provider, ...],
    BeforeValidator(_named_places, json_schema_input_type=Literal["auto"] | Provider | list[Provider]),
    PlainSerializer(lambda names: list(names) or "auto"),
]


class TensorRtSettings(Section):
    """How TensorRT computes, where it is used."""

    fp16: bool = True
    """With 16 bits instead of 32."""
    int8: bool = False
    """With 8 bits, where the network has the scales for it."""


class WakeWordSettings(Section):
    """A word that wakes the assistant."""

    name: BuiltInWord | None = None
    """One of the words that come with the engine."""
    file: Path | None = None
    """A network of your own instead: a .tflite file made for openWakeWord, named as the word is said."""
    threshold: Fraction = 0.5
    """Said, from this probability on. Lower is missed less often, higher wakes less often by mistake."""
    trigger_level: Annotated[int, Field(ge=1, le=20)] = 1
    """Said, when the threshold is reached so many times in a row, 80 ms apart."""

    @model_validator(mode="after")
    def _one_source(self) -> WakeWordSettings:
        if (self.name is None) == (self.file is None):
            raise ValueError("either name or file must be given")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, spell_out: SerializerFunctionWrapHandler) -> object:
        """As short as it may be written: a name alone where that says everything."""
        fields = {name: value for name, value in spell_out(self).items() if name in self.model_fields_set}
        return fields["name"] if fields.keys() == {"name"} else fields

    @property
    def label(self) -> str:
        """The word as its network is called, such as "okay_nabu"."""
        return self.name or (self.file.stem if self.file else "")

    @property
    def phrase(self) -> str:
        """The word as it is said, such as "okay nabu"."""
        return self.label.replace("_", " ")


def _spelled_out(word: object) -> object:
    return {"name": word} if isinstance(word, str) else word


WakeWord = Annotated[
    WakeWordSettings, BeforeValidator(_spelled_out, json_schema_input_type=BuiltInWord | WakeWordSettings)
]


class WakeSettings(Section):
    """What wakes the assistant from its sleep."""

    engine: Literal["auto", "none", "open_wake_word"] = "auto"
    """auto: a wake word where its package is installed, otherwise any speech; none: any speech."""
    words: tuple[WakeWord, ...] = Field(default=("okay_nabu",), validate_default=True)
    """Words to wait for. An item may also be a section: name, or file (a .tflite file of your own), with
    a threshold and trigger_level of its own."""

    @model_validator(mode="after")
    def _some_word(self) -> WakeSettings:
        if not self.words:
            raise ValueError("words must hold at least one")
        return self


class VadSettings(Section):
    """Voice activity detection: whether somebody is speaking."""

    engine: Literal["webrtc", "silero"] = "webrtc"
    """webrtc costs next to nothing; silero is better in noise and costs about 1 % of a core."""
    confirm: bool = True
    """webrtc only: silero must agree that it is speech. Otherwise a fan keeps a turn open for seconds."""
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    """webrtc only: 0 hears speech everywhere, 3 only where it is clear."""
    threshold: Fraction = 0.5
    """A frame is speech from this probability on. webrtc only says 0 or 1."""


class SttGuard(Section):
    """Which transcripts are noise, not words. A refused turn gets no answer."""

    min_speech_ratio: Fraction = 0.1
    """Share of the utterance that the VAD took for speech."""
    max_uncertainty: Annotated[float, Field(ge=0, le=10)] = 1.75
    """Whisper's probability that nobody spoke minus its mean log-probability per token. Of the
    recordings this was set on, all but one lone digit had at most 1.74, murmurs that became sentences
    1.79, most noises 2 or more."""
    suspicious_no_speech_probability: Fraction = 0.4
    """From this probability that nobody spoke, the next two keys count as well."""
    min_contrast_db: Annotated[float, Field(ge=0, le=90)] = 15.0
    """Loud parts over quiet parts of an utterance. Steady noise has 14 and less, speech 16 and more."""
    min_words_per_s: Annotated[float, Field(ge=0, le=10)] = 0.8
    """Words in a second of speech, from 1.2 s on. People say two or more; music becomes hardly any."""
    max_compression_ratio: Annotated[float, Field(ge=1, le=100)] = 2.4
    """Text that zlib shrinks by more than this repeats itself (Whisper paper, section 4.5)."""


class SttSettings(Section):
    """Speech to text: what was said."""

    engine: Literal["faster_whisper"] = "faster_whisper"
    """faster_whisper: Whisper on CTranslate2."""
    model: str = "whisper-tiny.en"
    """A model of kind stt from `assistant models list`."""
    language: str = "en"
    """Language spoken, as Whisper names it; "auto" with a multilingual model lets it decide."""
    compute_type: Literal["int8", "int8_float32", "int8_float16", "float16", "float32", "auto"] = "int8"
    """Number format of the weights while computing; where it does not exist, the nearest one that does."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where it runs. auto: on a card where there is one. A card that does not start is left out."""
    beam_size: Annotated[int, Field(ge=1, le=10)] = 1
    """1 is greedy: the fastest, and as good on short sentences."""
    short_context: bool = True
    """Encode only as much as was said instead of 30 s; a doubtful result is done again in full."""
    threads: Threads = 0
    """Threads; 0 takes all big cores."""
    guard: SttGuard = SttGuard()


class ServerSettings(Section):
    """Where the language model runs with llm.engine openai: any server that speaks OpenAI's language."""

    url: WebAddress = "http://127.0.0.1:8080/v1"
    """Where its API begins. With http, others on the network can read what you say, and the key."""
    model: Annotated[str, Field(min_length=1)] = "default"
    """The model's name there; llama-server takes any."""
    key: SecretStr | None = None
    """The key that it wants. Better in a file of its own, or in ASSISTANT__LLM__SERVER__KEY."""
    key_file: Path | None = None
    """File with nothing but the key; null is the systemd credential llm-key, where there is one."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Give up on a connection that takes longer."""
    first_token_timeout_s: Annotated[float, Field(gt=0, le=600)] = 1.25
    """The local model answers when nothing has come after so long, connecting and retries included. Its own
    first word comes after that: 3 s of silence are too long, and a slow board takes half of them."""
    idle_timeout_s: Annotated[float, Field(gt=0, le=600)] = 1.5
    """It goes on with a reply of which no more has come for so long."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often a server that is busy or cannot be reached is asked again, within that time."""
    fallback: bool = True
    """Load the local model (llm.model) too, and answer with it when the server does not. It takes its memory
    all the time. Otherwise there is an apology."""


class LlmSettings(Section):
    """The language model: what to answer."""

    engine: Literal["llama_cpp", "onnx", "openai"] = "llama_cpp"
    """llama_cpp: a GGUF file on llama.cpp; onnx: a decoder in ONNX on ONNX Runtime (docs/onnx.md); openai: a
    server of your own (llm.server), which llama.cpp stands in for when it is away."""
    model: str = "qwen2.5-coder-0.5b-instruct-q4_k_m"
    """A model of kind llm from `assistant models list`."""
    adapter: str | None = None
    """A LoRA adapter for that model: a GGUF file, or the name of one that was imported with kind llm. It can
    be exchanged without a restart. llama_cpp only."""
    adapter_scale: Annotated[float, Field(ge=0, le=4)] = 1.0
    """How much of it: 1 is as it was trained, 0 not at all."""
    tools: Literal["auto", "on", "off"] = "auto"
    """Whether the model may call skills (timers, lists, ...) for what no sentence of theirs fits. auto: not
    small ones, which call what nobody asked for; docs/skills.md has the figures. Not with openai."""
    prompt: str = "default"
    """System prompt: a file of config/prompts/ without its ending, or the path of your own."""
    context_tokens: Annotated[int, Field(ge=256, le=131_072)] = 2048
    """Prompt and reply together; memory grows with it."""
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 160
    """Longest reply. A spoken minute is about 200 tokens."""
    history_tokens: Annotated[int, Field(ge=0, le=100_000)] = 1200
    """What earlier turns may take of the context; the oldest turns go first."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.4
    """0 always takes the likeliest word; higher is livelier and repeats its last answer less."""
    top_p: Fraction = 0.9
    """Choose among the likeliest words that together have this probability."""
    top_k: Annotated[int, Field(ge=0, le=1000)] = 40
    """Choose among this many words at most; 0 is no limit."""
    min_p: Fraction = 0.05
    """Leave out words less likely than this share of the likeliest."""
    repeat_penalty: Annotated[float, Field(ge=1, le=2)] = 1.1
    """Above 1 discourages saying the same again."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None
    """A number makes replies repeatable; null does not."""
    stop: tuple[str, ...] = ()
    """The reply ends before any of these; the model's own end marks always end it."""
    providers: Providers = Field(default="auto", validate_default=True)
    """onnx only: where it runs, in order: tensorrt, cuda, coreml, cpu. "auto" is all that are there."""
    tensorrt: TensorRtSettings = TensorRtSettings()
    flash_attention: bool = False
    """llama_cpp only, as are the keys down to mlock. Attention in one pass over the memory: half as fast on
    a processor, needed on most graphics cards."""
    kv_type: Literal["f16", "q8_0"] = "f16"
    """Number format of the memory; q8_0 takes half, is slower, and needs flash_attention."""
    micro_batch: Annotated[int, Field(ge=8, le=512)] = 128
    """Tokens of a prompt that are read together. 64 to 512 are equally fast on a processor; memory grows with
    it, and an interruption waits for as many."""
    draft_tokens: Annotated[int, Field(ge=0, le=16)] = 2
    """Guess so many tokens from what was said before and check them in one step: what repeats is written up
    to twice as fast (docs/performance.md). More pay for summaries; 0 never guesses."""
    mmap: bool = True
    """Map the model file instead of copying it: quick to start, and its pages can go when memory is short."""
    mlock: bool = False
    """Keep the model in memory even when that is short (needs the right to: LimitMEMLOCK, ulimit -l)."""
    threads: Threads = 0
    """Threads; 0 takes all big cores. Fewer work while other programs keep the cores busy."""
    server: ServerSettings = ServerSettings()

    @property
    def needs_model(self) -> bool:
        """Whether ``model`` is used at all."""
        return self.engine != "openai" or self.server.fallback

    @model_validator(mode="after")
    def _fits(self) -> LlmSettings:
        if self.max_tokens + self.history_tokens >= self.context_tokens:
            raise ValueError("max_tokens + history_tokens must leave room in context_tokens")
        if self.kv_type != "f16" and not self.flash_attention:
            raise ValueError("kv_type q8_0 needs flash_attention: true")
        if self.adapter is not None and self.engine == "onnx":
            raise ValueError("adapter needs engine llama_cpp")
        return self


class TtsSettings(Section):
    """Text to speech: the voice."""

    engine: Literal["coqui"] = "coqui"
    """coqui: VITS voices, in Coqui's or Piper's format."""
    runtime: Literal["onnx", "torch"] = "onnx"
    """onnx: ONNX Runtime, light; torch: Coqui's own `TTS.api` (needs the extra `coqui`)."""
    model: str = "voice-en-us-joe"
    """A model of kind tts from `assistant models list`; with runtime torch one of Coqui's own names."""
    speaker: str | int | None = None
    """Speaker of a voice that has several: its name or number."""
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    """1 is the voice's own speed; 1.2 is a fifth faster."""
    noise_scale: Annotated[float, Field(ge=0, le=2)] | None = None
    """Variation of the sound; null is the voice's own value."""
    noise_width_scale: Annotated[float, Field(ge=0, le=2)] | None = None
    """Variation of the rhythm; null is the voice's own value."""
    providers: Providers = Field(default="auto", validate_default=True)
    """onnx only: where it runs, in order: tensorrt, cuda, coreml, cpu. "auto" is all that are there."""
    tensorrt: TensorRtSettings = TensorRtSettings()
    phrase_cache: bool = True
    """Keep how it sounds what skills say again and again: times and sums, not what is yours. Up to 18 MB."""
    begin_with: Beginning = "words"
    """What is spoken first: a few words up to a breath, the first clause, or the first sentence. Words
    need a model that writes much faster than people speak: elsewhere a gap follows them."""
    threads: Threads = 0
    """Threads; 0 takes all big cores."""
