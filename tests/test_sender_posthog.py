"""PostHog's `/batch/`: canonical, checked for its key, and idempotent."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import KNOWN_KEY, PostHogDouble
from doubles.records import APPLICATION, Told, make_record, make_records
from franklinwh_telemetry.destination import Destination, parse_destination
from franklinwh_telemetry.event import MAX_EXECUTED_AT_MS
from franklinwh_telemetry.sender import posthog as posthog_module
from franklinwh_telemetry.sender.acknowledge import REJECTED
from franklinwh_telemetry.sender.delivery import KEY_MARKER, Delivery
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, ReceivedRequest, reply
from franklinwh_telemetry.sender.posthog import NAMESPACE, KeyMemory, canonical_json, timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from franklinwh_telemetry.event import Record

JSON = "application/json"


def destination(url: str, key: str = KNOWN_KEY) -> Destination:
    """A PostHog project at *url*."""
    parsed = parse_destination(f"posthog:{key}@{url}")
    assert isinstance(parsed, Destination)
    return parsed


def send(folder: Path, url: str, records: Sequence[Record], *, key: str = KNOWN_KEY, **settings: Any) -> Told:
    """Deliver for real, and return what was said."""
    told = Told()
    delivery = Delivery(
        application=APPLICATION,
        destination=destination(url, key),
        folder=str(folder),
        may_send=lambda: True,
        outcome=told,
        deadline_s=5.0,
        **settings,
    )
    delivery.deliver(records)
    delivery.close()
    return told


def test_key_is_checked_before_the_first_batch(tmp_path: Path) -> None:
    """`/flags/` first, with nobody's id; then the events, all of which PostHog keeps."""
    with PostHogDouble() as posthog:
        told = send(tmp_path, posthog.url, make_records(600))
        assert posthog.paths == ["/flags/?v=2", "/batch/", "/batch/"]
        check = posthog.receiver.requests[0].body
        assert check == b'{"api_key":"phc_known","distinct_id":"franklinwh-telemetry-key-check"}'
        assert len(posthog.events) == 600
    assert (told.accepted_ids, told.troubles) == (list(range(1, 601)), [])


def test_request_is_exactly_the_five_headers_and_the_body(tmp_path: Path) -> None:
    """PostHog's requests have the same headers as OTLP's, and no other."""
    with PostHogDouble() as posthog:
        send(tmp_path, posthog.url, make_records(1))
        (_check, batch) = posthog.receiver.requests
        port = posthog.receiver.port
    assert batch.headers == [
        ("Host", f"127.0.0.1:{port}"),
        ("User-Agent", "franklinwh-telemetry"),
        ("Content-Type", JSON),
        ("Content-Length", str(len(batch.body))),
        ("Accept-Encoding", "identity"),
    ]


def test_good_key_is_remembered_for_a_day(tmp_path: Path) -> None:
    """The next sender does not ask again; a day later, or for another key, it does."""
    marker = tmp_path / KEY_MARKER
    with PostHogDouble(KNOWN_KEY, "phc_second") as posthog:
        for number in range(2):
            send(tmp_path, posthog.url, [make_record(number + 1)])
        assert posthog.paths == ["/flags/?v=2", "/batch/", "/batch/"]
        send(tmp_path, posthog.url, [make_record(3)], key="phc_second")
        assert posthog.paths[3:] == ["/flags/?v=2", "/batch/"]
        old_s = marker.stat().st_mtime - posthog_module.KEY_BELIEVED_S
        os.utime(marker, (old_s, old_s))
        send(tmp_path, posthog.url, [make_record(4)], key="phc_second")
        assert posthog.paths[5:] == ["/flags/?v=2", "/batch/"]
    assert marker.stat().st_mode & 0o777 == 0o600
    assert b"phc" not in marker.read_bytes()


def test_marker_of_the_future_is_not_believed(tmp_path: Path) -> None:
    """A clock that was wrong once does not hold the check off for ever."""
    there = destination("https://eu.i.posthog.com")
    KeyMemory(str(tmp_path / "marker"), there, wall_clock_s=lambda: 2_000_000.0).remember()
    for now_s, good in ((2_000_000.0, True), (1_999_999.0, False), (2_086_399.0, True), (2_086_400.0, False)):
        assert KeyMemory(str(tmp_path / "marker"), there, wall_clock_s=lambda now_s=now_s: now_s).is_good() is good  # type: ignore[misc]


