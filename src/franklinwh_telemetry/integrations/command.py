"""
`add_telemetry_command`: a program's own `telemetry on|off|status|show|erase`, for argparse and click.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry.consenting import erase, plan_on, turn_off
from franklinwh_telemetry.launch import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from franklinwh_telemetry.recorder import Telemetry

HELP: Final = "Opt-in telemetry: five facts about a command, and nothing else."
ACTIONS: Final = {
    "on": "show what would be sent and where, and ask",
    "off": "withdraw the consent and throw away, unsent, all that waits",
    "status": "say whether it is on, which rule decided, and what waits",
    "show": "show the requests that were sent",
    "erase": "turn it off and delete everything kept here",
}
DONE, REFUSED = 0, 1


def add_telemetry_command(program: Any, telemetry: Telemetry, *, name: str = "telemetry") -> None:
    """
    Give *program*, an `argparse.ArgumentParser` or a `click.Group`, the command *name* for *telemetry*.

    With argparse the command runs while the arguments are parsed, as `--help` does, and ends the program with status
    0, or 1 when something was refused; no dispatching is needed. A parser without subcommands gets them, optional
    ones. Raises TypeError for anything else.
    """
    if isinstance(program, argparse.ArgumentParser):
        _add_to_parser(program, telemetry, name)
    elif hasattr(program, "add_command"):
        from franklinwh_telemetry.integrations.click import telemetry_group  # noqa: PLC0415 - click may be missing

        program.add_command(telemetry_group(telemetry, name))
    else:
        msg = f"add_telemetry_command takes an argparse.ArgumentParser or a click.Group, not {type(program).__name__}"
        raise TypeError(msg)


def run_action(telemetry: Telemetry, action: str, *, yes: bool = False, more: Sequence[str] = ()) -> int:
    """Do one of `ACTIONS`, its lines on stdout, and return the exit status."""
    if action == "on":
        return _turn_on(telemetry, yes=yes)
    if action in ("off", "erase"):
        told = turn_off(telemetry) if action == "off" else erase(telemetry)
        _say(told.lines)
        return DONE if told.done else REFUSED
    if action == "status":
        _say(telemetry.status().lines())
        return DONE
    return _show(telemetry, more)


def _turn_on(telemetry: Telemetry, *, yes: bool) -> int:
    plan = plan_on(telemetry)
    if isinstance(plan, str):
        _say([plan])
        return REFUSED
    _say(plan.explanation())
    if not yes:
        if not sys.stdin.isatty():
            _say(["Nothing was changed: there is no terminal to ask on; give --yes to say yes."])
            return REFUSED
        sys.stdout.write("Send these five facts? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            _say(["Nothing was changed; telemetry is as it was."])
            return DONE
    refused = plan.carry_out()
    _say([refused or f"On: {plan.path} says so."])
    return REFUSED if refused else DONE


def _show(telemetry: Telemetry, more: Sequence[str]) -> int:
    """Show in a process of its own: decoding loads OpenTelemetry, which no program of a user's ever holds."""
    command = [sys.executable, "-m", "franklinwh_telemetry", "show", "--application", telemetry.application, *more]
    if telemetry.config:
        command += ["--config", telemetry.config]
    root = telemetry.state_root()
    variables = environment(os.environ, sys.path)
    if isinstance(root, str):
        variables["STATE_DIRECTORY"] = os.path.dirname(root)
    sys.stdout.flush()
    shown = subprocess.run(command, env=variables, check=False)  # noqa: S603 - our own command line
    return shown.returncode


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


def _add_to_parser(parser: argparse.ArgumentParser, telemetry: Telemetry, name: str) -> None:
    subparsers = next(
        (action for action in parser._actions if isinstance(action, argparse._SubParsersAction)),  # noqa: SLF001
        None,
    )
    if subparsers is None:
        subparsers = parser.add_subparsers()
    command = subparsers.add_parser(name, help=HELP, description=HELP)
    actions = command.add_subparsers(dest="telemetry_action", required=True, metavar="ACTION")
    for action, summary in ACTIONS.items():
        added = actions.add_parser(action, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if action == "on":
            added.add_argument("--yes", action="store_true", help="do not ask: you have read what would be sent")
        if action == "show":
            for what in ("--example", "--pending", "--sent", "--raw"):
                added.add_argument(what, dest="show", action="append_const", const=what, help=argparse.SUPPRESS)
    _run_when_parsed(command, telemetry)


def _run_when_parsed(command: argparse.ArgumentParser, telemetry: Telemetry) -> None:
    parse_known_args = command.parse_known_args

    def parse_and_run(*arguments: Any, **keywords: Any) -> Any:
        parsed, unknown = parse_known_args(*arguments, **keywords)
        if unknown:
            command.error(f"unrecognized arguments: {' '.join(unknown)}")
        yes, more = getattr(parsed, "yes", False), getattr(parsed, "show", None) or ()
        command.exit(run_action(telemetry, parsed.telemetry_action, yes=yes, more=more))

    command.parse_known_args = parse_and_run  # type: ignore[method-assign]
