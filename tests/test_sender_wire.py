"""The only way out: exact bytes, journalled first, to the destination alone, within a deadline."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
import trustme

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from franklinwh_telemetry.destination import FILE, Destination, parse_destination
from franklinwh_telemetry.sender import answer as answer_module
from franklinwh_telemetry.sender import exchange as exchange_module
from franklinwh_telemetry.sender.answer import Answer, media_type, parse_retry_after
from franklinwh_telemetry.sender.exchange import Exchange, WireError
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, ReceivedRequest, reply
from franklinwh_telemetry.sender.request import host_of, netloc, url_of
from franklinwh_telemetry.sender.wire import CapturingWire, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    Answering = Callable[[ReceivedRequest], Iterable[bytes]]

BODY = b"\x00body\xff"
TYPE = "application/x-protobuf"


def destination(text: str, *, allow_http: bool = False) -> Destination:
    """An OTLP destination."""
    parsed = parse_destination(text, allow_http=allow_http)
    assert isinstance(parsed, Destination)
    return parsed


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty journal."""
    return Journal(str(tmp_path / "journal"))


@pytest.fixture(autouse=True)
def no_certificates_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test says which authorities are trusted."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def post(text: str, journal: Journal, *, deadline_s: float = 10.0, allow_http: bool = False) -> Answer:
    """Post the body over a wire of its own."""
    there = destination(text, allow_http=allow_http)
    wire = Wire(there, journal, deadline_s=deadline_s)
    try:
        return wire.post(there.url, BODY, TYPE)
    finally:
        wire.close()


def expected_request(host: str, target: str = "/v1/traces", *more: str) -> bytes:
    """The whole request, written out."""
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: franklinwh-telemetry",
        f"Content-Type: {TYPE}",
        f"Content-Length: {len(BODY)}",
        "Accept-Encoding: identity",
        *more,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + BODY


def test_request_is_exactly_the_five_headers_and_the_body(journal: Journal) -> None:
    """Every byte on the wire is known; the journal has the same ones."""
    with LoopbackReceiver() as receiver:
        answer = post(receiver.url, journal)
        (request,) = receiver.requests
        assert request.raw == expected_request(f"127.0.0.1:{receiver.port}")
    assert answer == Answer(status=200, content_type=TYPE)
    (entry,) = journal.entries()
    assert (entry.request, entry.status, entry.request_line) == (request.raw, 200, "POST /v1/traces")


def test_journal_comes_before_the_write(journal: Journal) -> None:
    """When the first byte arrives, the journal already has them all."""
    seen: list[bytes] = []

    def answer(_request: ReceivedRequest) -> list[bytes]:
        seen.extend(entry.request for entry in journal.entries())
        return [reply(200, TYPE)]

    with LoopbackReceiver(answer) as receiver:
        post(receiver.url, journal)
        assert seen == [receiver.requests[0].raw]


def test_nothing_is_sent_if_the_journal_cannot_be_written(tmp_path: Path) -> None:
    """No journal, no request: not one byte leaves."""
    (tmp_path / "journal").write_bytes(b"in the way")
    with LoopbackReceiver() as receiver:
        answer = post(receiver.url, Journal(str(tmp_path / "journal")))
        assert receiver.requests == []
    assert answer == Answer(error=WireError.JOURNAL)


def test_nothing_is_sent_if_it_is_no_longer_wanted(journal: Journal) -> None:
    """The question comes after connecting, right before the write; the answer no stops it, unjournalled."""
    with LoopbackReceiver() as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal, may_send=lambda: False)
        assert wire.post(there.url, BODY, TYPE) == Answer(error=WireError.WITHDRAWN)
        wire.close()
        assert receiver.requests == []
    assert list(journal.entries()) == []


