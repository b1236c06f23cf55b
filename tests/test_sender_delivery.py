"""Delivery as a whole: what is previewed is what leaves, and hostile surroundings change not one byte of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import KNOWN_KEY, PostHogDouble
from doubles.records import APPLICATION, make_record, make_records
from doubles.sending import deliver
from franklinwh_telemetry.destination import FILE, Destination, parse_destination
from franklinwh_telemetry.sender.delivery import preview
from franklinwh_telemetry.sender.file import FILE_NAME
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from support import posix_only

if TYPE_CHECKING:
    from pathlib import Path


def parse(text: str) -> Destination:
    """A destination."""
    parsed = parse_destination(text)
    assert isinstance(parsed, Destination)
    return parsed


@pytest.mark.parametrize("count", [0, 1, 512, 513, 1000])
def test_preview_of_otlp_is_what_leaves(tmp_path: Path, count: int) -> None:
    """The previewed bytes are those that arrive and those in the journal, request by request."""
    with LoopbackReceiver() as receiver:
        destination = parse(receiver.url)
        previewed = preview(APPLICATION, destination, make_records(count))
        assert receiver.requests == []
        told = deliver(tmp_path, destination, make_records(count))
        arrived = [request.raw for request in receiver.requests]
    assert previewed == arrived == [entry.request for entry in Journal(str(tmp_path / "journal")).entries()]
    assert told.accepted_ids == list(range(1, count + 1))


def test_preview_of_posthog_is_what_leaves(tmp_path: Path) -> None:
    """With the check of the key where it would be made, and without it where it would not."""
    with PostHogDouble() as posthog:
        destination = parse(f"posthog:{KNOWN_KEY}@{posthog.url}")
        first = preview(APPLICATION, destination, make_records(3), folder=str(tmp_path))
        assert first == preview(APPLICATION, destination, make_records(3))
        deliver(tmp_path, destination, make_records(3))
        second = preview(APPLICATION, destination, make_records(3), folder=str(tmp_path))
        deliver(tmp_path, destination, make_records(3))
        arrived = [request.raw for request in posthog.receiver.requests]
    assert [first, second] == [arrived[:2], arrived[2:]]


def test_preview_of_the_file_is_what_is_written(tmp_path: Path) -> None:
    """The exact lines."""
    previewed = preview(APPLICATION, FILE, make_records(600))
    deliver(tmp_path, FILE, make_records(600))
    assert b"".join(previewed) == (tmp_path / FILE_NAME).read_bytes()


def test_preview_leaves_no_trace(tmp_path: Path) -> None:
    """No file is made or removed, and no name looked up."""
    before = sorted(tmp_path.rglob("*"))
    preview(APPLICATION, parse("posthog:phc_x@collector.invalid"), make_records(1), folder=str(tmp_path))
    preview(APPLICATION, parse("https://collector.invalid"), make_records(1), folder=str(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_preview_leaves_out_what_would_be_refused() -> None:
    """What OTLP cannot express is in no request."""
    records = [make_record(1), make_record(2, executed_at_ms=253_402_300_799_999)]
    destination = parse("https://collector.invalid")
    assert preview(APPLICATION, destination, records) == preview(APPLICATION, destination, records[:1])


SENDER = """
import json, os, sys
from franklinwh_telemetry.sender.surroundings import forget_otel_environment
forget_otel_environment()
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from doubles.records import APPLICATION, Told, make_record
from franklinwh_telemetry.destination import parse_destination
from franklinwh_telemetry.sender.delivery import Delivery
active = NonRecordingSpan(SpanContext(0xBAD, 0xBAD, False, TraceFlags(1)))
if sys.argv[1] == "hostile":
    context.attach(trace.set_span_in_context(active))
for text, folder in zip(sys.argv[2:4], sys.argv[4:6]):
    told = Told()
    delivery = Delivery(application=APPLICATION, destination=parse_destination(text), folder=folder,
                        may_send=lambda: True, outcome=told)
    delivery.deliver([make_record(1), make_record(2, success=False)])
    delivery.close()
    assert told.accepted_ids == [1, 2], told.troubles
