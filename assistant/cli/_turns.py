"""Displays a turn: for people as a dialog with times, for programs as a line of JSON."""

from __future__ import annotations

import json
from typing import Any

from assistant.dialog.report import Report


def as_text(report: Report) -> str:
    """Format what was said and answered, and where the time went."""
    if report.refused:
        return f"     (not speech: {report.refused})"
    latency = report.latency_ms()
    times = ", ".join(
        f"{name.replace('_', ' ')} {ms} ms" for name, ms in latency.items() if name != "response"
    )
    lines = [f"You: {report.transcript}", f"  -> {report.reply or '(no answer)'}"]
    if "response" in latency:
        lines.append(f"     answered by {report.handled_by} after {latency['response']} ms ({times})")
    return "\n".join(lines)


def as_json(report: Report, began_s: float) -> str:
    """Format as one line. Times of day are seconds since the conversation began."""
    times = report.times_s
    document: dict[str, Any] = {
        "turn": report.number,
        "transcript": report.transcript,
        "reply": report.reply,
        "handled_by": report.handled_by,
        "end_of_speech_s": _since(began_s, times.get("speech_end")),
        "first_audio_s": _since(began_s, times.get("first_audio")),
        "latency_ms": report.latency_ms(),
        "interrupted": report.interrupted,
        "refused": report.refused,
        "error": report.error,
    }
    return json.dumps(document, ensure_ascii=False)


def _since(began_s: float, time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s - began_s, 3)
