"""The whole way with real parts: franklinwh-cli, spool, detached sender, Collector, and what arrives behind it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import support
from doubles.collector import Collector
from doubles.household import Route
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.otlp import decode_otlp_json
from doubles.posthog import KNOWN_KEY, PostHogDouble
from franklinwh_telemetry.sender.spans import otlp_json

if TYPE_CHECKING:
    from pathlib import Path

    from franklinwh_telemetry.event import Record

# The first of them may have to build the Collector.
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name == "nt", reason="the Collector is not built on Windows"),
]

COMMANDS = (("energy", "--describe"), ("status",), ("mode", "--set", "self_consumption"), ("bogus",))
"""The first works without an account; the others fail without one, the last because there is no such command."""

FACTS = [("energy --describe", True), ("status", False), ("mode --set self_consumption", False), ("other", False)]


def run_commands(route: Route) -> list[Record]:
    """Run them, wait for the detached sender, and return what it has sent."""
    for arguments in COMMANDS:
        route.command(*arguments)
    support.wake_senders()
    records = route.sent()
    assert [(record.event.command.text, record.event.success) for record in records] == FACTS
    assert route.spool().names() == []
    return records


def spans_in(line: str) -> int:
    """How many spans a line of the file holds."""
    return line.count('"spanId"')


def test_posthog_cannot_tell_which_way_an_event_came(senders: None, collector_binary: Path, tmp_path: Path) -> None:
    """One event a command by the Collector, and byte for byte the same when the same records are sent directly."""
    with PostHogDouble() as behind_collector, PostHogDouble() as direct:
        settings = {"POSTHOG_HOST": behind_collector.url, "POSTHOG_API_KEY": KNOWN_KEY}
        with Collector(collector_binary, tmp_path, "posthog", **settings) as collector:
            records = run_commands(Route(tmp_path / "collector.ini", f"endpoint = {collector.url}"))
            support.wait_until(lambda: len(behind_collector.events) >= len(records))
        by_key = Route(tmp_path / "direct.ini", f"api_key = {KNOWN_KEY}", f"posthog_host = {direct.url}")
        by_key.hand_over(records)
        support.wake_senders()

    assert len(behind_collector.event_bytes) == len(COMMANDS)
    assert behind_collector.event_bytes == direct.event_bytes
    facts = [(event["properties"]["command"], event["properties"]["success"]) for event in direct.events]
    assert sorted(facts) == sorted(FACTS)
    assert {event["distinct_id"] for event in direct.events} == {support.VERSION_4}


def test_a_second_collector_and_its_file_get_the_same_spans(
    senders: None, collector: Collector, collector_binary: Path, tmp_path: Path
) -> None:
    """By the backend `otlp` to another Collector, and by its `file` to disk: the contract's messages, unchanged."""
    settings = {"FRANKLINWH_OTLP_ENDPOINT": collector.url}
    with Collector(collector_binary, tmp_path / "first", "otlp", **settings) as first:
        records = run_commands(Route(tmp_path / "collector.ini", f"endpoint = {first.url}"))
        support.wait_until(lambda: sum(spans_in(line) for line in collector.lines()) >= len(records))

    for line in collector.lines():
        # A sender that found its burst over sooner makes more requests than one, each a line.
        of_line, records = records[: spans_in(line)], records[spans_in(line) :]
        assert decode_otlp_json(json.loads(line)) == decode_otlp_json(otlp_json(of_line, "franklinwh-cloud"))
    assert records == []
