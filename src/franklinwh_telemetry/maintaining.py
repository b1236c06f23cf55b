"""
The command line's part for maintainers: `dashboard` and `installs`, which ask PostHog and Scarf.

Keys come from the environment alone: a command line is read by every user of a machine, and kept in a shell's history.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import click

from franklinwh_telemetry import plain
from franklinwh_telemetry.console import Screen, examples

if TYPE_CHECKING:
    from franklinwh_telemetry.maintainer.dashboard import Outcome, PostHog
    from franklinwh_telemetry.maintainer.installs import Installs

DONE, REFUSED = 0, 1
_DAYS: Final = 30
_EARLIEST: Final = date(2000, 1, 1)
_DATE_CHARACTERS: Final = len("2026-11-24")


@click.command(
    "dashboard", epilog=examples("dashboard --dry-run", "dashboard", "dashboard --host eu", "dashboard --json")
)
@click.option("--host", default="us", show_default=True, metavar="us|eu|URL", help="PostHog's cloud, or your own.")
@click.option("--event", metavar="NAME", help="How the events are called; default: franklinwh_cloud_execution.")
@click.option("--dry-run", is_flag=True, help="Print, as JSON, what would be made; nobody is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def make_dashboard(host: str, event: str | None, dry_run: bool, as_json: bool) -> int:  # noqa: FBT001 - flags
    """
    For maintainers: make the dashboard, its insights and its alerts at PostHog.

    POSTHOG_PERSONAL_API_KEY (phx_...) and POSTHOG_PROJECT_ID are read from the environment. It can be run again at
    any time: what is there is found again, what differs is mended, and what it has not made is never touched.
    """
    from franklinwh_telemetry.maintainer import dashboard, insights  # noqa: PLC0415 - not for `run`

    named = insights.EVENT if event is None else event
    _refuse_usage(insights.event_problem(named))
    screen = Screen()
    if dry_run:
        screen.text(json.dumps({"requests": dashboard.planned(named)}, indent=2))
        return screen.status(DONE)

    from franklinwh_telemetry.maintainer.remote import RemoteError  # noqa: PLC0415 - loads requests

    posthog = _posthog(host)
    outcomes: list[Outcome] = []
    problem, status = None, DONE
    try:
        outcomes.extend(dashboard.reconcile(posthog, named))
    except RemoteError as error:
        problem, status = str(error), REFUSED
    except KeyboardInterrupt:
        problem, status = "stopped by Ctrl-C", plain.INTERRUPTED
    _tell_outcomes(screen, posthog, outcomes, problem, as_json=as_json)
    return screen.status(status)


@click.command(
    "installs",
    epilog=examples("installs --owner your-name", "installs --since 2026-11-01 --until 2026-11-30", "installs --json"),
)
@click.option("--owner", metavar="NAME", envvar="SCARF_ENTITY_NAME", help="Whose packages; default: SCARF_ENTITY_NAME.")
@click.option("--since", metavar="DATE", help="The first day, such as 2026-11-01; default: 30 days before the last.")
@click.option("--until", metavar="DATE", help="The last day; default: today.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with a row for each day.")
@click.option("--host", metavar="URL", hidden=True)
def show_installs(owner: str | None, since: str | None, until: str | None, as_json: bool, host: str | None) -> int:  # noqa: FBT001
    """
    For maintainers: how often the package was fetched through Scarf, by version, operating system and country.

    SCARF_API_TOKEN is read from the environment. Aggregates alone are asked for, and reduced to these three as they
    arrive: no company, no address, nobody's name.
    """
    from franklinwh_telemetry.maintainer import installs, remote  # noqa: PLC0415 - loads requests

    _refuse_usage(installs.owner_problem(owner))
    last = parse_day("--until", until) if until else datetime.now(timezone.utc).date()
    first = parse_day("--since", since) if since else last - timedelta(days=_DAYS)
    if first > last:
        raise click.UsageError(f"--since {first} is after --until {last}")
    base = remote.parse_base(host or installs.API)
    if not isinstance(base, str):
        raise click.UsageError(f"--host: {base.message}")
    try:
        token = remote.read_token(os.environ, installs.TOKEN_VARIABLE)
        if token is None:
            raise click.ClickException(
                f"set {installs.TOKEN_VARIABLE} to the API token that Scarf's user settings show"
            )
        found = installs.fetch(remote.Remote(installs.SERVICE, base, token, installs.explain), str(owner), first, last)
    except remote.RemoteError as error:
        raise click.ClickException(str(error)) from None
    screen = Screen()
    if as_json:
        screen.text(json.dumps(found.to_fields(), indent=2))
    else:
        _tell_installs(screen, found)
    return screen.status(DONE)


def _posthog(host: str) -> PostHog:
    """The project that the environment names; an error that says what is missing or wrong."""
    from franklinwh_telemetry.maintainer import dashboard, remote  # noqa: PLC0415 - as above

    base = dashboard.parse_host(host)
    if not isinstance(base, str):
        raise click.UsageError(f"--host: {base.message}")
    try:
        key = remote.read_token(os.environ, dashboard.KEY_VARIABLE)
    except remote.RemoteError as error:
        raise click.ClickException(str(error)) from None
    project = os.environ.get(dashboard.PROJECT_VARIABLE, "").strip()
    problem = dashboard.key_problem(key) or dashboard.project_problem(project)
    if problem is not None or key is None:
        raise click.ClickException(str(problem))
    asked = remote.Remote(dashboard.SERVICE, base, key, dashboard.explain)
    return dashboard.PostHog(asked, project)


def _tell_outcomes(
    screen: Screen, posthog: PostHog, outcomes: list[Outcome], problem: str | None, *, as_json: bool
) -> None:
    """What was done, and what kept the rest from being done."""
    address = posthog.address(outcomes[0].id) if outcomes else None
    if as_json:
        fields = {"dashboard": address, "done": [each.to_fields() for each in outcomes], "error": problem}
        screen.text(json.dumps(fields, indent=2))
    elif address is not None:
        screen.table(("what", "name", "done"), [(each.kind, each.name, each.done) for each in outcomes])
        screen.lines([f"See {address}"])
    if problem is not None:
        again = "; what is done is done: run it again for the rest" if outcomes else ""
        plain.say([plain.printable(f"Error: {problem}{again}")], sys.stderr)


def _tell_installs(screen: Screen, found: Installs) -> None:
    from franklinwh_telemetry.maintainer.installs import remarks, report_sections  # noqa: PLC0415 - as above

    screen.lines([f"Fetched through Scarf from {found.since} to {found.until}."])
    sections = [section for section in report_sections(found) if section["rows"]]
    for section in sections:
        screen.heading(f"{section['title']}:")
        screen.table(section["columns"], section["rows"])
    if not sections:
        screen.lines(["Nothing was fetched in these days, or nothing is routed through Scarf."])
    screen.lines(remarks(found))


def parse_day(option: str, text: str) -> date:
    """The day that an option was given, or a usage error that names the option."""
    try:
        day = date.fromisoformat(text) if len(text) == _DATE_CHARACTERS else date.min
    except ValueError:
        day = date.min
    if day < _EARLIEST:
        raise click.UsageError(f"{option} {text} is no day; write it as 2026-11-24")
    return day


def _refuse_usage(problem: str | None) -> None:
    if problem is not None:
        raise click.UsageError(problem)
