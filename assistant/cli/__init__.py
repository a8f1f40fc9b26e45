"""The subcommands of `assistant`, one module each.

Each has ``add_parser``, which declares its arguments, and ``run``, which returns the exit status.
"""
