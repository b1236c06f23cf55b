"""
click: the group behind `add_telemetry_command`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from franklinwh_telemetry.integrations.command import ACTIONS, EXAMPLES, HELP, OPTIONS, STATUSES, run_action, sentence

if TYPE_CHECKING:
    from franklinwh_telemetry.recorder import Telemetry


class _Action(click.Command):
    """One of the actions; its help ends with examples, by the name under which the program was started."""

    def __init__(self, telemetry: Telemetry, name: str, summary: str) -> None:
        options = OPTIONS.get(name, {}).items()
        parameters: list[click.Parameter] = [
            click.Option([option, _parameter(option)], is_flag=True, help=sentence(meaning))
            for option, meaning in options
        ]
        super().__init__(name, params=parameters, help=sentence(summary))
        self._telemetry = telemetry

    def invoke(self, ctx: click.Context) -> None:
        """Do it, and end the program with its status."""
        action = str(self.name)
        chosen = [option for option in OPTIONS.get(action, {}) if ctx.params.get(_parameter(option))]
        ctx.exit(run_action(self._telemetry, action, chosen))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit statuses."""
        _write_epilog(formatter, ctx.parent or ctx, EXAMPLES[str(self.name)])


class _Actions(click.Group):
    """The group of them."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit statuses."""
        _write_epilog(formatter, ctx, EXAMPLES[""])


def telemetry_group(telemetry: Telemetry, name: str) -> click.Group:
    """A click group *name* with the actions on, off, status, show and erase for *telemetry*."""
    group = _Actions(name, help=HELP)
    for action, summary in ACTIONS.items():
        group.add_command(_Action(telemetry, action, summary))
    return group


def _write_epilog(formatter: click.HelpFormatter, program: click.Context, examples: tuple[str, ...]) -> None:
    formatter.write_paragraph()
    formatter.write("Examples:\n")
    for line in examples:
        formatter.write(f"  {program.command_path} {line}\n")
    formatter.write_paragraph()
    formatter.write(f"{STATUSES}\n")


def _parameter(option: str) -> str:
    return f"chosen_{option.removeprefix('--')}"
