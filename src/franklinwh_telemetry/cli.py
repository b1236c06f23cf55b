"""
`franklinwh-telemetry`: on, off, what is sent, and running a program with it.

Exit status: 0 done, 1 refused or kept (the last line says why), 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from franklinwh_telemetry import consenting, showing
from franklinwh_telemetry.applications import application_of, known_applications
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from collections.abc import Callable

    from franklinwh_telemetry.consenting import Told
    from franklinwh_telemetry.program import Program
    from franklinwh_telemetry.recorder import Telemetry

_application = click.option("--application", metavar="NAME", help="One application; default: all that are known.")
_config = click.option("--config", type=click.Path(), metavar="PATH", help="The franklinwh.ini that is meant.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 refused or kept, 2 wrong usage.",
)
@click.version_option(package_name="franklinwh-telemetry")
def cli() -> None:
    """Opt-in telemetry: five facts about a command, and nothing else."""


@cli.command(epilog="Example: franklinwh-telemetry on --config ~/franklinwh.ini")
@_application
@_config
@click.option("--yes", is_flag=True, help="Do not ask: you have read what would be sent.")
def on(application: str | None, config: str | None, yes: bool) -> int:  # noqa: FBT001 - a flag of the command line
    """Show what would be sent and where, ask, and write the consent into franklinwh.ini."""
    meant = _meant(application, config)
    if yes and len(meant) > 1:
        names = ", ".join(telemetry.application for telemetry in meant)
        raise click.UsageError(f"--yes answers for one application: add --application with one of {names}")
    return max(_turn_on(telemetry, yes=yes) for telemetry in meant)


def _turn_on(telemetry: Telemetry, *, yes: bool) -> int:
    plan = consenting.plan_on(telemetry)
    if isinstance(plan, str):
        raise click.ClickException(plan)
    _say(plan.explanation())
    if not yes:
        if not sys.stdin.isatty():
            raise click.ClickException("nothing was changed: there is no terminal to ask on; give --yes to say yes")
        if not click.confirm("Send these five facts?", default=False):
            click.echo("Nothing was changed; telemetry is as it was.")
            return 0
    refused = plan.carry_out()
    if refused is not None:
        raise click.ClickException(refused)
    click.echo(f"On: {plan.path} says so. `franklinwh-telemetry off` takes it back.")
    return 0


@cli.command(epilog="Example: franklinwh-telemetry off")
@_application
@_config
def off(application: str | None, config: str | None) -> int:
    """Withdraw the consent and throw away, unsent, all that waits."""
    return _tell_each(application, config, consenting.turn_off)


@cli.command(epilog="Example: franklinwh-telemetry erase --application franklinwh-cloud")
@_application
@_config
def erase(application: str | None, config: str | None) -> int:
    """Turn off, and delete all that is kept here; tells the old UUID, so that its events can be deleted too."""
    return _tell_each(application, config, consenting.erase)


@cli.command(epilog="Example: franklinwh-telemetry status --json")
@_application
@_config
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(application: str | None, config: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Say whether telemetry is on, which rule decided, what waits, and what has gone wrong."""
    states = [telemetry.status() for telemetry in _meant(application, config)]
    if as_json:
        fields = {"applications": [state.to_fields() for state in states]}
        click.echo(json.dumps(fields, indent=2, sort_keys=True))
    else:
        for state in states:
            _say(state.lines())
    return 0


@cli.command(epilog="Example: franklinwh-telemetry send")
@_application
def send(application: str | None) -> int:
    """Send what waits, now, and say how it went."""
    from franklinwh_telemetry.sending import send_now  # noqa: PLC0415 - only this command needs it

    return _tell_each(application, None, send_now)


