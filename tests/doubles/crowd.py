"""
Clients that hold connections to nginx open, in processes of their own inside the network of its container.

There every address of 127.0.0.0/8 is one that a client can come from, and nothing forwards on its way. As a program it
is one part of the crowd: it opens its connections, fills them at the first line of its input, and says at each further
line how many are still held. It ends with its input.
"""

from __future__ import annotations

import math
import resource
import select
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

PORT = 8443
PER_ADDRESS = 20
"""How many connections come from one address: as many as nginx lets ask at the same time."""

SPARE_FILES = 100
REFRESH_S = 4.0
"""How often an idle connection asks for something, to stay: nginx closes it after 15 s."""

ASK = b"GET /surprise HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = (
    b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n"
    b"A: " + b"a" * 4000 + b"\r\nB: " + b"b" * 3900
)
"""As large as nginx takes one."""

FILLINGS = {"heads": HEAD, "bodies": HEAD + b"\r\n\r\n" + b" " * 8000}
"""A head that does not end, and a whole one with a body that drips."""


class Crowd:
    """A context manager: *count* connections are open within, to the nginx whose process id is *pid*."""

    def __init__(self, pid: int, authority: Path, count: int, filling: str) -> None:
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        parts = max(2, math.ceil(count / (hard - SPARE_FILES)))
        inside = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        program = [sys.executable, __file__, str(authority), str(count), str(parts), filling]
        self._commands = [[*inside, *program, str(part)] for part in range(parts)]
        self._parts: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        for command in self._commands:
            part = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._parts.append(part)
        self.opened = self._said()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        for part in self._parts:
            part.communicate()

    def fill(self) -> int:
        """Have every connection send what it then holds, and return how many could."""
        self._ask()
        return self._said()

    def held(self) -> int:
        """How many are open still, and have been told nothing."""
        self._ask()
        return self._said()

    def _ask(self) -> None:
        for part in self._parts:
            assert part.stdin is not None
            part.stdin.write("\n")
            part.stdin.flush()

    def _said(self) -> int:
        return sum(int(part.stdout.readline() or 0) for part in self._parts if part.stdout is not None)


def cannot_enter(pid: int) -> str:
    """Why the network of that process cannot be entered from here; empty if it can."""
    if shutil.which("nsenter") is None:
        return "there is no nsenter"
    network = Path(f"/proc/{pid}/ns/net")
    if not network.exists():
        return "the engine is on another machine"
    done = subprocess.run(["nsenter", f"--net={network}", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "only root enters the network of a container"


def _open(authority: str, numbers: range) -> list[ssl.SSLSocket]:
    """Connect and shake hands, each number from its address, and keep those that wait from being closed."""
    context = ssl.create_default_context(cafile=authority)
    # A session of TLS 1.2 that is resumed is the cheapest handshake there is, so that the crowd gathers in time.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connections: list[ssl.SSLSocket] = []
    session = None
    refreshed_s = time.monotonic()
    for number in numbers:
        address = number // PER_ADDRESS
        source = (f"127.1.{address // 250}.{1 + address % 250}", 0)
        plain = socket.create_connection(("127.0.0.1", PORT), timeout=20, source_address=source)
        # Otherwise the first request waits for the answer to the handshake's end, 40 ms.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = context.wrap_socket(plain, server_hostname="localhost", session=session)
        session = session or connection.session
        connections.append(connection)
        _refresh([connection])
        if time.monotonic() - refreshed_s > REFRESH_S:
            _refresh(connections)
            refreshed_s = time.monotonic()
    return connections


def _refresh(connections: list[ssl.SSLSocket]) -> None:
    for connection in connections:
        connection.sendall(ASK)
        connection.recv(4096)


def _fill(connections: list[ssl.SSLSocket], filling: bytes) -> int:
    filled = 0
    for connection in connections:
        try:
            connection.sendall(filling)
        except OSError:
            continue
        connection.setblocking(False)
        filled += 1
    return filled


def _is_held(connection: ssl.SSLSocket, drop: bytes) -> bool:
    """Whether nothing has been answered; *drop* is sent besides."""
    try:
        connection.recv(1)
    except ssl.SSLWantReadError:
        pass
    except OSError:
        return False
    else:
        return False
    try:
        connection.send(drop)
    except OSError:
        return False
    return True


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main(authority: str, count: str, parts: str, filling: str, part: str) -> None:
    """Do what each line of the input asks for, until it ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = _open(authority, range(int(part), int(count), int(parts)))
    _say(len(connections))
    while not select.select([sys.stdin], [], [], REFRESH_S)[0]:
        _refresh(connections)
    if not sys.stdin.readline():
        return
    _say(_fill(connections, FILLINGS[filling]))
    while sys.stdin.readline():
        _say(sum(_is_held(connection, b" ") for connection in connections))


if __name__ == "__main__":
    main(*sys.argv[1:])