@pytest.mark.parametrize(
    "sabotage",
    [
        lambda session: session.headers.update({"X-Surprise": "1"}),
        lambda session: session.headers.update({"Accept": "*/*"}),
        lambda session: session.cookies.set("surprise", "1", domain="127.0.0.1"),
        lambda session: setattr(session, "auth", ("surprise", "1")),
    ],
)
def test_header_that_is_not_on_the_list_stops_the_request(
    journal: Journal,
    sabotage: Callable[[requests.Session], None],
) -> None:
    """Whoever adds something to the session makes the request differ; nothing is written then."""
    with LoopbackReceiver() as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal)
        sabotage(wire._session)
        assert wire.post(there.url, BODY, TYPE) == Answer(error=WireError.HEADERS)
        wire.close()
        assert receiver.requests == []
    assert list(journal.entries()) == []


def test_cookie_is_never_kept_or_sent(journal: Journal) -> None:
    """A cookie of the answer does not come back with the next request, which uses the same connection."""
    cookie = reply(200, TYPE, b"", ("Set-Cookie", "surprise=1; Path=/"))
    with LoopbackReceiver(lambda _request: [cookie]) as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal)
        for _attempt in range(2):
            wire.post(there.url, BODY, TYPE)
        wire.close()
        assert [request.raw for request in receiver.requests] == [expected_request(f"127.0.0.1:{receiver.port}")] * 2