@cli.command(epilog="Example: franklinwh-telemetry show --sent --raw")
@_application
@_config
@click.option("--example", "what", flag_value="example", help="What a command would send.")
@click.option("--pending", "what", flag_value="pending", help="What a sender started now would send.")
@click.option("--sent", "what", flag_value="sent", default=True, help="What was sent, from the journal (default).")
@click.option("--raw", is_flag=True, help="The exact bytes of each request.")
@click.option("--json", "as_json", is_flag=True, help="Each request as a line of JSON, its body decoded.")
def show(application: str | None, config: str | None, what: str, raw: bool, as_json: bool) -> int:  # noqa: FBT001
    """Show the requests themselves: an example, those that wait, or those that were sent."""
    if raw and as_json:
        raise click.UsageError("--raw and --json exclude each other")
    meant = _meant(application, config)
    requests = [request for telemetry in meant for request in showing.requests_of(telemetry, what)]
    if not requests and not as_json:
        click.echo(showing.NOTHING[what], err=raw)
    output = sys.stdout.buffer
    for request in requests:
        if raw:
            output.write(request.raw + b"\n")
        elif as_json:
            output.write(json.dumps(showing.request_fields(request), ensure_ascii=True).encode() + b"\n")
        else:
            text = "\n".join([*showing.request_lines(request), ""])
            output.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    output.flush()
    return 0


@cli.command(epilog="Example: franklinwh-telemetry vocabulary > collector/vocabularies/franklinwh-cloud.json")
@click.option("--application", metavar="NAME", help="The application; default: franklinwh-cloud.")
@click.option("--vocabulary", "spec", metavar="MODULE:OBJECT", help="Another program's vocabulary.")
@click.option("--capacity", is_flag=True, help="Print how many bits a command and its success can carry.")
def vocabulary(application: str | None, spec: str | None, capacity: bool) -> int:  # noqa: FBT001
    """Print the list of commands that may be reported, as the Collector's gate reads it."""
    from franklinwh_telemetry.program import load_vocabulary  # noqa: PLC0415

    (telemetry,) = _meant(application or franklinwh_cloud.APPLICATION, None)
    words = load_vocabulary(spec) if spec else telemetry.vocabulary
    if isinstance(words, str):
        raise click.ClickException(words)
    if capacity:
        click.echo(f"{len(words.commands)} commands and `other`: {words.capacity_bits():.2f} bits an event")
    else:
        click.echo(json.dumps({telemetry.application: list(words.commands)}, indent=1, ensure_ascii=False))
    return 0


@cli.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: franklinwh-telemetry run franklinwh-cli energy --describe",
)
@click.option("--vocabulary", "spec", metavar="MODULE:OBJECT", help="The program's vocabulary.")
@click.option("--application", metavar="NAME", help="The application's name; default: the program's.")
@click.argument("program", metavar="PROGRAM")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def run(spec: str | None, application: str | None, program: str, arguments: tuple[str, ...]) -> Program:
    """Run an installed console script, unmodified, and record it as one command."""
    from franklinwh_telemetry.program import find_program  # noqa: PLC0415

    found = find_program(program, arguments, vocabulary=spec, application=application)
    if isinstance(found, str):
        raise click.UsageError(found)
    return found


@cli.command(epilog="Example: franklinwh-telemetry demo")
def demo() -> int:
    """Show the whole way on this machine alone: franklinwh-cli, spool, sender, receiver."""
    from franklinwh_telemetry.demo import run_demo  # noqa: PLC0415

    return run_demo(click.echo)


def _meant(application: str | None, config: str | None) -> list[Telemetry]:
    """The application named, or all that are known; a usage error for a name that none can have."""
    if application is None:
        return known_applications(config)
    try:
        return [application_of(application, config)]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _tell_each(application: str | None, config: str | None, act: Callable[[Telemetry], Told]) -> int:
    """Do the same to each application that is meant, and say of each how it went."""
    meant = _meant(application, config)
    done = True
    for telemetry in meant:
        told = act(telemetry)
        done = done and told.done
        prefix = f"{telemetry.application}: " if len(meant) > 1 else ""
        _say([prefix + line for line in told.lines])
    return 0 if done else 1


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


def main() -> None:
    """Run the command line; a program under `run` is left to end by itself, outside of click."""
    try:
        result = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Nothing was changed.", err=True)
        sys.exit(1)
    if callable(result):
        result()
    sys.exit(result or 0)