def test_unknown_key_keeps_everything(tmp_path: Path) -> None:
    """PostHog would answer 200 and drop the events; the check says 401, and nothing but it leaves."""
    with PostHogDouble() as posthog:
        told = send(tmp_path, posthog.url, make_records(3), key="phc_surprise")
        assert posthog.paths == ["/flags/?v=2"]
    (trouble,) = told.troubles
    assert (told.accepted_ids, told.refusals) == ([], [])
    assert trouble.kind == "destination"
    assert trouble.message == "127.0.0.1: the project key is unknown there; check api_key and posthog_host"


def test_key_that_went_bad_is_asked_for_again(tmp_path: Path) -> None:
    """A 401 to a batch forgets the good key."""
    answers = {"/flags/?v=2": [reply(200, JSON, b"{}")], "/batch/": [reply(401, "text/plain", b"API key is not valid")]}
    with LoopbackReceiver(lambda request: answers[request.path]) as receiver:
        for _attempt in range(2):
            told = send(tmp_path, receiver.url, make_records(1))
            assert [trouble.kind for trouble in told.troubles] == ["destination"]
        assert [request.path for request in receiver.requests] == ["/flags/?v=2", "/batch/"] * 2
    assert not (tmp_path / KEY_MARKER).exists()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(503, "text/plain", b"", ("Retry-After", "9")), "temporary"),
        (reply(429), "temporary"),
        (reply(400, "text/plain", b"surprise"), "destination"),
        (reply(404), "destination"),
        (reply(302), "destination"),
        (reply(200, "text/html", b"<html>surprise"), "destination"),
        (reply(200, JSON, b"[]"), "destination"),
        (reply(200, JSON, b"[" * 60_000), "destination"),
    ],
)
def test_check_that_says_nothing_keeps_everything(tmp_path: Path, answer: bytes, kind: str) -> None:
    """Without a clear yes no event leaves, and the next run asks again."""
    with LoopbackReceiver(lambda _request: [answer]) as receiver:
        told = send(tmp_path, receiver.url, make_records(3))
        assert [request.path for request in receiver.requests] == ["/flags/?v=2"]
    assert [trouble.kind for trouble in told.troubles] == [kind]
    assert "surprise" not in told.troubles[0].message
    assert not (tmp_path / KEY_MARKER).exists()


def checked(answer: bytes) -> Any:
    """A good key, and then *answer*."""

    def answering(request: ReceivedRequest) -> list[bytes]:
        return [reply(200, JSON, b"{}")] if request.path.startswith("/flags") else [answer]

    return answering


@pytest.mark.parametrize(
    "body", [b'{"status":1}', b'{"status":"Ok"}', b'{"status":"ok"}', b'{"status":"Ok","quota_limited":[]}']
)
def test_success_is_posthogs_own_word(tmp_path: Path, body: bytes) -> None:
    """Both forms of yes that PostHog has had."""
    with LoopbackReceiver(checked(reply(200, JSON, body))) as receiver:
        told = send(tmp_path, receiver.url, make_records(2))
    assert (told.accepted_ids, told.troubles) == ([1, 2], [])


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, "text/html", b'{"status":1}'),
        reply(200, JSON, b'{"status":0}'),
        reply(200, JSON, b'{"status":true}'),
        reply(200, JSON, b'{"status":null}'),
        reply(200, JSON, b'"Ok"'),
        reply(200, JSON, b"{}"),
        reply(200, JSON, b""),
        reply(204),
        reply(307),
        reply(403),
    ],
)
def test_foreign_answer_keeps_everything(tmp_path: Path, answer: bytes) -> None:
    """A 200 that is not PostHog's word is nobody's receipt."""
    with LoopbackReceiver(checked(answer)) as receiver:
        told = send(tmp_path, receiver.url, make_records(2))
    assert (told.accepted_ids, told.refusals) == ([], [])
    assert [trouble.kind for trouble in told.troubles] == ["destination"]


def test_events_over_the_quota_are_not_delivered(tmp_path: Path) -> None:
    """PostHog answers 200 and drops them: settled, counted as refused."""
    with PostHogDouble(quota_limited=("events",)) as posthog:
        told = send(tmp_path, posthog.url, make_records(2))
        assert posthog.events == []
    assert (told.accepted_ids, told.refusals) == ([], [(1, REJECTED), (2, REJECTED)])


def test_quota_of_something_else_is_none_of_ours(tmp_path: Path) -> None:
    """Recordings over their quota do not concern events."""
    with PostHogDouble(quota_limited=("recordings",)) as posthog:
        told = send(tmp_path, posthog.url, make_records(2))
        assert len(posthog.events) == 2
    assert (told.accepted_ids, told.refusals) == ([1, 2], [])


