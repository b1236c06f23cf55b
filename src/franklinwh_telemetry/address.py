"""
URLs as we send to them: scheme, host, port and path, parsed strictly and written in one form.
"""

from __future__ import annotations

from typing import Final, final

from franklinwh_telemetry.value import Value

MAX_URL_LENGTH: Final = 2048
FILE_HOST: Final = "file"
_MAX_HOST_LENGTH: Final = 253
_MAX_LABEL_LENGTH: Final = 63
_MAX_PORT_DIGITS: Final = 5
_MAX_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ALPHANUMERIC: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
NAME_CHARACTERS: Final = _ALPHANUMERIC | frozenset("_-")
_PATH_CHARACTERS: Final = _ALPHANUMERIC | frozenset("/-._~!$&'()*+,;=:@%")


@final
class BadDestination(Value):
    """A destination that is not usable; `message` says in one line what is wrong and repeats nothing of it."""

    __slots__ = ("message",)
    message: str

    def __init__(self, message: str) -> None:
        super().__init__(message)


def split_url(text: str) -> tuple[str, str, int | None, str] | BadDestination:
    """Scheme, host, port unless it is the scheme's own, and path; the strict part of RFC 3986 that we send to."""
    problem = _text_problem(text)
    if problem is not None:
        return BadDestination(problem)
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    authority, slash, path = rest.partition("/")
    path = slash + path
    if scheme not in _DEFAULT_PORTS:
        return BadDestination("only https:// and http:// are spoken")
    if "@" in authority:
        return BadDestination("it holds a user name or password; take them out of the URL")
    if authority.startswith("["):
        host, bracket, port_text = authority[1:].partition("]")
        if not bracket or port_text[:1] not in ("", ":"):
            return BadDestination("the IPv6 address is not closed by ]")
        _, colon, port_text = port_text.partition(":")
        canonical = canonical_ipv6(host)
    else:
        host, colon, port_text = authority.partition(":")
        canonical = canonical_host(host)
    if canonical is None:
        return BadDestination("it has no valid host name; give one such as collector.example.com")
    if canonical == FILE_HOST:
        return BadDestination("the host name `file` stands for the file on this machine; give the host in full")
    port = int(port_text) if port_text.isdigit() and len(port_text) <= _MAX_PORT_DIGITS else 0
    if colon and not 0 < port <= _MAX_PORT:
        return BadDestination("the port is not a number from 1 to 65535")
    if not _is_path(path):
        return BadDestination("the path holds something that a URL's path cannot; give the base URL only")
    return scheme, canonical, None if not colon or port == _DEFAULT_PORTS[scheme] else port, path


def _text_problem(text: str) -> str | None:
    if not text.isascii():
        return "it holds something other than ASCII; write the host in its xn-- form"
    if not text.isprintable() or " " in text:
        return "it holds spaces or control characters; take them out"
    if len(text) > MAX_URL_LENGTH:
        return f"it is longer than {MAX_URL_LENGTH} characters"
    if "://" not in text:
        return "it has no scheme; write https:// in front of it"
    if "?" in text:
        return "it holds a query; give the base URL without the ? and what follows"
    if "#" in text:
        return "it holds a fragment; give the base URL without the # and what follows"
    return None


def canonical_host(text: str) -> str | None:
    """The host name or IPv4 address in its one form; None unless it is a valid one."""
    host = text.lower()
    labels = host.split(".")
    if len(host) > _MAX_HOST_LENGTH or not all(
        0 < len(label) <= _MAX_LABEL_LENGTH and NAME_CHARACTERS.issuperset(label) and label.strip("-") == label
        for label in labels
    ):
        return None
    if labels[-1].isdigit() or labels[-1].startswith("0x"):  # resolvers read 127.1 and 0x7f.1 as addresses
        import ipaddress  # noqa: PLC0415 - costs milliseconds, and most hosts have a name

        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            return None
    return host


def canonical_ipv6(text: str) -> str | None:
    """The IPv6 address in its one form; None unless it is a valid one, without a zone."""
    import ipaddress  # noqa: PLC0415 - as above

    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    # A zone names this machine's interface, and Pythons write an IPv4 address within IPv6 in different ways.
    return None if "%" in text or address.ipv4_mapped is not None else str(address)


def _is_path(path: str) -> bool:
    escapes = path.split("%")[1:]
    return (
        _PATH_CHARACTERS.issuperset(path)
        and not {".", ".."}.intersection(path.split("/"))
        and all(len(escape) > 1 and _is_hex(escape[0]) and _is_hex(escape[1]) for escape in escapes)
    )


def _is_hex(character: str) -> bool:
    return character in "0123456789abcdefABCDEF"


def is_loopback(host: str) -> bool:
    """Whether *host*, as `Destination.host` has it, is this machine itself."""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.rpartition(".")[2].isdigit())


def insecure(scheme: str, host: str, *, allow_http: bool) -> bool | BadDestination:
    """Whether plain HTTP leaves this machine, where that was allowed."""
    if scheme == "https" or is_loopback(host):
        return False
    if allow_http:
        return True
    return BadDestination("plain http:// leaves this machine; use https://, or allow_http = true in one's own network")


def origin(scheme: str, host: str, port: int | None) -> str:
    """The URL of a host without a path; a port only where it is not the scheme's own."""
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port is None else f"{scheme}://{name}:{port}"
