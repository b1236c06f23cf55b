"""
click (and typer, whose programs are click's): the group behind `add_telemetry_command`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from franklinwh_telemetry.integrations.command import ACTIONS, HELP, run_action

if TYPE_CHECKING:
    from franklinwh_telemetry.recorder import Telemetry


def telemetry_group(telemetry: Telemetry, name: str) -> click.Group:
    """A click group *name* with the actions on, off, status, show and erase for *telemetry*."""
    group = click.Group(name, help=HELP)
    for action, summary in ACTIONS.items():
        group.add_command(_command(telemetry, action, summary))
    return group


def _command(telemetry: Telemetry, action: str, summary: str) -> click.Command:
    def callback(**options: Any) -> None:
        chosen = [f"--{what}" for what in ("example", "pending", "sent", "raw") if options.get(what)]
        click.get_current_context().exit(
            run_action(telemetry, action, yes=bool(options.get("yes")), more=chosen),
        )

    parameters: list[click.Parameter] = []
    if action == "on":
        parameters.append(click.Option(["--yes"], is_flag=True, help="Do not ask: you have read what would be sent."))
    if action == "show":
        parameters.extend(click.Option([f"--{what}"], is_flag=True) for what in ("example", "pending", "sent", "raw"))
    return click.Command(action, callback=callback, params=parameters, help=f"{summary[0].upper()}{summary[1:]}.")
