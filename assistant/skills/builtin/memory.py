"""Remembering what people say, until they say to forget it."""

from __future__ import annotations

from datetime import datetime

from assistant.knowledge import recall
from assistant.knowledge.memories import MemoryBook
from assistant.text.en import wording

_TOLD_AT_ONCE = 5
"""More than these nobody wants to listen to."""


def remember(text: str, memories: MemoryBook, now: datetime) -> str:
    """Remember something, in the words in which it was told."""
    memories.add(text, now)
    return f"I'll remember that {recall.to_them(text)}."


def forget_memory(text: str, memories: MemoryBook) -> str:
    """Forget what was told about something."""
    found = memories.find(recall.stems(text))
    if found is None:
        return f"I don't remember anything about {recall.to_them(text)}."
    memories.forget([found])
    return f"I've forgotten that {recall.to_them(found.text)}."


def forget_last_memory(memories: MemoryBook) -> str:
    """Forget what was told last."""
    if not memories.all():
        return "You haven't asked me to remember anything."
    last = memories.all()[-1]
    memories.forget([last])
    return f"I've forgotten that {recall.to_them(last.text)}."


def forget_all_memories(memories: MemoryBook) -> str:
    """Forget everything that was told."""
    count = len(memories.all())
    if not count:
        return "You haven't asked me to remember anything."
    memories.forget(memories.all())
    return f"I've forgotten {wording.count(count, 'thing')} that you told me."


def tell_memories(memories: MemoryBook) -> str:
    """Tell what is remembered, the newest first."""
    told = [recall.to_them(memory.text) for memory in reversed(memories.all())]
    if not told:
        return "You haven't asked me to remember anything."
    said = "; ".join(f"that {text}" for text in told[:_TOLD_AT_ONCE])
    more = len(told) - _TOLD_AT_ONCE
    return f"You told me {said}{f'; and {wording.number(more)} more' if more > 0 else ''}."
