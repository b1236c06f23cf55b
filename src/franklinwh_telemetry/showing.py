"""
What `show` prints: the requests themselves, as bytes or in words.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import event
from franklinwh_telemetry.denial import Denied
from franklinwh_telemetry.destination import FILE
from franklinwh_telemetry.spool import existing_spools
from franklinwh_telemetry.statefolder import check_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.spool import Spool

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


def requests_of(telemetry: Telemetry, what: str) -> list[Request]:
    """The requests of *what*: `example`, `pending` or `sent`."""
    return list({"example": _example, "pending": _pending, "sent": _sent}[what](telemetry))


def request_lines(request: Request) -> list[str]:
    """A request in words: when and where to, every header, and the body decoded."""
    from franklinwh_telemetry.sender.readable import readable  # noqa: PLC0415 - may load protobuf

    return [f"# {request.heading}", *readable(request.raw)]


def request_fields(request: Request) -> dict[str, object]:
    """A request for a program to read: its heading, the lines of its head, and its body decoded."""
    from franklinwh_telemetry.sender.readable import decoded, head_lines  # noqa: PLC0415 - may load protobuf

    return {"heading": request.heading, "head": head_lines(request.raw), "body": decoded(request.raw)}


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
        journal = Journal(spool.path(JOURNAL_FOLDER))
        for entry in journal.entries():
            answer = f"answered {entry.status}" if entry.status is not None else entry.error or "no answer"
            yield Request(f"{_when(entry.at_ms)} to {entry.host}, {answer}", entry.request)
        if journal.skipped:
            damaged = f"{journal.skipped} more in {spool.path(JOURNAL_FOLDER)} are damaged; remove them, or run `erase`"
            yield Request(damaged, b"")
        try:
            yield from [Request(f"kept in {spool.folder}", line) for line in written_lines(spool.folder)]
        except OSError as error:
            yield Request(f"what was kept in {spool.folder} cannot be read ({error.strerror}); check it", b"")


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def _spools(telemetry: Telemetry) -> Iterator[Spool]:
    root = telemetry.state_root()
    if isinstance(root, str):
        # What is no safe folder of this user's holds no request; `status` says so.
        spools = existing_spools(root, telemetry.application)
        yield from (spool for spool in spools if check_folder(spool.folder) is True)
