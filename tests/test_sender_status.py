"""Acknowledgement from the answer: every row of the table, over real sockets, record by record."""

from __future__ import annotations

import socket
import ssl
import threading
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import KNOWN_KEY
from doubles.records import APPLICATION, Told, make_record, make_records
from franklinwh_telemetry.destination import Destination, parse_destination
from franklinwh_telemetry.sender.acknowledge import DIFFERS, REJECTED, UNWRITABLE, judge_error
from franklinwh_telemetry.sender.delivery import Delivery
from franklinwh_telemetry.sender.exchange import WireError
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, ReceivedRequest, accept, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from franklinwh_telemetry.event import Record

    Answering = Callable[[ReceivedRequest], Iterable[bytes]]

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class Sending:
    """Deliveries to one destination, and what was said of them."""

    def __init__(self, folder: Path, text: str, **settings: Any) -> None:
        destination = parse_destination(text)
        assert isinstance(destination, Destination)
        self.told = Told()
        settings = {"may_send": lambda: True, "deadline_s": 5.0, **settings}
        self.delivery = Delivery(
            application=APPLICATION,
            destination=destination,
            folder=str(folder),
            outcome=self.told,
            **settings,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.delivery.close()


def send(folder: Path, text: str, records: Sequence[Record], **settings: Any) -> Told:
    """Deliver for real, and return what was said."""
    with Sending(folder, text, **settings) as sending:
        sending.delivery.deliver(records)
        return sending.told


def always(answer: bytes) -> Answering:
    """The same answer to every request."""
    return lambda _request: [answer]


def rejecting(count: int) -> bytes:
    """OTLP's partial success."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = count
    response.partial_success.error_message = "surprise"
    return response.SerializeToString()


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, PROTOBUF),
        reply(200, "application/x-protobuf; charset=utf-8", rejecting(0)),
        reply(200, JSON, b"{}"),
        reply(200, JSON, b'{"partialSuccess":{"rejectedSpans":"0","errorMessage":"just so"}}'),
        reply(202, PROTOBUF),
    ],
)
def test_otlp_success_is_accepted(tmp_path: Path, answer: bytes) -> None:
    """A 2xx that decodes as OTLP's own answer, in either of its encodings."""
    with LoopbackReceiver(always(answer)) as receiver:
        told = send(tmp_path, receiver.url, make_records(3))
    assert (told.accepted_ids, told.refusals, told.troubles) == ([1, 2, 3], [], [])


@pytest.mark.parametrize("body", [(PROTOBUF, rejecting(2)), (JSON, b'{"partialSuccess":{"rejectedSpans":"2"}}')])
def test_rejected_spans_are_not_delivered(tmp_path: Path, body: tuple[str, bytes]) -> None:
    """Two of three were rejected, which ones is not said: all are settled, two of them as refused."""
    with LoopbackReceiver(always(reply(200, *body))) as receiver:
        told = send(tmp_path, receiver.url, make_records(3))
        assert len(receiver.requests) == 1
    assert (told.accepted_ids, told.refusals, told.troubles) == ([1], [(2, REJECTED), (3, REJECTED)], [])


@pytest.mark.parametrize("count", [3, 4, 2**63 - 1])
def test_no_more_is_rejected_than_was_sent(tmp_path: Path, count: int) -> None:
    """All, or more than all: none was delivered."""
    with LoopbackReceiver(always(reply(200, PROTOBUF, rejecting(count)))) as receiver:
        told = send(tmp_path, receiver.url, make_records(3))
    assert (told.accepted_ids, [number for number, _why in told.refusals]) == ([], [1, 2, 3])


PORTAL = b"<html>Welcome to the hotel, surprise</html>"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(200, "text/html", PORTAL), "answered 200, but not as this protocol does"),
        (reply(200), "answered 200, but not as this protocol does"),
        (reply(200, PROTOBUF, PORTAL), "answered 200, but not as this protocol does"),
        (reply(200, JSON, b'{"surprise":1}'), "answered 200, but not as this protocol does"),
        (reply(200, JSON, b"\xff"), "answered 200, but not as this protocol does"),
        (reply(200, PROTOBUF, b"\x00" * 70_000), "answered 200, but not as this protocol does"),
        (reply(204), "answered 204, but not as this protocol does"),
        (reply(302, "", b"", ("Location", "https://surprise.example/")), "answered 302: a redirect"),
        (reply(304), "answered 304: a redirect"),
        (reply(307, "", b"", ("Location", "https://surprise.example/")), "answered 307: a redirect"),
        (reply(401), "answered 401: it asks for credentials"),
        (reply(403), "answered 403: it does not let this sender in"),
        (reply(404, "text/html", PORTAL), "answered 404: nothing takes events under this address"),
        (reply(405), "answered 405: which no receiver of events should"),
        (reply(407), "answered 407: a proxy asks for credentials"),
        (reply(600), "answered 600: which no receiver of events should"),
    ],
)
def test_wrong_destination_keeps_everything(tmp_path: Path, answer: bytes, says: str) -> None:
    """Whatever only a person can mend: one request, all records stay, and the message names host and remedy."""
    with LoopbackReceiver(always(answer)) as receiver:
        told = send(tmp_path, receiver.url, make_records(600))
        assert len(receiver.requests) == 1
    (trouble,) = told.troubles
    assert (told.accepted_ids, told.refusals) == ([], [])
    assert trouble.kind == "destination"
    assert f"127.0.0.1 {says}" in trouble.message
    assert "check the destination" in trouble.message or "check the proxy" in trouble.message
    assert "surprise" not in trouble.message
    assert "\n" not in trouble.message


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 599])
def test_temporary_status_keeps_everything(tmp_path: Path, status: int) -> None:
    """What passes by itself: one request, no repetition, all records stay, the wish of the other side is passed on."""
    with LoopbackReceiver(always(reply(status, "text/plain", b"surprise", ("Retry-After", "77")))) as receiver:
        told = send(tmp_path, receiver.url, make_records(600))
        assert len(receiver.requests) == 1
    (trouble,) = told.troubles
    assert (told.accepted_ids, told.refusals) == ([], [])
    assert (trouble.kind, trouble.retry_after_s) == ("temporary", 77)
    assert trouble.message == f"127.0.0.1 answered {status}; it is asked again later"


