"""
A client that sends OTLP over HTTP as fast as it is answered, or at a pace, as a process of its own.

`bench_traffic.py PORT REQUESTS SPANS CONNECTIONS PER_SECOND` sends that many requests of that many spans each over
so many connections, at most PER_SECOND requests a second (0: as many as are answered), and prints as JSON how many
were accepted and refused, the seconds it took, and the milliseconds within which all but one of 100 were answered.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from typing import NamedTuple
from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

BODIES = 16
COMMANDS = ("status", "monitor", "tou --set", "mode --set self_consumption")


class Told(NamedTuple):
    """How the requests were answered."""

    accepted: int
    refused: int
    wall_s: float
    slow_ms: float
    """All but one of a hundred were answered sooner."""


def body(number_of_spans: int) -> bytes:
    """One request as a sender of ours makes it, with ids of its own."""
    now_ns = time.time_ns() // 1_000_000 * 1_000_000
    spans = []
    for number in range(number_of_spans):
        command, latency_ms, success = COMMANDS[number % len(COMMANDS)], 250 + number, number % 10 > 0
        facts = {
            "franklinwh.command": AnyValue(string_value=command),
            "franklinwh.execution_latency_ms": AnyValue(int_value=latency_ms),
            "franklinwh.success": AnyValue(bool_value=success),
            "franklinwh.execution_uuid": AnyValue(string_value=str(UUID(bytes=os.urandom(16), version=4))),
        }
        spans.append(
            Span(
                trace_id=os.urandom(16),
                span_id=os.urandom(8),
                flags=256,
                name=command,
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=now_ns,
                end_time_unix_nano=now_ns + latency_ms * 1_000_000,
                attributes=[KeyValue(key=key, value=value) for key, value in facts.items()],
                status=Status(code=Status.STATUS_CODE_OK if success else Status.STATUS_CODE_ERROR),
            )
        )
    name = KeyValue(key="service.name", value=AnyValue(string_value="franklinwh-cloud"))
    scope_spans = ScopeSpans(scope=InstrumentationScope(name="franklinwh_telemetry"), spans=spans)
    resource_spans = ResourceSpans(resource=Resource(attributes=[name]), scope_spans=[scope_spans])
    return ExportTraceServiceRequest(resource_spans=[resource_spans]).SerializeToString()


class Traffic:
    """The requests that are still to be sent, shared by the connections."""

    def __init__(self, port: int, requests: int, spans: int, per_second: float) -> None:
        self._port, self._left, self._requests = port, requests, requests
        head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: "
        bodies = [body(spans) for _ in range(min(requests, BODIES))]
        self._messages = [f"{head}{len(one)}\r\n\r\n".encode() + one for one in bodies]
        self._apart_s = 1 / per_second if per_second else 0.0
        self._lock = threading.Lock()
        self._statuses: list[int] = []
        self._waits_ms: list[float] = []

    def send(self, connections: int) -> Told:
        """Send all, and tell how they were answered."""
        threads = [threading.Thread(target=self._connection) for _ in range(connections)]
        self._began_s = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall_s = time.monotonic() - self._began_s
        accepted = self._statuses.count(200)
        slow_ms = sorted(self._waits_ms)[int(len(self._waits_ms) * 0.99)]
        return Told(accepted, len(self._statuses) - accepted, wall_s, slow_ms)

    def _connection(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = connection.makefile("rb")
            while (number := self._next()) is not None:
                time.sleep(max(0.0, self._began_s + number * self._apart_s - time.monotonic()))
                began_ns = time.monotonic_ns()
                connection.sendall(self._messages[number % len(self._messages)])
                status = int(answers.readline().split()[1])
                length = 0
                while line := answers.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                answers.read(length)
                self._waits_ms.append((time.monotonic_ns() - began_ns) / 1e6)
                self._statuses.append(status)

    def _next(self) -> int | None:
        with self._lock:
            if not self._left:
                return None
            self._left -= 1
            return self._requests - self._left - 1


def main(arguments: list[str]) -> None:
    """Send, and print how it was answered."""
    port, requests, spans, connections = map(int, arguments[:4])
    print(json.dumps(Traffic(port, requests, spans, float(arguments[4])).send(connections)))


if __name__ == "__main__":
    main(sys.argv[1:])
