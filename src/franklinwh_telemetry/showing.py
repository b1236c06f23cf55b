"""
What `show` prints: the events as a table of their five facts, and the requests themselves, in words or as bytes.
"""

from __future__ import annotations

import json
import os
from itertools import groupby
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import event
from franklinwh_telemetry.backlog import existing_spools
from franklinwh_telemetry.destination import FILE
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.plain import counted, moment
from franklinwh_telemetry.plan import UUID_NOTE, Plan, example_event, plan_on
from franklinwh_telemetry.statefolder import check_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from franklinwh_telemetry.backlog import Backlog
    from franklinwh_telemetry.console import Screen
    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.sender.readable import Facts

NOTHING: Final = {
    "pending": "Nothing waits to be sent.",
    "sent": "Nothing was sent yet.",
    "example": "There is no command to show.",
}
TITLES: Final = {
    "pending": "what waits to be sent",
    "sent": "what was sent",
    "example": "what a command would send",
}
COLUMNS: Final = ("executed timestamp", "command", "latency", "success")
HINT: Final = "`--full` shows each request whole, in words; `--raw` its exact bytes; `--json` is for programs."
_LABEL_WIDTH: Final = 14


@final
class Request:
    """One request: a heading for people, who gets it and what came back, and its exact bytes."""

    __slots__ = ("answer", "at", "heading", "raw", "to")

    def __init__(self, heading: str, raw: bytes, *, to: str = "", at: str = "", answer: str = "") -> None:
        self.heading = heading
        self.raw = raw
        self.to = to
        self.at = at
        self.answer = answer


def requests_of(telemetry: Telemetry, what: str) -> list[Request]:
    """The requests of *what*: `example`, `pending` or `sent`."""
    return list({"example": _example, "pending": _pending, "sent": _sent}[what](telemetry))


def print_requests(screen: Screen, application: str, what: str, form: str, requests: list[Request]) -> None:
    """Print *requests* in one *form*: `raw`, `json`, `full`, or their events as a table."""
    if form in ("raw", "json"):
        for request in requests:
            if form == "raw":
                screen.data(request.raw + b"\n")
            else:
                screen.text(json.dumps(request_fields(application, request)))
            if screen.failed is not None:
                return
        return
    if form != "full":
        print_events(screen, application, what, requests)
    if form == "full" or what == "example":
        for request in requests:
            screen.lines([*request_lines(request), ""])
    else:
        screen.lines([HINT])


def request_lines(request: Request) -> list[str]:
    """A request in words: when and where to, every header, and the body decoded."""
    from franklinwh_telemetry.sender.readable import readable  # noqa: PLC0415 - may load protobuf

    return [f"# {request.heading}", *readable(request.raw)]


def request_fields(application: str, request: Request) -> dict[str, object]:
    """A request for a program to read: its events, the lines of its head, and its body decoded."""
    from franklinwh_telemetry.sender.readable import decoded, facts_of, head_lines  # noqa: PLC0415 - may load protobuf

    body = decoded(request.raw)
    return {
        "application": application,
        "heading": request.heading,
        "to": request.to,
        "at": request.at or None,
        "answer": request.answer or None,
        "events": [facts.to_fields() for facts in facts_of(body)],
        "head": head_lines(request.raw),
        "body": body,
    }


def print_events(screen: Screen, application: str, what: str, requests: list[Request]) -> None:
    """The events of *requests*, grouped by where they go, what was answered, and the UUID that they carry."""
    from franklinwh_telemetry.sender.readable import decoded, facts_of  # noqa: PLC0415 - may load protobuf

    screen.heading(f"{application}: {TITLES[what]}")
    told: list[tuple[Request, Facts | None]] = []
    for request in requests:
        events = facts_of(decoded(request.raw))
        told.extend((request, facts) for facts in events)
        if not events:
            told.append((request, None))
    for (to, answer, execution_uuid), group in groupby(told, key=_group):
        rows = [_row(facts) for _request, facts in group if facts is not None]
        if not rows:
            continue
        route = [("to", to), ("answered", answer)] if answer else [("to", to)]
        screen.facts([*route, ("execution UUID", f"{execution_uuid}  ({UUID_NOTE})")], _LABEL_WIDTH)
        screen.table(COLUMNS, rows)
        screen.text("")
    others = [request for request, facts in told if facts is None]
    screen.lines(f"{_without_event(request.raw)}{request.heading}" for request in others)
    count = len(told) - len(others)
    if count:
        total = counted(len(requests) - len(others), "request")
        screen.lines([f"{counted(count, 'event')} of five facts each, and nothing else, in {total}."])