def test_date_of_retry_after_is_passed_on(tmp_path: Path) -> None:
    """A date far away counts as a day."""
    date = formatdate(4_000_000_000, usegmt=True)
    with LoopbackReceiver(always(reply(503, "", b"", ("Retry-After", date)))) as receiver:
        told = send(tmp_path, receiver.url, make_records(1))
    assert [trouble.retry_after_s for trouble in told.troubles] == [86_400]


def poisoned(status: int, *numbers: int) -> Answering:
    """Refuses every request that holds one of these spans."""

    def answer(request: ReceivedRequest) -> list[bytes]:
        found = {int.from_bytes(span.span_id, "big") for span in spans_of(request)}
        return [reply(status, "text/plain", b"surprise")] if found & set(numbers) else accept(request)

    return answer


def spans_of(request: ReceivedRequest) -> list[Any]:
    """The spans in a request."""
    (resource_spans,) = LoopbackReceiver.decode(request).resource_spans
    (scope_spans,) = resource_spans.scope_spans
    return list(scope_spans.spans)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_batch_is_halved_down_to_the_one(tmp_path: Path, status: int) -> None:
    """One poisoned record in a thousand is dropped, counted, and 999 arrive, once each, in twenty requests."""
    with LoopbackReceiver(poisoned(status, 333)) as receiver:
        told = send(tmp_path, receiver.url, make_records(1000))
        assert len(receiver.requests) == 20
        groups = [{int.from_bytes(span.span_id, "big") for span in spans_of(request)} for request in receiver.requests]
        assert sum(len(group) for group in groups if 333 not in group) == 999
    assert told.accepted_ids == [number for number in range(1, 1001) if number != 333]
    assert (told.refusals, told.troubles) == ([(333, f"refused with status {status}")], [])


