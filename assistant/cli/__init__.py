"""The subcommands of ``assistant``, one module each.

Each module has ``add_parser(subparsers)``, which declares its arguments and sets ``run`` as their default,
and ``run(arguments)``, which returns the exit status. A ``Command`` names such a module, so that it is
imported only when somebody gives that command.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand that has not been imported yet.

    Another package adds one by an entry point in the group ``shelf_assistant.commands`` that leads to it.
    """

    name: str
    help: str
    """One line for ``assistant --help``; no capital letter, no full stop."""
    module: str
    """What to import: a module with ``add_parser`` and ``run``."""
