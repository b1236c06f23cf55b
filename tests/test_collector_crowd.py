"""Ten thousand connections that do nothing but stay, held to nginx in front of the Collector."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doubles.collector import CONFIGURATION, peak_bytes
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.sending import ids, recent, send

if TYPE_CHECKING:
    from doubles.stack import Stack

pytestmark = [
    # An engine to unpack and a distribution to compile, where neither has been before.
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
]

COUNT = 10_000
HONEST_S = 3.0
"""What an honest client may need among them, in seconds; alone it needs a tenth of one."""


def processes(stack: Stack, service: str) -> list[int]:
    """The ids of the service's process and of its children, as this machine knows them."""
    parent = int(stack.inspect(service)["State"]["Pid"])
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [parent, *map(int, children.split())]


@pytest.mark.parametrize("filling", ["heads", "bodies"])
def test_ten_thousand_held_connections_shut_nobody_out(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filling: str
) -> None:
    """With the largest heads, ended or not, all are held at once; an honest client is served, then and afterwards."""
    # It is for POSIX only.
    from doubles.crowd import Crowd, cannot_enter

    bundle = tmp_path / "authority.pem"
    stack.authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    nginx, collector = processes(stack, "proxy"), processes(stack, "collector")
    if why := cannot_enter(nginx[0]):
        pytest.skip(why)
    url = f"https://127.0.0.1:{stack.public_port}"
    first = 1000 if filling == "heads" else 2000
    among, after = recent(first, 20), recent(first + 100, 20)

    with Crowd(nginx[0], bundle, COUNT, filling) as crowd:
        assert crowd.opened == COUNT
        assert crowd.fill() == COUNT
        began_s = time.monotonic()
        assert send(url, tmp_path, among).accepted_ids == ids(among)
        assert time.monotonic() - began_s < HONEST_S
        assert crowd.held() == COUNT
    assert send(url, tmp_path, after).accepted_ids == ids(after)

    arrived = "".join(stack.lines())
    assert all(f"{record.span_id:016x}" in arrived for record in [*among, *after])
    # No worker has been killed for its memory and replaced: they are the same.
    assert (processes(stack, "proxy"), processes(stack, "collector")) == (nginx, collector)
    assert peak_bytes(nginx) < stack.inspect("proxy")["HostConfig"]["Memory"]
    assert peak_bytes(collector) < stack.inspect("collector")["HostConfig"]["Memory"] / 4


def test_who_is_refused_is_soon_let_go(stack: Stack) -> None:
    """A body that drips to where nothing is taken is read for five seconds, not for thirty."""
    context = ssl.create_default_context()
    stack.authority.configure_trust(context)
    began_s = time.monotonic()
    with (
        socket.create_connection(("127.0.0.1", stack.public_port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
        with contextlib.suppress(OSError):
            while time.monotonic() - began_s < 25:
                connection.sendall(b" ")
                time.sleep(0.2)
    assert time.monotonic() - began_s < 15
