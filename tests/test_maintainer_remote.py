"""Asking a service with a key: whatever goes wrong is one clear line, and the key goes nowhere else."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import HungUpError
from franklinwh_telemetry.address import BadDestination
from franklinwh_telemetry.maintainer import remote as module
from franklinwh_telemetry.maintainer.remote import Remote, RemoteError, parse_base, read_token
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, ReceivedRequest, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "phx_surprise"
LINES = "application/x-ndjson"


def explain(status: int, fields: Any) -> str | None:
    return "it would need a cake" if status == 403 else None


def answering(*parts: bytes) -> LoopbackReceiver:
    """A receiver that answers everything so."""
    return LoopbackReceiver(lambda _request: list(parts))


def ask(receiver: LoopbackReceiver) -> Any:
    return Remote("Service", receiver.url, TOKEN, explain).ask("GET", "/things/")


def refusal(receiver: LoopbackReceiver) -> str:
    """The line that says what went wrong; the receiver is started and stopped."""
    with receiver:
        with pytest.raises(RemoteError) as caught:
            ask(receiver)
        return str(caught.value).replace(receiver.url, "URL")


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_what_is_asked_and_what_comes_back():
    """The key, a constant name and what is asked for are sent; a JSON answer is given as it is."""
    with answering(reply(200, "application/json", b'{"a": [1, true]}')) as receiver:
        remote = Remote("Service", receiver.url, TOKEN, explain)
        answer = remote.ask("PATCH", "/things/1/", [("limit", "2"), ("limit", "3")], {"name": "ü"})
        host = receiver.url.removeprefix("http://")
    (request,) = receiver.requests

    assert answer == {"a": [1, True]}
    assert request.request_line == "PATCH /things/1/?limit=2&limit=3 HTTP/1.1"
    assert json.loads(request.body) == {"name": "ü"}
    assert {name.lower(): value for name, value in request.headers} == {
        "host": host,
        "user-agent": "franklinwh-telemetry",
        "accept": "application/json",
        "accept-encoding": request.header("Accept-Encoding"),
        "connection": "keep-alive",
        "authorization": f"Bearer {TOKEN}",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
    }


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(401, "application/json", body(detail="Invalid key.")), "Service refused (401): Invalid key"),
        (reply(403, "application/json", body(detail="no")), "Service refused (403): no: it would need a cake"),
        (reply(404, "text/html", b"<html>"), "Service refused (404)"),
        (reply(400, "application/json", body(message="bad", code="x")), "Service refused (400): bad"),
        (reply(400, "application/json", b"[1]"), "Service refused (400)"),
        (reply(400, "application/json", b"[" * 50_000), "Service refused (400)"),
        (reply(400, "application/json", body(detail=["surprise"])), "Service refused (400)"),
        (
            reply(400, "application/json", body(detail="a\x1b[31mb\nc" + "d" * 500)),
            r"Service refused (400): a\x1b[31mb\nc" + "d" * 291 + "...",
        ),
        (reply(429, "", b"", ("Retry-After", "37")), "Service was asked too much (429): try again in 37 s"),
        (
            reply(429, "", b"", ("Retry-After", "Fri, 27 Nov 2026 11:40:00 GMT")),
            "Service was asked too much (429): try again after 2026-11-27 11:40:00 UTC",
        ),
        (reply(429, "", b"", ("Retry-After", "surprise")), "Service was asked too much (429)"),
        (reply(429), "Service was asked too much (429)"),
        (reply(500), "Service has a fault of its own (500); try again later"),
        (
            reply(503, "", b"", ("Retry-After", "5")),
            "Service has a fault of its own (503): try again in 5 s",
        ),
        (
            reply(301, "", b"", ("Location", "http://surprise.example.com/")),
            "URL sends elsewhere (301), which is not followed: give the address of Service",
        ),
        (
            reply(200, "text/html", b"<html>surprise</html>"),
            "what answers at URL is not Service: its answer is no JSON; look at the address",
        ),
        (
            reply(200, "application/json", b"[" * 1_000_000),
            "what answers at URL is not Service: its answer is no JSON; look at",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
            "the answer of Service broke off: no connection, or it was closed before the end; try again",
        ),
    ],
    ids=[
        "401",
        "403",
        "404",
        "400",
        "no object",
        "too nested",
        "no text",
        "hostile text",
        "429 for seconds",
        "429 until a date",
        "429 nonsense",
        "429",
        "500",
        "503 for seconds",
        "redirect",
        "a page",
        "no text at all",
        "cut off",
    ],
)
def test_each_answer_that_is_none_is_one_line(answer: bytes, said: str):
    """The line says the status, the wait that was asked for, what the service says, and how to mend it."""
    receiver = LoopbackReceiver(lambda _request: _then_hang_up(answer))

    assert refusal(receiver).startswith(said)
    assert len(receiver.requests) == 1


def _then_hang_up(answer: bytes) -> Iterator[bytes]:
    yield answer
    raise HungUpError


def test_a_key_that_is_repeated_is_not_shown():
    """A service that says the key back does not get it onto the screen."""
    said = refusal(answering(reply(400, "application/json", body(detail=f"Bearer {TOKEN} is bad"))))

    assert said == "Service refused (400): Bearer [the key] is bad"


def test_nobody_there():
    """A port on which nobody listens, and a server that hangs up, are told as what they are."""
    with LoopbackReceiver() as receiver:
        gone = receiver.url
    with pytest.raises(RemoteError) as caught:
        Remote("Service", gone, TOKEN, explain).ask("GET", "/")
    hung_up = refusal(LoopbackReceiver(_hang_up))

    said = "cannot be reached: no connection, or it was closed before the end"
    assert (str(caught.value), hung_up) == (f"Service at {gone} {said}", f"Service at URL {said}")


def _hang_up(_request: ReceivedRequest) -> Iterator[bytes]:
    raise HungUpError
    yield b""


def test_a_silent_and_a_dripping_server_have_a_limit(monkeypatch: pytest.MonkeyPatch):
    """One that says nothing, and one that never comes to an end, are left."""
    with LoopbackReceiver(lambda _request: _wait(silent)) as silent:
        monkeypatch.setattr(module, "SILENCE_TIMEOUT_S", 0.2)
        with pytest.raises(RemoteError, match=r"cannot be reached: no answer within 0 s$"):
            ask(silent)
        silent.closing.set()
    monkeypatch.setattr(module, "SILENCE_TIMEOUT_S", 60.0)
    monkeypatch.setattr(module, "DEADLINE_S", 0.3)
    with LoopbackReceiver(lambda _request: _drip(dripping)) as dripping:
        with pytest.raises(RemoteError, match="did not finish its answer"):
            ask(dripping)
        dripping.closing.set()


def _wait(receiver: LoopbackReceiver) -> Iterator[bytes]:
    receiver.closing.wait(60)
    yield b""


def _drip(receiver: LoopbackReceiver) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while not receiver.closing.wait(0.01):
        yield b"1\r\n \r\n"


def test_an_endless_answer_has_a_limit(monkeypatch: pytest.MonkeyPatch):
    """No more than a bounded number of bytes is read."""
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1 << 20)

    assert refusal(answering(reply(200, "application/json", b" " * (2 << 20)))) == (
        "Service answered with more than 1 MiB"
    )


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_lines_come_as_they_are(end: bytes, monkeypatch: pytest.MonkeyPatch):
    """Lines are whole wherever the answer was cut; empty ones are left out, and one that is too long is empty."""
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(module, "_PART_BYTES", 30)
    text = b"a\n\n" + b"b" * 90 + b"\r\n" + b"c" * 101 + b"\nd\n" + b"e" * 10_000 + b"\nf" + end

    with answering(reply(200, f"{LINES}; charset=utf-8", text)) as receiver:
        lines = list(Remote("Service", receiver.url, TOKEN, explain).lines("/", [], LINES))

    assert lines == [b"a", b"b" * 90 + b"\r", b"", b"d", b"", b"f"]


@pytest.mark.parametrize(("given", "shown"), [("text/csv", "text/csv"), ("", "no type")])
def test_lines_of_another_kind_are_not_read(given: str, shown: str):
    """An answer of another media type is refused unread: Scarf's CSV is about persons."""
    with answering(reply(200, given, b"surprise\n")) as receiver, pytest.raises(RemoteError) as caught:
        list(Remote("Service", receiver.url, TOKEN, explain).lines("/", [], LINES))

    assert str(caught.value) == f"Service answered with {shown}, not {LINES}"


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("https://posthog.example.com/", "https://posthog.example.com"),
        ("https://EXAMPLE.com:8443/posthog/", "https://example.com:8443/posthog"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_a_base(text: str, base: str):
    """A URL is brought into one form."""
    assert parse_base(text) == base


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://posthog.example.com", "a key is sent to https:// only; http:// is for this machine"),
        ("ftp://example.com", "only https:// and http:// are spoken"),
        ("https://me:surprise@example.com", "it holds a user name or password; take them out of the URL"),
        ("https://", "it has no valid host name; give one such as collector.example.com"),
    ],
)
def test_no_base(text: str, said: str):
    """What no key is sent to is refused, with what is wrong."""
    assert parse_base(text) == BadDestination(said)


