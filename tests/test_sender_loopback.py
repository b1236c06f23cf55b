"""The receiver on loopback: what it keeps is what was sent, and it leaves nothing running."""

from __future__ import annotations

import contextlib
import socket
import time

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from franklinwh_telemetry.sender.loopback import LoopbackReceiver


def talk(port: int, data: bytes) -> bytes:
    """Say *data*, and return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while part := client.recv(65536):
            received += part
    return received


def test_request_is_kept_byte_for_byte() -> None:
    """Order and spelling of the headers too; the answer is OTLP's full success."""
    head = b"POST /v1/traces HTTP/1.1\r\nb: 2\r\nA:  1 \r\ncontent-LENGTH: 3\r\n\r\n"
    with LoopbackReceiver() as receiver:
        answer = talk(receiver.port, head + b"\n\x01{")
        (request,) = receiver.requests
    assert answer == b"HTTP/1.1 200 -\r\nContent-Length: 0\r\nContent-Type: application/x-protobuf\r\n\r\n"
    assert (request.head, request.body) == (head, b"\n\x01{")
    assert request.headers == [("b", "2"), ("A", "1"), ("content-LENGTH", "3")]
    assert (request.request_line, request.path) == ("POST /v1/traces HTTP/1.1", "/v1/traces")
    assert (request.header("CONTENT-length"), request.header("missing")) == ("3", None)


def test_spans_are_decoded_and_waited_for() -> None:
    """A span that has arrived is there at once; one that has not is waited for no longer than asked."""
    export = bytes((0x0A, 26, 0x12, 24, 0x12, 22)) + b"\x0a\x10" + bytes(range(1, 17)) + b"\x2a\x02ab"
    head = f"POST /v1/traces HTTP/1.1\r\nContent-Length: {len(export)}\r\n\r\n".encode()
    with LoopbackReceiver() as receiver:
        talk(receiver.port, head + export)
        assert receiver.wait_for_spans(1, 5)
        assert not receiver.wait_for_spans(2, 0.05)
        assert [(span.trace_id, span.name) for span in receiver.spans] == [(bytes(range(1, 17)), "ab")]


def test_what_is_no_request_is_dropped() -> None:
    """Half a head, half a body, a mad length and a head without end leave nothing behind."""
    with LoopbackReceiver() as receiver:
        for surprise in (
            b"",
            b"POST / HTTP/1.1\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort",
            b"POST / HTTP/1.1\r\nContent-Length: surprise\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000,
        ):
            # It may hang up before all has been said.
            with contextlib.suppress(OSError):
                assert talk(receiver.port, surprise) == b""
        assert receiver.requests == []


def test_open_connections_end_with_it() -> None:
    """A client that says nothing does not hold the receiver up."""
    with LoopbackReceiver() as receiver:
        silent = socket.create_connection(("127.0.0.1", receiver.port), timeout=5)
        silent.sendall(b"POST")
        deadline_s = time.monotonic() + 5
        while not receiver._connections:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    with silent, contextlib.suppress(ConnectionError):
        assert silent.recv(1) == b""