def test_netrc_is_not_read(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that somebody keeps for this host stays where it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login surprise password surprise\n")
    netrc.chmod(0o600)
    with LoopbackReceiver() as receiver:
        assert requests.utils.get_netrc_auth(receiver.url) == ("surprise", "surprise")
        assert post(receiver.url, journal).status == 200
        assert receiver.requests[0].raw == expected_request(f"127.0.0.1:{receiver.port}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(journal: Journal, status: int) -> None:
    """The answer is the redirect itself; where it points to hears nothing."""
    with LoopbackReceiver() as elsewhere:
        location = ("Location", elsewhere.url + "/v1/traces")
        with LoopbackReceiver(lambda _request: [reply(status, "", b"", location)]) as receiver:
            assert post(receiver.url, journal) == Answer(status=status)
            assert len(receiver.requests) == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/v1/traces", "https://collector.example/v1/traces", "https://collector.example:444/v1/traces"],
)
def test_wire_goes_to_its_destination_only(journal: Journal, url: str) -> None:
    """A URL of another scheme, host or port is refused before a socket is made."""
    wire = Wire(destination("https://collector.example:4318"), journal)
    assert wire.post(url, BODY, TYPE) == Answer(error=WireError.FOREIGN_URL)
    wire.close()
    assert list(journal.entries()) == []


def test_plain_http_is_refused_beyond_this_machine(journal: Journal) -> None:
    """Without `allow_http` plain HTTP stops here, even for a destination that should never have been made."""
    allowed = destination("http://collector.invalid", allow_http=True)
    wire = Wire(allowed, journal)
    assert wire.post(allowed.url, BODY, TYPE).error is WireError.NAME_NOT_FOUND
    object.__setattr__(allowed, "allow_http", False)
    assert wire.post(allowed.url, BODY, TYPE) == Answer(error=WireError.PLAIN_HTTP)
    wire.close()


@pytest.mark.parametrize(
    ("url", "allow_http", "is_tried"),
    [
        ("http://localhost:4318", False, False),
        ("http://collector.invalid:4318", True, True),
        ("https://localhost:4318", False, True),
    ],
)
def test_plain_http_to_localhost_stays_on_this_machine(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, url: str, allow_http: bool, is_tried: bool
) -> None:
    """A name that only claims to be this machine is not connected to in the clear."""
    tried: list[object] = []

    def refuse(_family: object, address: object, _exchange: object) -> WireError:
        tried.append(address)
        return WireError.REFUSED

    elsewhere = ("192.0.2.1", 4318)
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", elsewhere)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: addresses)
    monkeypatch.setattr(exchange_module, "_connected", refuse)
    assert post(url, journal, allow_http=allow_http) == Answer(error=WireError.REFUSED)
    assert tried == ([elsewhere] if is_tried else [])


def test_refused_connection_has_its_name(journal: Journal) -> None:
    """A port where nobody listens; the journal holds no request, since none was written."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = post(f"http://127.0.0.1:{unused.getsockname()[1]}", journal)
    assert answer == Answer(error=WireError.REFUSED)
    assert list(journal.entries()) == []


def test_unknown_name_has_its_name(journal: Journal) -> None:
    """A name that can never exist."""
    assert post("https://collector.invalid", journal) == Answer(error=WireError.NAME_NOT_FOUND)


def test_resolver_that_hangs_is_not_waited_for(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline holds for the name too."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: release.wait(10) and [])
    began_s = time.monotonic()
    answer = post("https://collector.invalid", journal, deadline_s=0.2)
    assert time.monotonic() - began_s < 5
    release.set()
    assert answer == Answer(error=WireError.TIMED_OUT)


def black_hole(closing: threading.Event) -> Answering:
    """No answer until *closing*."""

    def never(_request: ReceivedRequest) -> Iterator[bytes]:
        closing.wait(20)
        yield b""

    return never


def drip(closing: threading.Event, first: bytes, then: bytes) -> Answering:
    """An answer that never ends, a little at a time."""

    def dripping(_request: ReceivedRequest) -> Iterator[bytes]:
        yield first
        while not closing.wait(0.02):
            yield then

    return dripping


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["nothing", "a header", "headers", "a body", "chunks", "a body without an end", "continue"],
)
def test_deadline_holds_however_slowly_the_answer_drips(journal: Journal, first: bytes, then: bytes) -> None:
    """Each byte in time, the whole not: the request ends at its deadline."""
    closing = threading.Event()
    with LoopbackReceiver(drip(closing, first, then) if first or then else black_hole(closing)) as receiver:
        began_s = time.monotonic()
        answer = post(receiver.url, journal, deadline_s=0.4)
        took_s = time.monotonic() - began_s
        closing.set()
    # A hundred headers are more than the standard library reads, which ends the matter sooner.
    assert answer.error is WireError.TIMED_OUT or (then.startswith(b"X-") and answer.error)
    assert took_s < 3
    assert [entry.error for entry in journal.entries()] == [answer.error.value]


def timers() -> list[threading.Thread]:
    """The timers that are running."""
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_deadline_keeps_no_program_from_ending(journal: Journal) -> None:
    """While a request is under way, its timer is no thread that Python waits for."""
    seen: list[bool] = []

    def answer(_request: ReceivedRequest) -> list[bytes]:
        seen.extend(timer.daemon for timer in timers())
        return [reply(200, TYPE)]

    with LoopbackReceiver(answer) as receiver:
        assert post(receiver.url, journal).status == 200
    assert seen == [True]


def test_deadline_that_passes_late_meets_no_other_request(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is not over before its timer is; the socket's own limit has ended the waiting meanwhile."""
    closing = threading.Event()
    with LoopbackReceiver(black_hole(closing)) as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal, deadline_s=0.2)
        cut = wire._line.cut

        def cut_late(exchange: Exchange) -> None:
            time.sleep(0.4)
            cut(exchange)

        monkeypatch.setattr(wire._line, "cut", cut_late)
        answer = wire.post(there.url, BODY, TYPE)
        running = timers()
        closing.set()
        wire.close()
    assert (answer, running) == (Answer(error=WireError.TIMED_OUT), [])


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"], ids=["headers", "body"])
def test_deadline_holds_without_its_timer(journal: Journal, monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    """The limit of the socket itself has the same name."""
    closing = threading.Event()

    def stall(_request: ReceivedRequest) -> Iterator[bytes]:
        yield first
        closing.wait(20)

    with LoopbackReceiver(stall) as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal, deadline_s=0.2)
        monkeypatch.setattr(wire._line, "cut", lambda _exchange: None)
        answer = wire.post(there.url, BODY, TYPE)
        closing.set()
        wire.close()
    assert answer.error is WireError.TIMED_OUT


