"""A request as a person reads it: every header, and the body decoded, its key shortened."""

from __future__ import annotations

import json
from typing import Any, Final, final

from franklinwh_telemetry.destination import shortened
from franklinwh_telemetry.plain import moment

_KEY_NAMES: Final = ("api_key", "token")
_ATTRIBUTES: Final = frozenset(
    f"franklinwh.{name}" for name in ("command", "execution_latency_ms", "success", "execution_uuid")
)
_SPAN_KEYS: Final = frozenset(
    ("traceId", "spanId", "flags", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"),
)
_POSTHOG_KEYS: Final = frozenset(("distinct_id", "event", "properties", "timestamp", "uuid"))
_POSTHOG_PROPERTIES: Final = frozenset(
    ("$geoip_disable", "$ip", "$process_person_profile", "command", "execution_latency_ms", "success"),
)
_END_OF_HEAD: Final = b"\r\n\r\n"


def readable(request: bytes) -> list[str]:
    """
    The lines of one request: head and body of an HTTP request, or one line of the embedded file.

    A body that is neither JSON nor OTLP is shown by its length alone.
    """
    head = head_lines(request)
    body = json.dumps(decoded(request), indent=2, ensure_ascii=False).split("\n")
    return [*head, "", *body] if head else body


def head_lines(request: bytes) -> list[str]:
    """The request line and every header; none for a line of the embedded file."""
    head, separator, _body = request.partition(_END_OF_HEAD)
    return head.decode("latin-1").split("\r\n") if separator else []


def decoded(request: bytes) -> Any:
    """The body as the protocol means it, keys shortened."""
    head, separator, body = request.partition(_END_OF_HEAD)
    if b"application/x-protobuf" in head.lower():
        return _decode_otlp(body)
    try:
        return _shorten(json.loads(body if separator else request))
    except (ValueError, RecursionError):
        return f"({len(request)} bytes)"


def _shorten(value: Any) -> Any:
    if isinstance(value, list):
        return [_shorten(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: shortened(item) if name in _KEY_NAMES and isinstance(item, str) else _shorten(item)
        for name, item in value.items()
    }


def spans_of(body: bytes) -> list[str]:
    """Each span of an OTLP request in OTLP's JSON form, a line each."""
    return [json.dumps(span, ensure_ascii=False) for span in _spans(_decode_otlp(body))]


def _decode_otlp(body: bytes) -> Any:
    """The message in OTLP's own JSON form: ids in hex, which protobuf's general form would give in base64."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - only to show
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return {"unreadable": f"{len(body)} bytes"}
    return _with_hex_ids(MessageToDict(message, use_integers_for_enums=True))


def _with_hex_ids(value: Any) -> Any:
    import base64  # noqa: PLC0415

    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(item).hex() if name in ("traceId", "spanId") else _with_hex_ids(item)
        for name, item in value.items()
    }


@final
class Facts:
    """The five facts of one event, read back from the bytes of a request as its receiver would."""

    __slots__ = ("command", "executed", "execution_uuid", "latency_ms", "success")

    def __init__(self, *, command: str, executed: str, latency_ms: int, success: bool, execution_uuid: str) -> None:
        self.command = command
        self.executed = executed
        self.latency_ms = latency_ms
        self.success = success
        self.execution_uuid = execution_uuid

    def to_fields(self) -> dict[str, object]:
        """The five by their names."""
        return {
            "command": self.command,
            "executed_timestamp": self.executed,
            "execution_latency_ms": self.latency_ms,
            "success": self.success,
            "execution_uuid": self.execution_uuid,
        }


def facts_of(body: Any) -> list[Facts]:
    """
    The events in the body of a request, as `decoded` gives it.

    None where it holds something else, be it one thing more than the five facts and the protocol's constants.
    """
    try:
        if "batch" in body:
            return [_of_posthog(item) for item in body["batch"]]
        return [_of_span(span) for span in _spans(body)]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return []


def _of_posthog(item: Any) -> Facts:
    properties = item["properties"]
    if properties.keys() != _POSTHOG_PROPERTIES or item.keys() != _POSTHOG_KEYS:
        raise ValueError("more than an event of ours")
    return Facts(
        command=str(properties["command"]),
        executed=str(item["timestamp"]),
        latency_ms=int(properties["execution_latency_ms"]),
        success=properties["success"] is True,
        execution_uuid=str(item["distinct_id"]),
    )


def _of_span(span: Any) -> Facts:
    values = {item["key"]: _only(item["value"]) for item in span["attributes"]}
    if values.keys() != _ATTRIBUTES or not span.keys() <= _SPAN_KEYS:
        raise ValueError("more than a span of ours")
    return Facts(
        command=str(values["franklinwh.command"]),
        executed=moment(int(span["startTimeUnixNano"]) // 1_000_000),
        latency_ms=int(values["franklinwh.execution_latency_ms"]),
        success=values["franklinwh.success"] is True,
        execution_uuid=str(values["franklinwh.execution_uuid"]),
    )


def _only(value: Any) -> Any:
    """The one value that an attribute of ours has; ValueError where there is none, or another."""
    (only,) = value.values()
    return only


def _spans(body: Any) -> list[Any]:
    return [
        span
        for resource_spans in body.get("resourceSpans", ())
        for scope_spans in resource_spans.get("scopeSpans", ())
        for span in scope_spans.get("spans", ())
    ]
