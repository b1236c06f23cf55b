"""The limits of the receiver itself, in front of which no proxy stands."""

from __future__ import annotations

import gzip
import http.client
import socket
import time
from typing import TYPE_CHECKING

import pytest

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture

if TYPE_CHECKING:
    from doubles.collector import Collector

# The first of them may have to build the Collector.
pytestmark = pytest.mark.timeout(900)

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "application/json"}, 200),
        (b" " * (MIB - 2) + b"{}", {"Content-Type": "application/json"}, 200),
        (b" " * (MIB - 1) + b"{}", {"Content-Type": "application/json"}, 400),
        (
            gzip.compress(b" " * (MIB - 1) + b"{}"),
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            400,
        ),
        (b"{}", {"Content-Type": "text/plain"}, 415),
    ],
    ids=["small", "the largest", "too large", "too large inside", "no OTLP"],
)
def test_a_body_is_limited(collector: Collector, body: bytes, headers: dict[str, str], status: int) -> None:
    """One MiB passes and a byte more does not, compressed or not."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    connection.request("POST", "/v1/traces", body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()

    assert answer.status == status


def test_a_slow_head_is_given_up(collector: Collector) -> None:
    """A client that does not finish its head is cut off after five seconds."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=20) as slow:
        slow.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        assert slow.recv(1) == b""
        assert 4 < time.monotonic() - began < 15
