"""A canary in every field of a request, and in its head: it is at no backend, in no file, log or metric."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import support
from doubles.canary import CANARY, NUMBER, as_json, escaped, files, forms, reachable, request
from doubles.collector import CONFIGURATION, Collector, free_port
from doubles.hostile import JSON, PROTOBUF, post
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import KNOWN_KEY, PostHogDouble
from doubles.sending import recent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    # The first of them may have to build the Collector.
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
]

DEBUG = {"FRANKLINWH_LOG_LEVEL": "debug"}
HEX = CANARY.encode().hex()
HEADERS = {
    "User-Agent": CANARY,
    "Authorization": f"Bearer {CANARY}",
    "Proxy-Authorization": f"Basic {CANARY}",
    "Cookie": f"{CANARY}={CANARY}",
    "Forwarded": f"for={CANARY}",
    "X-Forwarded-For": CANARY,
    "X-Forwarded-Host": CANARY,
    "X-Real-IP": CANARY,
    "X-Request-Id": CANARY,
    "Via": CANARY,
    "From": CANARY,
    "Referer": f"http://{CANARY}/{CANARY}",
    "Origin": f"http://{CANARY}",
    "Host": CANARY,
    "Accept": CANARY,
    "Accept-Language": CANARY,
    "traceparent": f"00-{HEX * 2}-{HEX}-01",
    "tracestate": f"{CANARY.lower()}={CANARY}",
    "baggage": f"{CANARY}={CANARY}",
    "b3": f"{HEX * 2}-{HEX}-1",
    f"X-{CANARY}": CANARY,
}
PASSING = 4


def test_every_field_of_the_protocol_holds_a_canary() -> None:
    """None is left out, and each of the forms in which one could leave is one that is looked for."""
    message, filled = request(recent(1)[0], honest=False)

    assert filled == set(reachable(ExportTraceServiceRequest.DESCRIPTOR))
    assert len(filled) > 50
    written = {"protobuf": message.SerializeToString(), "json": json.dumps(as_json(message)).encode()}
    assert {form for _where, form in escaped(written)} >= {CANARY.encode(), HEX.encode(), str(NUMBER).encode()}
    assert all(escaped({"there": b"x" + form + b"x"}) for form in forms())
    for shift in range(3):
        assert escaped({"there": base64.b64encode(b"x" * shift + CANARY.encode() + b"yz")})


def let_fly(port: int) -> None:
    """Send canaries in all the ways: `PASSING` of them are in requests of a span that passes the gate."""
    records = recent(1, 40)
    for content_type, path in ((PROTOBUF, "/v1/traces"), (JSON, f"/v1/traces?{CANARY}={CANARY}#{CANARY}")):
        for headers in ({}, HEADERS):
            message, _filled = request(records.pop())
            assert post(port, _encoded(message, content_type), content_type, headers, path=path) == 200
        message, _filled = request(records.pop(), honest=False)
        assert post(port, _encoded(message, content_type), content_type, HEADERS) == 200
        body = _encoded(message, content_type)
        # None of these is taken: cut short, of another type or encoding, to another place, by another method.
        for further in (body[: len(body) // 2], body[:-1], CANARY.encode()):
            assert post(port, further, content_type, HEADERS) == 400
        # What follows after JSON's end is not read.
        assert post(port, body + CANARY.encode(), content_type, HEADERS) == (200 if content_type == JSON else 400)
        assert post(port, body, f"text/{CANARY}", HEADERS) == 415
        assert post(port, body, content_type, {**HEADERS, "Content-Encoding": CANARY}) == 400
        assert post(port, body, content_type, {**HEADERS, "Content-Encoding": "gzip"}) == 400
        assert post(port, body, content_type, HEADERS, path=f"/{CANARY}") == 404
        assert post(port, body, content_type, HEADERS, method=CANARY) == 405
        assert post(port, body * 100, content_type, HEADERS) in {400, 413}
    for change in WRONG_FACTS:
        message, _filled = request(records.pop())
        change(message)
        assert post(port, message.SerializeToString(), PROTOBUF, HEADERS) == 200


def _encoded(message: ExportTraceServiceRequest, content_type: str) -> bytes:
    return json.dumps(as_json(message)).encode() if content_type == JSON else message.SerializeToString()


def with_fact(key: str) -> Callable[[ExportTraceServiceRequest], None]:
    """Makes the value of a fact a canary."""

    def change(message: ExportTraceServiceRequest) -> None:
        resource_spans = message.resource_spans[0]
        attributes = [*resource_spans.resource.attributes, *resource_spans.scope_spans[0].spans[0].attributes]
        (found,) = (attribute for attribute in attributes if attribute.key == key)
        found.value.string_value = CANARY

    return change


def without_time(message: ExportTraceServiceRequest) -> None:
    """Makes the time one that is long past: the canary."""
    message.resource_spans[0].scope_spans[0].spans[0].start_time_unix_nano = NUMBER


WRONG_FACTS = (
    with_fact("service.name"),
    with_fact("franklinwh.execution_uuid"),
    with_fact("franklinwh.execution_latency_ms"),
    with_fact("franklinwh.success"),
    # This one is no reason to drop a span: it comes out as `other`.
    with_fact("franklinwh.command"),
    without_time,
)


def test_no_canary_is_in_the_file(collector_binary: Path, tmp_path: Path) -> None:
    """With the backend `file`, and the log at its most talkative."""
    with Collector(collector_binary, tmp_path, **DEBUG) as collector:
        let_fly(collector.port)
        metrics = collector.metrics()
    spans = "".join(collector.lines()).count('"spanId"')

    assert spans == PASSING + 1
    assert "\tdebug\t" in collector.log()
    assert escaped({**files(tmp_path), "metrics": metrics.encode()}) == []


def test_no_canary_is_at_posthog(collector_binary: Path, tmp_path: Path) -> None:
    """With the backend `posthog`: in no request's head or body, nor in what the queue has left on the disk."""
    with PostHogDouble() as posthog:
        settings = {"POSTHOG_HOST": posthog.url, "POSTHOG_API_KEY": KNOWN_KEY, **DEBUG}
        with Collector(collector_binary, tmp_path, "posthog", **settings) as collector:
            let_fly(collector.port)
            support.wait_until(lambda: len(posthog.events) == PASSING + 1)
            metrics = collector.metrics()
            held = files(tmp_path)
        requests = {f"request {number}": found.raw for number, found in enumerate(posthog.receiver.requests)}

    assert any("queue" in name for name in held)
    assert escaped({**held, **files(tmp_path), **requests, "metrics": metrics.encode()}) == []


