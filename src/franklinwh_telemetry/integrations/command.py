"""
`add_telemetry_command`: a program's own `telemetry on|off|status|show|erase`, for argparse, click and typer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry.asking import turn_on
from franklinwh_telemetry.consent import HOST
from franklinwh_telemetry.consenting import erase, turn_off
from franklinwh_telemetry.launch import environment, is_python
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.plain import INTERRUPTED, NOBODY_READS, is_closed_pipe, printable, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from franklinwh_telemetry.plan import Plan
    from franklinwh_telemetry.recorder import Telemetry

HELP: Final = "Opt-in telemetry: five facts about a command, and nothing else."
ACTIONS: Final = {
    "on": "show what would be sent and where, and ask",
    "off": "withdraw the consent and throw away, unsent, all that waits",
    "status": "say whether it is on, which rule decided, and what waits",
    "show": "show what was sent: the five facts of each event, and to whom",
    "erase": "turn it off and delete everything kept here",
}
OPTIONS: Final = {
    "on": {"--yes": "do not ask: you have read what would be sent"},
    "status": {"--json": "print one JSON object"},
    "show": {
        "--example": "what a command would send",
        "--pending": "what a sender started now would send",
        "--sent": "what was sent (default)",
        "--full": "each request in words, headers and body",
        "--raw": "the exact bytes of each request",
        "--json": "each request as a line of JSON",
    },
}
EXAMPLES: Final = {
    "": ("on", "status", "show", "off"),
    "on": ("on", "on --yes"),
    "off": ("off",),
    "status": ("status", "status --json"),
    "show": ("show", "show --example", "show --pending --raw"),
    "erase": ("erase",),
}
STATUSES: Final = (
    "Exit status: 0 done; 1 refused (a line says why); 2 wrong usage;\n"
    "130 stopped by Ctrl-C; 141 nobody reads the output any more."
)
DONE, REFUSED = 0, 1

_SHOWN_BY: Final = (
    "COLUMNS",
    "COLORTERM",
    "FORCE_COLOR",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NO_COLOR",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "TERM",
)
"""What decides how a terminal is written to."""


def add_telemetry_command(program: Any, telemetry: Telemetry, *, name: str = "telemetry") -> None:
    """
    Give *program*, an `argparse.ArgumentParser`, a `click.Group` or a `typer.Typer`, the command *name*.

    With argparse the command runs while the arguments are parsed, as `--help` does, and ends the program with one of
    `STATUSES`; no dispatching is needed. A parser without subcommands gets them, optional ones. Raises TypeError for
    anything else.
    """
    if isinstance(program, argparse.ArgumentParser):
        _add_to_parser(program, telemetry, name)
    elif hasattr(program, "add_typer"):
        from franklinwh_telemetry.integrations.typer import add_to_typer  # noqa: PLC0415 - only for such programs

        add_to_typer(program, telemetry, name)
    elif (click := sys.modules.get("click")) is not None and isinstance(program, click.Group):
        from franklinwh_telemetry.integrations.click import telemetry_group  # noqa: PLC0415 - only for such programs

        program.add_command(telemetry_group(telemetry, name))
    else:
        takes = "an argparse.ArgumentParser, a click.Group or a typer.Typer"
        raise TypeError(f"add_telemetry_command takes {takes}, not {type(program).__name__}")


def run_action(telemetry: Telemetry, action: str, options: Sequence[str] = ()) -> int:
    """Do one of `ACTIONS` with some of its `OPTIONS`, its lines on stdout, and return the exit status."""
    output = _Output()
    try:
        return output.status(_act(telemetry, action, options, output))
    except KeyboardInterrupt:
        say(["", "Stopped: what was not told above as done was not done."], sys.stderr)
        return INTERRUPTED


def sentence(text: str) -> str:
    """A summary with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


class _Output:
    """Standard output, which may have been closed."""

    def __init__(self) -> None:
        self.failed: OSError | None = None

    def say(self, lines: Iterable[str]) -> None:
        self.failed = say(map(printable, lines)) or self.failed

    def shows(self, plan: Plan) -> bool:
        self.say(plan.explanation())
        return self.failed is None

    def status(self, status: int) -> int:
        if self.failed is None or status != DONE:
            return status
        return NOBODY_READS if is_closed_pipe(self.failed) else REFUSED