def test_connection_that_is_never_accepted_times_out(journal: Journal) -> None:
    """A host that swallows the connection is given up at the deadline."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(address)
        began_s = time.monotonic()
        answer = post(f"http://127.0.0.1:{address[1]}", journal, deadline_s=0.4)
        took_s = time.monotonic() - began_s
        for one in crowd:
            one.close()
    assert answer == Answer(error=WireError.TIMED_OUT)
    assert took_s < 3


def test_endless_answer_is_read_to_64_kib(journal: Journal) -> None:
    """What is beyond is not read, and the answer says so."""

    def endless(_request: ReceivedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
        while True:
            yield b"x" * 65536

    with LoopbackReceiver(endless) as receiver:
        answer = post(receiver.url, journal)
    assert answer == Answer(
        status=200,
        content_type="text/html",
        body=b"x" * 65536,
        error=WireError.ANSWER_TOO_LARGE,
    )


def watch(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, change: Callable[[requests.Response], None]
) -> list[requests.Response]:
    """Keep the responses that the wire gets, each with a *change*."""
    kept: list[requests.Response] = []
    send = wire._session.send

    def sending(*arguments: Any, **keywords: Any) -> requests.Response:
        response = send(*arguments, **keywords)
        change(response)
        kept.append(response)
        return response

    monkeypatch.setattr(wire._session, "send", sending)
    return kept


def test_longer_answer_is_read_no_further_and_its_connection_given_up(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte beyond 64 KiB tells that there are more, in however small parts they come."""
    parts: list[int] = []

    def in_small_parts(response: requests.Response) -> None:
        def read(amount: int, *, decode_content: bool) -> bytes:
            assert not decode_content
            parts.append(min(amount, 1000))
            return b"x" * parts[-1]

        monkeypatch.setattr(response.raw, "read", read)

    with LoopbackReceiver(lambda _request: [reply(200, TYPE, b"x" * 99_999)]) as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal)
        kept = watch(wire, monkeypatch, in_small_parts)
        assert wire.post(there.url, BODY, TYPE).error is WireError.ANSWER_TOO_LARGE
        assert sum(parts) == 65_537
        assert (len(kept), wire._line._handles) == (1, set())
        wire.close()


def test_answer_of_exactly_64_kib_is_whole(journal: Journal) -> None:
    """The limit itself is within the limit."""
    with LoopbackReceiver(lambda _request: [reply(200, TYPE, b"x" * 65536)]) as receiver:
        assert post(receiver.url, journal) == Answer(status=200, content_type=TYPE, body=b"x" * 65536)


@pytest.mark.parametrize(
    "answer",
    [b"", b"surprise\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"],
    ids=["closed", "no HTTP", "cut short"],
)
def test_broken_answer_has_its_name(journal: Journal, answer: bytes) -> None:
    """A connection that ends too early, or speaks something else, is broken."""

    def broken(_request: ReceivedRequest) -> Iterator[bytes]:
        yield answer
        raise OSError

    with LoopbackReceiver(broken) as receiver:
        assert post(receiver.url, journal).error is WireError.CONNECTION_BROKEN