def test_a_token_is_read_and_never_told():
    """White space around it is dropped, nothing is None, and what no header can carry is refused without showing it."""
    assert read_token({"KEY": f" {TOKEN}\n"}, "KEY") == TOKEN
    assert read_token({"KEY": "  "}, "KEY") is None
    assert read_token({}, "KEY") is None
    for bad in ("phx_sur\nprise", "phx_sur prise", "phx_sürprise", "phx_\x00"):
        with pytest.raises(RemoteError, match=r"^KEY holds a space or something other than ASCII") as caught:
            read_token({"KEY": bad}, "KEY")
        assert "phx" not in str(caught.value)


@pytest.fixture
def trusted(tmp_path: Path) -> Callable[[LoopbackReceiver | None], ssl.SSLContext]:
    """A server's TLS with a certificate of an authority that stands in a file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))

    def context(_receiver: LoopbackReceiver | None = None) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(made)
        return made

    return context


def test_a_certificate_that_nobody_vouches_for_stops_the_key(trusted, tmp_path, monkeypatch):
    """Without trust nothing is sent; with it the request goes through, and `.netrc` does not take the key's place."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password surprise\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with LoopbackReceiver(lambda _request: [reply(200, "application/json", b"{}")], tls=trusted()) as receiver:
        with pytest.raises(RemoteError, match=r"its certificate cannot be verified \(REQUESTS_CA_BUNDLE names others"):
            ask(receiver)
        assert receiver.requests == []

        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        assert ask(receiver) == {}
        assert receiver.requests[0].header("Authorization") == f"Bearer {TOKEN}"


def test_a_proxy_is_not_asked_about_this_machine(monkeypatch):
    """Plain HTTP goes to this machine directly, whatever the environment names."""
    with (
        answering(reply(200, "application/json", b"{}")) as proxy,
        answering(reply(200, "application/json", b'{"it": 1}')) as receiver,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)

        assert ask(receiver) == {"it": 1}
        assert proxy.requests == []