def _act(telemetry: Telemetry, action: str, options: Sequence[str], output: _Output) -> int:
    if action == "show":
        return _show(telemetry, options, output)
    if action == "status":
        status = telemetry.status()
        as_json = "--json" in options
        output.say(json.dumps(status.to_fields(), indent=2, sort_keys=True).split("\n") if as_json else status.lines())
        return DONE
    if action == "on":
        told = turn_on(telemetry, output, yes="--yes" in options)
    else:
        told = turn_off(telemetry) if action == "off" else erase(telemetry)
    output.say(told.lines)
    return DONE if told.done else REFUSED


def _show(telemetry: Telemetry, options: Sequence[str], output: _Output) -> int:
    """Show in a process of its own: decoding loads OpenTelemetry, which no program of a user's ever holds."""
    if not is_python(sys.executable):
        output.say(["There is no Python here to show it by; use `franklinwh-telemetry show`."])
        return REFUSED
    command = [sys.executable, "-m", "franklinwh_telemetry", "show", "--as-told"]
    command += ["--application", telemetry.application, *options]
    if telemetry.config:
        command += ["--config", telemetry.config]
    root = telemetry.state_root()
    variables = environment(os.environ, sys.path)
    variables.update((name, os.environ[name]) for name in _SHOWN_BY if name in os.environ)
    if isinstance(root, str):
        variables["STATE_DIRECTORY"] = os.path.dirname(root)
    if sys.stdout is not None:
        sys.stdout.flush()
    described = json.dumps(_description(telemetry)).encode()
    shown = subprocess.run(command, env=variables, input=described, check=False)  # noqa: S603 - our own command line
    return shown.returncode


def _description(telemetry: Telemetry) -> dict[str, object]:
    """What `described_application` makes the same application of."""
    allowed = telemetry.permission()
    consent: str | bool | None = None
    if not isinstance(allowed, Denied) and allowed.granted.source == HOST:
        given = allowed.granted.execution_uuid
        consent = True if given is None else str(given)
    return {
        "commands": list(telemetry.vocabulary.commands),
        "destination": telemetry.literal,
        "policy_version": telemetry.policy_version,
        "consent": consent,
    }


def _epilog(program: str, action: str) -> str:
    return "\n".join(["examples:", *(f"  {program} {line}" for line in EXAMPLES[action]), "", STATUSES])


def _add_to_parser(parser: argparse.ArgumentParser, telemetry: Telemetry, name: str) -> None:
    subparsers = next(
        (action for action in parser._actions if isinstance(action, argparse._SubParsersAction)),  # noqa: SLF001
        None,
    )
    if subparsers is None:
        subparsers = parser.add_subparsers()
    formatter = argparse.RawDescriptionHelpFormatter
    command = subparsers.add_parser(name, help=HELP, description=HELP, formatter_class=formatter)
    command.epilog = _epilog(command.prog, "")
    actions = command.add_subparsers(dest="telemetry_action", required=True, metavar="ACTION")
    for action, summary in ACTIONS.items():
        added = actions.add_parser(
            action,
            help=summary,
            description=sentence(summary),
            epilog=_epilog(command.prog, action),
            formatter_class=formatter,
        )
        for option, meaning in OPTIONS.get(action, {}).items():
            added.add_argument(option, dest="telemetry_options", action="append_const", const=option, help=meaning)
    _run_when_parsed(command, telemetry)


def _run_when_parsed(command: argparse.ArgumentParser, telemetry: Telemetry) -> None:
    parse_known_args = command.parse_known_args

    def parse_and_run(*arguments: Any, **keywords: Any) -> Any:
        parsed, unknown = parse_known_args(*arguments, **keywords)
        if unknown:
            command.error(f"unrecognized arguments: {' '.join(unknown)}")
        options = getattr(parsed, "telemetry_options", None) or ()
        command.exit(run_action(telemetry, parsed.telemetry_action, options))

    command.parse_known_args = parse_and_run  # type: ignore[method-assign]
