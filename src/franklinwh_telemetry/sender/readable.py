"""A request as a person reads it: every header, and the body decoded, its key shortened."""

from __future__ import annotations

import json
from typing import Any, Final

_KEY_NAMES: Final = ("api_key", "token")
_SHOWN_OF_A_KEY: Final = 8
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
    except ValueError:
        return f"({len(request)} bytes)"


def _shorten(value: Any) -> Any:
    if isinstance(value, list):
        return [_shorten(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"{item[:_SHOWN_OF_A_KEY]}..." if name in _KEY_NAMES and isinstance(item, str) else _shorten(item)
        for name, item in value.items()
    }


def spans_of(body: bytes) -> list[str]:
    """Each span of an OTLP request in OTLP's JSON form, a line each."""
    decoded = _decode_otlp(body)
    return [
        json.dumps(span, ensure_ascii=False)
        for resource_spans in decoded.get("resourceSpans", ())
        for scope_spans in resource_spans.get("scopeSpans", ())
        for span in scope_spans.get("spans", ())
    ]


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
