"""The stand-in for PostHog is as strict as PostHog, for else no test that stands on it says anything."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest

from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import KNOWN_KEY, Failure, PostHogDouble
from doubles.records import make_record
from franklinwh_telemetry.sender.posthog import DEFAULT_EVENT_NAME, batch_body, event_of

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = make_record()
GOOD = event_of(RECORD, DEFAULT_EVENT_NAME)
BODY = batch_body(KNOWN_KEY, [RECORD])


@pytest.fixture
def posthog() -> Iterator[PostHogDouble]:
    """A PostHog on loopback."""
    with PostHogDouble() as started:
        yield started


def post(posthog: PostHogDouble, body: bytes) -> int:
    """Send a body to `/batch/` and return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", posthog.receiver.port, timeout=10)
    try:
        connection.request("POST", "/batch/", body)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return answer.status


def with_second(**changed: Any) -> bytes:
    """A batch of a good event and another one; a member that is None is left out."""
    second = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return json.dumps({"api_key": KNOWN_KEY, "batch": [GOOD, second]}).encode()


def test_gzip_is_known_by_its_first_bytes(posthog: PostHogDouble) -> None:
    """No header says so, and the events are the same."""
    assert post(posthog, gzip.compress(BODY)) == 200
    assert post(posthog, BODY) == 200
    assert posthog.events == [GOOD]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(BODY)[:-9], 400),
        (b"\x1f\x8b surprise", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (with_second(event=""), 400),
        (with_second(distinct_id=None), 400),
        (with_second(uuid="surprise"), 400),
        (with_second(timestamp=7), 400),
        (with_second(properties={"surprise": "x" * 1_000_000}), 413),
        (gzip.compress(bytes(101 * 1024 * 1024)), 413),
        (BODY.replace(b"phc_known", b"phx_known"), 401),
        (BODY.replace(b"phc_known", b"p" * 65), 401),
    ],
)
def test_whatever_is_bad_refuses_the_whole_batch(posthog: PostHogDouble, body: bytes, status: int) -> None:
    """Not even the good event beside it is kept."""
    assert post(posthog, body) == status
    assert posthog.events == []


def test_a_key_that_only_looks_right_is_answered_200(posthog: PostHogDouble) -> None:
    """The events vanish, as they do at PostHog."""
    assert post(posthog, BODY.replace(b"phc_known", b"phc_surprise")) == 200
    assert posthog.events == []


def test_what_goes_wrong_is_scripted(posthog: PostHogDouble) -> None:
    """In the order told, then as ever; an answer that is lost has kept the events, one that fails has not."""
    posthog.then(Failure(500), Failure(429, retry_after="7"), Failure(keeps=True))
    assert [post(posthog, BODY), post(posthog, BODY), posthog.events] == [500, 429, []]
    with pytest.raises((http.client.HTTPException, OSError)):
        post(posthog, BODY)
    assert posthog.events == [GOOD]
    posthog.refuses.add(str(GOOD["uuid"]))
    assert post(posthog, BODY) == 400
    posthog.is_away = True
    with pytest.raises((http.client.HTTPException, OSError)):
        post(posthog, BODY)
    assert [exchange.status for exchange in posthog.exchanges] == [500, 429, None, 400, None]
