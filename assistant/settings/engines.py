"""Settings of each engine. ``schema`` adds the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from assistant.core.types import Beginning
from assistant.runtime.engine_spec import specs
from assistant.settings.section import (
    Fraction,
    Section,
    Threads,
    WebAddress,
    engine_names,
    language_named,
)

BuiltInWord = Literal["okay_nabu", "hey_jarvis", "alexa", "hey_mycroft", "hey_rhasspy"]


Provider = Literal["tensorrt", "cuda", "coreml", "cpu"]


def _named_places(providers: object) -> object:
    """Replace names with a tuple; no names means all providers. Strict mode accepts a list only in JSON."""
    if isinstance(providers, str):
        return () if providers == "auto" else (providers,)
    return tuple(providers) if isinstance(providers, list) else providers


Providers = Annotated[
    tuple[Provider, ...],
    BeforeValidator(_named_places, json_schema_input_type=Literal["auto"] | Provider | list[Provider]),
    PlainSerializer(lambda names: list(names) or "auto"),
]


class TensorRtSettings(Section):
    """How TensorRT computes, if it is used."""

    fp16: bool = True
    """Compute with 16 bits instead of 32."""
    int8: bool = False
    """Compute with 8 bits, if the network has scales for it."""


class WakeWordSettings(Section):
    """A word that wakes the assistant."""

    name: BuiltInWord | None = None
    """One of the words included with the engine."""
    file: Path | None = None
    """A network of your own instead: a .tflite file for openWakeWord, with the wake word as its file name."""
    threshold: Fraction = 0.5
    """Minimum probability that counts as the wake word. Lower misses it less often; higher gives fewer
    false alarms.
    """
    trigger_level: Annotated[int, Field(ge=1, le=20)] = 1
    """How many times in a row, 80 ms apart, the probability must reach the threshold."""

    @model_validator(mode="after")
    def _one_source(self) -> WakeWordSettings:
        if (self.name is None) == (self.file is None):
            raise ValueError("set either name or file")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, spell_out: SerializerFunctionWrapHandler) -> object:
        """Serialize as briefly as possible: only the name if it says everything."""
        fields = {name: value for name, value in spell_out(self).items() if name in self.model_fields_set}
        return fields["name"] if fields.keys() == {"name"} else fields

    @property
    def label(self) -> str:
        """The word as its network is named, such as "okay_nabu"."""
        return self.name or (self.file.stem if self.file else "")

    @property
    def phrase(self) -> str:
        """The word as it is spoken, such as "okay nabu"."""
        return self.label.replace("_", " ")


def _spelled_out(word: object) -> object:
    return {"name": word} if isinstance(word, str) else word


WakeWord = Annotated[
    WakeWordSettings, BeforeValidator(_spelled_out, json_schema_input_type=BuiltInWord | WakeWordSettings)
]


class WakeSettings(Section):
    """What wakes the assistant."""

    engine: Annotated[str, engine_names("wake", "auto", "none")] = "auto"
    """auto: a wake word if its package is installed, otherwise any speech; none: any speech."""
    words: tuple[WakeWord, ...] = Field(default=("okay_nabu",), validate_default=True)
    """Wake words. An item can also be a section with name or file (your own .tflite file), and its own
    threshold and trigger_level.
    """

    @model_validator(mode="after")
    def _some_word(self) -> WakeSettings:
        if not self.words:
            raise ValueError("words needs at least one wake word")
        return self


class VadSettings(Section):
    """Voice activity detection: tells speech from other sound."""

    engine: Annotated[str, engine_names("vad")] = "webrtc"
    """webrtc uses almost no CPU; silero is better in noise and uses about 1 % of a core."""
    confirm: bool = True
    """webrtc only: silero must confirm that it is speech. Without this, a fan can keep a turn open for
    seconds.
    """
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    """webrtc only: 0 detects speech most readily, 3 only if it is clear."""
    threshold: Fraction = 0.5
    """Minimum probability for a frame to count as speech. webrtc reports only 0 or 1."""


class SttGuard(Section):
    """Which transcripts are noise rather than words. A rejected turn gets no answer."""

    min_speech_ratio: Fraction = 0.1
    """Minimum share of the utterance that the VAD must detect as speech."""
    max_uncertainty: Annotated[float, Field(ge=0, le=10)] = 1.75
    """Maximum of Whisper's no-speech probability minus its mean log-probability per token. In the
    recordings used to set this, all words but one lone digit had at most 1.74, murmurs that became
    sentences 1.79, and most noises 2 or more.
    """
    suspicious_no_speech_probability: Fraction = 0.4
    """From this no-speech probability on, the next two keys also apply."""
    min_contrast_db: Annotated[float, Field(ge=0, le=90)] = 15.0
    """Minimum difference between loud and quiet parts of an utterance. Steady noise has 14 dB or less,
    speech 16 or more.
    """
    min_words_per_s: Annotated[float, Field(ge=0, le=10)] = 0.8
    """Minimum words per second of speech, checked from 1.2 s on. People say two or more; music yields
    almost none.
    """
    max_compression_ratio: Annotated[float, Field(ge=1, le=100)] = 2.4
    """Text that zlib compresses by more than this repeats itself (Whisper paper, section 4.5)."""


class SttSettings(Section):
    """Speech to text: what was said."""

    engine: Annotated[str, engine_names("stt")] = "faster_whisper"
    """faster_whisper: Whisper on CTranslate2."""
    model: str = "whisper-tiny.en"
    """A model of kind stt from `assistant models list`."""
    language: Annotated[str, AfterValidator(language_named)] = "en"
    """Language you speak: a code or a name such as en, en-US or English. With a multilingual model, "auto"
    detects it.
    """
    compute_type: Literal["int8", "int8_float32", "int8_float16", "float16", "float32", "auto"] = "int8"
    """Number format for computing. If it isn't available, the closest one is used."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where it runs. auto: on a GPU if there is one. A GPU that fails to start is ignored."""
    beam_size: Annotated[int, Field(ge=1, le=10)] = 1
    """1 is greedy: fastest, and just as good on short sentences."""
    short_context: bool = True
    """Encode only the length of the speech instead of 30 s; a doubtful result is repeated in full."""
    threads: Threads = 0
    """Threads; 0 uses all big cores."""
    guard: SttGuard = SttGuard()