def test_only_single_records_are_refused_for_good(tmp_path: Path) -> None:
    """A destination that refuses everything is asked for each record by itself before it is dropped."""
    with LoopbackReceiver(always(reply(400))) as receiver:
        told = send(tmp_path, receiver.url, make_records(5))
        sizes = [len(spans_of(request)) for request in receiver.requests]
    assert sizes == [5, 2, 1, 1, 3, 1, 2, 1, 1]
    assert [number for number, _why in told.refusals] == [1, 2, 3, 4, 5]


def test_destination_that_only_takes_small_requests_gets_small_ones(tmp_path: Path) -> None:
    """413 for what is too large: halved until it fits, nothing lost."""

    def picky(request: ReceivedRequest) -> list[bytes]:
        return [reply(413)] if len(spans_of(request)) > 100 else accept(request)

    with LoopbackReceiver(picky) as receiver:
        told = send(tmp_path, receiver.url, make_records(512))
    assert (told.accepted_ids, told.refusals) == (list(range(1, 513)), [])


def test_trouble_ends_the_halving_too(tmp_path: Path) -> None:
    """What was accepted before the trouble stays accepted; nothing is sent after it."""
    answers = iter([reply(400), reply(200, PROTOBUF), reply(503)])
    with LoopbackReceiver(lambda _request: [next(answers)]) as receiver:
        told = send(tmp_path, receiver.url, make_records(600))
        assert [len(spans_of(request)) for request in receiver.requests] == [512, 256, 256]
    assert told.accepted_ids == list(range(1, 257))
    assert [trouble.kind for trouble in told.troubles] == ["temporary"]


def test_first_trouble_is_the_last_request(tmp_path: Path) -> None:
    """The first batch arrived, the second did not, and the third is not tried."""
    answers = iter([reply(200, PROTOBUF), reply(500), reply(200, PROTOBUF)])
    with LoopbackReceiver(lambda _request: [next(answers)]) as receiver:
        told = send(tmp_path, receiver.url, make_records(1500))
        assert len(receiver.requests) == 2
    assert told.accepted_ids == list(range(1, 513))
    assert len(told.troubles) == 1


def test_next_delivery_starts_afresh(tmp_path: Path) -> None:
    """One provider serves several deliveries; an earlier trouble is forgotten."""
    answers = iter([reply(500), reply(200, PROTOBUF)])
    with (
        LoopbackReceiver(lambda _request: [next(answers)]) as receiver,
        Sending(tmp_path, receiver.url) as sending,
    ):
        sending.delivery.deliver(make_records(2))
        assert (sending.told.accepted_ids, len(sending.told.troubles)) == ([], 1)
        sending.delivery.deliver(make_records(2))
        assert (sending.told.accepted_ids, len(sending.told.troubles)) == ([1, 2], 1)


@pytest.mark.parametrize("destination", ["otlp", "posthog"])
def test_withdrawal_stops_before_the_next_request(tmp_path: Path, destination: str) -> None:
    """Asked before each request and again before its bytes: after the no, not one byte leaves."""
    answers = {"/v1/traces": reply(200, PROTOBUF), "/flags/?v=2": reply(200, JSON, b"{}")}
    allowed = [True] * (4 if destination == "otlp" else 2)

    def may_send() -> bool:
        return allowed.pop() if allowed else False

    with LoopbackReceiver(lambda request: [answers.get(request.path, reply(200, JSON, b'{"status":1}'))]) as receiver:
        text = receiver.url if destination == "otlp" else f"posthog:{KNOWN_KEY}@{receiver.url}"
        told = send(tmp_path, text, make_records(1500), may_send=may_send)
        paths = [request.path for request in receiver.requests]
    assert paths == (["/v1/traces"] * 2 if destination == "otlp" else ["/flags/?v=2"])
    assert told.accepted_ids == (list(range(1, 1025)) if destination == "otlp" else [])
    assert [trouble.kind for trouble in told.troubles] == ["withdrawn"]


