"""
What was written, read back with suspicion: a record, or by name why the bytes are none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.event import (
    MAX_EXECUTED_AT_MS,
    MAX_LATENCY_MS,
    MAX_RECORD_BYTES,
    RECORD_VERSION,
    CommandEvent,
    Record,
    parse_execution_uuid,
)
from franklinwh_telemetry.value import Choice

if TYPE_CHECKING:
    from franklinwh_telemetry.vocabulary import Vocabulary

_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_KEYS: Final = frozenset(
    (
        "command",
        "executed_at_ms",
        "execution_latency_ms",
        "execution_uuid",
        "span_id",
        "success",
        "trace_id",
        "v",
    ),
)


class RecordRefusal(Choice):
    """Why some bytes are not one of our records."""

    TOO_LARGE = "larger than a record can be"
    NOT_JSON = "not JSON"
    NEWER_VERSION = "written by a newer version"
    WRONG_KEYS = "keys missing or too many"
    WRONG_VALUE = "a value of the wrong type or out of range"
    UNKNOWN_COMMAND = "a command that is not in the vocabulary"


def decode(data: bytes, vocabulary: Vocabulary) -> Record | RecordRefusal:
    """Parse what `encode` wrote; anything else, however close, is refused by name."""
    if len(data) > MAX_RECORD_BYTES:
        return RecordRefusal.TOO_LARGE
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return RecordRefusal.NOT_JSON
    if not isinstance(fields, dict):
        return RecordRefusal.WRONG_KEYS
    version = fields.get("v")
    if type(version) is int and version > RECORD_VERSION:
        return RecordRefusal.NEWER_VERSION
    if fields.keys() != _KEYS:
        return RecordRefusal.WRONG_KEYS
    return _parse_fields(fields, vocabulary)


def _parse_fields(fields: dict[str, object], vocabulary: Vocabulary) -> Record | RecordRefusal:
    executed_at_ms = _whole_number(fields["executed_at_ms"], MAX_EXECUTED_AT_MS)
    latency_ms = _whole_number(fields["execution_latency_ms"], MAX_LATENCY_MS)
    success, text, uuid_text = fields["success"], fields["command"], fields["execution_uuid"]
    execution_uuid = parse_execution_uuid(uuid_text) if isinstance(uuid_text, str) else None
    trace_id, span_id = _hex_id(fields["trace_id"], 32), _hex_id(fields["span_id"], 16)
    if (
        type(fields["v"]) is not int
        or fields["v"] != RECORD_VERSION
        or executed_at_ms is None
        or latency_ms is None
        or not isinstance(success, bool)
        or not isinstance(text, str)
        or execution_uuid is None
        or str(execution_uuid) != uuid_text
        or trace_id is None
        or span_id is None
    ):
        return RecordRefusal.WRONG_VALUE
    command = vocabulary.member(text)
    if command is None:
        return RecordRefusal.UNKNOWN_COMMAND
    event = CommandEvent(
        command=command,
        executed_at_ms=executed_at_ms,
        execution_latency_ms=latency_ms,
        success=success,
        execution_uuid=execution_uuid,
    )
    return Record(event=event, trace_id=trace_id, span_id=span_id)


def _whole_number(value: object, limit: int) -> int | None:
    return value if type(value) is int and 0 <= value <= limit else None


def _hex_id(value: object, digits: int) -> int | None:
    if not isinstance(value, str) or len(value) != digits or not _HEX_DIGITS.issuperset(value):
        return None
    return int(value, 16) or None
