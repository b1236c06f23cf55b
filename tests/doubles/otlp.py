"""OTLP/JSON, read into the message that it stands for."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def decode_otlp_json(fields: dict[str, Any]) -> ExportTraceServiceRequest:
    """OTLP/JSON differs from protobuf's own JSON in its ids only: hex there, base64 here."""

    def with_base64_ids(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode() if key in ("traceId", "spanId") else value
            for key, value in pairs
        }

    converted = json.loads(json.dumps(fields), object_pairs_hook=with_base64_ids)
    return json_format.ParseDict(converted, ExportTraceServiceRequest())
