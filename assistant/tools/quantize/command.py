"""``assistant quantize``: makes a model in another number format, measures it, and installs it.

For a language model, no subcommand is needed; ``compare``, ``whisper``, ``voice``, and ``lora`` are
subcommands with their own options.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.board import cores
from assistant.core.errors import SettingsError
from assistant.runtime import logs, paths
from assistant.settings import load as configuration
from assistant.store import Store, open_store
from assistant.store.formats.gguf import read_header
from assistant.store.progress import Terminal
from assistant.tools.quantize import COMMAND

if TYPE_CHECKING:
    from assistant.tools.quantize.boards import Advice

SHOWN = 6
"""How many tensor names are shown."""

USAGE = """assistant quantize SOURCE [options]
       assistant quantize compare SOURCE --types a,b,c [options]
       assistant quantize whisper SOURCE [--to ct2-int8] [options]
       assistant quantize voice SOURCE [--to onnx] [options]
       assistant quantize lora FOLDER --base MODEL [options]"""


class _Parser(argparse.ArgumentParser):
    """Delegates to the parser of the subcommand named by the first word, or of a language model."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words, chosen = list(args or ()), "model"
        if words and words[0] in _MAKERS.keys() - {"model"} and not Path(words[0]).exists():
            chosen = words.pop(0)
        return _parser(chosen).parse_known_args(words, namespace)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the `assistant` parser's subcommands."""
    subparsers.add_parser("quantize", help=COMMAND.help)
    parsers: Any = subparsers.choices
    parsers["quantize"] = _Parser("assistant quantize", add_help=False)


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Return the parser for one key of ``_MAKERS``."""
    is_model = chosen == "model"
    parser = argparse.ArgumentParser(
        f"assistant quantize{'' if is_model else f' {chosen}'}",
        usage=USAGE if is_model else None,
        description=_MAKERS[chosen].__doc__,
    )
    parser.set_defaults(run=run, make=_MAKERS[chosen])
    add = parser.add_argument
    what = "a model in the store, a GGUF file, or a folder with one of them or a Hugging Face checkpoint"
    add("source", metavar="SOURCE", help=what)
    add("--threads", type=int, default=0, metavar="N", help="number of threads (default: all big cores)")
    add("--accept-licence", action="store_true", help="accept the source's license; remembered")
    add("--json", action="store_true", help="print JSON")
    if chosen != "compare":
        add("--as", dest="name", default="", metavar="NAME", help="name of the new model in the store")
        add("--force", action="store_true", help="install it even if it lost more than allowed")
    match chosen:
        case "model":
            goal = parser.add_mutually_exclusive_group()
            goal.add_argument("--to", metavar="FORMAT", help="q4_k_m (default), q4_0, q8_0, onnx-int4, ...")
            goal.add_argument("--for", dest="board", metavar="BOARD", help="choose the format for a board")
            add("--output", type=Path, metavar="FOLDER", help="folder to write a checkpoint hf-... to")
        case "compare":
            add("--types", required=True, metavar="a,b,c", help="formats to compare, or `all`")
            add("--dither", action="store_true", help="add noise first, so the source favors no format")
            add("--picture", type=Path, metavar="SVG", help="draw size against loss")
            parser.set_defaults(name="", force=False, output=None)
        case "whisper":
            add("--to", default="ct2-int8", metavar="FORMAT", help="format (default: ct2-int8)")
        case "voice":
            add("--to", default="onnx", metavar="FORMAT", help="onnx (default), onnx-fp16 or onnx-int8")
        case "lora":
            add("--base", required=True, metavar="MODEL", help="the model that the adapter is for")
            add("--to", default="gguf", choices=("gguf",), help=argparse.SUPPRESS)
    if chosen in ("model", "compare"):
        _add_method(parser)
    return parser


def _add_method(parser: argparse.ArgumentParser) -> None:
    """Add the options for how a language model's numbers are found."""
    add, either = parser.add_argument, argparse.BooleanOptionalAction
    add("--method", help="how weights are rounded: rtn, gptq (default for 4 bits), awq, qat")
    add("--imatrix", action=either, help="measure which weights matter (default for 4-bit formats)")
    add("--act-order", action=either, help="gptq: round the most important columns first (default)")
    add("--group-size", type=int, metavar="N", help="onnx-int4, hf-int4: weights per scale: 32, 64 or 128")
    add("--calibration", type=Path, metavar="FILE", help="text for measuring importance")
    add("--validation", type=Path, metavar="FILE", help="text for measuring the loss")
    add("--adapter", type=Path, metavar="FOLDER", help="a PEFT LoRA adapter, merged into the model first")
    add("--keep-f16", action="append", metavar="REGEX", help="keep these tensors at 16 bits; repeatable")
    add("--output-type", metavar="TYPE", help="type of the output layer")
    add("--embedding-type", metavar="TYPE", help="type of the token embedding")


def run(arguments: argparse.Namespace) -> int:
    """Run the command. Raises AssistantError."""
    settings = configuration.load(arguments.config).settings
    logs.set_up("warning" if settings.log.level == "info" else settings.log.level)
    store = open_store(paths.models(settings.store.models))
    arguments.threads = arguments.threads if arguments.threads > 0 else len(cores.big_cores())
    terminal = Terminal(sys.stderr)
    try:
        status: int = arguments.make(arguments, store, terminal)
    finally:
        terminal.clear()
    return status


