"""``assistant quantize``: a model of another number format, made, measured and installed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.board import cores
from assistant.core.errors import SettingsError
from assistant.runtime import logs, paths
from assistant.settings import load as configuration
from assistant.store import Store, open_store
from assistant.store.formats.gguf import read_header
from assistant.store.progress import Terminal, megabytes
from assistant.tools.quantize import COMMAND
from assistant.tools.quantize.command import others

if TYPE_CHECKING:
    from assistant.tools.quantize.boards import Advice
    from assistant.tools.quantize.record import Result


SHOWN = 6
"""Names of tensors that a person is told of."""

USAGE = """assistant quantize SOURCE [options]
       assistant quantize compare SOURCE --types a,b,c [options]
       assistant quantize whisper SOURCE [--to ct2-int8] [options]
       assistant quantize voice SOURCE [--to onnx] [options]
       assistant quantize lora FOLDER --base MODEL [options]"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the `assistant` parser's subcommands."""
    parser = subparsers.add_parser(
        "quantize",
        description=COMMAND.help[0].upper() + COMMAND.help[1:] + ".",
        usage=USAGE,
    )
    parser.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="a model of the store, a GGUF file, or a folder with either or with a Hugging Face checkpoint",
    )
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument("--to", metavar="FORMAT", help="q4_k_m (default), q4_0, q8_0, onnx-int4, ...")
    goal.add_argument(
        "--for", dest="board", metavar="BOARD", help="the format for a board of config/devices/"
    )
    goal.add_argument("--types", metavar="a,b,c", help="compare: the formats, or `all`")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where a checkpoint hf-... is written; it is for elsewhere",
    )
    parser.add_argument("--as", dest="name", default="", metavar="NAME", help="its name in the store")
    parser.add_argument(
        "--imatrix",
        action=argparse.BooleanOptionalAction,
        help="watch which weights matter first (default for formats of 4 bits)",
    )
    parser.add_argument(
        "--method",
        metavar="METHOD",
        help="how the numbers are found: rtn, gptq (default for 4 bits), awq, qat",
    )
    parser.add_argument(
        "--act-order",
        action=argparse.BooleanOptionalAction,
        help="gptq: round the columns first that matter most (default)",
    )
    parser.add_argument(
        "--group-size",
        type=int,
        metavar="N",
        help="onnx-int4, hf-int4: weights with one scale, 32 (default), 64 or 128",
    )
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="text to watch them on")
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="FILE",
        help="text to measure the loss on instead",
    )
    parser.add_argument(
        "--adapter", type=Path, metavar="FOLDER", help="a LoRA adapter of PEFT, made part of the model first"
    )
    parser.add_argument("--base", metavar="MODEL", help="lora: the model that the adapter is to change")
    parser.add_argument(
        "--keep-f16",
        action="append",
        metavar="REGEX",
        help="leave the tensors of these names at 16 bits; may be given again",
    )
    parser.add_argument("--output-type", metavar="TYPE", help="type of the layer that makes the words")
    parser.add_argument("--embedding-type", metavar="TYPE", help="type of the layer that reads the words")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="default: all big cores")
    parser.add_argument(
        "--force", action="store_true", help="install it although it lost more than it should"
    )
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="agree to the conditions of the source's licence; kept in mind",
    )
    parser.add_argument(
        "--dither",
        action="store_true",
        help="compare: add noise first, so that a source of few bits favours no format",
    )
    parser.add_argument("--picture", type=Path, metavar="SVG", help="compare: draw size against loss")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises AssistantError."""
    settings = configuration.load(arguments.config).settings
    logs.set_up("warning" if settings.log.level == "info" else settings.log.level)
    store = open_store(paths.models(settings.store.models))
    arguments.threads = arguments.threads if arguments.threads > 0 else len(cores.big_cores())
    terminal = Terminal(sys.stderr)
    try:
        if arguments.source[0] in others.NAMES and not Path(arguments.source[0]).exists():
            return others.run(arguments, store, terminal)
        if arguments.source[0] == "compare":
            return others.compare(arguments, store, terminal)
        return _quantize(arguments, store, terminal)
    finally:
        terminal.clear()


def _quantize(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    from assistant.tools.quantize import making  # noqa: PLC0415  its packages take a second
    from assistant.tools.quantize.recipe import DEFAULT_FORMAT, for_board  # noqa: PLC0415
    from assistant.tools.quantize.request import request_of  # noqa: PLC0415

    if arguments.dither:
        raise SettingsError("--dither is for `compare` only.", "Leave it out.")
    if arguments.base:
        raise SettingsError(
            "--base is for `quantize lora` only.", "To work an adapter into the model: --adapter FOLDER."
        )
    if len(arguments.source) != 1 or arguments.types or arguments.picture:
        raise SettingsError(
            "Either one source is quantized, or `compare` and one source are named.",
            "`assistant quantize --help` shows both.",
        )
    chosen = arguments.to or DEFAULT_FORMAT
    if arguments.board:
        chosen = for_board(arguments.board)
        terminal.note(f"For {arguments.board}: {chosen}.")
    request = request_of(arguments, arguments.source[0], chosen, arguments.method)
    result = making.make(request, store, terminal)
    terminal.clear()
    text, advice = _result_text(result), _advice(arguments, result)
    if arguments.json:
        print(
            json.dumps(result.document() | ({"for": advice.document()} if advice else {}), ensure_ascii=False)
        )
    else:
        print(text, *([advice] if advice else []), sep="\n")
    return 0


def _advice(arguments: argparse.Namespace, result: Result) -> Advice | None:
    """What to set on the board that it was made for."""
    from assistant.tools.quantize import boards  # noqa: PLC0415  as above

    files = sorted(result.path.glob("*.gguf"))
    if not arguments.board or not files:
        return None
    environ = {**os.environ, "ASSISTANT__DEVICE": arguments.board}
    settings = configuration.load(arguments.config, environ).settings
    return boards.advise(arguments.board, settings, read_header(files[0]), result.name)


def _result_text(result: Result) -> str:
    """What became of it, for people."""
    source, loss, made = result.source_loss, result.loss, result.made
    types = ", ".join(f"{count} {name}" for name, count in made.types.items())
    same = f"the same first choice in {100 * loss.same_first:.1f} % of {loss.tokens} tokens"
    lines = [
        f"Source     {result.source}, {megabytes(result.source_bytes)}, perplexity {source.perplexity:.2f}",
        f"{result.format:<10} {megabytes(result.size_bytes)}, perplexity {loss.perplexity:.2f}",
        f"Loss       {loss.kl:.4f} ± {loss.kl_error:.4f} nats per token; {same}",
        f"Tensors    {types}",
    ]
    if made.fell_back:
        lines.append(f"           {_fallbacks(made.fell_back)}")
    if result.kept_f16:
        kept = ", ".join(result.kept_f16[:SHOWN])
        more = f" and {len(result.kept_f16) - SHOWN} more" if len(result.kept_f16) > SHOWN else ""
        lines.append(f"           kept at 16 bits by --keep-f16: {kept}{more}")
    if result.spoken.answers:
        memory = f", {result.spoken.memory_mb} MB of memory" if result.spoken.memory_mb else ""
        lines.append(f"Speed      {result.spoken.tokens_per_s:g} tokens/s on this machine{memory}")
    for answer in result.spoken.answers:
        lines += [f"           > {answer.question}", f"           {answer.text or '(nothing)'}"]
    lines += [f"By force   {doubt}" for doubt in result.doubts]
    lines.append(f"Licence    {result.licence or 'not known: look where the model comes from'}")
    if result.spoken.runtime == "transformers":
        return "\n".join([*lines, f"Written    {result.path}"])
    engine = "engine: onnx, " if result.format.startswith("onnx-") else ""
    lines += [
        f"Installed  {result.path}",
        f"           To use it, write into your settings:  llm: {{{engine}model: {result.name}}}",
    ]
    return "\n".join(lines)


def _fallbacks(fell_back: dict[str, tuple[str, str]]) -> str:
    kinds = sorted({f"{wanted} became {got}" for wanted, got in fell_back.values()})
    count = f"{len(fell_back)} tensor{'s' if len(fell_back) > 1 else ''}"
    return f"{count} fell back to another type because of the length of the rows: {', '.join(kinds)}"
