from __future__ import annotations

import json
import os
import sys
import urllib.request
from datetime import date

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

import support
from doubles.debian import found_or_installed

linux = pytest.mark.skipif(sys.platform != "linux", reason="a process is bound to a core on Linux")


@pytest.fixture(autouse=True)
def tools(source_root, monkeypatch):
    monkeypatch.syspath_prepend(str(source_root / "tools"))


def post(url, body):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/octet-stream"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def export(*numbers):
    spans = [Span(trace_id=bytes(15) + bytes([number]), span_id=bytes(7) + b"\1") for number in numbers]
    resource_spans = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    return ExportTraceServiceRequest(resource_spans=[resource_spans]).SerializeToString()


def test_every_event_that_arrives_counts_once():
    """Spans, a batch of PostHog's SDK and upstream's single event are counted; a key check and a retry are not."""
    from bench_destinations import ANSWERING, place

    batch = json.dumps({"batch": [{"uuid": "a", "event": "x"}, {"uuid": "b", "event": "x"}]}).encode()

    with place(ANSWERING) as target:
        statuses = [
            post(f"{target.url}/v1/traces", export(1, 2, 3)),
            post(f"{target.url}/v1/traces", export(3)),
            post(f"{target.url}/batch/", batch),
            post(f"{target.url}/batch/", batch),
            post(f"{target.url}/capture/", b'{"event": "x", "properties": {}}'),
            post(f"{target.url}/flags/?v=2", b"{}"),
        ]
        arrived, requests = target.wait_for(6, 5.0), target.requests()

    assert (statuses, arrived, requests) == ([200] * 6, 6, 6)


@pytest.mark.parametrize(
    ("destination", "special", "arrived", "kept"),
    [
        ("answers after 20 ms", "", 1, 0),
        ("answers after 20 ms", "first command", 1, 0),
        pytest.param("answers after 20 ms", "one core", 1, 0, marks=linux),
        ("refused", "", 0, 1),
    ],
)
def test_a_pair_of_runs_is_counted_to_the_end(tmp_path, destination, special, arrived, kept):
    """One pair starts one sender, whose event arrives or is kept, and nothing of it runs any longer."""
    import bench_process
    import bench_world

    found = bench_process.pairs(str(tmp_path), "ours", destination, 1, special=special)

    assert (found.arrived, found.kept, found.launched) == (arrived, kept, 1)
    assert found.is_unchanged()
    assert [run.status for run in (*found.with_it, *found.without)] == [0, 0]
    assert [run.stderr_lines for run in found.with_it] == [0]
    assert bench_world.processes_of(str(tmp_path)) == []


def test_destinations_take_turns(tmp_path):
    """In each round the one that answers has two pairs, each other one, and what has arrived is counted for each."""
    import bench_process

    found = bench_process.in_turn(str(tmp_path), 1)

    sizes = [(pairs.special, len(pairs.with_it), len(pairs.without)) for pairs in found]
    assert sizes == [("", 2, 2), *[("", 1, 1)] * 4, ("first command", 1, 1)]
    assert [pairs.arrived for pairs in found] == [2, 0, 0, 0, 0, 1]
    assert [pairs.kept for pairs in found] == [0, 1, 1, 1, 1, 0]
    together = bench_process.everywhere(found)
    assert (len(together.with_it), len(together.without), together.arrived, together.kept) == (6, 6, 2, 4)


def test_a_later_command_finds_the_spool_of_the_earlier_ones(tmp_path):
    """In a used world each run finds the one spool that there is, empty, and makes none."""
    import bench_process
    from bench_destinations import REFUSED, place

    with place(REFUSED) as target:
        used = bench_process.used_world(str(tmp_path), target)
        before = [spool.folder for spool in used.spools()]
        runs = [bench_process.once(str(tmp_path), "ours", target, used=used) for _ in range(2)]

    assert [(kept, launched) for _outcome, kept, launched in runs] == [(1, 1), (1, 1)]
    assert [spool.folder for spool in used.spools()] == before
    assert (len(before), used.waiting()) == (1, 0)


