"""
typer: the application behind `add_telemetry_command`, made of the program's own typer.

Newer typers bring a click of their own, so that a command of the other click would not do.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from franklinwh_telemetry.integrations.command import ACTIONS, EXAMPLES, HELP, OPTIONS, STATUSES, run_action, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from franklinwh_telemetry.recorder import Telemetry


def add_to_typer(program: Any, telemetry: Telemetry, name: str) -> None:
    """Give *program*, a `typer.Typer`, the sub-application *name* with the five actions for *telemetry*."""
    typer = sys.modules["typer"]
    actions = type(program)(help=HELP, no_args_is_help=True)
    for action, summary in ACTIONS.items():
        epilog = f"{_examples(name, action)} {STATUSES}".replace("\n", " ")
        actions.command(action, help=sentence(summary), epilog=epilog)(_callback(typer, telemetry, action))
    program.add_typer(actions, name=name)


def _examples(name: str, action: str) -> str:
    return f"Examples: {', '.join(f'`{name} {line}`' for line in EXAMPLES[action])}."


def _callback(typer: Any, telemetry: Telemetry, action: str) -> Callable[..., None]:
    """A function whose signature typer reads: a flag for each option."""
    names = {f"chosen_{option.removeprefix('--')}": option for option in OPTIONS.get(action, {})}

    def act(**given: bool) -> None:
        raise typer.Exit(run_action(telemetry, action, [names[each] for each, is_given in given.items() if is_given]))

    act.__annotations__ = dict.fromkeys(names, bool)
    act.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                each,
                inspect.Parameter.KEYWORD_ONLY,
                default=typer.Option(False, option, help=sentence(OPTIONS[action][option])),  # noqa: FBT003 - typer's way
                annotation=bool,
            )
            for each, option in names.items()
        ],
    )
    return act
