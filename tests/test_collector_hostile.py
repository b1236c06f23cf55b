"""Hostile clients of the real Collector: it stays up, honest ones are served, and only five facts come out."""

from __future__ import annotations

import contextlib
import gzip
import re
import select
import socket
import subprocess
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING

import pytest

import support
from doubles.collector import CALLER, CONFIGURATION, ROOT
from doubles.hostile import (
    CLOSED,
    JSON,
    MIB,
    PROTOBUF,
    field,
    gzip_bomb,
    message_of,
    nested,
    post,
    request_with,
    snappy_bomb,
    zstd_bomb,
)
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.records import APPLICATION, EXECUTION_UUID

if TYPE_CHECKING:
    from collections.abc import Callable

    from doubles.collector import Collector
    from doubles.hostile import Besieged

pytestmark = [
    # The first of them may have to build the Collector.
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
    pytest.mark.skipif(sys.platform != "linux", reason="what memory a process has had is read from /proc"),
]

REFUSED = {400, 413, CLOSED}
AT_ONCE = 20
"""As many as nginx lets one address ask at the same time."""


def post_at_once(port: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> set[int]:
    """The statuses of the same request from many clients together."""
    statuses: set[int] = set()
    clients = [
        threading.Thread(target=lambda: statuses.add(post(port, body, content_type, headers))) for _ in range(AT_ONCE)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return statuses


@pytest.mark.parametrize(
    "part", [field(9, field(1, b"k")), field(11, b""), field(13, b"")], ids=["keys", "events", "links"]
)
def test_ten_thousands_of_anything_are_left_behind(besieged: Besieged, part: bytes) -> None:
    """A span's own facts pass, and nothing of all that hangs on it."""
    (record,) = besieged.records()

    assert post(besieged.port, request_with(record, part * 40_000)) == 200

    assert record.span_id in besieged.arrived()
    besieged.serves()


@pytest.mark.parametrize(
    "body",
    [
        field(1, field(2, field(2, field(9, field(1, b"abc")) * 100_000))),
        field(1, field(2, field(2, field(9, field(1, b"surprise")) * 100_000))),
        field(1, field(2, field(2, b"") * 520_000)),
        field(1, field(2, b"") * 520_000),
        field(1, b"") * 520_000,
        field(1, field(1, field(1, b"") * 520_000)),
        field(1, field(2, field(2, field(9, field(2, nested(110_000, 5, 1)))))),
        field(1, field(2, field(2, field(9, field(2, nested(75_000, 6, 1, 2)))))),
    ],
    ids=[
        "keys",
        "more than 1 MiB",
        "spans",
        "scopes",
        "resources",
        "resource's keys",
        "lists in lists",
        "maps in maps",
    ],
)
def test_protobuf_that_decodes_into_much_more_is_refused(besieged: Besieged, body: bytes) -> None:
    """A hundred thousand attributes, empty messages or levels: refused, from many at once too, before they cost."""
    assert post_at_once(besieged.port, body, PROTOBUF) <= REFUSED
    besieged.serves()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MIB,
        b'{"resourceSpans":' * 60_000,
        b'{"surprise":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"resourceSpans":[' + b"{}," * 340_000 + b"{}]}",
        b'{"resourceSpans":[' + b"null," * 200_000 + b"null]}",
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":' + b"9" * 1_000_000 + b"}]}]}]}",
    ],
    ids=["lists", "maps", "unknown", "resources", "nulls", "a number of a million digits"],
)
def test_json_that_is_deep_or_wide_is_refused(besieged: Besieged, body: bytes) -> None:
    """In JSON the same, and a number without an end."""
    assert post_at_once(besieged.port, body, JSON) <= REFUSED
    besieged.serves()


BOMBS: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("gzip", lambda: gzip_bomb(16)),
    ("gzip", lambda: gzip.compress(gzip_bomb(16))),
    ("gzip, gzip", lambda: gzip.compress(gzip_bomb(16))),
    ("gzip", lambda: gzip.compress(b"{}")[:-9]),
    ("gzip", lambda: b"surprise"),
    ("deflate", lambda: zlib.compress(b" " * 64 * MIB)),
    ("zlib", lambda: zlib.compress(b" " * 64 * MIB)),
    ("zstd", lambda: zstd_bomb(17, 262_000)),
    ("zstd", lambda: zstd_bomb(29, 7)),
    ("snappy", lambda: snappy_bomb(2**32 - 1)),
    ("x-snappy-framed", lambda: b"\xff\x06\x00\x00sNaPpY" + b"\x00\xff\xff\xff"),
    ("lz4", lambda: b"\x04\x22\x4d\x18\x60\x70\x73" + b"\xff\xff\xff\x7f"),
    ("br", lambda: b"surprise"),
)


@pytest.mark.parametrize(("encoding", "make"), BOMBS, ids=[f"{n} {name}" for n, (name, _make) in enumerate(BOMBS)])
def test_a_compressed_body_is_no_bomb(besieged: Besieged, encoding: str, make: Callable[[], bytes]) -> None:
    """A GiB in a MiB, one in another, windows of half a GiB, claims of 4 GiB: refused, from many at once too."""
    statuses = post_at_once(besieged.port, make(), JSON, {"Content-Encoding": encoding})

    # The stock receiver says 500 where the text of its own error is not UTF-8.
    assert statuses <= REFUSED | {500}
    besieged.serves()