@linux
def test_one_core_is_for_all_that_is_started(tmp_path):
    """With one core the programs that are started have that one, and this process has all of its own again."""
    import bench_process

    before = os.sched_getaffinity(0)
    with bench_process.one_core():
        counted = support.run([sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"])

    assert counted.stdout == "1\n"
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("way", ["ours", "opentelemetry_sdk", "without"])
def test_a_fault_is_the_same_for_everybody(tmp_path, way):
    """With 503 for two commands and a third after it, what arrives is counted once, and what never did is not."""
    import bench_reliability
    import bench_world

    sizes = bench_reliability.Sizes(at_once=0, dead=2, crowd=0)
    found = bench_reliability.under(str(tmp_path), way, bench_reliability.UNAVAILABLE, sizes)

    delivered = {"ours": 3, "opentelemetry_sdk": 1, "without": 0}[way]
    assert (len(found.outcomes), found.under_fault, found.delivered, found.duplicated) == (3, 2, delivered, 0)
    assert bench_world.processes_of(str(tmp_path)) == []


@pytest.mark.parametrize("way", ["ours", "opentelemetry_sdk"])
def test_whoever_sends_is_killed(tmp_path, way):
    """What was being sent when its process was killed comes later from this package, and never from the other."""
    import bench_reliability

    sizes = bench_reliability.Sizes(at_once=0, dead=2, crowd=0)
    found = bench_reliability.under(str(tmp_path), way, bench_reliability.KILLED, sizes)

    statuses = {"ours": [0, 0, 0], "opentelemetry_sdk": [-9, -9, 0]}[way]
    assert [run.status for run in found.outcomes] == statuses
    assert (found.delivered, found.duplicated) == ({"ours": 3, "opentelemetry_sdk": 1}[way], 0)


@linux
def test_a_command_executes_hardly_more_than_without(tmp_path):
    """Telemetry adds less to what a command executes than its goal of 3 % of the time, and something at all."""
    import bench_instructions
    import bench_process
    from bench_destinations import REFUSED, place
    from bench_world import World

    valgrind = found_or_installed("valgrind")
    with place(REFUSED) as target:
        used = bench_process.used_world(str(tmp_path), target)
        with_it = bench_instructions.instructions(valgrind, used, "ours", target)
        launched, waiting = used.count("senders_launched"), used.waiting()
        without = bench_instructions.instructions(valgrind, World(str(tmp_path)), "without", target)

    assert 1.001 < with_it / without <= bench_process.GOAL
    assert (launched, waiting) == (2, 0)


def test_a_sender_that_still_runs_is_found_and_ended(tmp_path):
    """The sender of one run is the only process found for its folder, and is gone once it has been ended."""
    from bench_destinations import REFUSED, place
    from bench_world import World

    world = World(str(tmp_path))
    with place(REFUSED) as target:
        world.run("ours", target.url)

    before = world.senders()
    world.end_senders()

    assert (len(before), world.senders(), world.waiting()) == (1, [], 1)


def test_an_interval_leaves_out_what_coins_allow():
    """The interval of twelve samples is from the third to the tenth, and of five it is all of them."""
    from bench_stats import estimate

    twelve = estimate([float(number) for number in range(12, 0, -1)])
    five = estimate([5.0, 1.0, 4.0, 2.0, 3.0])

    assert (twelve.median, twelve.low, twelve.high, twelve.least) == (6.5, 3.0, 10.0, 1.0)
    assert (five.median, five.low, five.high) == (3.0, 1.0, 5.0)


def test_a_goal_that_was_missed_is_shown_as_missed():
    """A page says of each figure whether it is within its goal, or not settled, and the data hold the same."""
    from bench_stats import estimate
    from bench_table import Table, verdict

    within, beyond, either = estimate([2.0] * 9), estimate([4.0] * 9), estimate([2.0] * 5 + [4.0] * 4)
    rows = [(found.median, verdict(found, 3.0)) for found in (within, beyond, either)]
    table = Table("t", "T", "How.", ("us", "met"), [*rows], ["a remark"])

    assert "| 2.000 | yes |\n| 4.000 | NO |\n| 2.000 | yes? |\n" in table.as_markdown()
    assert table.as_json()["rows"] == [{"us": us, "met": met} for us, met in rows]


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="the Collector is measured on Linux alone")
@pytest.mark.parametrize("backend", ["posthog", "stock"])
def test_a_run_of_the_collector_is_counted_to_the_end(collector_binary, tmp_path, backend):
    """All that the client sent is accepted and arrives, by our exporter and by the stock one, which has no gate."""
    from bench_collector_runs import distribution, run

    # So many that they take more than one tick of the clock that counts processor time.
    found = run(distribution(str(tmp_path), backend, compression="gzip"), requests=40, spans=500)

    assert (found.accepted, found.refused, found.delivered) == (20_000, 0, 20_000)
    assert found.cpu_s > 0
    assert found.peak_mb > 1


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="the Collector is measured on Linux alone")
def test_without_a_backend_the_collector_is_measured_all_the_same(collector_binary, tmp_path):
    """What is accepted waits in the queue, and nothing counts as delivered."""
    from bench_collector_runs import distribution, run

    found = run(distribution(str(tmp_path), "posthog"), requests=6, spans=10, per_second=100.0, is_away=True)

    assert (found.accepted, found.refused, found.delivered) == (60, 0, 0)
    assert found.wall_s >= 5 / 100


def test_the_events_of_the_report_are_all_there(tmp_path, monkeypatch):
    """The files that the report is measured with hold what was asked for, each event once, in lines as they come."""
    import bench_report
    from franklinwh_telemetry.maintainer.measure import measure

    monkeypatch.setattr(bench_report, "LINES_A_FILE", 2)
    paths = bench_report.write(tmp_path, 450)

    found = measure([str(path) for path in paths], since=date(2025, 6, 1), until=date(2026, 6, 1))
    lines = [path.read_text().count("\n") for path in paths]
    assert (found.events, found.skipped, found.applications, lines) == (450, (), ("franklinwh-cloud",), [2, 2, 1])