assert [name for name in os.environ if name.startswith("OTEL_")] == []
"""

HOSTILE = {
    "OTEL_RESOURCE_ATTRIBUTES": "surprise=1,host.name=surprise",
    "OTEL_SERVICE_NAME": "surprise",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer surprise,x-surprise=1",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-surprise=1",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1:4318",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://192.0.2.1:4318/v1/traces",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "deflate",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "0.001",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/surprise.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/surprise.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/surprise.key",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "surprise",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "surprise",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true",
    "OTEL_PYTHON_CONTEXT": "surprise",
    "OTEL_PYTHON_ID_GENERATOR": "surprise",
    "OTEL_PYTHON_TRACER_PROVIDER": "surprise",
    "OTEL_PYTHON_METER_PROVIDER": "surprise",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process,os,host",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_SDK_DISABLED": "true",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "0",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "0",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "0",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "0",
    "OTEL_SPAN_LINK_COUNT_LIMIT": "0",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "0",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "0",
    "OTEL_BSP_MAX_QUEUE_SIZE": "1",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "1",
    "OTEL_LOG_LEVEL": "debug",
    "http_proxy": "http://surprise:surprise@192.0.2.1:3128",
    "HTTPS_PROXY": "http://surprise:surprise@192.0.2.1:3128",
    "ALL_PROXY": "socks5://192.0.2.1:1080",
    "NO_PROXY": "surprise.example",
    "REQUESTS_CA_BUNDLE": "",
}


def start_sender(mode: str, texts: list[str], folders: list[Path], more: dict[str, str], home: Path) -> None:
    """Run a sender in a process of its own, to its silent end."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "LANG")},
        **more,
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
    }
    command = [sys.executable, "-c", SENDER, mode, *texts, *map(str, folders)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_hostile_surroundings_change_not_one_byte(tmp_path: Path) -> None:
    """
    Every OTEL variable, proxies, a .netrc and an active span: the whole requests are those of a quiet process.

    And those are what the contract says, header by header.
    """
    quiet_home, hostile_home = tmp_path / "quiet", tmp_path / "hostile"
    quiet_home.mkdir()
    hostile_home.mkdir()
    netrc = hostile_home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login surprise password surprise\ndefault login surprise password surprise\n")
    netrc.chmod(0o600)
    with LoopbackReceiver() as otlp, PostHogDouble() as posthog:
        texts = [otlp.url, f"posthog:{KNOWN_KEY}@{posthog.url}"]
        for mode, home, more in (("quiet", quiet_home, {}), ("hostile", hostile_home, HOSTILE)):
            folders = [tmp_path / f"{mode}-otlp", tmp_path / f"{mode}-posthog"]
            for folder in folders:
                folder.mkdir(mode=0o700)
            start_sender(mode, texts, folders, more, home)
        quiet_otlp, hostile_otlp = (request.raw for request in otlp.requests)
        asked = [request.raw for request in posthog.receiver.requests]
        port = otlp.port
        previewed = preview(APPLICATION, parse(otlp.url), [make_record(1), make_record(2, success=False)])
    assert hostile_otlp == quiet_otlp == previewed[0]
    assert asked[:2] == asked[2:]
    assert len(asked) == 4
    body = quiet_otlp.partition(b"\r\n\r\n")[2]
    assert quiet_otlp.removesuffix(body).decode() == (
        "POST /v1/traces HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "User-Agent: franklinwh-telemetry\r\n"
        "Content-Type: application/x-protobuf\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Accept-Encoding: identity\r\n"
        "\r\n"
    )
    assert not any(b"surprise" in request for request in (hostile_otlp, *asked))


def test_variables_alone_are_no_danger_to_a_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even set after OpenTelemetry was imported, they do not reach what is sent."""
    with LoopbackReceiver() as receiver:
        quiet = preview(APPLICATION, parse(receiver.url), make_records(2))
        for name, value in HOSTILE.items():
            monkeypatch.setenv(name, value)
        deliver(tmp_path, parse(receiver.url), make_records(2))
        assert [request.raw for request in receiver.requests] == quiet


def test_nothing_is_said_on_the_terminal(tmp_path: Path) -> None:
    """A destination that is not there makes neither the SDK nor urllib3 speak."""
    program = (
        "import sys, logging\n"
        "from doubles.records import *\n"
        "from franklinwh_telemetry.destination import parse_destination\n"
        "from franklinwh_telemetry.sender.delivery import Delivery\n"
        "told = Told()\n"
        "delivery = Delivery(application=APPLICATION, destination=parse_destination(sys.argv[1]), folder=sys.argv[2],\n"
        "                    may_send=lambda: True, outcome=told)\n"
        "delivery.deliver(make_records(3))\n"
        "delivery.close()\n"
        "delivery.close()\n"
        "assert len(told.troubles) == 1\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    command = [sys.executable, "-c", program, "http://127.0.0.1:9", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@posix_only
def test_thousand_records_stay_small(tmp_path: Path) -> None:
    """1,000 records leave in two requests, in a process that stays below 100 MiB."""
    program = (
        "import json, sys, time\n"
        "from doubles.records import *\n"
        "from franklinwh_telemetry.destination import parse_destination\n"
        "from franklinwh_telemetry.sender.delivery import Delivery\n"
        "told = Told()\n"
        "began = time.perf_counter()\n"
        "delivery = Delivery(application=APPLICATION, destination=parse_destination(sys.argv[1]), folder=sys.argv[2],\n"
        "                    may_send=lambda: True, outcome=told)\n"
        "delivery.deliver(make_records(1000))\n"
        "delivery.close()\n"
        "peak = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(json.dumps([len(told.accepted_ids), peak, time.perf_counter() - began]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    with LoopbackReceiver() as receiver:
        command = [sys.executable, "-c", program, receiver.url, str(tmp_path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=60)
        assert len(receiver.requests) == 2
    accepted, peak_kib, _took_s = json.loads(done.stdout)
    assert accepted == 1000
    assert peak_kib < 100 * 1024
