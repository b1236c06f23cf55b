"""
The command line's part for `report`: what is asked for, of which files, against which vocabularies.

Whatever reads events is loaded only when a report is made.
"""

from __future__ import annotations

import json
import os
import time
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import click

from franklinwh_telemetry.console import Screen, examples
from franklinwh_telemetry.lookup import parse_application
from franklinwh_telemetry.maintaining import parse_day

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from franklinwh_telemetry.maintainer.page import Section

DONE: Final = 0
MAX_INSTALLS_BYTES: Final = 64 * 1024 * 1024
KEPT_DAYS: Final = 730
"""How far back a report goes unless it is told; what is older, or in the future, mostly comes from a wrong clock."""

_EXAMPLES: Final = examples(
    "report",
    "report /var/lib/otelcol/spans --since 2026-06-01 --until 2026-06-30 --output june.html",
    "report spans.jsonl --application myapp --vocabulary myapp.telemetry:WORDS",
    "report spans.jsonl --vocabulary vocabularies/franklinwh-cloud.json --installs installs.json",
)


def _day(_context: click.Context, parameter: click.Parameter, text: str | None) -> date | None:
    return None if text is None else parse_day(parameter.opts[0], text)


@click.command("report", epilog=_EXAMPLES)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[FILE|FOLDER]...")
@click.option("--application", metavar="NAME", help="This application alone; default: all that are found.")
@click.option(
    "--since", callback=_day, metavar="YYYY-MM-DD", help="The first day, in UTC; default: two years before the last."
)
@click.option(
    "--until",
    callback=_day,
    metavar="YYYY-MM-DD",
    help="The last day, in UTC; default: tomorrow, for clocks that are ahead.",
)
@click.option(
    "--vocabulary",
    "specs",
    multiple=True,
    metavar="MODULE:OBJECT|FILE",
    help="What could be run: a program's vocabulary, or JSON as `vocabulary` prints; may be given again.",
)
@click.option("--installs", type=click.Path(), metavar="FILE", help="What `installs --json` printed: it gets sections.")
@click.option("--output", type=click.Path(), default="report.html", show_default=True, help="The page to write.")
@click.option("--force", is_flag=True, help="Overwrite a file that is no report.")
def make_report(
    paths: tuple[str, ...],
    application: str | None,
    since: date | None,
    until: date | None,
    specs: tuple[str, ...],
    installs: str | None,
    output: str,
    force: bool,  # noqa: FBT001 - a flag of the command line
) -> int:
    """
    For maintainers: write a page of what was run, how long it took, what failed, and what nobody used.

    It reads OTLP JSON lines: files of the Collector's `file` backend, folders of them, or, if none is named, what is
    kept on this machine. The page is one file, needs no network, and holds counts alone.
    """
    from franklinwh_telemetry.maintainer import source as sources  # noqa: PLC0415 - `run` needs none of this
    from franklinwh_telemetry.maintainer.report import Asked, RefusedError, write_report  # noqa: PLC0415

    if application is not None and parse_application(application) is None:
        raise click.UsageError(f"no application can be called {application!r}")
    now_ms = time.time_ns() // 1_000_000
    first, last = _dates(since, until, datetime.fromtimestamp(now_ms / 1000, timezone.utc).date())
    known = _vocabularies(specs, application)
    source = sources.find(paths) if paths else sources.own(os.environ, application)
    if isinstance(source, str):
        raise click.ClickException(source)
    asked = Asked(since=first, until=last, application=application)
    sections = _sections(installs)
    try:
        lines = write_report(
            source, asked, output, vocabulary_of=_vocabulary_of(known), now_ms=now_ms, force=force, sections=sections
        )
    except RefusedError as refused:
        raise click.ClickException(str(refused)) from refused
    screen = Screen()
    screen.lines(lines)
    return screen.status(DONE)


def _dates(since: date | None, until: date | None, today: date) -> tuple[date, date]:
    from franklinwh_telemetry.maintainer.report import MAX_DAYS  # noqa: PLC0415 - as above

    last = until or max(today + timedelta(days=1), since or today)
    first = since or max(last - timedelta(days=KEPT_DAYS - 1), date.min + timedelta(days=KEPT_DAYS))
    if first > last:
        raise click.UsageError(f"--since {first} is after --until {last}")
    if (last - first).days >= MAX_DAYS:
        raise click.UsageError(f"from {first} to {last} are more than {MAX_DAYS} days; name dates that are closer")
    return first, last


def _sections(path: str | None) -> list[Section]:
    """The sections on installations, where a file with them is named."""
    if path is None:
        return []
    from franklinwh_telemetry.maintainer.installs import read_saved, report_sections  # noqa: PLC0415 - as above
    from franklinwh_telemetry.maintainer.page import Section  # noqa: PLC0415

    try:
        with open(path, "rb") as file:
            found = read_saved(file.read(MAX_INSTALLS_BYTES))
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    if found is None:
        raise click.ClickException(f"{path} is not what `franklinwh-telemetry installs --json` prints; write it anew")
    return [Section(**fields) for fields in report_sections(found)]


def _vocabularies(specs: Sequence[str], application: str | None) -> dict[str, Sequence[str]]:
    """The commands of each application that `--vocabulary` tells of."""
    from franklinwh_telemetry.program import load_vocabulary  # noqa: PLC0415 - as above

    known: dict[str, Sequence[str]] = {}
    for spec in specs:
        if os.path.isfile(spec):
            known.update(_from_file(spec))
            continue
        listed = load_vocabulary(spec)
        if isinstance(listed, str):
            raise click.ClickException(listed)
        known[application or listed.application] = listed.vocabulary.commands
    return known


def _from_file(path: str) -> dict[str, Sequence[str]]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the vocabulary {path} cannot be read: {error}") from error
    if isinstance(found, dict) and all(
        isinstance(commands, list) and all(isinstance(command, str) for command in commands)
        for commands in found.values()
    ):
        return found
    raise click.ClickException(f"{path} is no vocabulary; `franklinwh-telemetry vocabulary > {path}` writes one")


def _vocabulary_of(known: dict[str, Sequence[str]]) -> Callable[[str], Sequence[str]]:
    from franklinwh_telemetry.applications import application_of  # noqa: PLC0415 - as above

    def commands(name: str) -> Sequence[str]:
        if name in known:
            return known[name]
        return application_of(name).vocabulary.commands if parse_application(name) else ()

    return commands