def test_short_answer_is_broken_for_every_urllib3(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for 1.26, which by itself takes a body that is shorter than announced for a whole one."""

    def trust(response: requests.Response) -> None:
        response.raw.enforce_content_length = False

    def short(_request: ReceivedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"
        raise OSError

    with LoopbackReceiver(short) as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal)
        watch(wire, monkeypatch, trust)
        assert wire.post(there.url, BODY, TYPE).error is WireError.CONNECTION_BROKEN
        wire.close()


def test_words_of_the_peer_are_not_taken_over(journal: Journal) -> None:
    """Of an answer only the status, a media type that looks like one, and the body remain."""
    hostile = b"HTTP/1.1 200 surprise\r\nContent-Type: surprise surprise\r\nContent-Length: 0\r\n\r\n"
    with LoopbackReceiver(lambda _request: [hostile]) as receiver:
        assert post(receiver.url, journal) == Answer(status=200)


def test_compressed_answer_is_not_inflated(journal: Journal) -> None:
    """No encoding was asked for, so none is undone: 64 KiB stay 64 KiB."""
    packed = reply(200, TYPE, b"not gzip", ("Content-Encoding", "gzip"))
    with LoopbackReceiver(lambda _request: [packed]) as receiver:
        assert post(receiver.url, journal).body == b"not gzip"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts by itself."""
    return trustme.CA()


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """A server with a certificate for *name*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trust(authority: trustme.CA, variable: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name the authority."""
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv(variable, str(bundle))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_authority_of_the_environment_is_trusted(
    journal: Journal,
    authority: trustme.CA,
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A company's own authority works; the bytes inside TLS are the same, and so is the journal."""
    trust(authority, variable, tmp_path, monkeypatch)
    with LoopbackReceiver(tls=server_context(authority)) as receiver:
        assert post(receiver.url, journal) == Answer(status=200, content_type=TYPE)
        assert receiver.requests[0].raw == expected_request(f"127.0.0.1:{receiver.port}")
        assert [entry.request for entry in journal.entries()] == [receiver.requests[0].raw]


def test_untrusted_certificate_stops_the_request(journal: Journal, authority: trustme.CA) -> None:
    """Nothing is sent, and nothing journalled."""
    with LoopbackReceiver(tls=server_context(authority)) as receiver:
        assert post(receiver.url, journal) == Answer(error=WireError.TLS_NOT_VERIFIED)
        assert receiver.requests == []
    assert list(journal.entries()) == []


def test_certificate_of_another_host_stops_the_request(
    journal: Journal,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trusted authority is not enough: the name must be the destination's."""
    trust(authority, "SSL_CERT_FILE", tmp_path, monkeypatch)
    with LoopbackReceiver(tls=server_context(authority, "another.example")) as receiver:
        assert post(receiver.url, journal) == Answer(error=WireError.TLS_NOT_VERIFIED)
        assert receiver.requests == []


def test_bundle_that_is_not_there_is_not_replaced(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names a bundle wants that one, and no other in its stead."""
    monkeypatch.setenv("SSL_CERT_FILE", os.path.join(os.sep, "surprise", "bundle.pem"))
    assert post("https://collector.invalid", journal) == Answer(error=WireError.TLS_NOT_VERIFIED)


def test_tls_handshake_that_hangs_times_out(journal: Journal) -> None:
    """A server that accepts and then says nothing is given up at the deadline."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began_s = time.monotonic()
        answer = post(f"https://127.0.0.1:{silent.getsockname()[1]}", journal, deadline_s=0.4)
    assert answer == Answer(error=WireError.TIMED_OUT)
    assert time.monotonic() - began_s < 3


FAR_EAST = "Sun, 06 Nov 1994 08:49:37 +9999999999999999"
"""A date whose zone is more than any number that the standard library reckons with."""


def test_retry_after_is_read_in_both_forms() -> None:
    """Seconds or a date, at least 0, at most a day; anything else is no wish."""
    now_s = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
    assert parse_retry_after("120", now_s) == 120
    assert parse_retry_after(" 0 ", now_s) == 0
    assert parse_retry_after("86399", now_s) == 86_399
    assert parse_retry_after("0000000000120", now_s) == 120
    assert parse_retry_after("9" * 60_000, now_s) == 86_400
    assert parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now_s) == 60
    assert parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now_s) == 0
    assert parse_retry_after("Sun, 06 Nov 2094 08:00:00 GMT", now_s) == 86_400
    for surprise in ("", "-1", "1.5", "soon", "Sun, 99 Nov 1994 08:49:37 GMT", "\u0663", FAR_EAST):
        assert parse_retry_after(surprise, now_s) is None


def test_media_type_is_one_or_nothing() -> None:
    """Parameters and case are dropped; what is no media type is empty."""
    assert media_type("Application/JSON; charset=utf-8") == "application/json"
    assert media_type(" text/html ") == "text/html"
    assert media_type("text/html; a=b; c=d") == "text/html"
    for surprise in ("", "surprise", "a/b c", "a/" + "b" * 100, "é/é"):
        assert media_type(surprise) == ""


def test_limits_are_those_that_are_promised() -> None:
    """64 KiB of an answer, a day of waiting, ten seconds for a request; an answer that did not come says nothing."""
    assert (answer_module.MAX_ANSWER_BYTES, answer_module.MAX_RETRY_AFTER_S) == (65_536, 86_400.0)
    assert Answer() == Answer(status=None, content_type="", body=b"", retry_after_s=None, error=None)
    wire = Wire(destination("https://collector.example"), None)
    assert wire.deadline_s == 10.0
    wire.close()


def test_the_file_is_no_address(journal: Journal) -> None:
    """A wire to the embedded default goes nowhere, not even to the empty address that is its own."""
    wire = Wire(FILE, journal)
    assert wire.post("", BODY, TYPE) == Answer(error=WireError.FOREIGN_URL)
    wire.close()


def test_nothing_is_sent_without_a_journal() -> None:
    """A wire that was given none has no right to write."""
    with LoopbackReceiver() as receiver:
        wire = Wire(destination(receiver.url), None)
        assert wire.post(wire.destination.url, BODY, TYPE) == Answer(error=WireError.JOURNAL)
        wire.close()
        assert receiver.requests == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://collector.example", "collector.example"),
        ("https://collector.example:4318", "collector.example:4318"),
        ("https://collector.example:80", "collector.example:80"),
        ("https://[2001:db8::1]", "[2001:db8::1]"),
        ("https://[2001:db8::1]:4318", "[2001:db8::1]:4318"),
        ("http://127.0.0.1:443", "127.0.0.1:443"),
        ("http://[::1]:4318", "[::1]:4318"),
    ],
)
def test_host_header(url: str, host: str) -> None:
    """The port is there unless it is the scheme's own, and an IPv6 address stands in brackets."""
    there = destination(url)
    capturing = CapturingWire(there, {"traces": Answer(status=200)})
    assert capturing.post(there.url, BODY, TYPE) == Answer(status=200)
    assert capturing.requests == [expected_request(host)]
    capturing.close()