def test_what_is_no_request_of_ours_is_refused(besieged: Besieged) -> None:
    """One path, one method, two types of content."""
    (record,) = besieged.records()
    body = message_of([record]).SerializeToString()

    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "SURPRISE"):
        assert post(besieged.port, body, method=method) == 405, method
    for path in ("/", "/v1/logs", "/v1/metrics", "/v1development/profiles", "/v1/traces/", "/v1/tracesx"):
        assert post(besieged.port, body, path=path) == 404, path
    for content_type in ("", "surprise", "text/plain", "application/grpc", "application/json; surprise", "\xff"):
        assert post(besieged.port, body, content_type) in {400, 415}, content_type
    assert record.span_id not in besieged.arrived()
    besieged.serves()


HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SLOW = (
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n ",
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n1\r\n\x1f\r\n",
    HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 900_000,
)
DRIPS = (b"1\r\n \r\n", b" ", b"1\r\n\x8b\r\n", b" ")


def test_a_slow_body_is_given_up_and_shuts_nobody_out(besieged: Besieged) -> None:
    """Bodies that drip without an end, most of a MiB among them: others are served, and in 15 s they are let go."""
    began_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        held = []
        for begun, drip in zip(SLOW, DRIPS, strict=True):
            for _ in range(AT_ONCE):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", besieged.port), timeout=30))
                connection.sendall(begun)
                held.append((connection, drip))
        while time.monotonic() - began_s < 12:
            for connection, drip in held:
                with contextlib.suppress(OSError):
                    connection.sendall(drip)
            besieged.serves()
            time.sleep(0.5)
        for connection, _drip in held:
            with contextlib.suppress(ConnectionError):
                while connection.recv(4096):
                    pass
    assert time.monotonic() - began_s < 25
    besieged.serves()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_whole_bodies_share_a_room_that_honest_ones_need_not(besieged: Besieged, packed: bool) -> None:
    """Of 300 MiB at once 64 are read, and the rest told to come again; small ones pass all the while."""
    body = b'{"surprise":"' + b"x" * (MIB - 20) + b'"}'
    encoding = b"Content-Encoding: gzip\r\n" if packed else b""
    body = gzip.compress(body) if packed else body
    head = HEAD + encoding + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    statuses = []
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", besieged.port), timeout=30))
            with contextlib.suppress(ConnectionError):
                connection.sendall(head + body[:-1])
            held.append(connection)
        # Who has no room is told so before its body is whole; until then the system may hold what nobody has read.
        support.wait_until(lambda: len(select.select(held, [], [], 0)[0]) >= 300 - 80)
        besieged.serves()
        for connection in held:
            with contextlib.suppress(ConnectionError):
                connection.sendall(body[-1:])
        for connection in held:
            with contextlib.suppress(ConnectionError):
                statuses.append(int(connection.recv(4096)[9:12] or CLOSED))

    assert set(statuses) <= {200, 503, CLOSED}
    assert 32 <= statuses.count(200) <= 80
    besieged.serves()


def generate(port: int, **settings: str) -> None:
    """Run telemetrygen: the ecosystem's own client, with spans, attributes, links and children of its own choice."""
    found = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "collector.py"), "telemetrygen"],
        env=CALLER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    command = [found.stdout.strip(), "traces", "--otlp-http", "--otlp-insecure", f"--otlp-endpoint=127.0.0.1:{port}"]
    command += ["--traces=200", "--child-spans=4", "--rate=0", "--workers=2", "--span-links=3", "--status-code=Error"]
    attributes = {f"surprise.{number}": '"surprise"' for number in range(50)} | settings
    command += [f"--telemetry-attributes={name}={value}" for name, value in attributes.items() if name != "service"]
    command += ['--otlp-attributes=host.name="surprise"', '--otlp-header=surprise="surprise"']
    command += [f"--service={settings['service']}"] if "service" in settings else []
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def accepted_and_dropped(collector: Collector) -> tuple[int, int]:
    """How many spans the gate has ever let through, and how many not."""
    metrics = collector.metrics()

    def total(name: str) -> int:
        return sum(int(float(value)) for value in re.findall(rf"^{name}\S* (\S+)$", metrics, re.MULTILINE))

    return total("otelcol_processor_commandgate_accepted_spans"), total("otelcol_processor_commandgate_dropped_spans")


def test_telemetrygen_leaves_five_facts_or_nothing(besieged: Besieged) -> None:
    """2,000 spans full of attributes are dropped; 2,000 that hold the facts besides become spans of facts alone."""
    accepted, dropped = accepted_and_dropped(besieged.collector)
    facts = {
        "franklinwh.command": '"status"',
        "franklinwh.execution_latency_ms": "12",
        "franklinwh.success": "true",
        "franklinwh.execution_uuid": f'"{EXECUTION_UUID}"',
    }

    generate(besieged.port)
    generate(besieged.port, service=APPLICATION)
    generate(besieged.port, service=f"{APPLICATION}-surprise", **facts)
    assert accepted_and_dropped(besieged.collector) == (accepted, dropped + 3 * 2000)
    generate(besieged.port, service=APPLICATION, **facts)

    assert accepted_and_dropped(besieged.collector) == (accepted + 2000, dropped + 3 * 2000)
    assert "surprise" not in "".join(besieged.collector.lines())
    besieged.serves()
