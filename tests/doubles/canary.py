"""
An OTLP request with a canary in every field that the protocol has, and how to find one that got out.

The fields are read from the protocol's own descriptors: one that a later release adds is filled too, or stops the test.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from doubles.hostile import message_of, varint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from franklinwh_telemetry.event import Record

CANARY = "CNRYq7Zx"
NUMBER = 1_128_353_345
"""A canary for fields that hold no text; large, and yet within 32 bits."""

UNKNOWN_FIELD = 1900
DEPTH = 9
"""How many messages are in one another: down to a value in a list in a list of a span's attribute."""

ID_BYTES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
"""Fields whose content must have this length, or the whole request is refused."""

INTEGERS = (
    *(FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64),
    *(FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64),
)


def forms() -> list[bytes]:
    """What the canary looks like: text, hex, base64 at each of its three places, and the number in each encoding."""
    text = CANARY.encode()
    found = [text, text.hex().encode(), text.hex().upper().encode()]
    found += [base64.b64encode(b"x" * shift + text)[(shift * 4 + 2) // 3 + (shift > 0) :][:8] for shift in range(3)]
    found += [str(NUMBER).encode(), varint(NUMBER), struct.pack("<d", float(NUMBER)), struct.pack("<I", NUMBER)]
    return found


def escaped(written: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """Where, of what was written anywhere, a canary is, and in which form."""
    return [(where, form) for where, content in written.items() for form in forms() if form in content]


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: spans, the queue on the disk, the log."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reachable(descriptor: Descriptor, seen: set[str] | None = None) -> Iterator[str]:
    """The full name of every field that a message, or one in it, can have."""
    seen = set() if seen is None else seen
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        yield field.full_name
        if field.message_type is not None:
            yield from reachable(field.message_type, seen)


class Filler:
    """Makes messages in which every field is set; `filled` is the full names of those that it has set."""

    def __init__(self) -> None:
        self.filled: set[str] = set()

    def variants(self, made: type[Message], depth: int) -> list[Any]:
        """As many messages as it takes for each alternative of a `oneof`, of it or of what it holds, to be in one."""
        descriptor: Any = made.DESCRIPTOR
        children = {
            field.name: self.variants(message_factory.GetMessageClass(field.message_type), depth - 1)
            for field in descriptor.fields
            if field.message_type is not None and depth > 0
        }
        alone = [len(children[field.name]) for field in descriptor.fields if field.name in children and not many(field)]
        choices = [len(oneof.fields) for oneof in descriptor.oneofs]
        return [self._fill(made(), children, number) for number in range(max([1, *alone, *choices]))]

    def _fill(self, message: Any, children: dict[str, list[Any]], number: int) -> Any:
        for field in message.DESCRIPTOR.fields:
            oneof = field.containing_oneof
            if oneof is not None and oneof.fields[number % len(oneof.fields)] is not field:
                continue
            if field.message_type is None:
                self._set(message, field)
            elif field.name in children:
                found = children[field.name]
                if many(field):
                    getattr(message, field.name).extend(found)
                else:
                    getattr(message, field.name).CopyFrom(found[number % len(found)])
                self.filled.add(field.full_name)
        message.MergeFromString(varint(UNKNOWN_FIELD << 3 | 2) + varint(len(CANARY)) + CANARY.encode())
        message.MergeFromString(varint(UNKNOWN_FIELD + 1 << 3) + varint(NUMBER))
        return message

    def _set(self, message: Any, field: Any) -> None:
        value: Any
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            text = CANARY + field.full_name
            value = text if field.type == FieldDescriptor.TYPE_STRING else text.encode()
            if field.name in ID_BYTES:
                value = CANARY.encode() * (ID_BYTES[field.name] // len(CANARY))
        elif field.cpp_type in INTEGERS:
            value = NUMBER
        elif field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
            value = float(NUMBER)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            value = True
        elif field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
            value = field.enum_type.values[-1].number
        else:
            raise TypeError(f"no canary for the type of {field.full_name}")
        if many(field):
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
        self.filled.add(field.full_name)


def many(field: Any) -> bool:
    """Whether a field is repeated."""
    return bool(field.is_repeated)


def request(record: Record, *, honest: bool = True) -> tuple[ExportTraceServiceRequest, set[str]]:
    """
    A request full of canaries, and the fields that hold one.

    If *honest*, the first span has the facts, ids and times of the record, and so passes the gate.
    """
    filler = Filler()
    (message,) = filler.variants(ExportTraceServiceRequest, DEPTH)
    if honest:
        (resource_spans,) = message_of([record]).resource_spans
        (span,) = resource_spans.scope_spans[0].spans
        target = message.resource_spans[0]
        target.resource.attributes.extend(resource_spans.resource.attributes)
        first = target.scope_spans[0].spans[0]
        first.attributes.extend(span.attributes)
        first.trace_id, first.span_id = span.trace_id, span.span_id
        first.start_time_unix_nano, first.end_time_unix_nano = span.start_time_unix_nano, span.end_time_unix_nano
    return message, filler.filled


def as_json(message: ExportTraceServiceRequest) -> dict[str, Any]:
    """OTLP/JSON: the ids in hex, and in every object a canary more, under a name that is one."""

    def converted(value: Any) -> Any:
        if isinstance(value, list):
            return [converted(element) for element in value]
        if not isinstance(value, dict):
            return value
        ids = ("traceId", "spanId", "parentSpanId")
        fields = {
            key: base64.b64decode(inner).hex() if key in ids else converted(inner) for key, inner in value.items()
        }
        return {**fields, CANARY: CANARY}

    fields: dict[str, Any] = converted(json_format.MessageToDict(message, use_integers_for_enums=True))
    return fields
