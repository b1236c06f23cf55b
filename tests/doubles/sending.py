"""Records of a moment ago, and the real delivery of them to a URL."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from doubles.records import APPLICATION, Told, make_record
from franklinwh_telemetry.destination import Destination, parse_destination
from franklinwh_telemetry.sender.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from franklinwh_telemetry.event import Record


def recent(first: int, count: int = 1) -> list[Record]:
    """Records of a moment ago, numbered: the gate takes none that are old."""
    now_ms = time.time_ns() // 1_000_000
    return [
        make_record(number, executed_at_ms=now_ms - number, latency_ms=number, success=number % 2 == 0)
        for number in range(first, first + count)
    ]


def send(url: str, folder: Path, records: Sequence[Record]) -> Told:
    """Send for real, as the sender does, and return what it was told."""
    destination = parse_destination(url)
    assert isinstance(destination, Destination)
    return deliver(folder, destination, records, deadline_s=10.0)


def deliver(folder: Path, destination: Destination, records: Sequence[Record], **settings: Any) -> Told:
    """The same to a destination; *settings* are those of `Delivery`."""
    told = Told()
    delivery = Delivery(
        application=APPLICATION,
        destination=destination,
        folder=str(folder),
        may_send=lambda: True,
        outcome=told,
        **settings,
    )
    delivery.deliver(records)
    delivery.close()
    return told


def ids(records: Sequence[Record]) -> list[int]:
    """The span ids, by which a sender is told of each record."""
    return [record.span_id for record in records]
