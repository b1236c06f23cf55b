"""
`franklinwh-telemetry`: on, off, what is sent, and running a program with it.

`docs/command-line.md` has every command, option and exit status.
"""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Final

import click

from franklinwh_telemetry import maintaining, plain, reporting
from franklinwh_telemetry.console import PlanOnScreen, Screen, examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from franklinwh_telemetry.plan import Told
    from franklinwh_telemetry.program import Program
    from franklinwh_telemetry.recorder import Telemetry

DONE, REFUSED = 0, 1
STATUSES: Final = (
    "\b\nExit status: 0 done; 1 refused, or something is kept (a line says why);\n"
    "2 wrong usage; 130 stopped by Ctrl-C; 141 nobody reads the output any more."
)


_application = click.option("--application", metavar="NAME", help="One application; default: all that are known.")
_config = click.option("--config", type=click.Path(), metavar="PATH", help="The franklinwh.ini that is meant.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"{examples('on', 'run franklinwh-cli status', 'status', 'show')}\n\n{STATUSES}",
)
@click.version_option(package_name="franklinwh-telemetry")
def cli() -> None:
    """Opt-in telemetry: five facts about a command, and nothing else."""


@cli.command(epilog=examples("on", "on --config ~/franklinwh.ini", "on --application myapp --yes"))
@_application
@_config
@click.option("--yes", is_flag=True, help="Do not ask: you have read what would be sent.")
def on(application: str | None, config: str | None, yes: bool) -> int:  # noqa: FBT001 - a flag of the command line
    """
    Show what would be sent and where, ask, and write the consent into franklinwh.ini.

    It asks once for each application, on a terminal; only a typed yes is one.
    """
    from franklinwh_telemetry.asking import turn_on  # noqa: PLC0415 - `run` and `--version` need none of this

    meant = _meant(application, config)
    if yes and len(meant) > 1:
        names = ", ".join(telemetry.application for telemetry in meant)
        raise click.UsageError(f"--yes answers for one application: add --application with one of {names}")
    screen = Screen()
    status = DONE
    for telemetry in meant:
        told = turn_on(telemetry, PlanOnScreen(screen, several=len(meant) > 1), yes=yes)
        if told.done:
            screen.lines(told.lines)
        else:
            status = REFUSED
            plain.say(["Error: " + plain.printable(told.lines[0]), *map(plain.printable, told.lines[1:])], sys.stderr)
    return screen.status(status)


@cli.command(epilog=examples("off", "off --application franklinwh-cloud"))
@_application
@_config
def off(application: str | None, config: str | None) -> int:
    """Withdraw the consent and throw away, unsent, all that waits."""
    from franklinwh_telemetry.consenting import turn_off  # noqa: PLC0415 - as above

    return _tell_each(Screen(), _meant(application, config), turn_off)


@cli.command(epilog=examples("erase", "erase --application franklinwh-cloud"))
@_application
@_config
def erase(application: str | None, config: str | None) -> int:
    """
    Turn off, and delete all that is kept here.

    It tells the old UUID, by which a maintainer can be asked to delete its events, too.
    """
    from franklinwh_telemetry import consenting  # noqa: PLC0415 - as above

    return _tell_each(Screen(), _meant(application, config), consenting.erase)


