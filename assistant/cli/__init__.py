"""The subcommands of ``assistant``, one module each.

Each module has ``add_parser(subparsers)``, which declares its arguments and sets ``run`` as their default,
and ``run(arguments)``, which returns the exit status. A ``Command`` names such a module, so that it is
imported only if that command is used.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand that has not been imported yet.

    Another package can add one with an entry point in the group ``shelf_assistant.commands``.
    """

    name: str
    help: str
    """One line for ``assistant --help``; lowercase, without a period."""
    module: str
    """The module to import, which has ``add_parser`` and ``run``."""
