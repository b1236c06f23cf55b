"""
Events as a maintainer finds them in files, made by hand, and what follows from them, computed without any database.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from franklinwh_telemetry.maintainer.measure import Aggregates

DAY_MS = 86_400_000
FIRST_DAY = date(2026, 5, 1)
_NUMBERS = count(1)


def _bounds() -> list[int]:
    """The least latency of each step: widths of 1 ms up to 32 ms, then of 2 sixteen times, of 4 sixteen times..."""
    bounds = list(range(32))
    low, width = 32, 2
    while low <= 604_800_000:
        bounds += [low + width * number for number in range(16)]
        low, width = low + 16 * width, width * 2
    return bounds


STEP_BOUNDS = _bounds()


@dataclass(frozen=True)
class Event:
    """One finished command of somebody."""

    command: str = "status"
    day: int = 0
    latency_ms: int = 20
    success: bool = True
    user: int = 1
    application: str = "franklinwh-cloud"
    at_ms: int = 0
    ids: tuple[int, int] = (0, 0)

    @property
    def execution_uuid(self) -> str:
        """A random UUID, as far as its form tells."""
        return f"00000000-0000-4000-8000-{self.user:012x}"

    @property
    def date(self) -> date:
        """The day in UTC."""
        return FIRST_DAY + timedelta(days=self.day)

    def span(self, **changes: Any) -> dict[str, Any]:
        """The span as OTLP/JSON has it; *changes* are other values for its keys, or for its attributes."""
        midnight = datetime(self.date.year, self.date.month, self.date.day, tzinfo=timezone.utc)
        start_ns = (int(midnight.timestamp()) * 1000 + self.at_ms) * 1_000_000
        facts = {
            "franklinwh.command": {"stringValue": self.command},
            "franklinwh.execution_latency_ms": {"intValue": str(self.latency_ms)},
            "franklinwh.success": {"boolValue": self.success},
            "franklinwh.execution_uuid": {"stringValue": self.execution_uuid},
        }
        facts.update({key: value for key, value in changes.items() if key in facts})
        return {
            "traceId": f"{self.ids[0]:032x}",
            "spanId": f"{self.ids[1]:016x}",
            "name": self.command,
            "startTimeUnixNano": str(start_ns),
            "attributes": [{"key": key, "value": value} for key, value in facts.items() if value is not None],
            **{key: value for key, value in changes.items() if key not in facts},
        }


def event(command: str = "status", **facts: Any) -> Event:
    """An event with ids of its own."""
    number = next(_NUMBERS)
    return Event(command, ids=(0xA000 + number, number), **facts)


def line(*events: Event) -> bytes:
    """A request that holds the events of one or more applications, as one line."""
    by_application: dict[str, list[Event]] = defaultdict(list)
    for one in events:
        by_application[one.application].append(one)
    return request(
        *((application, [one.span() for one in own]) for application, own in sorted(by_application.items())),
    )


def request(*resources: tuple[object, list[Any]]) -> bytes:
    """A request of the spans of each application, as one line."""
    fields = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": application}}]},
                "scopeSpans": [{"scope": {"name": "franklinwh_telemetry"}, "spans": spans}],
            }
            for application, spans in resources
        ]
    }
    return json.dumps(fields).encode() + b"\n"


def step_of(latency_ms: int) -> int:
    """The step of the histogram that holds a latency."""
    return bisect_right(STEP_BOUNDS, latency_ms) - 1


def facts_of(events: Iterable[Event]) -> dict[str, Any]:
    """What the aggregates of these events must say, by names and dates; each event is taken as it comes."""
    events = list(events)
    cells: dict[tuple[str, str, date], list[Event]] = defaultdict(list)
    users: dict[tuple[str, str, str, date], set[int]] = defaultdict(set)
    for one in events:
        cells[one.application, one.command, one.date].append(one)
        for kind, name in scopes_of(one):
            users[one.application, kind, name, one.date].add(one.user)
    return {
        "events": len(events),
        "cells": {
            key: (
                len(own),
                sum(not one.success for one in own),
                sum(one.latency_ms for one in own),
                dict(Counter(step_of(one.latency_ms) for one in own)),
            )
            for key, own in cells.items()
        },
        "daily": {key: len(found) for key, found in users.items()},
        "in_period": {(first, last): dict(_users_between(users, first, last)) for first, last in _periods(events)},
    }


def scopes_of(one: Event) -> tuple[tuple[str, str], ...]:
    """What an event counts for: its application, its subcommand, its command."""
    return ("application", ""), ("group", one.command.split(" ")[0]), ("command", one.command)


def _users_between(
    users: dict[tuple[str, str, str, date], set[int]], first: date, last: date
) -> Iterable[tuple[tuple[str, str, str], int]]:
    found: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for (application, kind, name, day), of_day in users.items():
        if first <= day <= last:
            found[application, kind, name] |= of_day
    return ((key, len(of_period)) for key, of_period in found.items())


def _periods(events: Sequence[Event]) -> list[tuple[date, date]]:
    if not events:
        return []
    first, last = min(one.date for one in events), max(one.date for one in events)
    days = (last - first).days + 1
    return [(first, last), *((last - timedelta(days=n - 1), last) for n in (7, 30, 90) if n < days)]


def told_by(found: Aggregates) -> dict[str, Any]:
    """The same of aggregates, whose rows refer to scopes and days by number."""
    names = [(found.applications[number], kind, name) for number, kind, name, _group in found.scopes]
    days = [(found.first or FIRST_DAY) + timedelta(days=number) for number in range(found.days)]
    told: dict[str, Any] = {
        "events": found.events,
        "cells": {
            (names[scope][0], names[scope][2], days[day]): (
                runs,
                errors,
                latency_ms,
                dict(zip(steps[::2], steps[1::2], strict=True)),
            )
            for scope, day, runs, errors, latency_ms, steps in found.cells
        },
        "daily": {(*names[scope], days[day]): users for scope, day, users in found.daily},
        "in_period": {(days[first], days[last]): {} for first, last in found.periods},
    }
    for scope, period, users in found.in_period:
        first, last = found.periods[period]
        told["in_period"][days[first], days[last]][names[scope]] = users
    return told
