"""
What `status` and `show` print: the state in words, and the requests themselves.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import event
from franklinwh_telemetry.consent import Denied
from franklinwh_telemetry.destination import FILE
from franklinwh_telemetry.spool import existing_spools
from franklinwh_telemetry.status import DEAD_SENDERS_REMEDY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.spool import Spool
    from franklinwh_telemetry.status import Status

EXAMPLE_LATENCY_MS: Final = 412
NOTHING: Final = {
    "pending": "Nothing waits to be sent.",
    "sent": "Nothing was sent yet.",
    "example": "There is no command to show.",
}


@final
class Request:
    """One request: a heading for people, and its exact bytes."""

    __slots__ = ("heading", "raw")

    def __init__(self, heading: str, raw: bytes) -> None:
        self.heading = heading
        self.raw = raw


def status_lines(state: Status) -> list[str]:
    """The state of an application in words, a line each."""
    lines = [f"{state.application}: {'on' if state.enabled else 'off'}", f"  decided by    {state.decision}"]
    if state.destination:
        lines.append(f"  destination   {state.destination}")
    lines.append(f"  waiting       {state.pending} events")
    lines.append(f"  delivered     {state.counts.get('delivered', 0)} events")
    lines.extend(
        f"  {name.replace('_', ' ')}: {count}"
        for name, count in state.counts.items()
        if name.startswith(("refused", "dropped", "discarded", "dispatch")) and count
    )
    if state.trouble:
        lines.append(f"  last trouble  {state.trouble}")
    if state.senders_died:
        lines.append(f"  {state.senders_died} senders ended before they were done: {DEAD_SENDERS_REMEDY}")
    if state.last_error:
        lines.append(f"  last error    {state.last_error} ({state.counts.get('errors', 0)} in all)")
    if state.state_folder:
        lines.append(f"  kept in       {state.state_folder}")
    return lines


def requests_of(telemetry: Telemetry, what: str) -> list[Request] | str:
    """The requests of *what* (`example`, `pending` or `sent`), or a line that says there are none."""
    found = {"example": _example, "pending": _pending, "sent": _sent}[what](telemetry)
    requests = list(found)
    return requests or NOTHING[what]


def request_lines(request: Request) -> list[str]:
    """A request in words: when and where to, every header, and the body decoded."""
    from franklinwh_telemetry.sender.readable import readable  # noqa: PLC0415 - may load protobuf

    return [f"# {request.heading}", *readable(request.raw)]


def example_record(telemetry: Telemetry, execution_uuid: UUID | None) -> event.Record:
    """A record such as a command of this application would leave: its first listed one, a moment ago."""
    vocabulary = telemetry.vocabulary
    listed = vocabulary.member(vocabulary.commands[0]) if vocabulary.commands else None
    return event.make_record(
        event.CommandEvent(
            command=listed or vocabulary.other,
            executed_at_ms=time.time_ns() // 1_000_000 - EXAMPLE_LATENCY_MS,
            execution_latency_ms=EXAMPLE_LATENCY_MS,
            success=True,
            execution_uuid=execution_uuid or event.draw_execution_uuid(os.urandom),
        ),
        os.urandom,
    )


def _example(telemetry: Telemetry) -> Iterator[Request]:
    allowed = telemetry.permission()
    destination = FILE if isinstance(allowed, Denied) else allowed.destination
    execution_uuid = None if isinstance(allowed, Denied) else allowed.granted.execution_uuid
    record = example_record(telemetry, execution_uuid)
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
    for raw in preview(application, destination, records, folder=folder):
        yield Request(f"{heading}, to {destination.describe()}", raw)


def _sent(telemetry: Telemetry) -> Iterator[Request]:
    from franklinwh_telemetry.sender.delivery import JOURNAL_FOLDER  # noqa: PLC0415
    from franklinwh_telemetry.sender.file import written_lines  # noqa: PLC0415
    from franklinwh_telemetry.sender.journal import Journal  # noqa: PLC0415

    for spool in _spools(telemetry):
        for entry in Journal(spool.path(JOURNAL_FOLDER)).entries():
            answer = f"answered {entry.status}" if entry.status is not None else entry.error or "no answer"
            yield Request(f"{_when(entry.at_ms)} to {entry.host}, {answer}", entry.request)
        for line in written_lines(spool.folder):
            yield Request(f"kept in {spool.folder}", line)


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def _spools(telemetry: Telemetry) -> Iterator[Spool]:
    root = telemetry.state_root()
    if isinstance(root, str):
        yield from existing_spools(root, telemetry.application)