@pytest.mark.parametrize(
    ("port", "host"), [(443, "collector.example"), (80, "collector.example:80"), (None, "collector.example")]
)
def test_host_header_of_a_port_that_is_the_schemes(port: int | None, host: str) -> None:
    """Also where the URL spells that port out."""
    url = "https://collector.example" + ("" if port is None else f":{port}")
    assert netloc(requests.Request("POST", url).prepare()) == host
    assert netloc(requests.Request("POST", "http://collector.example:80").prepare()) == "collector.example"


def test_request_that_is_not_prepared_goes_nowhere() -> None:
    """What has no URL has an empty one, and no host."""
    blank = requests.PreparedRequest()
    assert (url_of(blank), host_of(url_of(blank)), netloc(blank)) == ("", "", "")


def answer_as_proxy(told: list[ReceivedRequest]) -> Answering:
    """Answer for the destination, and note what was asked."""

    def answer(request: ReceivedRequest) -> list[bytes]:
        told.append(request)
        return [reply(200, TYPE)]

    return answer


@pytest.mark.parametrize(
    ("before", "more"),
    [
        ("", []),
        ("http://", []),
        ("http://user:surprise@", ["Proxy-Authorization: Basic dXNlcjpzdXJwcmlzZQ=="]),
    ],
    ids=["a mere host", "a URL", "a URL with a password"],
)
def test_proxy_of_the_environment_forwards_plain_http(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, before: str, more: list[str]
) -> None:
    """The proxy gets the whole URL and its own password; the journal has all but the password."""
    with LoopbackReceiver() as proxy:
        monkeypatch.setenv("http_proxy", f"{before}127.0.0.1:{proxy.port}")
        answer = post("http://collector.invalid:4318", journal, allow_http=True)
        (request,) = proxy.requests
    target = "http://collector.invalid:4318/v1/traces"
    assert answer == Answer(status=200, content_type=TYPE)
    assert request.raw == expected_request("collector.invalid:4318", target, *more)
    assert [entry.request for entry in journal.entries()] == [expected_request("collector.invalid:4318", target)]


