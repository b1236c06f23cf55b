"""
The aggregates of all events in files of OTLP JSON lines, made by DuckDB: no event and no UUID leaves it.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry.maintainer import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

INSTALL: Final = 'this needs DuckDB: pip install "franklinwh-telemetry[maintainer]"'
EPOCH: Final = date(1970, 1, 1)
Scope = tuple[int, str, str, str]
Cell = tuple[int, int, int, int, int, tuple[int, ...]]
LAST_DAYS: Final = (7, 30, 90)
"""For these, and for all days, installations are counted; for other dates they cannot be added up from days."""


class NotMeasuredError(Exception):
    """The text says in one line why there are no figures, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregates:
    """
    What the page computes from; each row refers to scopes by their place, and to days by their distance to the first.

    `scopes` are (application, kind, name, group), where the kind is `application`, `group` (a subcommand) or `command`;
    `cells` are (command, day, runs, errors, sum of latencies in ms, histogram), the histogram as step, runs, step, runs
    in one list; `daily` are (scope, day, installations); `in_period` are (scope, period, installations); `periods` are
    the first and the last day of each.
    """

    applications: tuple[str, ...]
    scopes: tuple[Scope, ...]
    first: date | None
    days: int
    events: int
    cells: tuple[Cell, ...]
    daily: tuple[tuple[int, int, int], ...]
    periods: tuple[tuple[int, int], ...]
    in_period: tuple[tuple[int, int, int], ...]
    skipped: tuple[tuple[str, int], ...]


def measure(
    paths: Sequence[str],
    *,
    since: date,
    until: date,
    application: str | None = None,
    memory_mb: int = 1024,
) -> Aggregates:
    """
    The aggregates of the events in these files from *since* to *until*, both included.

    DuckDB takes about *memory_mb*, and what has no room there goes into a temporary folder of this user's own. Raises
    NotMeasuredError.
    """
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NotMeasuredError(INSTALL) from error
    # Events are pseudonymous: the folder is 0700, and goes with all that is in it.
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-report-", ignore_cleanup_errors=True) as folder:
        try:
            with closing(
                duckdb.connect(os.path.join(folder, "events.duckdb"), config=_settings(folder, memory_mb))
            ) as of:
                return _measured(of, paths, since, until, application)
        except duckdb.Error as error:
            raise NotMeasuredError(_words(error)) from error


def _settings(folder: str, memory_mb: int) -> dict[str, Any]:
    return {
        "memory_limit": f"{memory_mb}MB",
        "temp_directory": os.path.join(folder, "spilled"),
        "preserve_insertion_order": "false",
        # Nothing is fetched from anywhere.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }


def _measured(
    of: duckdb.DuckDBPyConnection, paths: Sequence[str], since: date, until: date, application: str | None
) -> Aggregates:
    bounds = {"since": (since - EPOCH).days, "until": (until - EPOCH).days, "chosen": application}
    files = [_as_pattern(path) for path in paths]
    if files:
        of.execute(queries.VALUE_OF)
        of.execute(queries.READ, {"files": files, "columns": queries.COLUMNS, **queries.LIMITS, **bounds})
    else:
        of.execute(queries.READ_NOTHING)
    skipped = dict(of.execute(queries.COUNT_SKIPPED).fetchall())
    skipped["duplicate"] = _number(of, queries.DROP_DUPLICATES)
    of.execute(queries.RANK_COMMANDS, queries.RANKS)
    of.execute(queries.RUNS)
    skipped["beyond"] = _number(of, queries.COUNT_BEYOND)
    skipped["rare"] = _number(of, queries.COUNT_RARE)
    of.execute(queries.FORGET)
    of.execute(queries.USERS)
    return _aggregates(of, tuple((words, skipped[key]) for key, words in queries.REASONS.items() if skipped.get(key)))


def _aggregates(of: duckdb.DuckDBPyConnection, skipped: tuple[tuple[str, int], ...]) -> Aggregates:
    commands = of.execute(queries.SCOPES).fetchall()
    applications = tuple(sorted({application for _id, application, _command, _group in commands}))
    scopes = _scopes(applications, commands)
    places = {scope[:3]: place for place, scope in enumerate(scopes)}
    numbers = {application: number for number, application in enumerate(applications)}
    of_id = {known: places[numbers[application], "command", command] for known, application, command, _ in commands}

    def place(application: str, group: str | None, known: int | None) -> int:
        if known is not None:
            return of_id[known]
        return places[numbers[application], "application" if group is None else "group", group or ""]

    first, last, events = of.execute(queries.DAYS).fetchall()[0]
    days = 0 if first is None else last - first + 1
    periods = _periods(days)
    in_period: list[tuple[int, int, int]] = []
    for number, (start, end) in enumerate(periods):
        rows = of.execute(queries.IN_PERIOD, {"first": first, "from": start, "to": end}).fetchall()
        in_period += [(place(*row[:3]), number, row[3]) for row in rows]
    since_first = {"first": first or 0}
    return Aggregates(
        applications=applications,
        scopes=scopes,
        first=None if first is None else EPOCH + timedelta(days=first),
        days=days,
        events=events,
        cells=tuple(
            (of_id[known], *numbers_of, tuple(steps))
            for known, *numbers_of, steps in of.execute(queries.CELLS, since_first).fetchall()
        ),
        daily=tuple((place(*row[:3]), row[3], row[4]) for row in of.execute(queries.DAILY, since_first).fetchall()),
        periods=periods,
        in_period=tuple(in_period),
        skipped=skipped,
    )


def _scopes(applications: Sequence[str], commands: Sequence[tuple[int, str, str, str]]) -> tuple[Scope, ...]:
    """Each application, its subcommands and its commands, in this order."""
    found: list[Scope] = []
    for number, application in enumerate(applications):
        own = [(command, group) for _id, of, command, group in commands if of == application]
        found.append((number, "application", "", ""))
        found += [(number, "group", group, group) for group in sorted({group for _command, group in own})]
        found += [(number, "command", command, group) for command, group in sorted(own)]
    return tuple(found)


def _periods(days: int) -> tuple[tuple[int, int], ...]:
    """All days, and the last ones."""
    if not days:
        return ()
    return ((0, days - 1), *((days - length, days - 1) for length in LAST_DAYS if length < days))


def _as_pattern(path: str) -> str:
    """A path as DuckDB takes it for itself alone, and not for a pattern of many."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _number(of: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that a query answers with, which for a change is how many rows it changed."""
    ((number,),) = of.execute(query).fetchall()
    return int(number)


def _words(error: duckdb.Error) -> str:
    """The first line of what DuckDB says."""
    return str(error).partition("\n")[0]
