"""Filters a model's reply for the user: removes thoughts, tool calls, control tokens and further turns.

Models of all families mark these, some of them as plain text. A reply arrives in pieces, and a mark may be
split across several, so text that may begin a mark is held back until that is clear.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_WIDE = "\N{FULLWIDTH VERTICAL LINE}"


class _Block(NamedTuple):
    """Text that is removed together with its marks."""

    opens: str
    closes: str


def _tag(name: str) -> _Block:
    return _Block(rf"<{name}(?:\s[^<>]*)?>", rf"</{name}>")


_THOUGHTS = (
    *(
        _tag(name)
        for name in ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "analysis")
    ),
    *(_tag(name) for name in ("scratchpad", "inner_monologue", "seed:think", "longcat_think", "mm:think")),
    _Block(r"\[THINK\]", r"\[/THINK\]"),
    _Block(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    _Block(r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    _Block(r"<\|think_start\|>", r"<\|think_end\|>"),
    _Block(r"<\|open\|>think<\|sep\|>", r"<\|close\|>think<\|sep\|>"),
    _Block(r"◁think▷", r"◁/think▷"),
    _Block(r"Here are my reasoning steps:", r"\[BEGIN FINAL RESPONSE\]"),
)
_CALLS = (
    *(
        _tag(name)
        for name in ("tool_call", "tool_calls", "tool_response", "tools", "function_call", "invoke")
    ),
    *(_tag(name) for name in ("function_calls", "minimax:tool_call")),
    _Block(r"<function=[^<>]*>", r"</function>"),
    _Block(
        r"<\|tool_call(?:s_section)?(?:_begin|_start)?\|>",
        r"<\|(?:/tool_call|tool_call(?:s_section)?_end)\|>",
    ),
    _Block(r"<\|START_ACTION\|>", r"<\|END_ACTION\|>"),
    _Block(rf"\[TOOL_CALLS\]|<\|python_tag\|>|<{_WIDE}tool▁calls▁begin{_WIDE}>", r"\Z(?!)"),  # to the end
    _Block(
        r"<\|channel\|>(?!final)\w*[^<]*<\|message\|>|<\|channel>(?!final)\w*",
        r"<\|(?:end|call|return)\|>|<channel\|>",
    ),
)
_BLOCKS = (*_THOUGHTS, *_CALLS)

_END = (
    r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end_of_turn|endofprompt|return|user|im_start)\|>"
    r"|<(?:end_of_turn|start_of_turn|end_of_utterance|eos|EOT|s)>|</s>|\[/?INST\]|<\|END_RESPONSE\|>"
    rf"|<{_WIDE}end▁of▁sentence{_WIDE}>"
    r"|\n[ \t]*(?:#{2,}\s*)?(?:User|Human|Instruction|Input|USER|HUMAN)\s*:"
)
"""The reply ends at these, unless nothing was said before (a template's own beginning)."""

_SILENT = (
    r"<\|start\|>assistant|<\|channel\|>final[^<]*<\|message\|>|<\|[\w/ ]{1,40}\|>|<(?:bos|pad|unk)>"
    rf"|<{_WIDE}[^{_WIDE}<>]{{1,40}}{_WIDE}>"
    r"|\[BEGIN FINAL RESPONSE\]|<(?:answer|response|final|output)>|</(?:answer|response|final|output)>"
)
"""Marks that mean nothing to the user."""
_START = r"\A\s*(?:#{2,}\s*)?(?:Assistant|ASSISTANT|AI|Response|Output)\s*:[ \t]*"
_JSON = r'\{\s*"(?:name|function|tool|tool_name|action|arguments|parameters)"\s*:'
_CALL = r"(?<![\w.])[A-Za-z]\w*_\w*\((?=\s*(?:\w+\s*=|[\"'{\[)]))"

_MARK = re.compile(
    "|".join(
        [
            *(f"(?P<open{number}>{block.opens})" for number, block in enumerate(_BLOCKS)),
            f"(?P<end>{_END})",
            f"(?P<silent>{_SILENT})",
            f"(?P<json>{_JSON})",
            f"(?P<call>{_CALL})",
        ]
    )
)
_CLOSERS = [re.compile(block.closes) for block in _BLOCKS]
_LONE_CLOSER = re.compile("|".join(block.closes for block in _THOUGHTS))
_HELD = re.compile(
    r"(?:<[^<>\s]{0,40}(?:\s[^<>\n]{0,60})?|<\|channel\|>[^<]{0,40}(?:<[\w|]{0,10})?|<\|open\|>\w{0,6}(?:<[\w|]{0,5})?"
    r"|<\|start\|>\w{0,10}|\[[/A-Z_ ]{0,24}|◁/?\w{0,6}"
    r"|[A-Za-z]\w*|[A-Za-z]\w*_\w*\(\s*\w{0,40}\s*|\{\s*(?:\"\w{0,12}\"?\s*)?"
    r"|\n[ \t#]*[A-Za-z]{0,11}[ \t]*|Here(?: a(?:re?)?(?: my?(?: r[a-z]*(?: s[a-z]*)?)?)?)?)\Z"
)
"""The end of a text that may begin a mark."""
_FIRST = re.compile(r"\A\s*(?:#+\s*)?[A-Za-z]{0,9}\s*\Z")
_LONGEST_CALL = 2000
"""In characters; a longer text that never closes was not a call."""

_OPENED = re.compile(rf"(?:{'|'.join(block.opens for block in _THOUGHTS)})\s*\Z")


def opened_thought(prompt: str) -> str:
    """Return the mark that closes the thoughts in which ``prompt`` ends; empty if it opens none."""
    opened = _OPENED.search(prompt)
    if opened is None:
        return ""
    mark = opened.group().strip()
    for opens, closes in (
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<|think_start|>", "<|think_end|>"),
        ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
        ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
    ):
        if mark == opens:
            return closes
    return f"</{mark[1:-1].split()[0]}>"


class Outspoken:
    """Processes one reply, piece by piece, and returns the part for the user."""

    def __init__(self) -> None:
        self._text = ""
        self._inside: int | str | None = None
        self._is_over = False
        self._has_said = False
        self._at_start = True

    def add(self, piece: str) -> str:
        """Add the next piece; returns the text that is certain now."""
        self._text += piece
        return self._take(is_over=False)

    def finish(self) -> str:
        """Return the text that was held back and isn't a mark, since the reply is complete."""
        return self._take(is_over=True)

    def _take(self, *, is_over: bool) -> str:
        said: list[str] = []
        while not self._is_over:
            if self._inside is not None:
                if not self._leave(is_over=is_over):
                    break
                continue
            if lone := _LONE_CLOSER.search(self._text):
                opener = _MARK.search(self._text)
                if opener is None or opener.start() >= lone.start():
                    self._text = self._text[lone.end() :].lstrip()
                    said = [] if not self._has_said else said
                    continue
            if self._at_start and not self._begin(is_over=is_over):
                break
            mark = _MARK.search(self._text)
            held = None if is_over else _HELD.search(self._text)
            if mark is None or (held and _may_become_more(held, mark)):
                end = held.start() if held else len(self._text)
                said.append(self._text[:end])
                self._text = self._text[end:]
                break
            said.append(self._text[: mark.start()])
            self._enter(mark, "".join(said))
        if self._is_over:
            self._text = ""
        text = "".join(said)
        self._has_said = self._has_said or bool(text.strip())
        return text

    def _begin(self, *, is_over: bool) -> bool:
        """Remove "Assistant:" from the beginning; False while the text may still become that."""
        if begun := re.match(_START, self._text):
            self._text = self._text[begun.end() :]
        elif not is_over and _FIRST.match(self._text):
            return False
        self._at_start = not self._text.strip()
        return bool(self._text) or is_over

    def _enter(self, mark: re.Match[str], said: str) -> None:
        """Continue after a mark."""
        kind = mark.lastgroup or ""
        if kind == "end" and (said.strip() or self._has_said):
            self._is_over = True
            return
        if kind in {"json", "call"}:
            self._inside = "{" if kind == "json" else "("
            self._text = self._text[mark.start() if kind == "json" else mark.end() - 1 :]
            return
        self._text = self._text[mark.end() :]
        if kind.startswith("open"):
            self._inside = int(kind.removeprefix("open"))

    def _leave(self, *, is_over: bool) -> bool:
        """Drop the text inside; False until its end has arrived."""
        if isinstance(self._inside, int):
            closer = _CLOSERS[self._inside].search(self._text)
            end = closer.end() if closer else None
        else:
            end = _closing(self._text)
        if end is None:
            if is_over:
                self._text = ""
                self._inside = None
            return False
        self._text = self._text[end:].lstrip() if isinstance(self._inside, int) else self._text[end:]
        self._inside = None
        return True


def _may_become_more(held: re.Match[str], mark: re.Match[str]) -> bool:
    """True if the held text begins before this mark, or is a longer mark in the making."""
    return held.start() < mark.start() or (held.start() == mark.start() and mark["silent"] is not None)


def _closing(text: str) -> int | None:
    """Return where the bracket that ``text`` begins with closes, taking quotes into account."""
    depth, quote = 0, ""
    for place, char in enumerate(text[:_LONGEST_CALL]):
        if quote:
            quote = "" if char == quote and text[place - 1] != "\\" else quote
        elif char in "\"'" and (char == '"' or text[place - 1] in "=([{, "):
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                return place + 1
    return 0 if len(text) >= _LONGEST_CALL else None


def outspoken(text: str) -> str:
    """Return the part of a complete reply for the user."""
    reply = Outspoken()
    return reply.add(text) + reply.finish()
