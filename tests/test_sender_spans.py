"""Records as spans: nothing the SDK adds, drops or changes goes unnoticed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.records import APPLICATION, make_record
from franklinwh_telemetry.sender import spans
from franklinwh_telemetry.sender.provider import RecordTracer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from franklinwh_telemetry.event import Record


class Collecting(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, batch: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += batch
        return SpanExportResult.SUCCESS


def finished(*records: Record) -> list[ReadableSpan]:
    """The spans that the SDK makes of *records*."""
    exporter = Collecting()
    tracer = RecordTracer(APPLICATION, exporter)
    for record in records:
        tracer.emit(record)
    tracer.close()
    return exporter.spans


def parts_of(span: ReadableSpan) -> dict[str, Any]:
    """What a span is made of."""
    return {
        "name": span.name,
        "context": span.context,
        "parent": span.parent,
        "resource": span.resource,
        "attributes": dict(span.attributes or {}),
        "events": span.events,
        "links": span.links,
        "kind": span.kind,
        "status": span.status,
        "start_time": span.start_time,
        "end_time": span.end_time,
        "instrumentation_scope": span.instrumentation_scope,
    }


@pytest.mark.parametrize(
    "record",
    [
        make_record(),
        make_record(success=False),
        make_record(executed_at_ms=0, latency_ms=0),
        make_record(command="a<b>&é\u2028z"),
    ],
)
def test_span_of_the_sdk_is_its_record(record: Record) -> None:
    """The finished span says what the record says, whole."""
    (span,) = finished(record)
    assert spans.matches(span, record, APPLICATION)
    assert spans.matches(ReadableSpan(**parts_of(span)), record, APPLICATION)


OTHER_CONTEXT = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))


def changed_context(**changes: Any) -> SpanContext:
    """The context of the span, but for *changes*."""
    fields = {"trace_id": 0xA001, "span_id": 1, "is_remote": False, "trace_flags": TraceFlags(1), **changes}
    return SpanContext(**fields)


def dropped_list() -> BoundedList[str]:
    """An empty list that has dropped something."""
    dropping: BoundedList[str] = BoundedList(0)
    dropping.append("surprise")
    return dropping


@pytest.mark.parametrize(
    "change",
    [
        {"name": "surprise"},
        {"context": changed_context(trace_id=5)},
        {"context": changed_context(span_id=5)},
        {"context": changed_context(trace_flags=TraceFlags(0))},
        {"context": changed_context(trace_flags=TraceFlags(3))},
        {"context": changed_context(trace_state=TraceState([("surprise", "1")]))},
        {"context": changed_context(is_remote=True)},
        {"context": None},
        {"parent": OTHER_CONTEXT},
        {"kind": SpanKind.CLIENT},
        {"start_time": 1_732_500_000_123_000_001},
        {"end_time": 1_732_500_000_373_000_001},
        {"events": [Event("surprise")]},
        {"links": [Link(OTHER_CONTEXT)]},
        {"attributes": BoundedAttributes(4, {"surprise": 1, **spans.attributes(make_record())})},
        {"attributes": None},
        {"events": dropped_list()},
        {"links": dropped_list()},
        {"status": Status(StatusCode.ERROR)},
        {"status": Status(StatusCode.ERROR, "surprise")},
        {"status": Status(StatusCode.UNSET)},
        {"resource": Resource({"service.name": APPLICATION, "surprise": "1"})},
        {"resource": Resource({"service.name": "another"})},
        {"resource": Resource({})},
        {"resource": Resource({"service.name": APPLICATION}, "https://surprise.example")},
        {"instrumentation_scope": None},
        {"instrumentation_scope": InstrumentationScope("surprise")},
        {"instrumentation_scope": InstrumentationScope("franklinwh_telemetry", "1.0")},
        {"instrumentation_scope": InstrumentationScope("franklinwh_telemetry", None, "https://surprise.example")},
        {"instrumentation_scope": InstrumentationScope("franklinwh_telemetry", None, None, {"surprise": 1})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_difference_is_seen(change: dict[str, Any]) -> None:
    """One changed part of a span is enough for it not to be its record's."""
    record = make_record()
    (span,) = finished(record)
    assert not spans.matches(ReadableSpan(**{**parts_of(span), **change}), record, APPLICATION)


