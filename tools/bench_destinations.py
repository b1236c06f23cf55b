"""Where events are sent to while measuring: one that answers, and four that do not, each in its own way."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from franklinwh_telemetry.sender.loopback import LoopbackReceiver, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Self

    from franklinwh_telemetry.sender.loopback import ReceivedRequest

ANSWER_AFTER_S = 0.02
DRIP_S = 0.5
DRIPS = 240

ANSWERING = "answers after 20 ms"
REFUSED = "refused"
BLACK_HOLE = "black hole"
SLOW_DRIP = "slow drip"
UNRESOLVABLE = "unresolvable name"
DEAD = (REFUSED, BLACK_HOLE, SLOW_DRIP, UNRESOLVABLE)


class Place:
    """A destination's base URL, whether it ever answers, and the ids of the events that have arrived there."""

    def __init__(self, url: str, receiver: LoopbackReceiver | None = None, *, answers: bool = False) -> None:
        self.url = url
        self.answers = answers
        self._receiver = receiver

    def arrived(self) -> set[str]:
        """The distinct events so far; one that was sent twice is one."""
        requests = self._receiver.requests if self._receiver is not None else []
        return {event for request in requests for event in events_in(request)}

    def requests(self) -> int:
        """How many requests have come in so far."""
        return len(self._receiver.requests) if self._receiver is not None else 0

    def wait_for(self, number: int, within_s: float) -> int:
        """How many have arrived once there are *number*, or the time is up."""
        deadline_s = time.monotonic() + within_s
        while len(self.arrived()) < number and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return len(self.arrived())


def events_in(request: ReceivedRequest) -> list[str]:
    """
    The id of each event in a request: an OTLP span's, PostHog's own `uuid`, or where there is none its whole text.
    """
    if request.path.endswith("/v1/traces"):
        export = ExportTraceServiceRequest.FromString(_plain(request))
        scopes = (scope for resource in export.resource_spans for scope in resource.scope_spans)
        return [span.trace_id.hex() + span.span_id.hex() for scope in scopes for span in scope.spans]
    if not request.path.startswith(("/batch", "/capture")):
        return []
    content: dict[str, Any] = json.loads(_plain(request))
    events = content.get("batch", [content])
    return [event.get("uuid") or json.dumps(event, sort_keys=True) for event in events]


def _plain(request: ReceivedRequest) -> bytes:
    return gzip.decompress(request.body) if request.header("Content-Encoding") == "gzip" else request.body


def _accept(request: ReceivedRequest) -> list[bytes]:
    """Accept the request as its protocol does, after a while."""
    time.sleep(ANSWER_AFTER_S)
    if request.path.endswith("/v1/traces"):
        return [reply(200, "application/x-protobuf")]
    return [reply(200, "application/json", b'{"status":"Ok"}')]


def _drip(_request: ReceivedRequest) -> Iterator[bytes]:
    """Begin an answer, and go on with a byte now and then, so that no timeout for silence ever strikes."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n"
    for _ in range(DRIPS):
        time.sleep(DRIP_S)
        yield b"\0"


class Backend:
    """A destination whose weather changes; what it took it has answered, and keeps the ids of."""

    def __init__(self) -> None:
        self._receiver = LoopbackReceiver(self._answer)
        self._treat: Callable[[ReceivedRequest], Iterable[bytes]] = self._take
        self._taken: list[str] = []
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._receiver.__enter__()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._receiver.__exit__()

    @property
    def url(self) -> str:
        """Its base URL."""
        return self._receiver.url

    def taken(self) -> list[str]:
        """The ids of all events that it took, repeated as often as it took them."""
        return list(self._taken)

    def fall_silent(self) -> None:
        """Take connections and say nothing."""
        self._treat = self._say_nothing

    def refuse(self) -> None:
        """Answer 503."""
        self._treat = lambda _request: [reply(503, "text/plain", b"later")]

    def kill(self, whoever_sends: Callable[[], None]) -> None:
        """Kill whoever has sent a request, and keep nothing of it."""

        def treat(_request: ReceivedRequest) -> Iterable[bytes]:
            whoever_sends()
            return []

        self._treat = treat

    def recover(self) -> None:
        """Take everything from now on."""
        self._treat = self._take
        self._over.set()

    def _answer(self, request: ReceivedRequest) -> Iterable[bytes]:
        return self._treat(request)

    def _take(self, request: ReceivedRequest) -> Iterable[bytes]:
        self._taken += events_in(request)
        return _accept(request)

    def _say_nothing(self, _request: ReceivedRequest) -> Iterable[bytes]:
        self._over.wait()
        return []


@contextmanager
def place(name: str) -> Iterator[Place]:
    """A destination of that name, for as long as the context is open."""
    if name == ANSWERING:
        with _receiving(_accept, answers=True) as made:
            yield made
    elif name == SLOW_DRIP:
        with _receiving(_drip, answers=False) as made:
            yield made
    elif name == UNRESOLVABLE:
        yield Place("https://collector.invalid")
    else:
        # Bound in both cases, so that nobody else gets the port; listening, the kernel answers the handshake and
        # nobody ever reads.
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            if name == BLACK_HOLE:
                silent.listen(1024)
            yield Place(f"http://127.0.0.1:{silent.getsockname()[1]}")


@contextmanager
def _receiving(answer: Callable[[ReceivedRequest], Iterable[bytes]], *, answers: bool) -> Iterator[Place]:
    with LoopbackReceiver(answer) as receiver:
        yield Place(receiver.url, receiver, answers=answers)
