"""The real Collector before a PostHog where things go wrong: what it has acknowledged is there in the end, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import support
from doubles.collector import Collector, impatient
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import KNOWN_KEY, Failure, PostHogDouble
from doubles.sending import ids, recent, send
from franklinwh_telemetry.sender.posthog import DEFAULT_EVENT_NAME, event_of, event_uuid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from franklinwh_telemetry.event import Record

# The first of them may have to build the Collector.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def posthog() -> Iterator[PostHogDouble]:
    """A PostHog on loopback."""
    with PostHogDouble() as started:
        yield started


@pytest.fixture
def bridge(collector_binary: Path, tmp_path: Path, posthog: PostHogDouble) -> Iterator[Collector]:
    """The Collector that hands on to it, as it ships, but for shorter pauses between its attempts."""
    settings = {
        "POSTHOG_HOST": posthog.url,
        "POSTHOG_API_KEY": KNOWN_KEY,
        "FRANKLINWH_CONFIG": impatient(tmp_path),
    }
    with Collector(collector_binary, tmp_path / "collector", "posthog", **settings) as started:
        yield started


def acknowledged(bridge: Collector, folder: Path, records: Sequence[Record]) -> None:
    """Send as a sender does, and be told that all of it is kept."""
    assert send(bridge.url, folder, records).accepted_ids == ids(records)


def assert_each_once(bridge: Collector, posthog: PostHogDouble, records: Sequence[Record]) -> None:
    """Wait for the events of *records*, and see that they, and no others, are there when the Collector has ended."""
    support.wait_until(lambda: len(posthog.events) >= len(records))
    assert bridge.stop() == 0
    expected = [event_of(record, DEFAULT_EVENT_NAME) for record in records]
    assert sorted(posthog.events, key=by_uuid) == sorted(expected, key=by_uuid)
    bridge.start()  # the fixture ends it again


def by_uuid(event: dict[str, Any]) -> str:
    """The order in which two lists of events are compared."""
    return str(event["uuid"])


def statuses(posthog: PostHogDouble) -> list[int | None]:
    """What the batches were answered; None for a connection that ended without."""
    return [exchange.status for exchange in posthog.exchanges]


def counted(bridge: Collector) -> list[str]:
    """What the exporter itself has counted of events, as Prometheus sees it."""
    return [line for line in bridge.metrics().splitlines() if line.startswith("otelcol_exporter_posthog_events_")]


def test_a_backend_that_was_away_gets_everything(bridge: Collector, posthog: PostHogDouble, tmp_path: Path) -> None:
    """While PostHog does not answer, clients are told that their events are kept; once it is back, they are there."""
    posthog.is_away = True
    records = recent(1, 150)
    for start in (0, 50, 100):
        acknowledged(bridge, tmp_path, records[start : start + 50])
    support.wait_until(lambda: len(posthog.exchanges) >= 4)
    assert (set(statuses(posthog)), posthog.events) == ({None}, [])

    posthog.is_away = False

    assert_each_once(bridge, posthog, records)


def test_an_outage_of_500s_loses_nothing(bridge: Collector, posthog: PostHogDouble, tmp_path: Path) -> None:
    """Whatever of the 5xx it answers, the batch is sent again until it is taken."""
    posthog.then(Failure(500), Failure(503), Failure(502), Failure(504))
    records = recent(1, 20)

    acknowledged(bridge, tmp_path, records)

    assert_each_once(bridge, posthog, records)
    assert statuses(posthog) == [500, 503, 502, 504, 200]


def test_a_lost_answer_makes_no_second_event(bridge: Collector, posthog: PostHogDouble, tmp_path: Path) -> None:
    """PostHog took a batch and its answer was lost: the same bytes come again, and are one event each."""
    posthog.then(Failure(keeps=True), Failure(500, keeps=True))
    records = recent(1, 20)

    acknowledged(bridge, tmp_path, records)
    support.wait_until(lambda: len(posthog.exchanges) == 3)

    assert_each_once(bridge, posthog, records)
    assert len({exchange.body for exchange in posthog.exchanges}) == 1


def test_retry_after_is_honoured(bridge: Collector, posthog: PostHogDouble, tmp_path: Path) -> None:
    """Nothing comes before the two seconds are over, although its own pauses are a fraction of one."""
    posthog.then(Failure(429, retry_after="2"))
    records = recent(1, 20)

    acknowledged(bridge, tmp_path, records)

    assert_each_once(bridge, posthog, records)
    first, second = posthog.exchanges
    assert (first.status, second.status) == (429, 200)
    assert second.at_s - first.at_s >= 2


def test_only_the_culprit_of_a_refused_batch_is_lost(bridge: Collector, posthog: PostHogDouble, tmp_path: Path) -> None:
    """An event that PostHog refuses takes nothing with it: the batch is halved down to it, and it is counted."""
    records = recent(1, 20)
    culprit = records[13]
    posthog.refuses.add(str(event_uuid(culprit)))

    acknowledged(bridge, tmp_path, records)
    support.wait_until(lambda: len(posthog.events) == 19)
    dropped, taken = (
        'otelcol_exporter_posthog_events_dropped{reason="refused"} 1',
        "otelcol_exporter_posthog_events_sent 19",
    )
    support.wait_until(lambda: counted(bridge) == [dropped, taken])

    assert_each_once(bridge, posthog, [record for record in records if record is not culprit])
    sizes = [exchange.body.count(b'"uuid"') for exchange in posthog.exchanges]
    assert [size for size, status in zip(sizes, statuses(posthog), strict=True) if status == 400] == [
        20,
        10,
        5,
        3,
        2,
        1,
    ]
