"""
The narrow waist: five facts about one finished command, and the record that carries them.

Everything before this module makes a `CommandEvent`, everything after it reads one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, final
from uuid import UUID

from franklinwh_telemetry.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from franklinwh_telemetry.vocabulary import Command

MAX_LATENCY_MS: Final = 7 * 24 * 60 * 60 * 1000
"""Seven days; a command that ran longer is reported as exactly this."""

MAX_EXECUTED_AT_MS: Final = (2**64 - 1) // 1_000_000 - MAX_LATENCY_MS
"""In July 2554: the last start from which any end still fits OTLP's 64-bit nanoseconds."""

MAX_RECORD_BYTES: Final = 4096
"""A record is about 250 bytes; what is larger than this is not ours and is not read."""

RECORD_VERSION: Final = 1

RANDOM_VERSION: Final = 4
"""The UUID version of RFC 9562 whose bits are random."""

_UUID_LENGTH: Final = 36


@final
class CommandEvent(Value):
    """
    Five facts about one finished command; no field can hold free text.

    `executed_at_ms` is UTC in milliseconds since 1970, 0 to `MAX_EXECUTED_AT_MS`;
    `execution_latency_ms` is 0 to `MAX_LATENCY_MS`; `execution_uuid` is random (version 4).
    """

    __slots__ = ("command", "executed_at_ms", "execution_latency_ms", "execution_uuid", "success")

    command: Command
    executed_at_ms: int
    execution_latency_ms: int
    success: bool
    execution_uuid: UUID

    def __init__(
        self,
        *,
        command: Command,
        executed_at_ms: int,
        execution_latency_ms: int,
        success: bool,
        execution_uuid: UUID,
    ) -> None:
        super().__init__(command, executed_at_ms, execution_latency_ms, execution_uuid, success)


@final
class Record(Value):
    """
    An event with the ids that the protocols ask for, drawn once so that every retry repeats them.

    `trace_id` has 16 random bytes and `span_id` 8; neither is ever zero, which OpenTelemetry reads as "no id".
    """

    __slots__ = ("event", "span_id", "trace_id")

    event: CommandEvent
    trace_id: int
    span_id: int

    def __init__(self, *, event: CommandEvent, trace_id: int, span_id: int) -> None:
        super().__init__(event, span_id, trace_id)


def clamp_latency_ms(latency_ms: int) -> int:
    """The latency as it may be said: 0 to seven days, both included."""
    return max(0, min(latency_ms, MAX_LATENCY_MS))


def clamp_executed_at_ms(executed_at_ms: int) -> int:
    """The time as it may be said: a clock before 1970 or after 2554 is held at the limit."""
    return max(0, min(executed_at_ms, MAX_EXECUTED_AT_MS))


def parse_execution_uuid(text: str) -> UUID | None:
    """
    The UUID in *text*, or None unless it is a random (version 4) one in its 36-character form.

    Upper case is read and written back as lower case; braces, `urn:uuid:` and other versions are refused,
    so that a typed e-mail or a machine's address can never become an id.
    """
    lowered = text.strip().lower()
    if len(lowered) != _UUID_LENGTH or not lowered.isascii():
        return None
    try:
        parsed = UUID(lowered)
    except ValueError:
        return None
    return parsed if parsed.version == RANDOM_VERSION and str(parsed) == lowered else None


def draw_execution_uuid(random_bytes: Callable[[int], bytes]) -> UUID:
    """A new random UUID, version 4 of RFC 9562, from a source of random bytes such as `os.urandom`."""
    return UUID(bytes=random_bytes(16), version=4)


def make_record(event: CommandEvent, random_bytes: Callable[[int], bytes]) -> Record:
    """Give *event* its ids, from a source of random bytes such as `os.urandom`."""
    return Record(event=event, trace_id=_draw(random_bytes, 16), span_id=_draw(random_bytes, 8))


def _draw(random_bytes: Callable[[int], bytes], size: int) -> int:
    return int.from_bytes(random_bytes(size), "big") or 1


def encode(record: Record) -> bytes:
    """The record as the spool keeps it: one line of JSON with sorted keys."""
    event = record.event
    fields = {
        "command": event.command.text,
        "executed_at_ms": event.executed_at_ms,
        "execution_latency_ms": event.execution_latency_ms,
        "execution_uuid": str(event.execution_uuid),
        "span_id": f"{record.span_id:016x}",
        "success": event.success,
        "trace_id": f"{record.trace_id:032x}",
        "v": RECORD_VERSION,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
