"""The real Collector on a full disk: senders are told, keep their events, and none is lost or doubled in the end."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import support
from doubles.collector import Collector, impatient
from doubles.disk import size_limit, small_file_system
from doubles.household import Route
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.posthog import KNOWN_KEY, PostHogDouble
from doubles.sending import recent, send
from franklinwh_telemetry.sender.posthog import DEFAULT_EVENT_NAME, event_of, event_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from doubles.disk import Disk
    from franklinwh_telemetry.event import Record

    Room = Callable[[Collector], AbstractContextManager[Disk]]

# The first of them may have to build the Collector.
pytestmark = pytest.mark.timeout(900)

either = pytest.mark.parametrize("room", [small_file_system, size_limit])


@pytest.fixture
def posthog() -> Iterator[PostHogDouble]:
    """A PostHog that is away, so that everything has to wait on the disk."""
    with PostHogDouble() as started:
        started.is_away = True
        yield started


@pytest.fixture
def fresh(collector_binary: Path, tmp_path: Path, posthog: PostHogDouble) -> Collector:
    """A Collector that has not started; nobody waits for long pauses."""
    settings = {"POSTHOG_HOST": posthog.url, "POSTHOG_API_KEY": KNOWN_KEY, "FRANKLINWH_CONFIG": impatient(tmp_path)}
    return Collector(collector_binary, tmp_path / "collector", **settings)


def send_over_a_full_disk(collector: Collector, disk: Disk, folder: Path) -> Sequence[Record]:
    """Send with room, without, and with room again, and look at what the user is told; everything leaves the spool."""
    route = Route(folder / "franklinwh.ini", f"endpoint = {collector.url}")
    records = recent(1, 450)
    route.hand_over(records[:150])
    assert route.telemetry("send").returncode == 0
    assert route.spool().names() == []

    disk.fill()
    for start in (150, 300):
        waited = len(route.spool().names())
        route.hand_over(records[start : start + 150])
        assert route.telemetry("send").returncode == 1
        assert len(route.spool().names()) > waited
    (line,) = [line for line in route.status() if "last trouble" in line]
    assert line.endswith("127.0.0.1 answered 503; it is asked again later")

    disk.make_room()
    assert route.telemetry("send").returncode == 0
    assert route.spool().names() == []
    return records


@either
def test_the_file_keeps_every_event_once(room: Room, fresh: Collector, tmp_path: Path) -> None:
    """What did not fit leaves nothing behind that would spoil what follows: every line can be read."""
    fresh.settings["FRANKLINWH_BACKEND"] = "file"
    with room(fresh) as disk, fresh:
        records = send_over_a_full_disk(fresh, disk, tmp_path)
        lines = fresh.lines()

    found = Counter(
        int(span["spanId"], 16)
        for line in lines
        for resource_spans in json.loads(line)["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    )
    assert found == Counter(record.span_id for record in records)


@either
def test_the_queue_keeps_every_event_once(room: Room, fresh: Collector, posthog: PostHogDouble, tmp_path: Path) -> None:
    """What did not fit was not acknowledged; PostHog gets all of it once it is back."""
    fresh.settings["FRANKLINWH_BACKEND"] = "posthog"
    with room(fresh) as disk, fresh:
        records = send_over_a_full_disk(fresh, disk, tmp_path)
        posthog.is_away = False
        support.wait_until(lambda: len(posthog.events) >= len(records))
        assert fresh.stop() == 0

    expected = sorted(str(event_of(record, DEFAULT_EVENT_NAME)) for record in records)
    assert sorted(str(event) for event in posthog.events) == expected


def test_a_queue_outlives_a_kill_on_a_full_disk(fresh: Collector, posthog: PostHogDouble, tmp_path: Path) -> None:
    """Killed with its disk full and started on the same, it hands on all that it acknowledged, before there is room."""
    fresh.settings["FRANKLINWH_BACKEND"] = "posthog"
    kept: dict[int, Record] = {}
    with small_file_system(fresh) as disk, fresh:
        for first in range(1, 100_000, 500):
            if first > 4000:
                disk.fill()
            records = recent(first, 500)
            told = send(fresh.url, tmp_path, records)
            kept |= {record.span_id: record for record in records if record.span_id in told.accepted_ids}
            if told.troubles:
                break
        fresh.kill()
        fresh.start()
        posthog.is_away = False
        support.wait_until(lambda: len(posthog.events) >= len(kept))
        assert fresh.stop() == 0

    assert len(kept) >= 4000
    uuids = Counter(str(event_uuid(record)) for record in kept.values())
    assert Counter(event["uuid"] for event in posthog.events) == uuids