class ServerSettings(Section):
    """The server used with llm.engine openai: any server with an OpenAI-compatible API."""

    url: WebAddress = "http://127.0.0.1:8080/v1"
    """Base URL of its API. With http, others on the network can read what you say, and the key."""
    model: Annotated[str, Field(min_length=1)] = "default"
    """Model name on the server; llama-server accepts any."""
    key: SecretStr | None = None
    """API key. It's safer in a separate file (key_file) or in ASSISTANT__LLM__SERVER__KEY."""
    key_file: Path | None = None
    """File that contains only the key; null uses the systemd credential llm-key, if there is one."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """How long to wait for a connection."""
    first_token_timeout_s: Annotated[float, Field(gt=0, le=600)] = 1.25
    """The local model answers if nothing arrives for this long, including connecting and retries. Its own
    first word takes more time: 3 s of silence would be too long, and a slow board needs half of that.
    """
    idle_timeout_s: Annotated[float, Field(gt=0, le=600)] = 1.5
    """The local model continues a reply that stalls for this long."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often to retry a server that is busy or unreachable, within that time."""
    fallback: bool = True
    """Also load the local model (llm.model), and answer with it if the server doesn't. It uses memory all
    the time. Without it, you get an apology instead.
    """


class LlmSettings(Section):
    """The language model: what to answer."""

    engine: Annotated[str, engine_names("llm")] = "llama_cpp"
    """llama_cpp: a GGUF file on llama.cpp; onnx: an ONNX decoder on ONNX Runtime (docs/onnx.md); openai:
    your own server (llm.server), with llama.cpp as a fallback.
    """
    model: str = "auto"
    """A model of kind llm from `assistant models list`. auto: what `assistant models choose` found best here;
    before it has run, the largest common one that fits. `assistant config show` says which, and why.
    """
    auto_model: str | None = None
    """The largest model that auto takes before `assistant models choose` has run; null: any that fits."""
    adapter: str | None = None
    """A LoRA adapter for that model: a GGUF file, or the name of one imported with kind llm. It can be
    changed without a restart. llama_cpp only.
    """
    adapter_scale: Annotated[float, Field(ge=0, le=4)] = 1.0
    """Adapter strength: 1 as trained, 0 off."""
    tools: Literal["auto", "on", "off"] = "auto"
    """Let the model call skills (timers, lists, ...) if none of their sentences match. auto: only larger
    models, because small ones call skills nobody asked for; docs/skills.md has the figures. Not with
    openai.
    """
    knowledge: Literal["judged", "never", "always"] = "judged"
    """What the model answers from memory when you ask for facts. judged: only what is probably right, by its
    own probabilities; models with less than 1 billion parameters answer no such question. Talk passes.
    """
    prompt: str = "default"
    """System prompt: a file in config/prompts/ without its extension, or the path of your own."""
    context_tokens: Annotated[int, Field(ge=256, le=131_072)] = 2048
    """Maximum tokens of prompt and reply together; more needs more memory."""
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 160
    """Maximum length of a reply. One minute of speech is about 200 tokens."""
    history_tokens: Annotated[int, Field(ge=0, le=100_000)] = 1200
    """Maximum tokens of earlier turns; the oldest turns are dropped first."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.4
    """0 always picks the most likely word; higher values vary more and repeat the last answer less."""
    top_p: Fraction = 0.9
    """Choose among the most likely words that together have this probability."""
    top_k: Annotated[int, Field(ge=0, le=1000)] = 40
    """Choose among this many words at most; 0 is no limit."""
    min_p: Fraction = 0.05
    """Ignore words less likely than this share of the most likely one."""
    repeat_penalty: Annotated[float, Field(ge=1, le=2)] = 1.1
    """Values above 1 discourage repetition."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None
    """A number makes replies repeatable; null doesn't."""
    stop: tuple[str, ...] = ()
    """End the reply before any of these texts; the model's own end tokens always end it."""
    providers: Providers = Field(default="auto", validate_default=True)
    """onnx only: where it runs, in order of preference: tensorrt, cuda, coreml, cpu. "auto" tries all
    available.
    """
    tensorrt: TensorRtSettings = TensorRtSettings()
    flash_attention: bool = False
    """llama_cpp only, like all keys down to mlock. Attention in one pass over the KV cache: half as fast
    on a CPU, required on most GPUs.
    """
    kv_type: Literal["f16", "q8_0"] = "f16"
    """Number format of the KV cache; q8_0 takes half the memory, is slower, and needs flash_attention."""
    micro_batch: Annotated[int, Field(ge=8, le=512)] = 128
    """Prompt tokens read at once. On a CPU, 64 to 512 are equally fast; more needs more memory, and delays
    interruptions.
    """
    draft_tokens: Annotated[int, Field(ge=0, le=16)] = 2
    """Guess this many tokens from earlier text and check them in one step: repeated text is written up to
    twice as fast (docs/performance.md). Higher values help with summaries; 0 turns it off.
    """
    mmap: bool = True
    """Map the model file instead of copying it: starts faster, and pages can be dropped if memory is
    short.
    """
    mlock: bool = False
    """Keep the model in memory even if memory is short (needs permission: LimitMEMLOCK, ulimit -l)."""
    threads: Threads = 0
    """Threads; 0 uses all big cores. Fewer are better while other programs keep the cores busy."""
    server: ServerSettings = ServerSettings()

    @property
    def needs_model(self) -> bool:
        """True if ``model`` is used at all."""
        has_none = self.engine == "openai" and not self.server.fallback
        return specs("llm")[self.engine].needs_model and not has_none

    @model_validator(mode="after")
    def _fits(self) -> LlmSettings:
        if self.max_tokens + self.history_tokens >= self.context_tokens:
            raise ValueError("max_tokens + history_tokens must be less than context_tokens")
        if self.kv_type != "f16" and not self.flash_attention:
            raise ValueError("kv_type q8_0 needs flash_attention: true")
        if self.adapter is not None and self.engine == "onnx":
            raise ValueError("adapter needs engine llama_cpp")
        return self


