"""
click (and typer, whose programs are click's): the group behind `add_telemetry_command`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from franklinwh_telemetry.integrations.command import ACTIONS, EXAMPLES, HELP, OPTIONS, STATUSES, run_action

if TYPE_CHECKING:
    from franklinwh_telemetry.recorder import Telemetry


class _Helping:
    """Help that ends with examples, by the name under which the program was started."""

    examples: tuple[str, ...] = ()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit statuses."""
        parent = ctx if isinstance(ctx.command, click.Group) or ctx.parent is None else ctx.parent
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for line in self.examples:
            formatter.write(f"  {parent.command_path} {line}\n")
        formatter.write_paragraph()
        formatter.write_text(STATUSES.replace("\n", " "))


class _Group(_Helping, click.Group):
    examples = EXAMPLES[""]


class _Action(_Helping, click.Command):
    pass


def telemetry_group(telemetry: Telemetry, name: str) -> click.Group:
    """A click group *name* with the actions on, off, status, show and erase for *telemetry*."""
    group = _Group(name, help=HELP)
    for action, summary in ACTIONS.items():
        group.add_command(_command(telemetry, action, summary))
    return group


def _command(telemetry: Telemetry, action: str, summary: str) -> click.Command:
    meanings = OPTIONS.get(action, {})

    def callback(**options: Any) -> None:
        chosen = [option for option in meanings if options.get(_parameter(option))]
        click.get_current_context().exit(run_action(telemetry, action, chosen))

    parameters: list[click.Parameter] = [
        click.Option([option, _parameter(option)], is_flag=True, help=f"{meaning[0].upper()}{meaning[1:]}.")
        for option, meaning in meanings.items()
    ]
    added = _Action(action, callback=callback, params=parameters, help=f"{summary[0].upper()}{summary[1:]}.")
    added.examples = EXAMPLES[action]
    return added


def _parameter(option: str) -> str:
    return f"chosen_{option.removeprefix('--')}"
