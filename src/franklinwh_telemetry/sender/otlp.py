"""OTLP over HTTP: the stock exporter of OpenTelemetry, which encodes, on our wire, which sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from franklinwh_telemetry.sender import spans
from franklinwh_telemetry.sender.acknowledge import (
    UNWRITABLE,
    Accepted,
    AcknowledgingSpanExporter,
    Outcome,
    Refused,
    Verdict,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from franklinwh_telemetry.event import Record
    from franklinwh_telemetry.sender.answer import Answer
    from franklinwh_telemetry.sender.wire import Wire

PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_SDK_TIMEOUT_S: Final = 60
"""Longer than the wire's own deadline: the SDK must never be the one that gives up."""


class AcknowledgingOtlpExporter(AcknowledgingSpanExporter):
    """Each batch through the stock `OTLPSpanExporter`, each answer read by ourselves."""

    def __init__(self, wire: Wire, *, application: str, may_send: Callable[[], bool], outcome: Outcome) -> None:
        super().__init__(application=application, host=wire.destination.host, may_send=may_send, outcome=outcome)
        self._session = wire.sdk_session()
        self._stock = OTLPSpanExporter(
            endpoint=wire.destination.url,
            # The empty mapping would count as "none given"; this header is the SDK's own, and stays behind too.
            headers={"content-type": PROTOBUF},
            timeout=_SDK_TIMEOUT_S,
            compression=Compression.NoCompression,
            session=self._session,
            meter_provider=NoOpMeterProvider(),
        )

    def post(self, batch: Sequence[tuple[ReadableSpan, Record]]) -> Verdict:
        """One request, unless OTLP cannot express what is in it."""
        if not all(spans.fits_otlp(record) for _span, record in batch):
            return Refused(UNWRITABLE)
        self._session.take_answer()
        try:
            self._stock.export([span for span, _record in batch])
        except (ValueError, TypeError):
            return Refused(UNWRITABLE)
        answer = self._session.take_answer()
        return Refused(UNWRITABLE) if answer is None else judge(answer, self._host, read_answer)

    def shutdown(self) -> None:
        """Shut the stock exporter down, and its session with it."""
        self._stock.shutdown()  # type: ignore[no-untyped-call]


def read_answer(answer: Answer) -> Accepted | None:
    """OTLP's answer, in protobuf or JSON; None for anything else."""
    response = ExportTraceServiceResponse()
    try:
        if answer.content_type == PROTOBUF:
            response.ParseFromString(answer.body)
        elif answer.content_type == _JSON:
            json_format.Parse(answer.body, response)
        else:
            return None
    except (DecodeError, json_format.ParseError, UnicodeDecodeError):
        return None
    return Accepted(rejected=response.partial_success.rejected_spans)
