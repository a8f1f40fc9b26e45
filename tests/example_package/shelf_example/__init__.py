"""An example of what a package can add to the assistant: see README.md, and pyproject.toml for how."""

from assistant.cli import Command

COMMAND = Command("knock", "write a sound file with knocks", "shelf_example.knock")