def test_withdrawal_while_connecting_stops_the_write(tmp_path: Path) -> None:
    """Yes before the request, no once it is connected: nothing is written, nothing journalled."""
    answers = iter([True, False])
    with LoopbackReceiver() as receiver:
        told = send(tmp_path, receiver.url, make_records(1), may_send=lambda: next(answers))
        assert receiver.requests == []
    assert [trouble.kind for trouble in told.troubles] == ["withdrawn"]
    assert list(Journal(str(tmp_path / "journal")).entries()) == []


def endless(_request: ReceivedRequest) -> Iterator[bytes]:
    """An answer that never ends."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n"
    while True:
        yield b"\x00" * 65536


def test_endless_answer_is_a_foreign_one(tmp_path: Path) -> None:
    """Read to 64 KiB, then given up; all is kept."""
    with LoopbackReceiver(endless) as receiver:
        told = send(tmp_path, receiver.url, make_records(2))
    assert [(trouble.kind, trouble.retry_after_s) for trouble in told.troubles] == [("destination", None)]
    assert told.accepted_ids == []


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 400 -\r\nContent-Length: 99\r\n\r\n"])
def test_slow_answer_is_temporary(tmp_path: Path, head: bytes) -> None:
    """A black hole, dripping headers, a dripping body: kept at the deadline, whatever the status was to be."""
    closing = threading.Event()

    def dripping(_request: ReceivedRequest) -> Iterator[bytes]:
        yield head
        while not closing.wait(0.05):
            yield b"x" if head else b""

    with LoopbackReceiver(dripping) as receiver:
        told = send(tmp_path, receiver.url, make_records(600), deadline_s=0.4)
        closing.set()
        assert len(receiver.requests) == 1
    assert (told.accepted_ids, told.refusals) == ([], [])
    (trouble,) = told.troubles
    assert (trouble.kind, trouble.message) == (
        "temporary",
        "127.0.0.1: no answer in time; it is tried again later; if that stays so, check the destination",
    )


def test_refused_connection_is_temporary(tmp_path: Path) -> None:
    """Nobody listens: kept."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        told = send(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}", make_records(600))
    assert [trouble.kind for trouble in told.troubles] == ["temporary"]
    assert "127.0.0.1: the connection was refused" in told.troubles[0].message


def test_unknown_name_is_temporary(tmp_path: Path) -> None:
    """No such host, or no network: kept."""
    told = send(tmp_path, "https://collector.invalid", make_records(1))
    assert [trouble.kind for trouble in told.troubles] == ["temporary"]
    assert "collector.invalid: its name was not found" in told.troubles[0].message