def test_words_about_a_failure_are_seen() -> None:
    """The status of a failure is a code and nothing else."""
    record = make_record(success=False)
    (span,) = finished(record)
    worded = {**parts_of(span), "status": Status(StatusCode.ERROR, "surprise")}
    assert not spans.matches(ReadableSpan(**worded), record, APPLICATION)


@pytest.mark.parametrize(
    "change",
    [
        {"franklinwh.command": "surprise"},
        {"franklinwh.execution_latency_ms": 251},
        {"franklinwh.execution_latency_ms": 250.0},
        {"franklinwh.success": 1},
        {"franklinwh.execution_uuid": "surprise"},
        {"surprise": True},
    ],
)
def test_any_different_attribute_is_seen(change: dict[str, Any]) -> None:
    """Another value, another type (1 is not true) or one attribute more is a difference."""
    record = make_record()
    (span,) = finished(record)
    attributes = {**spans.attributes(record), **change}
    assert not spans.matches(ReadableSpan(**{**parts_of(span), "attributes": attributes}), record, APPLICATION)


def test_span_without_attributes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK that has none where it has no attributes is not one that stops the sender."""
    record = make_record()
    (span,) = finished(record)
    monkeypatch.setattr(ReadableSpan, "attributes", None)
    assert not spans.matches(span, record, APPLICATION)


@pytest.mark.parametrize("missing", sorted(spans.attributes(make_record())))
def test_missing_attribute_is_seen(missing: str) -> None:
    """Each of the four attributes must be there."""
    record = make_record()
    (span,) = finished(record)
    attributes = spans.attributes(record)
    del attributes[missing]
    assert not spans.matches(ReadableSpan(**{**parts_of(span), "attributes": attributes}), record, APPLICATION)


def test_every_fact_counts_in_the_comparison() -> None:
    """A span does not pass for a record that differs in any one fact."""
    record = make_record()
    (span,) = finished(record)
    changed = [
        make_record(command="tou --set"),
        make_record(executed_at_ms=5),
        make_record(latency_ms=5),
        make_record(success=False),
        make_record(execution_uuid=UUID(int=5)),
    ]
    assert [spans.matches(span, other, APPLICATION) for other in (record, *changed)] == [True] + [False] * 5


def test_active_span_is_no_parent() -> None:
    """A span that is active where the record is emitted leaves no trace in ours."""
    record = make_record()
    with trace.use_span(trace.NonRecordingSpan(OTHER_CONTEXT)):
        (span,) = finished(record)
    assert spans.matches(span, record, APPLICATION)


def test_provider_stays_private() -> None:
    """Making a tracer sets no global provider."""
    before = trace.get_tracer_provider()
    finished(make_record())
    assert trace.get_tracer_provider() is before


def test_otel_variables_are_gone_once_a_tracer_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes no argument is taken away: the variables themselves, all of them and no other."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_SURPRISE", "1")
    monkeypatch.setenv("NOT_OTEL_SURPRISE", "1")
    (span,) = finished(make_record())
    assert spans.matches(span, make_record(), APPLICATION)
    assert [name for name in os.environ if "OTEL_" in name] == ["NOT_OTEL_SURPRISE"]


def test_last_time_that_otlp_can_say() -> None:
    """64 bits of nanoseconds end in 2554; a record that ends later is known not to fit."""
    last_ms = (2**64 - 1) // 1_000_000
    assert spans.fits_otlp(make_record(executed_at_ms=last_ms - 250))
    assert not spans.fits_otlp(make_record(executed_at_ms=last_ms - 249))