@cli.command(epilog=examples("status", "status --application franklinwh-cloud", "status --json"))
@_application
@_config
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(application: str | None, config: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Say whether telemetry is on, which rule decided, what waits, and what has gone wrong."""
    from franklinwh_telemetry.status import LABEL_WIDTH, WARNINGS  # noqa: PLC0415 - as above

    screen = Screen()
    states = [telemetry.status() for telemetry in _meant(application, config)]
    if as_json:
        fields = {"applications": [state.to_fields() for state in states]}
        screen.text(json.dumps(fields, indent=2, sort_keys=True))
        return screen.status(DONE)
    for state in states:
        screen.heading(state.heading, good=state.enabled)
        screen.facts(state.facts(), LABEL_WIDTH, warnings=WARNINGS)
    return screen.status(DONE)


@cli.command(epilog=examples("send", "send --application franklinwh-cloud"))
@_application
def send(application: str | None) -> int:
    """
    Send what waits, now, and say how it went.

    What is kept is kept for a reason, which is told with its remedy. Ctrl-C stops it, and nothing is lost.
    """
    from franklinwh_telemetry.sending import Stopped, send_now  # noqa: PLC0415 - as above

    screen, meant = Screen(), _meant(application, None)
    try:
        with screen.watching() as watch:
            told = [(each, send_now(each, watch)) for each in meant]
    except Stopped as stopped:
        screen.lines(stopped.lines)
        return screen.status(plain.INTERRUPTED)
    return _tell_each(screen, meant, lambda each: next(said for which, said in told if which is each))


@cli.command(
    epilog=examples("show", "show --example", "show --pending", "show --sent --raw", "show --json | jq .events"),
)
@_application
@_config
@click.option("--example", "what", flag_value="example", help="What a command would send.")
@click.option("--pending", "what", flag_value="pending", help="What a sender started now would send.")
@click.option("--sent", "what", flag_value="sent", default=True, help="What was sent, from the journal (default).")
@click.option("--full", is_flag=True, help="Each request in words, headers and body.")
@click.option("--raw", is_flag=True, help="The exact bytes of each request.")
@click.option("--json", is_flag=True, help="Each request as a line of JSON.")
@click.option("--as-told", is_flag=True, hidden=True)
def show(application: str | None, config: str | None, what: str, as_told: bool, **forms: bool) -> int:  # noqa: FBT001
    """
    Show what is sent: the five facts of each event, and to whom; or the requests themselves.

    Keys are shortened, but in the exact bytes.
    """
    from franklinwh_telemetry import showing  # noqa: PLC0415 - as above

    chosen = [name for name, given in forms.items() if given]
    if len(chosen) > 1:
        raise click.UsageError("--full, --raw and --json exclude each other")
    form = chosen[0] if chosen else ""
    screen = Screen()
    meant = [_told_by_host(application, config)] if as_told and application else _meant(application, config)
    found = [(telemetry.application, showing.requests_of(telemetry, what)) for telemetry in meant]
    if not any(requests for _name, requests in found):
        if form == "raw":
            plain.say([showing.NOTHING[what]], sys.stderr)
        elif form != "json":
            screen.lines([showing.NOTHING[what]])
        return screen.status(DONE)
    for name, requests in found:
        if requests:
            showing.print_requests(screen, name, what, form, requests)
    return screen.status(DONE)


@cli.command(epilog=examples("vocabulary > franklinwh-cloud.json", "vocabulary --vocabulary myapp.telemetry:WORDS"))
@click.option("--application", metavar="NAME", help="The application; default: franklinwh-cloud.")
@click.option("--vocabulary", "spec", metavar="MODULE:OBJECT", help="Another program's vocabulary.")
@click.option("--capacity", is_flag=True, help="Print how many bits a command and its success can carry.")
def vocabulary(application: str | None, spec: str | None, capacity: bool) -> int:  # noqa: FBT001
    """
    Print the list of commands that may be reported, as the Collector's gate reads it.

    A Telemetry says what its application is called; with a Vocabulary alone it is called as the module's package is.
    """
    from franklinwh_telemetry.program import load_vocabulary  # noqa: PLC0415
    from franklinwh_telemetry.vocabularies import franklinwh_cloud  # noqa: PLC0415

    screen = Screen()
    listed = load_vocabulary(spec) if spec else None
    if isinstance(listed, str):
        raise click.ClickException(listed)
    (telemetry,) = _meant(application or (listed.application if listed else franklinwh_cloud.APPLICATION), None)
    words = listed.vocabulary if listed else telemetry.vocabulary
    if capacity:
        screen.lines([f"{len(words.commands)} commands and `other`: {words.capacity_bits():.2f} bits an event"])
    else:
        screen.text(json.dumps({telemetry.application: list(words.commands)}, indent=1))
    return screen.status(DONE)


@cli.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples("run franklinwh-cli energy --describe", "run --vocabulary myapp.telemetry:WORDS myapp sync"),
)
@click.option("--vocabulary", "spec", metavar="MODULE:OBJECT", help="The program's vocabulary.")
@click.option("--application", metavar="NAME", help="The application's name; default: the program's.")
@click.argument("program", metavar="PROGRAM")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def run(spec: str | None, application: str | None, program: str, arguments: tuple[str, ...]) -> Program:
    """
    Run an installed console script, unmodified, and record it as one command.

    Its output and exit status are its own.
    """
    from franklinwh_telemetry.program import find_program  # noqa: PLC0415

    found = find_program(program, arguments, vocabulary=spec, application=application)
    if isinstance(found, str):
        raise click.UsageError(found)
    return found


@cli.command(epilog=examples("demo", "demo --report demo.html"))
@click.option(
    "--report", type=click.Path(), metavar="PATH", help="Write what a maintainer would see to this page, too."
)
def demo(report: str | None) -> int:
    """Show the whole way on this machine alone: franklinwh-cli, spool, sender, receiver."""
    from franklinwh_telemetry.demo import run_demo  # noqa: PLC0415

    screen = Screen()
    return screen.status(run_demo(screen.text, report))


cli.add_command(reporting.make_report)
cli.add_command(maintaining.make_dashboard)
cli.add_command(maintaining.show_installs)


def _meant(application: str | None, config: str | None) -> list[Telemetry]:
    """The application named, or all that are known; a usage error for a name that none can have."""
    from franklinwh_telemetry.applications import application_of, known_applications  # noqa: PLC0415 - as above

    if application is None:
        return known_applications(config)
    try:
        return [application_of(application, config)]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _told_by_host(application: str, config: str | None) -> Telemetry:
    """The application as the program that asks for `show` describes it on standard input."""
    from franklinwh_telemetry.applications import described_application  # noqa: PLC0415

    return described_application(application, config, sys.stdin.read())


def _tell_each(screen: Screen, meant: list[Telemetry], act: Callable[[Telemetry], Told]) -> int:
    """Do the same to each application that is meant, and say of each how it went."""
    done = True
    for telemetry in meant:
        if len(meant) > 1:
            screen.heading(f"{telemetry.application}:")
        told = act(telemetry)
        screen.lines(told.lines)
        done = done and told.done
    return screen.status(DONE if done else REFUSED)


def main() -> None:
    """Run the command line; a program under `run` is left to end by itself, outside of click."""
    try:
        result = cli.main(standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        plain.say(map(plain.printable, shown.getvalue().splitlines()), sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is not None:
            raise
        # click's own help found no room on the disk; what is ours to print never raises.
        plain.write_bytes(b"", sys.stdout)
        plain.say([f"Error: standard output cannot be written: {error.strerror}"], sys.stderr)
        sys.exit(REFUSED)
    except click.Abort as abort:
        interrupted = isinstance(abort.__cause__, KeyboardInterrupt)
        plain.say(["Stopped: what was not told above as done was not done."], sys.stderr)
        sys.exit(plain.INTERRUPTED if interrupted else REFUSED)
    if callable(result):
        result()
    sys.exit(result or 0)
