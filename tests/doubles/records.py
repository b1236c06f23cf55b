"""Records made by hand, and somebody to be told what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from franklinwh_telemetry.event import CommandEvent, Record
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from franklinwh_telemetry.sender.acknowledge import Trouble

APPLICATION = "franklinwh-cloud"
VOCABULARY = Vocabulary(["status", "tou --set", "a<b>&é\u2028z"])
EXECUTION_UUID = UUID("0dfc7f6e-6a2b-4c1d-8e9f-0a1b2c3d4e5f")


def make_record(
    number: int = 1,
    *,
    command: str = "status",
    executed_at_ms: int = 1_732_500_000_123,
    latency_ms: int = 250,
    success: bool = True,
    execution_uuid: UUID = EXECUTION_UUID,
) -> Record:
    """A record whose ids are its number."""
    known = VOCABULARY.member(command)
    assert known is not None
    event = CommandEvent(
        command=known,
        executed_at_ms=executed_at_ms,
        execution_latency_ms=latency_ms,
        success=success,
        execution_uuid=execution_uuid,
    )
    return Record(event=event, trace_id=0xA000 + number, span_id=number)


def make_records(count: int) -> list[Record]:
    """*count* records, numbered from 1."""
    return [make_record(number) for number in range(1, count + 1)]


class Told:
    """Remembers what a delivery said."""

    def __init__(self) -> None:
        self.accepted_ids: list[int] = []
        self.refusals: list[tuple[int, str]] = []
        self.troubles: list[Trouble] = []

    def accepted(self, records: Sequence[Record]) -> None:
        """Note the span ids."""
        self.accepted_ids += [record.span_id for record in records]

    def refused(self, record: Record, why: str) -> None:
        """Note the span id and the reason."""
        self.refusals.append((record.span_id, why))

    def kept(self, trouble: Trouble) -> None:
        """Note the trouble."""
        self.troubles.append(trouble)
