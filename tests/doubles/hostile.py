"""What a hostile client makes and how it delivers it, and how to tell that nothing but the five facts came through."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import struct
from typing import TYPE_CHECKING, Any
from uuid import UUID

from doubles.collector import peak_bytes
from doubles.otlp import decode_otlp_json
from doubles.records import APPLICATION
from doubles.sending import ids, recent, send
from franklinwh_telemetry.event import CommandEvent, Record
from franklinwh_telemetry.sender.spans import otlp_json
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from doubles.collector import Collector

MIB = 1024 * 1024
PROTOBUF, JSON = "application/x-protobuf", "application/json"
CLOSED = 0
"""In place of a status: the connection was closed without an answer."""

MEMORY_BYTES = 512 * MIB
MEMORY = {"GOMEMLIMIT": "400MiB"}
"""The Collector's hard limit under Compose, and what it is told there to keep below it."""


def post(
    port: int,
    body: bytes,
    content_type: str = PROTOBUF,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    path: str = "/v1/traces",
) -> int:
    """Ask the Collector once, and return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        # One that is refused early closes while we send; its answer may still be there to read.
        with contextlib.suppress(ConnectionError):
            connection.request(method, path, body, {"Content-Type": content_type, **(headers or {})})
        answer = connection.getresponse()
        answer.read()
    except (ConnectionError, http.client.HTTPException):
        return CLOSED
    else:
        return answer.status
    finally:
        connection.close()


def message_of(records: Sequence[Record]) -> ExportTraceServiceRequest:
    """The contract's OTLP message."""
    return decode_otlp_json(otlp_json(records, APPLICATION))


def record_of(span: Any) -> Record:
    """The facts of a span from the backend, read as strictly as can be."""
    facts = {attribute.key: attribute.value for attribute in span.attributes}
    text = facts["franklinwh.command"].string_value
    vocabulary = franklinwh_cloud.vocabulary()
    command = vocabulary.other if text == "other" else vocabulary.member(text)
    assert command is not None, text
    event = CommandEvent(
        command=command,
        executed_at_ms=span.start_time_unix_nano // 1_000_000,
        execution_latency_ms=facts["franklinwh.execution_latency_ms"].int_value,
        success=facts["franklinwh.success"].bool_value,
        execution_uuid=UUID(facts["franklinwh.execution_uuid"].string_value),
    )
    assert event.execution_uuid.version == 4
    return Record(
        event=event, trace_id=int.from_bytes(span.trace_id, "big"), span_id=int.from_bytes(span.span_id, "big")
    )


def records_at(collector: Collector) -> list[Record]:
    """What is in the file of the Collector, of which every line must be, whole, the contract's message of facts."""
    found: list[Record] = []
    for line in collector.lines():
        message = decode_otlp_json(json.loads(line))
        records = [
            record_of(span)
            for resource_spans in message.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]
        assert message == message_of(records), line
        found += records
    return found


class Besieged:
    """A Collector with the backend `file` and the memory of Compose, and an honest client beside the hostile ones."""

    def __init__(self, collector: Collector, folder: Path) -> None:
        self.collector = collector
        self._folder = folder
        self._next = 1

    @property
    def port(self) -> int:
        """Where OTLP is received."""
        return self.collector.port

    def records(self, count: int = 1) -> list[Record]:
        """Records of a moment ago, of numbers that no other test has."""
        self._next += count
        return recent(self._next - count, count)

    def arrived(self) -> set[int]:
        """The span ids at the backend, where nothing but five facts may be."""
        return {record.span_id for record in records_at(self.collector)}

    def serves(self) -> None:
        """It is up and within its memory, it takes all that our sender has, and it has passed on facts alone."""
        honest = self.records(5)
        assert send(self.collector.url, self._folder, honest).accepted_ids == ids(honest)
        assert set(ids(honest)) <= self.arrived()
        assert peak_bytes([self.collector.pid]) < MEMORY_BYTES


def varint(number: int) -> bytes:
    """Protobuf's."""
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf that has a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(levels: int, *tags: int) -> bytes:
    """Messages in one another: in each of them the fields of these numbers, the first around the second, and so on."""
    reversed_parts: list[bytes] = []
    size = 0
    for tag in list(reversed(tags)) * levels:
        reversed_parts.append(varint(tag << 3 | 2) + varint(size))
        size += len(reversed_parts[-1])
    return b"".join(reversed(reversed_parts))


def request_with(record: Record, further: bytes) -> bytes:
    """The request of one honest span, which has *further* fields besides."""
    (resource_spans,) = message_of([record]).resource_spans
    (scope_spans,) = resource_spans.scope_spans
    span = field(2, scope_spans.spans[0].SerializeToString() + further)
    scope = field(2, field(1, scope_spans.scope.SerializeToString()) + span)
    return field(1, field(1, resource_spans.resource.SerializeToString()) + scope)


def gzip_bomb(members: int) -> bytes:
    """64 MiB of spaces for each member, in 64 KiB."""
    return gzip.compress(b" " * 64 * MIB) * members


def zstd_bomb(window_log: int, blocks: int) -> bytes:
    """A frame that asks for a window of 2**window_log bytes, and four bytes for each further 128 KiB."""
    repeated = [struct.pack("<I", last | 1 << 1 | 131072 << 3)[:3] + b" " for last in [0] * (blocks - 1) + [1]]
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(window_log - 10) << 3]) + b"".join(repeated)


def snappy_bomb(claimed: int) -> bytes:
    """A few bytes that claim to be many."""
    return varint(claimed) + b"\xf0\x00 "
