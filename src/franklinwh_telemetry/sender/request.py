"""The bytes of a request, written out here from a closed list of headers, and the way that the environment names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy, urldefragauth

from franklinwh_telemetry.address import is_loopback

if TYPE_CHECKING:
    import requests

USER_AGENT: Final = "franklinwh-telemetry"
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_CA_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def host_of(url: str) -> str:
    """The host of *url*, an IPv6 address without its brackets; empty where there is none."""
    return urlsplit(url).hostname or ""


def url_of(prepared: requests.PreparedRequest) -> str:
    """The URL of a request; empty where it has none yet."""
    return prepared.url or ""


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for *url*, `NO_PROXY` respected; this machine is never behind one."""
    if is_loopback(host_of(url)):
        return None
    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    return None if not proxy else proxy if "://" in proxy else f"http://{proxy}"


def certificate_authorities() -> str | bool | None:
    """The bundle that the environment names, else certifi's; None if the one named is not there."""
    for name in _CA_VARIABLES:
        path = os.environ.get(name)
        if path:
            return path if os.path.exists(path) else None
    return True


def netloc(prepared: requests.PreparedRequest) -> str:
    """Return the value of the Host header: the port only where it is not the scheme's own."""
    url = url_of(prepared)
    parts, host = urlsplit(url), host_of(url)
    name = f"[{host}]" if ":" in host else host
    return name if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{name}:{parts.port}"


def request_bytes(
    prepared: requests.PreparedRequest,
    body: bytes,
    *,
    forwarded: bool,
    authorization: str | None = None,
) -> bytes:
    """
    The whole request as it must be: five headers, rebuilt here from the list, and the body.

    A proxy that forwards plain HTTP gets the whole URL and its own header; inside a tunnel nothing changes.
    """
    target, more = prepared.path_url, ""
    url = url_of(prepared)
    if forwarded and urlsplit(url).scheme == "http":
        target = urldefragauth(url)
        more = "" if authorization is None else f"Proxy-Authorization: {authorization}\r\n"
    head = (
        f"POST {target} HTTP/1.1\r\n"
        f"Host: {netloc(prepared)}\r\n"
        f"User-Agent: {USER_AGENT}\r\n"
        f"Content-Type: {prepared.headers['Content-Type']}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Accept-Encoding: identity\r\n{more}\r\n"
    )
    return head.encode("latin-1") + body
