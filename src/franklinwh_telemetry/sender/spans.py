"""What a record is as a span: pure, and the one place that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind, StatusCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from franklinwh_telemetry.event import Record

SCOPE_NAME: Final = "franklinwh_telemetry"
FLAGS: Final = 256
"""OTLP's "it is known that the parent, if any, is not remote"; each SDK sets it on every span."""

MAX_NANOSECONDS: Final = 2**64 - 1
"""OTLP's times are unsigned 64-bit nanoseconds; the last whole second is in July 2554."""

_SAMPLED: Final = 1


def start_ns(record: Record) -> int:
    """When the command was run, in nanoseconds since 1970."""
    return record.event.executed_at_ms * 1_000_000


def end_ns(record: Record) -> int:
    """When it ended: derived from start and latency."""
    return start_ns(record) + record.event.execution_latency_ms * 1_000_000


def fits_otlp(record: Record) -> bool:
    """Whether OTLP has a number for the times."""
    return end_ns(record) <= MAX_NANOSECONDS


def attributes(record: Record) -> dict[str, str | int | bool]:
    """The facts that the start time does not carry."""
    event = record.event
    return {
        "franklinwh.command": event.command.text,
        "franklinwh.execution_latency_ms": event.execution_latency_ms,
        "franklinwh.success": event.success,
        "franklinwh.execution_uuid": str(event.execution_uuid),
    }


def status_code(record: Record) -> StatusCode:
    """OK or ERROR, never with a message."""
    return StatusCode.OK if record.event.success else StatusCode.ERROR


def matches(span: ReadableSpan, record: Record, application: str) -> bool:
    """Whether a finished span says what *record* says, all of it, and nothing else."""
    scope, resource, context = span.instrumentation_scope, span.resource, span.context
    return (
        context is not None
        and scope is not None
        and span.name == record.event.command.text
        and (context.trace_id, context.span_id) == (record.trace_id, record.span_id)
        and int(context.trace_flags) == _SAMPLED
        and not context.is_remote
        and len(context.trace_state) == 0
        and span.kind is SpanKind.INTERNAL
        and span.parent is None
        and (span.start_time, span.end_time) == (start_ns(record), end_ns(record))
        and _same(span.attributes, attributes(record))
        and len(span.events) == 0
        and len(span.links) == 0
        and (span.dropped_attributes, span.dropped_events, span.dropped_links) == (0, 0, 0)
        and span.status.status_code is status_code(record)
        and span.status.description is None
        and _same(resource.attributes, {"service.name": application})
        and not resource.schema_url
        and scope.name == SCOPE_NAME
        and not scope.version
        and not scope.schema_url
        and not scope.attributes
    )


def _same(found: Any, expected: dict[str, Any]) -> bool:
    """Equal keys, values and types: True is not 1."""
    return dict(found or {}) == expected and all(type(found[key]) is type(value) for key, value in expected.items())


def otlp_json(records: Sequence[Record], application: str) -> dict[str, Any]:
    """
    The ExportTraceServiceRequest of *records* in OTLP/JSON.

    Ids are hex, enums numbers, 64-bit numbers decimal strings, as OTLP demands and protobuf's own JSON does not.
    """
    scope_spans = {"scope": {"name": SCOPE_NAME}, "spans": [_span_json(record) for record in records]}
    resource = {"attributes": [_attribute_json("service.name", application)]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope_spans]}]}


def _span_json(record: Record) -> dict[str, Any]:
    return {
        "traceId": f"{record.trace_id:032x}",
        "spanId": f"{record.span_id:016x}",
        "flags": FLAGS,
        "name": record.event.command.text,
        "kind": 1,
        "startTimeUnixNano": str(start_ns(record)),
        "endTimeUnixNano": str(end_ns(record)),
        "attributes": [_attribute_json(key, value) for key, value in attributes(record).items()],
        "status": {"code": status_code(record).value},
    }


def _attribute_json(key: str, value: str | int | bool) -> dict[str, Any]:  # noqa: FBT001 - a value, no switch
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": value}}