class Tunnel:
    """A proxy that answers one CONNECT and then passes bytes on to a receiver."""

    def __init__(self, to_port: int, answer: bytes = b"HTTP/1.1 200 -\r\n\r\n") -> None:
        self._to_port = to_port
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.connect = b""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._thread.join()
        self._listener.close()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _serve(self) -> None:
        client, _address = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._to_port)) as server:
            while not self.connect.endswith(b"\r\n\r\n"):
                self.connect += client.recv(1)
            client.sendall(self._answer)
            back = threading.Thread(target=self._pass, args=(server, client))
            back.start()
            self._pass(client, server)
            back.join()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_tunnel_through_a_proxy_changes_nothing(
    journal: Journal,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy hears where to and its own password; what is inside TLS is the request, byte for byte."""
    trust(authority, "SSL_CERT_FILE", tmp_path, monkeypatch)
    with (
        LoopbackReceiver(tls=server_context(authority, "collector.invalid")) as receiver,
        Tunnel(receiver.port) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:surprise@127.0.0.1:{proxy.port}")
        answer = post("https://collector.invalid", journal)
    assert answer == Answer(status=200, content_type=TYPE)
    first, *headers = proxy.connect.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first.rpartition(" ")[0] == "CONNECT collector.invalid:443"
    names = {header.lower() for header in headers if not header.lower().startswith("host: collector.invalid:443")}
    assert names == {"proxy-authorization: basic dxnlcjpzdxjwcmlzzq=="}
    assert receiver.requests[0].raw == expected_request("collector.invalid")
    assert [entry.request for entry in journal.entries()] == [receiver.requests[0].raw]


def test_header_that_a_tunnel_must_not_have_stops_it(
    journal: Journal,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What somebody adds for the proxy does not reach it."""
    trust(authority, "SSL_CERT_FILE", tmp_path, monkeypatch)
    told: list[ReceivedRequest] = []
    with LoopbackReceiver(answer_as_proxy(told)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        wire = Wire(destination("https://collector.invalid"), journal)
        adapter = wire._session.get_adapter("https://")
        monkeypatch.setattr(adapter, "proxy_headers", lambda _proxy: {"X-Surprise": "1"})
        answer = wire.post("https://collector.invalid/v1/traces", BODY, TYPE)
        wire.close()
    assert answer == Answer(error=WireError.HEADERS)
    assert told == []


@pytest.mark.parametrize("status", [403, 407, 502])
def test_proxy_that_does_not_connect_has_its_name(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The proxy's own no is no answer of the destination."""
    with LoopbackReceiver(lambda _request: [reply(status)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert post("https://collector.invalid", journal) == Answer(error=WireError.PROXY)


def test_proxy_that_is_not_there_has_its_name(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens where the variable points to."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{unused.getsockname()[1]}")
        assert post("https://collector.invalid", journal) == Answer(error=WireError.PROXY)


def test_socks_proxy_is_refused(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections would not be ours, so nothing goes through one."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    assert post("https://collector.invalid", journal) == Answer(error=WireError.PROXY)


@pytest.mark.parametrize("no_proxy", ["collector.invalid", ".invalid", "*"])
def test_no_proxy_is_respected(journal: Journal, monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    """A host that is named there is asked directly."""
    with LoopbackReceiver() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert post("https://collector.invalid", journal) == Answer(error=WireError.NAME_NOT_FOUND)
        assert proxy.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_never_behind_a_proxy(journal: Journal, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Loopback is asked directly, whatever the variables say."""
    with LoopbackReceiver() as proxy, LoopbackReceiver() as receiver:
        for variable in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        assert post(f"http://{host}:{receiver.port}", journal).status == 200
        assert (len(receiver.requests), proxy.requests) == (1, [])


def test_connection_is_used_again(journal: Journal) -> None:
    """Several requests of one wire share a connection, and a dropped one is replaced."""
    with LoopbackReceiver() as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal)
        assert [wire.post(there.url, BODY, TYPE).status for _ in range(3)] == [200] * 3
        assert len(receiver._threads) == 2
        for connection in tuple(receiver._connections):
            connection.shutdown(socket.SHUT_RDWR)
        time.sleep(0.05)
        assert wire.post(there.url, BODY, TYPE).status == 200
        assert len(wire._line._handles) == 1
        wire.close()
        assert wire._line._handles == set()


def test_captured_request_is_the_one_that_would_be_written(journal: Journal) -> None:
    """Without any socket, the bytes are those of the real thing."""
    with LoopbackReceiver() as receiver:
        there = destination(receiver.url)
        capturing = CapturingWire(there, {"traces": Answer(status=200, content_type=TYPE)})
        assert capturing.post(there.url, BODY, TYPE) == Answer(status=200, content_type=TYPE)
        assert receiver.requests == []
        post(receiver.url, journal)
        assert capturing.requests == [receiver.requests[0].raw]


@pytest.mark.parametrize(("path", "status"), [("/v1/traces", 200), ("/batch/", 404), ("/a/batch", 404)])
def test_captured_request_is_answered_by_the_end_of_its_path(path: str, status: int) -> None:
    """With or without a slash behind it."""
    answers = {"traces": Answer(status=200), "batch": Answer(status=404)}
    capturing = CapturingWire(destination("https://collector.invalid"), answers)
    assert capturing.post(f"https://collector.invalid{path}", BODY, TYPE) == Answer(status=status)
    capturing.close()


def test_capturing_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a name is looked up nor a socket made, also for TLS and behind a proxy."""

    def surprise(*_arguments: object, **_keywords: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "getaddrinfo", surprise)
    monkeypatch.setattr(socket, "socket", surprise)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    capturing = CapturingWire(destination("https://collector.invalid"), {"traces": Answer(status=200)})
    assert capturing.post("https://collector.invalid/v1/traces", BODY, TYPE) == Answer(status=200)
    assert capturing.requests == [expected_request("collector.invalid")]


def test_session_for_the_sdk_shows_it_a_bland_200(journal: Journal) -> None:
    """Whatever was answered, and whatever headers were set, the SDK sees 200 and the wire sends its own."""
    refusing = reply(503, "text/html", b"surprise", ("Retry-After", "7"))
    with LoopbackReceiver(lambda _request: [refusing]) as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal)
        session = wire.sdk_session()
        response = session.post(there.url, data=BODY, headers={"X-Surprise": "1"}, timeout=5)
        assert (response.status_code, response.reason, response.ok, response.content) == (200, "OK", True, b"")
        assert (response.url, response.request.url) == (there.url, there.url)
        assert receiver.requests[0].raw == expected_request(f"127.0.0.1:{receiver.port}")
        expected = Answer(status=503, content_type="text/html", body=b"surprise", retry_after_s=7)
        assert session.take_answer() == expected
        assert session.take_answer() is None
        session.close()
        wire.close()


@pytest.mark.parametrize("body", [None, "surprise", iter([b"surprise"])], ids=["none", "text", "parts"])
def test_session_for_the_sdk_takes_whole_bodies_only(journal: Journal, body: Any) -> None:
    """A body that is not bytes is not sent, and the SDK sees its 200 all the same."""
    with LoopbackReceiver() as receiver:
        there = destination(receiver.url)
        wire = Wire(there, journal)
        session = wire.sdk_session()
        assert session.post(there.url, data=body).status_code == 200
        assert session.take_answer() == Answer(error=WireError.HEADERS)
        session.close()
        wire.close()
        assert receiver.requests == []


def test_session_for_the_sdk_asks_nothing_of_the_environment(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it found would stay behind; so no file with passwords is opened in the first place."""

    def surprise(*_arguments: object) -> None:
        raise AssertionError("a netrc")

    monkeypatch.setattr(requests.sessions, "get_netrc_auth", surprise)
    wire = Wire(destination("https://collector.invalid"), journal)
    session = wire.sdk_session()
    assert session.post("https://elsewhere.invalid", data=BODY).status_code == 200
    assert session.take_answer() == Answer(error=WireError.FOREIGN_URL)
    session.close()
    wire.close()
