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
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.vocabularies import franklinwh_cloud
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from franklinwh_telemetry.program import Program

_application = click.option(
    "--application",
    default=franklinwh_cloud.APPLICATION,
    show_default=True,
    metavar="NAME",
    help="The application that is meant.",
)
_config = click.option("--config", type=click.Path(), metavar="PATH", help="The franklinwh.ini that is meant.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="franklinwh-telemetry")
def cli() -> None:
    """Opt-in telemetry: five facts about a command, and nothing else."""


@cli.command(epilog="Example: franklinwh-telemetry on --config ~/franklinwh.ini")
@_application
@_config
@click.option("--yes", is_flag=True, help="Do not ask: you have read what would be sent.")
def on(application: str, config: str | None, yes: bool) -> int:  # noqa: FBT001 - a flag of the command line
    """Show what would be sent and where, ask, and write the consent into franklinwh.ini."""
    plan = consenting.plan_on(telemetry_of(application, config))
    if isinstance(plan, str):
        raise click.ClickException(plan)
    for line in plan.explanation():
        click.echo(line)
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
def off(application: str, config: str | None) -> int:
    """Withdraw the consent and throw away, unsent, all that waits."""
    told = consenting.turn_off(telemetry_of(application, config))
    for line in told.lines:
        click.echo(line)
    return 0 if told.done else 1


@cli.command(epilog="Example: franklinwh-telemetry status --json")
@_application
@_config
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(application: str, config: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Say whether telemetry is on, which rule decided, what waits, and what has gone wrong."""
    state = telemetry_of(application, config).status()
    if as_json:
        click.echo(json.dumps(state.to_fields(), indent=2, sort_keys=True))
    else:
        for line in showing.status_lines(state):
            click.echo(line)
    return 0


@cli.command(epilog="Example: franklinwh-telemetry send")
@_application
def send(application: str) -> int:
    """Send what waits, now, and say how it went."""
    from franklinwh_telemetry import sending  # noqa: PLC0415 - only this command needs it

    report = sending.send_now(telemetry_of(application, None))
    for line in report.lines:
        click.echo(line)
    return 0 if report.done else 1


@cli.command(epilog="Example: franklinwh-telemetry show --sent --raw")
@_application
@_config
@click.option("--example", "what", flag_value="example", help="What a command would send.")
@click.option("--pending", "what", flag_value="pending", help="What a sender started now would send.")
@click.option("--sent", "what", flag_value="sent", default=True, help="What was sent, from the journal (default).")
@click.option("--raw", is_flag=True, help="The exact bytes of each request.")
def show(application: str, config: str | None, what: str, raw: bool) -> int:  # noqa: FBT001
    """Show the requests themselves: an example, those that wait, or those that were sent."""
    requests = showing.requests_of(telemetry_of(application, config), what)
    if isinstance(requests, str):
        click.echo(requests)
        return 0
    output = click.get_binary_stream("stdout")
    for request in requests:
        output.write(request.raw + b"\n" if raw else "\n".join([*showing.request_lines(request), ""]).encode())
    output.flush()
    return 0


@cli.command(epilog="Example: franklinwh-telemetry vocabulary > collector/vocabularies/franklinwh-cloud.json")
@_application
@click.option("--vocabulary", "spec", metavar="MODULE:OBJECT", help="Another program's vocabulary.")
@click.option("--capacity", is_flag=True, help="Print how many bits a command and its success can carry.")
def vocabulary(application: str, spec: str | None, capacity: bool) -> int:  # noqa: FBT001
    """Print the list of commands that may be reported, as the Collector's gate reads it."""
    from franklinwh_telemetry.program import load_vocabulary  # noqa: PLC0415

    words = load_vocabulary(spec) if spec else franklinwh_cloud.vocabulary()
    if isinstance(words, str):
        raise click.ClickException(words)
    if capacity:
        click.echo(f"{len(words.commands)} commands and `other`: {words.capacity_bits():.2f} bits an event")
    else:
        click.echo(json.dumps({application: list(words.commands)}, indent=1, ensure_ascii=False))
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


def telemetry_of(application: str, config: str | None) -> Telemetry:
    """The telemetry of an application as this command line knows it; a usage error for a bad name."""
    words = franklinwh_cloud.vocabulary() if application == franklinwh_cloud.APPLICATION else Vocabulary(())
    try:
        return Telemetry(application, words, config=config)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


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