def test_untrusted_certificate_is_temporary_and_says_what_helps(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A portal's certificate passes, a company's authority must be named: kept, and the message says so."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with LoopbackReceiver(tls=context) as receiver:
        told = send(tmp_path, receiver.url, make_records(1))
        assert receiver.requests == []
    assert [trouble.kind for trouble in told.troubles] == ["temporary"]
    assert "name the authority in SSL_CERT_FILE" in told.troubles[0].message


def test_closed_connection_is_temporary(tmp_path: Path) -> None:
    """The other side hangs up without an answer: kept, not repeated at once."""

    def hang_up(_request: ReceivedRequest) -> Iterator[bytes]:
        yield b""
        raise OSError

    with LoopbackReceiver(hang_up) as receiver:
        told = send(tmp_path, receiver.url, make_records(1))
        assert len(receiver.requests) == 1
    assert [trouble.kind for trouble in told.troubles] == ["temporary"]


def test_unwritable_journal_is_a_local_trouble(tmp_path: Path) -> None:
    """Nothing is sent, everything is kept, and the message says what to look at."""
    (tmp_path / "journal").write_bytes(b"in the way")
    with LoopbackReceiver() as receiver:
        told = send(tmp_path, receiver.url, make_records(1))
        assert receiver.requests == []
    assert [trouble.kind for trouble in told.troubles] == ["local"]
    assert "the journal cannot be written" in told.troubles[0].message


def test_record_that_otlp_cannot_express_is_refused_alone(tmp_path: Path) -> None:
    """A time beyond OTLP's 64 bits costs no request and no other record."""
    far = make_record(2, executed_at_ms=253_402_300_799_999)
    with LoopbackReceiver() as receiver:
        told = send(tmp_path, receiver.url, [make_record(1), far, make_record(3)])
        assert [int.from_bytes(span.span_id, "big") for span in receiver.spans] == [1, 3]
    assert (sorted(told.accepted_ids), told.refusals, told.troubles) == ([1, 3], [(2, UNWRITABLE)], [])


def test_span_that_differs_from_its_record_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the SDK adds something to one span, that span stays here, counted, and the others leave."""
    from franklinwh_telemetry.sender import spans

    honest = spans.attributes

    def tampering(record: Record) -> dict[str, Any]:
        tampered = record.span_id == 2 and tampering_is_on.is_set()
        return {**honest(record), **({"surprise": "1"} if tampered else {})}

    tampering_is_on = threading.Event()
    with LoopbackReceiver() as receiver, Sending(tmp_path, receiver.url) as sending:
        emit = sending.delivery._run._tracer.emit

        def emit_tampered(record: Record) -> None:
            tampering_is_on.set()
            emit(record)
            tampering_is_on.clear()

        monkeypatch.setattr(spans, "attributes", tampering)
        monkeypatch.setattr(sending.delivery._run._tracer, "emit", emit_tampered)
        sending.delivery.deliver(make_records(3))
        assert [int.from_bytes(span.span_id, "big") for span in receiver.spans] == [1, 3]
        assert b"surprise" not in b"".join(request.raw for request in receiver.requests)
    assert sending.told.accepted_ids == [1, 3]
    assert (sending.told.refusals, sending.told.troubles) == ([(2, DIFFERS)], [])


def test_span_that_the_sdk_loses_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record whose span never reached the exporter stays, and somebody is told."""
    with LoopbackReceiver() as receiver, Sending(tmp_path, receiver.url) as sending:
        emit = sending.delivery._run._tracer.emit
        monkeypatch.setattr(
            sending.delivery._run._tracer,
            "emit",
            lambda record: emit(record) if record.span_id != 2 else None,
        )
        sending.delivery.deliver(make_records(3))
    assert sending.told.accepted_ids == [1, 3]
    assert [trouble.kind for trouble in sending.told.troubles] == ["local"]
    assert "lost 1 spans" in sending.told.troubles[0].message


def test_error_of_our_own_keeps_everything(tmp_path: Path) -> None:
    """An outcome that raises is not swallowed by the SDK: the rest is kept, by the error's name only."""
    with LoopbackReceiver() as receiver, Sending(tmp_path, receiver.url) as sending:

        def raising(_records: object) -> None:
            raise ZeroDivisionError("surprise")

        sending.told.accepted = raising  # type: ignore[method-assign, assignment]
        sending.delivery.deliver(make_records(1))
    (trouble,) = sending.told.troubles
    assert (trouble.kind, trouble.message) == ("local", "an error in the sender for 127.0.0.1: ZeroDivisionError")


@pytest.mark.parametrize("error", WireError)
def test_every_error_of_the_wire_is_a_trouble_with_a_remedy(error: WireError) -> None:
    """Each kind has one line that names the host."""
    trouble = judge_error(error, "collector.example")
    assert trouble.kind in ("temporary", "destination", "withdrawn", "local")
    assert "collector.example" in trouble.message
    assert "\n" not in trouble.message