def _model(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    """Make a smaller or larger file of a language model, measure it, and install it."""
    from assistant.tools.quantize import making  # noqa: PLC0415  its packages take a second
    from assistant.tools.quantize.recipe import DEFAULT_FORMAT, for_board  # noqa: PLC0415
    from assistant.tools.quantize.request import request_of  # noqa: PLC0415

    chosen = arguments.to or DEFAULT_FORMAT
    if arguments.board:
        chosen = for_board(arguments.board)
        terminal.note(f"For {arguments.board}: {chosen}.")
    about = making.make(request_of(arguments, arguments.source, chosen, arguments.method), store, terminal)
    terminal.clear()
    advice = _advice(arguments, about)
    if arguments.json:
        about |= {"for": advice.document()} if advice else {}
        print(json.dumps(about, ensure_ascii=False))
    else:
        print(_card_text(about), *([advice] if advice else []), sep="\n")
    return 0


def _compare(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    """Compare formats of one model side by side. Nothing is installed."""
    from assistant.tools.quantize import comparing, picture  # noqa: PLC0415
    from assistant.tools.quantize.request import compared_request  # noqa: PLC0415  its packages take a second

    types = comparing.EVERYTHING if arguments.types == "all" else arguments.types
    names = [name for name in types.split(",") if name]
    if not names:
        raise SettingsError(
            "A comparison needs formats to compare.", "For example: `--types q8_0,q4_k_m,q4_0`."
        )
    if arguments.picture and not arguments.picture.absolute().parent.is_dir():
        raise SettingsError(
            f"There is no folder named {arguments.picture.parent}.", "Choose an existing folder."
        )
    wanted = [compared_request(arguments, arguments.source, name) for name in names]
    rows = comparing.compare(wanted, store, terminal, dither=arguments.dither)
    terminal.clear()
    if not arguments.json:
        print(comparing.table(rows), end="\n\n")
    document = {"compare": arguments.source, "rows": [row.document() for row in rows]}
    print(json.dumps(document, ensure_ascii=False))
    if file := arguments.picture:
        drawing = picture.draw(arguments.source, [row.dot() for row in rows if not row.fault])
        try:
            file.write_text(drawing, encoding="utf-8")
        except OSError as error:
            why = f"The picture {file} cannot be written: {error.strerror}."
            raise SettingsError(why, "Choose a different location.") from error
    return int(any(row.fault for row in rows))


def _whisper(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    """Make a speech recognition model from a Whisper checkpoint on Hugging Face."""
    from assistant.tools.quantize import whisper  # noqa: PLC0415  its packages take a second

    return _other(whisper, arguments, store, terminal)


def _voice(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    """Make a voice that works without torch from a Coqui VITS voice."""
    from assistant.tools.quantize import voice  # noqa: PLC0415  as above

    return _other(voice, arguments, store, terminal)


def _lora(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    """Make an adapter for a quantized model from a PEFT LoRA adapter."""
    from assistant.tools.quantize import lora  # noqa: PLC0415  as above

    return _other(lora, arguments, store, terminal)


_MAKERS = {"model": _model, "compare": _compare, "whisper": _whisper, "voice": _voice, "lora": _lora}


def _other(maker: Any, arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    from assistant.tools.quantize.request import Request  # noqa: PLC0415  as above

    given = {key: getattr(arguments, key) for key in ("name", "threads", "accept_licence", "force")}
    request = Request(arguments.source, arguments.to, base=getattr(arguments, "base", ""), **given)
    about = maker.make(request, store, terminal)
    terminal.clear()
    print(json.dumps(about, ensure_ascii=False) if arguments.json else _card_text(about))
    return 0


def _advice(arguments: argparse.Namespace, about: dict[str, Any]) -> Advice | None:
    """Return the settings for the board that the model was made for."""
    from assistant.tools.quantize import boards  # noqa: PLC0415  as above

    files = sorted(Path(about["path"]).glob("*.gguf"))
    if not arguments.board or not files:
        return None
    environ = {**os.environ, "ASSISTANT__DEVICE": arguments.board}
    settings = configuration.load(arguments.config, environ).settings
    return boards.advise(arguments.board, settings, read_header(files[0]), about["name"])


def _card_text(about: dict[str, Any]) -> str:
    """Describe the result for people."""
    from assistant.tools.quantize import card  # noqa: PLC0415  as above

    told = [(name, value) for name, value in card.rows(about).items() if value]
    if fell_back := about.get("fell_back_types"):
        kinds = ", ".join(sorted({f"{wanted} became {got}" for wanted, got in fell_back.values()}))
        told.append(("Fell back", f"{len(fell_back)} tensors, because of their row length: {kinds}"))
    if kept := about.get("kept_f16"):
        more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
        told.append(("Kept at 16 bits", f"{', '.join(kept[:SHOWN])}{more}"))
    for answer in about.get("answers", ()):
        told += [("", f"> {answer['question']}"), ("", answer["text"] or "(nothing)")]
    told += [("By force", doubt) for doubt in about["forced"]]
    if about.get("runtime") == "transformers":
        told.append(("Written", about["path"]))
    else:
        engine = "engine: onnx, " if about["format"].startswith("onnx-") and about["kind"] == "llm" else ""
        key = "adapter" if "for_model" in about else "model"
        told.append(("Installed", about["path"]))
        use = f"{about['kind']}: {{{engine}{key}: {about['name']}}}"
        told.append(("", f"To use it, add to your settings: {use}"))
    return "\n".join(f"{name:<18} {value}" for name, value in told)
