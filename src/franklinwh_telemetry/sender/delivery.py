"""Delivery: records in, each one settled with the destination when it returns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.sender.answer import Answer
from franklinwh_telemetry.sender.file import FileSpanExporter, otlp_line
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.sender.otlp import PROTOBUF, AcknowledgingOtlpExporter
from franklinwh_telemetry.sender.posthog import DEFAULT_EVENT_NAME, KeyMemory, PassingKeyMemory, PostHogSpanExporter
from franklinwh_telemetry.sender.provider import MAX_BATCH, RecordTracer
from franklinwh_telemetry.sender.wire import CapturingWire, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.event import Record
    from franklinwh_telemetry.sender.acknowledge import AcknowledgingSpanExporter, Outcome, Trouble

JOURNAL_FOLDER: Final = "journal"
KEY_MARKER: Final = "key-is-good"


class Delivery:
    """
    Sends the records of one spool to one destination; one for a process, used as often as there are records.

    Below *folder*, the spool's: the journal, the memory of a good key, and the embedded file. *may_send* is asked
    right before each request, and again before its bytes are written.
    """

    def __init__(
        self,
        *,
        application: str,
        destination: Destination,
        folder: str,
        may_send: Callable[[], bool],
        outcome: Outcome,
        event_name: str = DEFAULT_EVENT_NAME,
        deadline_s: float = 10.0,
    ) -> None:
        wire = Wire(
            destination,
            Journal(os.path.join(folder, JOURNAL_FOLDER)),
            deadline_s=deadline_s,
            may_send=may_send,
        )
        if destination.kind == "file":
            exporter: AcknowledgingSpanExporter = FileSpanExporter(
                folder,
                application=application,
                may_send=may_send,
                outcome=outcome,
            )
        else:
            exporter = _network_exporter(
                wire,
                application=application,
                may_send=may_send,
                outcome=outcome,
                key_memory=KeyMemory(os.path.join(folder, KEY_MARKER), destination),
                event_name=event_name,
            )
        self._run = _Run(application, exporter, wire)

    def deliver(self, records: Sequence[Record]) -> None:
        """Return when each of *records* was accepted, refused, or is kept; after the first trouble the rest is kept."""
        self._run.deliver(records)

    def close(self) -> None:
        """End the SDK's thread and close what is open."""
        self._run.close()


class _Run:
    """A tracer and its exporter."""

    def __init__(self, application: str, exporter: AcknowledgingSpanExporter, wire: Wire) -> None:
        self._exporter = exporter
        self._wire = wire
        self._tracer = RecordTracer(application, exporter)

    def deliver(self, records: Sequence[Record]) -> None:
        self._exporter.begin()
        for start in range(0, len(records), MAX_BATCH):
            if self._exporter.trouble is not None:
                return
            for record in records[start : start + MAX_BATCH]:
                self._exporter.expect(record)
                self._tracer.emit(record)
            self._tracer.flush()
        self._exporter.finish()

    def close(self) -> None:
        self._tracer.close()
        self._wire.close()


def _network_exporter(
    wire: Wire,
    *,
    application: str,
    may_send: Callable[[], bool],
    outcome: Outcome,
    key_memory: KeyMemory | PassingKeyMemory,
    event_name: str,
) -> AcknowledgingSpanExporter:
    if wire.destination.kind == "otlp":
        return AcknowledgingOtlpExporter(wire, application=application, may_send=may_send, outcome=outcome)
    return PostHogSpanExporter(
        wire,
        application=application,
        may_send=may_send,
        outcome=outcome,
        key_memory=key_memory,
        event_name=event_name,
    )


_AS_IF_ANSWERED: Final = {
    "traces": Answer(status=200, content_type=PROTOBUF),
    "flags": Answer(status=200, content_type="application/json", body=b"{}"),
    "batch": Answer(status=200, content_type="application/json", body=b'{"status":1}'),
}


def preview(
    application: str,
    destination: Destination,
    records: Sequence[Record],
    *,
    folder: str | None = None,
    event_name: str = DEFAULT_EVENT_NAME,
) -> list[bytes]:
    """
    The exact requests that a delivery started now would write, in their order, if all goes well; nothing is sent.

    With PostHog the first is the check of the key, unless the spool in *folder* remembers a good one.
    For the file it is the exact lines. Records that would be refused are left out.
    """
    if not records:
        return []
    if destination.kind == "file":
        starts = range(0, len(records), MAX_BATCH)
        return [otlp_line(records[start : start + MAX_BATCH], application) for start in starts]
    known = folder is not None and KeyMemory(os.path.join(folder, KEY_MARKER), destination).is_good()
    wire = CapturingWire(destination, _AS_IF_ANSWERED)
    exporter = _network_exporter(
        wire,
        application=application,
        may_send=lambda: True,
        outcome=_Nobody(),
        key_memory=PassingKeyMemory(good=known),
        event_name=event_name,
    )
    run = _Run(application, exporter, wire)
    try:
        run.deliver(records)
    finally:
        run.close()
    return wire.requests


class _Nobody:
    """Who is told what became of a preview."""

    def accepted(self, records: Sequence[Record]) -> None:
        """Nothing to note."""

    def refused(self, record: Record, why: str) -> None:
        """Nothing to note."""

    def kept(self, trouble: Trouble) -> None:
        """Nothing to note."""