def test_retry_after_a_lost_answer_is_one_event(tmp_path: Path) -> None:
    """The same records sent twice, once across a batch border, are kept once."""
    with PostHogDouble() as posthog:
        send(tmp_path, posthog.url, make_records(3))
        send(tmp_path, posthog.url, make_records(5))
        assert [event["uuid"] for event in posthog.events] == [
            str(uuid5(NAMESPACE, f"{0xA000 + number:032x}{number:016x}")) for number in range(1, 6)
        ]


def test_one_bad_event_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """PostHog refuses a whole batch for one event; halving finds it."""
    posthog = PostHogDouble()

    def picky(request: ReceivedRequest) -> list[bytes]:
        if b"T00:00:00.000Z" in request.body:
            return [reply(400, "text/plain", b"surprise")]
        return posthog._answer(request)

    with LoopbackReceiver(picky) as receiver:
        bad = make_record(7, executed_at_ms=1_709_164_800_000)
        told = send(tmp_path, receiver.url, [*make_records(6), bad])
        assert len(posthog.events) == 6
    posthog.receiver._listener.close()
    assert (told.accepted_ids, told.refusals) == ([1, 2, 3, 4, 5, 6], [(7, "refused with status 400")])


def test_large_batches_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is larger than the limit, and nothing is lost."""
    monkeypatch.setattr(posthog_module, "MAX_BODY_BYTES", 2_000)
    with PostHogDouble() as posthog:
        told = send(tmp_path, posthog.url, make_records(20))
        assert max(len(request.body) for request in posthog.receiver.requests) <= 2_000
        assert len(posthog.events) == 20
    assert (told.accepted_ids, told.refusals) == (list(range(1, 21)), [])


def test_event_name_can_be_another(tmp_path: Path) -> None:
    """Only the name changes."""
    with PostHogDouble() as posthog:
        send(tmp_path, posthog.url, make_records(1), event_name="another_execution")
        assert [event["event"] for event in posthog.events] == ["another_execution"]


def test_namespace_is_the_documented_one() -> None:
    """The constant is derived as its documentation says."""
    assert uuid5(NAMESPACE_URL, "https://franklinwh-telemetry.invalid/posthog-event") == NAMESPACE


@given(st.integers(0, MAX_EXECUTED_AT_MS))
def test_timestamp_reads_back(executed_at_ms: int) -> None:
    """Every millisecond of the range is written in 24 characters and reads back as itself."""
    text = timestamp(executed_at_ms)
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    passed = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert len(text) == 24
    assert (passed.days * 86_400 + passed.seconds) * 1000 + passed.microseconds // 1000 == executed_at_ms


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_canonical_text_reads_back_and_escapes_only_what_it_must(text: str) -> None:
    """Any text survives, and what is no quote, backslash or control character stands there as it is."""
    written = canonical_json({"b": text, "a": [1, True]})
    assert json.loads(written) == {"a": [1, True], "b": text}
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    escaped = "".join(short.get(c, f"\\u{ord(c):04x}" if c < " " else c) for c in text)
    assert written.decode() == f'{{"a":[1,true],"b":"{escaped}"}}'


def test_text_that_is_no_unicode_is_refused() -> None:
    """A lone surrogate has no UTF-8 form."""
    with pytest.raises(ValueError, match="surrogates"):
        canonical_json({"a": "\ud800"})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: event.pop("event"),
        lambda event: event.update(event=""),
        lambda event: event.pop("distinct_id"),
        lambda event: event.update(uuid="surprise"),
    ],
)
def test_double_refuses_as_posthog_does(spoil: Any) -> None:
    """The stand-in refuses a whole batch for one bad event, so that passing it means something."""
    events = [posthog_module.event_of(record, "name") for record in make_records(2)]
    spoil(events[1])
    posthog = PostHogDouble()
    body = canonical_json({"api_key": KNOWN_KEY, "batch": events})
    (answer,) = posthog._answer(ReceivedRequest(head=b"POST /batch/ HTTP/1.1\r\n\r\n", body=body))
    posthog.receiver._listener.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert posthog.events == []


def test_double_drops_what_an_unknown_key_sends() -> None:
    """A well-formed but unknown key is answered 200, and nothing is kept."""
    posthog = PostHogDouble()
    body = posthog_module.batch_body("phc_surprise", make_records(1))
    (answer,) = posthog._answer(ReceivedRequest(head=b"POST /batch/ HTTP/1.1\r\n\r\n", body=body))
    posthog.receiver._listener.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert posthog.events == []
