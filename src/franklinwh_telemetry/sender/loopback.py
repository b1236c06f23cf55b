"""A real OTLP/HTTP receiver on this machine, for the demo and for tests: it keeps what arrived, byte for byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span
    from typing_extensions import Self

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_ADDRESS: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One request as it came in: *head* up to and with the empty line, *headers* in the order received."""

    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        """Every byte of the request."""
        return self.head + self.body

    @property
    def request_line(self) -> str:
        """Such as `POST /v1/traces HTTP/1.1`."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def path(self) -> str:
        """The target of the request line."""
        return self.request_line.split(" ")[1]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names as they were spelled, and values."""
        lines = self.head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return [(name, value.strip()) for name, _colon, value in pairs]

    def header(self, name: str) -> str | None:
        """The first header of that name, however it is spelled."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), None)


def reply(status: int, content_type: str = "", body: bytes = b"", *headers: tuple[str, str]) -> bytes:
    """The bytes of a whole answer, which ends where its Content-Length says."""
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def accept(_request: ReceivedRequest) -> list[bytes]:
    """OTLP's full success: 200, protobuf, an empty message."""
    return [reply(200, "application/x-protobuf")]


class LoopbackReceiver:
    """
    A context manager that listens on 127.0.0.1 at a port of the system's choice.

    *answer* makes the bytes of each answer, in as many parts as it likes; OTLP's full success if none is given.
    `requests` is what arrived, in order; on leaving, every connection and thread has ended.
    """

    def __init__(
        self,
        answer: Callable[[ReceivedRequest], Iterable[bytes]] = accept,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._answer = answer
        self._tls = tls
        self._changed = threading.Condition()
        self._requests: list[ReceivedRequest] = []
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self.closing = threading.Event()

    def __enter__(self) -> Self:
        self._listener.bind((_ADDRESS, 0))
        self._listener.listen()
        self._start(self._accept_all)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.closing.set()
        # A connection of our own wakes the accepting thread up on every platform.
        with contextlib.suppress(OSError):
            socket.create_connection((_ADDRESS, self.port), timeout=5).close()
        self._threads[0].join()
        self._listener.close()
        with self._changed:
            connections = tuple(self._connections)
        for connection in connections:
            _shut(connection)
        for thread in self._threads[1:]:
            thread.join()

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The OTLP base URL of this receiver."""
        return f"{'http' if self._tls is None else 'https'}://{_ADDRESS}:{self.port}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What has arrived so far."""
        with self._changed:
            return list(self._requests)

    @property
    def spans(self) -> list[Span]:
        """The spans of every OTLP request that has arrived so far."""
        exports = (self.decode(request) for request in self.requests if request.path.endswith("/v1/traces"))
        return [
            span
            for export in exports
            for resource_spans in export.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @staticmethod
    def decode(request: ReceivedRequest) -> ExportTraceServiceRequest:
        """The OTLP message in a request."""
        return ExportTraceServiceRequest.FromString(request.body)

    def wait_for_spans(self, count: int, within_s: float) -> bool:
        """Whether *count* spans have arrived in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.spans) >= count, within_s)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, name="loopback-receiver", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self) -> None:
        while True:
            connection, _address = self._listener.accept()
            if self.closing.is_set():
                connection.close()
                return
            with self._changed:
                self._connections.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        stream = connection
        try:
            if self._tls is not None:
                # The wrapper takes the descriptor over, so the set must hold the wrapper from before the handshake.
                stream = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with self._changed:
                    self._connections.discard(connection)
                    self._connections.add(stream)
                stream.do_handshake()
            self._talk(stream)
        except (OSError, ValueError):
            pass  # The peer is gone, or does not speak HTTP.
        finally:
            with self._changed:
                self._connections.discard(stream)
            stream.close()

    def _talk(self, stream: socket.socket) -> None:
        with stream.makefile("rb") as incoming:
            while not self.closing.is_set():
                request = _read_request(incoming)
                if request is None:
                    return
                with self._changed:
                    self._requests.append(request)
                    self._changed.notify_all()
                for part in self._answer(request):
                    stream.sendall(part)


def _read_request(incoming: Any) -> ReceivedRequest | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = incoming.readline(MAX_HEAD_BYTES)
        if not line or len(head) + len(line) > MAX_HEAD_BYTES:
            return None
        head += line
    request = ReceivedRequest(head=head, body=b"")
    size = int(request.header("Content-Length") or 0)
    if not 0 <= size <= MAX_BODY_BYTES:
        return None
    body = incoming.read(size)
    return ReceivedRequest(head=head, body=body) if len(body) == size else None


def _shut(connection: socket.socket) -> None:
    # The plain method also for TLS: what another thread is reading must wake up without TLS's own goodbye.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
