"""The private tracer provider: real spans of the OpenTelemetry SDK, closed to everything but the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status

from franklinwh_telemetry.sender import spans
from franklinwh_telemetry.sender.surroundings import forget_otel_environment, silence_libraries

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from franklinwh_telemetry.event import Record

MAX_BATCH: Final = 512
_MAX_QUEUE: Final = 2048
_NEVER_BY_ITSELF_MS: Final = 60 * 60 * 1000
"""A sender flushes, and lives for half a minute; the processor's own clock must not cut batches in between."""

_EXPORT_TIMEOUT_MS: Final = 30_000
_LIMIT: Final = 128


class RecordTracer:
    """
    Makes each record a span, started and ended at the recorded times, and hands it to *exporter* in batches.

    One for a process: a provider is never quite forgotten by the SDK. Everything that has an `OTEL_*` default is
    passed; for what takes no argument the variables themselves are dropped.
    """

    def __init__(self, application: str, exporter: SpanExporter) -> None:
        forget_otel_environment()
        silence_libraries()
        no_metrics = NoOpMeterProvider()
        self._ids = _RecordIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource({"service.name": application}),
            shutdown_on_exit=False,
            id_generator=self._ids,
            span_limits=SpanLimits(
                max_attributes=_LIMIT,
                max_events=_LIMIT,
                max_links=_LIMIT,
                max_span_attributes=_LIMIT,
                max_event_attributes=_LIMIT,
                max_link_attributes=_LIMIT,
                max_attribute_length=SpanLimits.UNSET,
                max_span_attribute_length=SpanLimits.UNSET,
            ),
            meter_provider=no_metrics,
        )
        self._processor = BatchSpanProcessor(
            exporter,
            max_queue_size=_MAX_QUEUE,
            schedule_delay_millis=_NEVER_BY_ITSELF_MS,
            max_export_batch_size=MAX_BATCH,
            export_timeout_millis=_EXPORT_TIMEOUT_MS,
            meter_provider=no_metrics,
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer(spans.SCOPE_NAME)

    def emit(self, record: Record) -> None:
        """Start and end the span of *record*; it is exported with its batch, at the latest by `flush`."""
        self._ids.record = record
        span = self._tracer.start_span(
            record.event.command.text,
            context=Context(),
            kind=SpanKind.INTERNAL,
            attributes=spans.attributes(record),
            start_time=spans.start_ns(record),
            record_exception=False,
            set_status_on_exception=False,
        )
        span.set_status(Status(spans.status_code(record)))
        span.end(end_time=spans.end_ns(record))

    def flush(self) -> None:
        """Return when every span that was emitted has been given to the exporter, and the exporter has returned."""
        self._processor.force_flush()

    def close(self) -> None:
        """Flush, end the processor's thread, and shut the exporter down."""
        self._provider.shutdown()


class _RecordIds(IdGenerator):
    """Hands out the ids that were drawn when the event was recorded."""

    record: Record

    def generate_trace_id(self) -> int:
        return self.record.trace_id

    def generate_span_id(self) -> int:
        return self.record.span_id