class TtsSettings(Section):
    """Text to speech: the voice."""

    engine: Annotated[str, engine_names("tts")] = "coqui"
    """coqui: VITS voices, in Coqui's or Piper's format."""
    runtime: Literal["onnx", "torch"] = "onnx"
    """onnx: ONNX Runtime, light; torch: Coqui's own `TTS.api` (needs the `coqui` extra)."""
    model: str = "voice-en-us-joe"
    """A model of kind tts from `assistant models list`; with runtime torch, one of Coqui's own names."""
    speaker: str | int | None = None
    """For a voice with several speakers: a name or number."""
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    """1 is the voice's own speed; 1.2 is a fifth faster."""
    noise_scale: Annotated[float, Field(ge=0, le=2)] | None = None
    """Variation of the sound; null uses the voice's own value."""
    noise_width_scale: Annotated[float, Field(ge=0, le=2)] | None = None
    """Variation of the rhythm; null uses the voice's own value."""
    providers: Providers = Field(default="auto", validate_default=True)
    """onnx only: where it runs, in order of preference: tensorrt, cuda, coreml, cpu. "auto" tries all
    available.
    """
    tensorrt: TensorRtSettings = TensorRtSettings()
    phrase_cache: bool = True
    """Cache the audio of phrases that skills often say, such as times and sums, but nothing personal. Up
    to 18 MB.
    """
    begin_with: Beginning = "words"
    """What is spoken first: a few words up to a breath, the first clause, or the first sentence. Words
    need a model that writes much faster than people speak; otherwise a gap follows them.
    """
    threads: Threads = 0
    """Threads; 0 uses all big cores."""