def test_no_canary_is_in_a_queue_that_waits(collector_binary: Path, tmp_path: Path) -> None:
    """With PostHog away: what waits on the disk, and what the log says of the failures."""
    settings = {"POSTHOG_HOST": f"http://127.0.0.1:{free_port()}", "POSTHOG_API_KEY": KNOWN_KEY, **DEBUG}
    with Collector(collector_binary, tmp_path, "posthog", **settings) as collector:
        let_fly(collector.port)
        support.wait_until(lambda: "Exporting failed" in collector.log())
        collector.kill()

    assert any(b"franklinwh.execution_uuid" in content for content in files(tmp_path / "data" / "queue").values())
    assert escaped(files(tmp_path)) == []


def test_no_canary_is_at_another_otlp_backend(collector_binary: Path, tmp_path: Path) -> None:
    """With the backend `otlp`: in no request, and nowhere in a second Collector behind the first."""
    with Collector(collector_binary, tmp_path / "second", **DEBUG) as second:
        settings = {"FRANKLINWH_OTLP_ENDPOINT": second.url, **DEBUG}
        with Collector(collector_binary, tmp_path / "first", "otlp", **settings) as first:
            let_fly(first.port)
            support.wait_until(lambda: "".join(second.lines()).count('"spanId"') == PASSING + 1)
            metrics = first.metrics() + second.metrics()

    assert escaped({**files(tmp_path), "metrics": metrics.encode()}) == []
