"""Settings of what answers without the language model: skills, Home Assistant and knowledge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from assistant.settings.section import Section, WebAddress


class HomeAssistantSettings(Section):
    """Home Assistant handles requests that match no skill; the language model gets the rest."""

    url: WebAddress | None = None
    """Such as http://homeassistant.local:8123; null is off."""
    token: SecretStr | None = None
    """A long-lived access token. It's safer in a separate file (token_file)."""
    token_file: Path | None = None
    """File that contains only the token; null uses the systemd credential home-assistant-token."""
    agent: str | None = None
    """Which conversation agent to use, such as conversation.home_assistant; null uses the default one."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Continue without it if it hasn't answered by then."""
    when_away: Literal["llm", "apology"] = "llm"
    """What answers then: the language model, or an apology that says so."""


class SkillsSettings(Section):
    """What is answered without the language model."""

    folder: Path | None = None
    """Folder with your own skills: Python files and YAML sentences that only you can write to; null is
    none.
    """
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()


class PlaceSettings(Section):
    """Where the assistant is: for sunrise, public holidays and emergency numbers."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """Two-letter code of the country, such as US or DE."""
    city: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    """The city, or a larger one nearby, such as Berlin; null uses the capital."""


class KnowledgeSettings(Section):
    """Facts that are answered from sources instead of the language model."""

    tables: str | None = "knowledge-en"
    """The knowledge tables: a model of kind knowledge, which `scripts/knowledge` makes; null leaves all
    questions to the language model."""
    folder: Path | None = None
    """Folder with your own notes: Markdown, text, and PDF (extra `notes`). Ask about them, and it reads out
    the line that answers; null is none."""
