"""``assistant bench llm``: the language model compared with a bare loop of llama.cpp's own calls.

Both use the same file, context, threads, and number of tokens, alternating in the same run. The bare loop
takes the most likely token and doesn't detokenize; ours samples, detokenizes, and can be interrupted. Neither
drafts tokens (``bench draft`` measures that). A short conversation then shows how much of each prompt is
processed again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.app import build as app
from assistant.app import engines as loading
from assistant.app import model_choice
from assistant.board.cores import big_cores
from assistant.engines.llm.llama_cpp.gguf import find_model
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.measuring import (
    Document,
    Result,
    columned,
    in_turn,
    median,
    percentile,
    ratio,
    rounded,
    table,
    timed,
)
from assistant.tools.bench.lib.variants import changed

TOKENS = 64
"""Generated per round; enough that the first token doesn't matter."""

QUESTIONS = (
    "Tell me a long story about a fox and a hen.",
    "Why is the sky blue?",
    "And why is it red in the evening?",
    "Who found that out?",
)
"""The first measures speed; the others form the conversation."""


@dataclass(frozen=True, slots=True)
class Written:
    """One reply."""

    first_token_s: float
    """From the call to the first token: the time to process the new part of the prompt."""
    tokens_per_s: float
    """After the first token."""


def run(settings: Settings, *, rounds: int, progress: Callable[[str], None]) -> Result:
    """Generate with both, then hold a conversation. Raises any AssistantError."""
    short = changed(settings, {"llm": {"max_tokens": TOKENS, "draft_tokens": 0}})
    engine: Any = loading.load_llm(short)
    engine.warm_up()
    conversation = app.new_conversation(short, engine)
    engine.prime(conversation.messages_for(""))
    prompt = conversation.messages_for(QUESTIONS[0])
    bare = _Bare(short, prompt_tokens=engine.count_tokens(prompt))

    def ours() -> Written:
        for _ in engine.stream(prompt, Cancel()):
            pass
        bare.tokens = engine.usage.tokens_generated
        return Written(engine.usage.first_token_s, engine.usage.tokens_per_s)

    contenders: list[Callable[[], Written]] = [ours, bare.write]
    for each in contenders:
        each()
    progress(f"{rounds} rounds of {bare.tokens} tokens")
    own, plain = in_turn(contenders, rounds)
    bare.close()
    progress("a conversation")
    document: Document = {"rounds": rounds, "tokens": bare.tokens}
    document["ours"], document["plain"] = _figures(own), _figures(plain)
    document["ratio"] = ratio(document["ours"]["tokens_per_s"], document["plain"]["tokens_per_s"])
    document["conversation"] = _conversation(engine, conversation)
    engine.close()
    return Result(_as_text(document), document)


def _figures(written: Sequence[Written]) -> Document:
    return {
        "tokens_per_s": rounded(median(each.tokens_per_s for each in written), 2),
        "tokens_per_s_p5": rounded(percentile((each.tokens_per_s for each in written), 5), 2),
        "first_token_p50_ms": rounded((median(each.first_token_s for each in written) or 0.0) * 1000, 1),
        "n": len(written),
    }


def _conversation(engine: Any, conversation: Any) -> list[Document]:
    """Return, for each turn's prompt, its length, its new tokens, and the tokens processed.

    The first prompt follows the system prompt, which is already cached.
    """
    turns = []
    known = None
    for question in QUESTIONS[1:]:
        reply = "".join(engine.stream(conversation.messages_for(question), Cancel()))
        usage = engine.usage
        turns.append(
            {
                "prompt": usage.tokens_prompt,
                "new": None if known is None else usage.tokens_prompt - known,
                "read": usage.tokens_evaluated,
                "first_token_ms": round(usage.first_token_s * 1000, 1),
            }
        )
        conversation.add(question, reply)
        known = usage.tokens_prompt + usage.tokens_generated
    return turns


class _Bare:
    """The model in llama.cpp with default parameters, except context and threads."""

    def __init__(self, settings: Settings, *, prompt_tokens: int) -> None:
        import llama_cpp.llama_cpp as lib  # noqa: PLC0415 - only this bench needs the library itself

        self._lib = lib
        self.tokens = TOKENS
        """Number of tokens to generate."""
        with loading.store_of(settings).opened(model_choice.choice(settings).model, "llm") as folder:
            file = find_model(folder).file
            self._model = lib.llama_model_load_from_file(bytes(file), lib.llama_model_default_params())
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = settings.llm.context_tokens
        parameters.n_threads = parameters.n_threads_batch = settings.llm.threads or len(big_cores())
        self._context = lib.llama_init_from_model(self._model, parameters)
        self._sampler = lib.llama_sampler_init_greedy()
        # The speed doesn't depend on the tokens.
        self._prompt = (lib.llama_token * prompt_tokens)(*range(1000, 1000 + prompt_tokens))

    def write(self) -> Written:
        lib, context = self._lib, self._context

        def read() -> int:
            lib.llama_memory_clear(lib.llama_get_memory(context), True)  # noqa: FBT003
            lib.llama_decode(context, lib.llama_batch_get_one(self._prompt, len(self._prompt)))
            return int(lib.llama_sampler_sample(self._sampler, context, -1))

        def write(token: int) -> None:
            for _ in range(self.tokens - 1):
                lib.llama_decode(context, lib.llama_batch_get_one((lib.llama_token * 1)(token), 1))
                token = lib.llama_sampler_sample(self._sampler, context, -1)

        first_token_s, token = timed(read)
        rest_s, _ = timed(lambda: write(token))
        return Written(first_token_s, (self.tokens - 1) / rest_s)

    def close(self) -> None:
        self._lib.llama_sampler_free(self._sampler)
        self._lib.llama_free(self._context)
        self._lib.llama_model_free(self._model)


def _as_text(document: Document) -> str:
    columns = [("", "name"), ("tokens a second", "tokens_per_s"), ("5 % below", "tokens_per_s_p5")]
    columns += [("first token ms", "first_token_p50_ms"), ("n", "n")]
    speed = columned(columns, [{"name": name, **document[name]} for name in ("ours", "plain")])
    turns = table(
        ["turn", "prompt", "new", "read", "first token ms"],
        [[number, *turn.values()] for number, turn in enumerate(document["conversation"], 1)],
    )
    return (
        f"The language model beside a bare llama.cpp loop, {document['tokens']} tokens a round\n"
        f"\n{speed}\n\nratio of the speeds: {document['ratio']}\n\n"
        f"Tokens of the prompts of a conversation\n{turns}"
    )
