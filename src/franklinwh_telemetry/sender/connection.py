"""
Connections that write one expected request and nothing else, and that end when their time is over.

They sit below requests and urllib3 (1.26 and 2.x): whatever those would add to a request stops here.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from franklinwh_telemetry.sender.exchange import Captured, Exchange, Line, Stop, WireError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping


class _Guard:
    """The part that both kinds of connection share, in front of urllib3's class."""

    line: Line
    sock: Any
    port: int
    _handle: socket.socket | None = None
    _tunnelling = False

    def connect(self) -> None:
        if self.line.capture:
            self.is_verified = True
            return
        super().connect()  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        connected = self.line.connect(getattr(self, "_dns_host", None) or self.host, self.port)  # type: ignore[attr-defined]
        self._handle = self.line.watch(connected)
        return connected

    def _tunnel(self) -> None:
        self._tunnelling = True
        try:
            super()._tunnel()  # type: ignore[misc]
        finally:
            self._tunnelling = False

    def send(self, data: Any) -> None:
        exchange = self.line.current()
        if self._tunnelling:
            _check_tunnel_request(bytes(data), exchange, self)
            super().send(data)  # type: ignore[misc]
            return
        if not exchange.offer(data):
            return
        if self.sock is None:
            self.connect()
        request = exchange.release()
        if self.line.capture:
            raise Captured
        super().send(request)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        if not self.line.current().written:
            raise Stop(WireError.HEADERS)
        return super().getresponse(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        try:
            super().close()  # type: ignore[misc]
        finally:
            if self._handle is not None:
                self.line.forget(self._handle)
                self._handle = None


def _check_tunnel_request(data: bytes, exchange: Exchange, connection: Any) -> None:
    """A CONNECT says where to, who may use the proxy, and nothing else."""
    host = connection._tunnel_host  # noqa: SLF001 - the standard library's own name
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    target = f"{name}:{connection._tunnel_port}"  # noqa: SLF001
    first, *headers = data.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    allowed = {f"host: {target}".lower()}
    if exchange.proxy_authorization is not None:
        allowed.add(f"proxy-authorization: {exchange.proxy_authorization}")
    spelled = [_lower_name(header) for header in headers if header]
    known = all(header in allowed or header.lower() in allowed for header in spelled)
    if first not in (f"CONNECT {target} HTTP/1.0", f"CONNECT {target} HTTP/1.1") or not known:
        raise Stop(WireError.HEADERS)


def _lower_name(header: str) -> str:
    name, colon, value = header.partition(":")
    return name.lower() + colon + value


class _GuardedHTTPConnection(_Guard, HTTPConnection):
    """Plain HTTP."""


class _GuardedHTTPSConnection(_Guard, HTTPSConnection):
    """HTTP over TLS; what is compared and captured is what goes into TLS."""


class _GuardedPool:
    """What a pool of either kind adds: each connection that it makes belongs to the line."""

    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        self._line = line
        super().__init__(*args, **kwargs)

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()  # type: ignore[misc]
        connection.line = self._line
        return connection


class _GuardedHTTPPool(_GuardedPool, HTTPConnectionPool):
    ConnectionCls = _GuardedHTTPConnection


class _GuardedHTTPSPool(_GuardedPool, HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPSConnection


class GuardedAdapter(HTTPAdapter):
    """The one adapter of the one session; each pool that it makes, also behind a proxy, has guarded connections."""

    def __init__(self, line: Line) -> None:
        self._pool_classes = {
            "http": functools.partial(_GuardedHTTPPool, line=line),
            "https": functools.partial(_GuardedHTTPSPool, line=line),
        }
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools for direct connections."""
        super().init_poolmanager(*args, **kwargs)
        manager: Any = self.poolmanager
        manager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make the pools for one proxy."""
        manager: Any = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        manager._set_proxy_headers = _no_more_headers  # noqa: SLF001 - else `Accept: */*` is added
        return manager


def _no_more_headers(_url: str, headers: Mapping[str, str] | None = None) -> Mapping[str, str]:
    return headers or {}
