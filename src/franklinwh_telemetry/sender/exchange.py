"""One request under way: the bytes that it must have, the time that it may take, and the sockets that it uses."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_TIMEOUT_S: Final = 5.0


class WireError(Enum):
    """Why a request was not answered, or its answer not read to the end; never words of the peer."""

    REFUSED = "refused"
    TIMED_OUT = "timed out"
    NAME_NOT_FOUND = "name not found"
    TLS_NOT_VERIFIED = "TLS not verified"
    CONNECTION_BROKEN = "connection broken"
    PROXY = "proxy"
    ANSWER_TOO_LARGE = "answer too large"
    JOURNAL = "journal"
    HEADERS = "headers"
    PLAIN_HTTP = "plain http"
    FOREIGN_URL = "foreign url"
    WITHDRAWN = "withdrawn"


class Stop(Exception):  # noqa: N818 - it stops a request, and says by `error` why
    """Raised through urllib3 and requests, which let it pass."""

    def __init__(self, error: WireError) -> None:
        super().__init__(error.value)
        self.error = error


class Captured(Exception):  # noqa: N818 - the good end of a request that is only looked at
    """The request is complete and was captured instead of written."""


class Exchange:
    """
    One request: the bytes that it must have, what has been offered of them, and until when it may take.

    *before_write* gets the whole request right before it is written, and raises `Stop` where it must not be.
    """

    def __init__(
        self,
        request: bytes,
        *,
        deadline_s: float,
        before_write: Callable[[], None],
        proxy_authorization: str | None,
        via_proxy: bool,
        loopback_only: bool,
    ) -> None:
        self._expected = request
        self._offered = bytearray()
        self._before_write = before_write
        self._ends_at_s = time.monotonic() + deadline_s
        self.proxy_authorization = proxy_authorization
        self.via_proxy = via_proxy
        self.loopback_only = loopback_only
        self.timed_out = False
        self.written = False

    def remaining_s(self) -> float:
        """The time that is left; `Stop` when there is none."""
        left_s = self._ends_at_s - time.monotonic()
        if left_s <= 0 or self.timed_out:
            raise Stop(WireError.TIMED_OUT)
        return left_s

    def offer(self, data: object) -> bool:
        """Take a part of the request; True when it is complete, `Stop` at the first byte that is not expected."""
        if self.written or not isinstance(data, (bytes, bytearray, memoryview)):
            raise Stop(WireError.HEADERS)
        self._offered += data
        if not self._expected.startswith(self._offered):
            raise Stop(WireError.HEADERS)
        return len(self._offered) == len(self._expected)

    def release(self) -> bytes:
        """The complete request, to be written now, once."""
        self._before_write()
        self.written = True
        return bytes(self._offered)


class Line:
    """What the connections of one wire share: the request under way, and a handle on each open socket."""

    def __init__(self, *, capture: bool) -> None:
        self.capture = capture
        self.exchange: Exchange | None = None
        self._lock = threading.Lock()
        self._handles: set[socket.socket] = set()
        self._closed: set[socket.socket] = set()

    def current(self) -> Exchange:
        """The request under way; outside of one nothing may be connected or written."""
        if self.exchange is None:
            raise Stop(WireError.HEADERS)
        return self.exchange

    def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket, within the time that is left, at most `CONNECT_TIMEOUT_S` for each address."""
        exchange = self.current()
        failure = WireError.REFUSED
        for family, address in _resolve(host, port, exchange.remaining_s()):
            if exchange.loopback_only and not ipaddress.ip_address(address[0].partition("%")[0]).is_loopback:
                continue
            found = _connected(family, address, exchange)
            if isinstance(found, socket.socket):
                return found
            failure = found
        raise Stop(WireError.PROXY if exchange.via_proxy else failure)

    def watch(self, connected: socket.socket) -> socket.socket:
        """A second handle on a socket, by which `cut` can end it whatever TLS object holds the first."""
        handle = connected.dup()
        with self._lock:
            self._handles.add(handle)
            if self.current().timed_out:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
        return handle

    def forget(self, handle: socket.socket) -> None:
        """
        The connection of a handle was closed.

        Its answer may still be read: one without a length closes its connection first. So the handle is good, and
        `cut` reaches it, until the request is over.
        """
        with self._lock:
            self._handles.discard(handle)
            self._closed.add(handle)
        if self.exchange is None:
            self.end()

    def end(self) -> None:
        """The request is over."""
        self.exchange = None
        with self._lock:
            while self._closed:
                self._closed.pop().close()

    def cut(self, exchange: Exchange) -> None:
        """The time of *exchange* is over: end every connection, so that whoever waits on one wakes up."""
        exchange.timed_out = True
        with self._lock:
            for handle in self._handles | self._closed:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)


def _connected(family: socket.AddressFamily, address: Any, exchange: Exchange) -> socket.socket | WireError:
    candidate: socket.socket | None = None
    try:
        candidate = socket.socket(family, socket.SOCK_STREAM)
        candidate.settimeout(min(CONNECT_TIMEOUT_S, exchange.remaining_s()))
        candidate.connect(address)
        candidate.settimeout(exchange.remaining_s())
    except (OSError, Stop) as error:
        if candidate is not None:
            candidate.close()
        return WireError.TIMED_OUT if isinstance(error, (Stop, TimeoutError)) else WireError.REFUSED
    return candidate


def _resolve(host: str, port: int, within_s: float) -> list[tuple[socket.AddressFamily, Any]]:
    """The addresses of *host*; looked up in a thread, because a resolver cannot be told to hurry."""
    found: list[tuple[socket.AddressFamily, Any]] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failed.append(OSError(str(error)))
        else:
            found.extend((family, address) for family, _type, _protocol, _name, address in answers)

    thread = threading.Thread(target=look_up, name="franklinwh-telemetry-resolver", daemon=True)
    thread.start()
    thread.join(within_s)
    if failed:
        raise Stop(WireError.NAME_NOT_FOUND)
    if not found:
        raise Stop(WireError.TIMED_OUT)
    return found
