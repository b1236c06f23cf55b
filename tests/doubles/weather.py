"""
Networks that misbehave: a server on loopback in front of a receiver, which treats each connection as its weather says.

A treatment gets the front and an open connection, TLS already undone; when it returns the connection is closed.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import struct
import threading
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING

import trustme

from franklinwh_telemetry.sender.loopback import reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    Treatment = Callable[["Front", socket.socket], None]

ADDRESS = "127.0.0.1"
FILLERS = 4
DRIP_S = 0.2


class Reach(Enum):
    """How far a connection comes: it is made, refused, or swallowed on its way."""

    MADE = "made"
    REFUSED = "refused"
    SWALLOWED = "swallowed"


class Front:
    """
    A context manager that has a port of 127.0.0.1 within, whatever the weather; *behind* is the receiver's port.

    `heard` are the request lines of those who came through to a treatment that reads.
    """

    def __init__(
        self,
        behind: int,
        treat: Treatment,
        *,
        reach: Reach = Reach.MADE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.behind = behind
        self.heard: list[str] = []
        self.closing = threading.Event()
        self._treat = treat
        self._reach = reach
        self._tls = tls
        self._listener = socket.socket()
        self._fillers: list[socket.socket] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener.bind((ADDRESS, 0))
        if self._reach is Reach.SWALLOWED:
            self._listener.listen(0)
            for _number in range(FILLERS):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((ADDRESS, self.port))
                self._fillers.append(filler)
        elif self._reach is Reach.MADE:
            self._start_accepting()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.closing.set()
        if self._threads:
            with contextlib.suppress(OSError):
                socket.create_connection((ADDRESS, self.port), timeout=5).close()
            self._threads[0].join()
        for filler in self._fillers:
            filler.close()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL of what lies behind."""
        return f"{'http' if self._tls is None else 'https'}://{ADDRESS}:{self.port}"

    def turn(self, treat: Treatment, *, tls: ssl.SSLContext | None = None) -> None:
        """Let the weather change, for connections to come; *tls* is another certificate."""
        self._treat = treat
        self._tls = tls or self._tls
        if not self._threads:
            for filler in self._fillers:
                filler.close()
            self._start_accepting()

    def read(self, stream: socket.socket) -> bytes:
        """The next request on a connection, whole; empty where there is none."""
        request = read_message(stream)
        if request:
            self.heard.append(request.partition(b"\r\n")[0].decode("latin-1"))
        return request

    def ask_behind(self, request: bytes) -> bytes:
        """What the receiver answers."""
        with socket.create_connection((ADDRESS, self.behind)) as receiver:
            receiver.sendall(request)
            return read_message(receiver)

    def _start_accepting(self) -> None:
        self._listener.listen()
        self._start(self._accept_all)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="weather", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self) -> None:
        while True:
            connection, _address = self._listener.accept()
            if self.closing.is_set():
                connection.close()
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        tls, treat = self._tls, self._treat
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as opened:
            stream = connection
            opened.callback(connection.close)
            if tls is not None:
                stream = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                opened.callback(stream.close)
            with self._lock:
                self._open.add(stream)
            opened.callback(self._forget, stream)
            if isinstance(stream, ssl.SSLSocket):
                stream.do_handshake()
            treat(self, stream)

    def _forget(self, stream: socket.socket) -> None:
        with self._lock:
            self._open.discard(stream)