def _without_event(raw: bytes) -> str:
    if raw.startswith(b"POST /flags/"):
        return "The project key is checked first, without an event: "
    return "Without an event of five facts: " if raw else ""


def _group(told: tuple[Request, Facts | None]) -> tuple[str, str, str]:
    request, facts = told
    return request.to, request.answer, "" if facts is None else facts.execution_uuid


def _row(facts: Facts) -> tuple[str, str, str, str]:
    return facts.executed, facts.command, f"{facts.latency_ms} ms", "true" if facts.success else "false"


def _example(telemetry: Telemetry) -> Iterator[Request]:
    """By the yes that there is, else by the one that `on` would write: whoever says no wants to see it first."""
    allowed, destination, execution_uuid = telemetry.permission(), FILE, None
    if isinstance(allowed, Denied):
        plan = plan_on(telemetry)
        if isinstance(plan, Plan):
            destination, execution_uuid = plan.destination, plan.execution_uuid
    else:
        destination, execution_uuid = allowed.destination, allowed.granted.execution_uuid
    execution_uuid = execution_uuid or event.draw_execution_uuid(os.urandom)
    record = event.make_record(example_event(telemetry.vocabulary, execution_uuid), os.urandom)
    yield from _previews("an example", telemetry.application, destination, [record], None)


def _pending(telemetry: Telemetry) -> Iterator[Request]:
    from franklinwh_telemetry.sender.send import pending_records  # noqa: PLC0415 - only this command needs it

    for spool in _spools(telemetry):
        manifest, records = spool.manifest(), pending_records(spool)
        if manifest is not None and records:
            yield from _previews("waiting", telemetry.application, manifest.destination, records, spool.folder)


def _previews(
    heading: str,
    application: str,
    destination: Destination,
    records: list[event.Record],
    folder: str | None,
) -> Iterator[Request]:
    from franklinwh_telemetry.sender.delivery import preview  # noqa: PLC0415 - loads OpenTelemetry
    from franklinwh_telemetry.sender.surroundings import forget_otel_environment  # noqa: PLC0415

    forget_otel_environment()
    to = destination.describe()
    for raw in preview(application, destination, records, folder=folder):
        yield Request(f"{heading}, to {to}", raw, to=to)


def _sent(telemetry: Telemetry) -> Iterator[Request]:
    from franklinwh_telemetry.sender.delivery import JOURNAL_FOLDER  # noqa: PLC0415
    from franklinwh_telemetry.sender.file import written_lines  # noqa: PLC0415
    from franklinwh_telemetry.sender.journal import Journal  # noqa: PLC0415

    for spool in _spools(telemetry):
        journal = Journal(spool.path(JOURNAL_FOLDER))
        for entry in journal.entries():
            answer = str(entry.status) if entry.status is not None else entry.error or "no answer"
            heading = f"{moment(entry.at_ms)} to {entry.host}, {_answered(entry.status, answer)}"
            yield Request(heading, entry.request, to=entry.host, at=moment(entry.at_ms), answer=answer)
        if journal.skipped:
            damaged = f"{journal.skipped} more in {spool.path(JOURNAL_FOLDER)} are damaged; remove them, or run `erase`"
            yield Request(damaged, b"")
        to = f"{FILE.describe()}, below {spool.folder}"
        try:
            yield from [Request(f"kept in {spool.folder}", line, to=to) for line in written_lines(spool.folder)]
        except OSError as error:
            yield Request(f"what was kept in {spool.folder} cannot be read ({error.strerror}); check it", b"")


def _answered(status: int | None, answer: str) -> str:
    return answer if status is None else f"answered {answer}"


def _spools(telemetry: Telemetry) -> Iterator[Backlog]:
    root = telemetry.state_root()
    if isinstance(root, str):
        # What is no safe folder of this user's holds no request; `status` says so.
        spools = existing_spools(root, telemetry.application)
        yield from (spool for spool in spools if check_folder(spool.folder) is True)
