"""
The commands of the command line as a group, some of which are loaded only when they are asked for.
"""

from __future__ import annotations

from typing import Final

import click

MAINTAINING: Final = ("report",)
"""The commands for maintainers; `run` and `--version` need none of what they load."""


class Commands(click.Group):
    """The commands that were added, and after them those for maintainers."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return [*super().list_commands(ctx), *MAINTAINING]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in MAINTAINING:
            return super().get_command(ctx, cmd_name)
        from franklinwh_telemetry import maintaining  # noqa: PLC0415 - as said above

        found: click.Command = getattr(maintaining, cmd_name)
        return found