def read_message(stream: socket.socket) -> bytes:
    """A whole request or answer, its body as long as its head says; what there is of it when the peer has ended."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = stream.recv(65536)
        if not part:
            return found
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    sizes = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(sizes[0]) - len(body) if sizes else 0
    while missing > 0:
        part = stream.recv(65536)
        if not part:
            return found
        found += part
        missing -= len(part)
    return found


# Treatments.


def shine(front: Front, stream: socket.socket) -> None:
    """Good weather: each request reaches the receiver, and each answer the sender."""
    while request := front.read(stream):
        stream.sendall(front.ask_behind(request))


def silent(front: Front, stream: socket.socket) -> None:
    """A black hole behind the door: the request is read, and never answered."""
    front.read(stream)
    front.closing.wait()


def dripping(front: Front, stream: socket.socket) -> None:
    """An answer that comes a byte at a time, and never to its end."""
    front.read(stream)
    stream.sendall(b"HTTP/1.1 200 -\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n")
    while not front.closing.wait(DRIP_S):
        stream.sendall(b"\0")


def endless(front: Front, stream: socket.socket) -> None:
    """An answer that comes fast, and never to its end."""
    front.read(stream)
    stream.sendall(b"HTTP/1.1 200 -\r\nContent-Type: application/x-protobuf\r\n\r\n")
    while not front.closing.is_set():
        stream.sendall(b"\0" * 65536)


def half_closed(_front: Front, stream: socket.socket) -> None:
    """A peer that listens and has said goodbye before it heard anything."""
    stream.shutdown(socket.SHUT_WR)
    while stream.recv(65536):
        pass


def reset_in_answer(front: Front, stream: socket.socket) -> None:
    """The receiver takes the request; its answer breaks off in the middle."""
    answer = front.ask_behind(front.read(stream))
    stream.sendall(answer[: len(answer) // 2])
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answering(status: int, *headers: tuple[str, str]) -> Treatment:
    """The same answer to every request, which goes no further."""
    body = b"<html>surprise: log in to the hotel</html>"

    def treat(front: Front, stream: socket.socket) -> None:
        while front.read(stream):
            stream.sendall(reply(status, "text/html", body, *headers))

    return treat


def revoked(front: Front, stream: socket.socket) -> None:
    """PostHog, to whom a key has become unknown: `/flags` says so, while `/batch/` says Ok and drops all."""
    while request := front.read(stream):
        if b"/flags" in request.partition(b"\r\n")[0]:
            stream.sendall(reply(401, "application/json", b'{"code":"invalid_api_key"}'))
        else:
            stream.sendall(reply(200, "application/json", b'{"status":"Ok"}'))


def revoked_and_enforced(front: Front, stream: socket.socket) -> None:
    """The same of a PostHog that refuses an unknown key everywhere."""
    while front.read(stream):
        stream.sendall(reply(401, "text/plain", b"API key is not valid: surprise"))


def proxy(password: str = "") -> Treatment:
    """A proxy that tunnels and forwards, for those who name the *password*: `user:password`, none by default."""
    basic = f"proxy-authorization: basic {base64.b64encode(password.encode()).decode()}"

    def treat(front: Front, stream: socket.socket) -> None:
        request = front.read(stream)
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        if password and basic.lower() not in [line.lower() for line in lines]:
            stream.sendall(reply(407, "text/html", b"surprise", ("Proxy-Authenticate", 'Basic realm="surprise"')))
        elif first.startswith("CONNECT "):
            with socket.create_connection((ADDRESS, front.behind)) as receiver:
                stream.sendall(b"HTTP/1.1 200 -\r\n\r\n")
                _tunnel(stream, receiver)
        else:
            method, target, version = first.split(" ")
            first = f"{method} /{target.split('/', 3)[3]} {version}"
            lines = [line for line in lines if not line.lower().startswith("proxy-")]
            stream.sendall(front.ask_behind("\r\n".join((first, *lines, "", "")).encode("latin-1") + body))

    return treat


def _tunnel(one: socket.socket, other: socket.socket) -> None:
    back = threading.Thread(target=_pass, args=(other, one), name="weather", daemon=True)
    back.start()
    _pass(one, other)
    back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


# Certificates.


class Certificates:
    """What servers show: *authority* is one that the sender is told to trust."""

    def __init__(self, authority: trustme.CA) -> None:
        self._authority = authority

    def good(self, name: str = ADDRESS) -> ssl.SSLContext:
        """For the right name."""
        return _showing(self._authority.issue_cert(name))

    def of_another_host(self) -> ssl.SSLContext:
        """For a name that is not the destination's."""
        return _showing(self._authority.issue_cert("another.invalid"))

    def expired(self) -> ssl.SSLContext:
        """For the right name, until yesterday."""
        yesterday = datetime.now(timezone.utc) - timedelta(days=1)
        return _showing(self._authority.issue_cert(ADDRESS, not_after=yesterday))

    def self_signed(self) -> ssl.SSLContext:
        """One that vouches for itself."""
        stranger = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with stranger.cert_pem.tempfile() as certificate, stranger.private_key_pem.tempfile() as key:
            context.load_cert_chain(certificate, key)
        return context


def _showing(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
