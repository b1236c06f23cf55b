"""
The Collector: what a span costs it beside the stock exporter, how many it takes, and how much memory in a burst.

The client and the backend are processes of their own. Where no Collector can be built, there is nothing to measure.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from typing import Any

from bench_collector_runs import Run, distribution, run
from bench_stats import estimate, ratios
from bench_table import Cell, Table

GOAL = 1.0
COST_PAIRS = 25

STOCK = "stock `otlp_http`, `encoding: json`, no gate"
OURS = "gate and `posthog`"

COST_COLUMNS = (
    "spans a request",
    "compression",
    "pairs",
    f"{OURS}: spans per CPU s",
    f"{STOCK}: spans per CPU s",
    "times",
    "goal",
    "met",
)
COST_METHOD = (
    "The same distribution, client and backend, in pairs whose order alternates; both with the persistent queue and "
    "`fsync`, as shipped. *times* is the median of the ratios of the pairs, with the interval that holds it in 95 of "
    "100 repetitions: how many spans the one takes in the processor time in which the other takes one."
)

OFF = "off"
QUEUES = ("on", "on, no fsync", OFF)

RATE_COLUMNS = ("spans a request", "queue", "cores", "runs", "accepted spans/s", "us of CPU a span", "peak RSS MB")
RATE_METHOD = (
    "Gate and `posthog`, as shipped but for what the columns say; four connections, each of which sends its next "
    "request once the last is answered. With one core the Collector has it alone, client and backend share the other; "
    "with two all three share both. A request is answered when it is on the disk; *no fsync* "
    "(`FRANKLINWH_FSYNC=false`) means when the system has it, which survives a kill but no power cut; without the "
    "queue, when it is at the backend."
)

BURST_COLUMNS = ("backend", "runs", "sent spans/s", "accepted", "refused", "99 % answered within ms", "peak RSS MB")
BURST_METHOD = (
    "200,000 spans a second for three seconds, 1,000 a request over eight connections, with the queue. "
    "Of 600,000 spans the queue holds 200,000; what is refused is answered 503, and a sender keeps it."
)
BURST_SPANS, BURST_REQUESTS, BURST_PER_SECOND = 1_000, 600, 200.0

COMMANDS_A_DAY = 50
BUSIEST_HOUR = 0.1


def measure_cost(*, quick: bool) -> Table:
    """Measure our pipeline and the stock one in turn."""
    rows: list[tuple[Cell, ...]] = []
    for spans, compression, requests in ((10, "none", 2_000), (500, "none", 200), (500, "gzip", 200)):
        found: dict[str, list[float]] = {"posthog": [], "stock": []}
        with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as parent:
            for number in range(2 if quick else COST_PAIRS):
                for backend in sorted(found, reverse=number % 2 == 1):
                    made = distribution(parent, backend, compression=compression)
                    done = run(made, requests=requests // 5 if quick else requests, spans=spans)
                    found[backend].append(done.delivered / done.cpu_s)
        times = estimate(ratios(found["posthog"], found["stock"]))
        met = "yes" if times.median >= GOAL else "NO"
        settled = times.low >= GOAL or times.high < GOAL
        rows.append(
            (
                spans,
                compression,
                times.samples,
                f"{statistics.median(found['posthog']):,.0f}",
                f"{statistics.median(found['stock']):,.0f}",
                times.text(2),
                f">= {GOAL}",
                met if settled else f"{met}?",
            )
        )
    return Table("collector cost", "The Collector, beside the stock exporter", COST_METHOD, COST_COLUMNS, rows, [])


def measure_rate(*, quick: bool) -> Table:
    """Measure how many spans a second are accepted."""
    rows: list[tuple[Cell, ...]] = []
    rates: dict[tuple[int, str, int], float] = {}
    for spans, queue, cores in itertools.product((1, 100), QUEUES, (1, 2)):
        requests = (2_000 if quick else 6_000) // (1 if spans == 1 else 6)
        settings: dict[str, Any] = {"queue": queue != OFF, "fsync": queue == QUEUES[0], "cores": cores}
        runs = [_one_run(requests, spans, **settings) for _ in range(1 if quick else 3)]
        rate = rates[spans, queue, cores] = statistics.median(one.accepted / one.wall_s for one in runs)
        cpu_us = statistics.median(one.cpu_s * 1e6 / one.delivered for one in runs)
        peak = max(one.peak_mb for one in runs)
        rows.append((spans, queue, cores, len(runs), round(rate), f"{cpu_us:.0f}", round(peak)))
    remarks = [users(rates[1, QUEUES[0], 1])]
    return Table("collector rate", "How many spans the Collector takes", RATE_METHOD, RATE_COLUMNS, rows, remarks)


def users(spans_a_second: float) -> str:
    """What a rate means where each command is one span, and each span a request of its own."""
    number = spans_a_second * 3600 / (COMMANDS_A_DAY * BUSIEST_HOUR)
    return (
        f"One command is one span, mostly in a request of its own: {spans_a_second:,.0f} a second on one core are the "
        f"busiest hour of {number:,.0f} users, if each runs {COMMANDS_A_DAY} commands a day and a tenth of them then."
    )


def measure_bursts(*, quick: bool) -> Table:
    """Measure memory and answers when far more comes than the backend takes, and when there is no backend."""
    rows: list[tuple[Cell, ...]] = []
    for is_away in (False, True):
        pace: dict[str, Any] = {"connections": 8, "per_second": BURST_PER_SECOND, "is_away": is_away}
        runs = [_one_run(BURST_REQUESTS, BURST_SPANS, **pace) for _ in range(1 if quick else 3)]
        median = {name: statistics.median(getattr(one, name) for one in runs) for name in Run._fields}
        sent = BURST_REQUESTS * BURST_SPANS / median["wall_s"]
        rows.append(
            (
                "away" if is_away else "answers",
                len(runs),
                round(sent),
                round(median["accepted"]),
                round(median["refused"]),
                f"{median['slow_ms']:.0f}",
                round(max(one.peak_mb for one in runs)),
            )
        )
    limit = "The memory limiter is set to 256 MiB, and the container's hard limit to 512 MiB."
    return Table("collector bursts", "Bursts of 200,000 spans a second", BURST_METHOD, BURST_COLUMNS, rows, [limit])


def _one_run(requests: int, spans: int, *, queue: bool = True, **settings: Any) -> Run:
    """A run of gate and `posthog`, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as parent:
        return run(distribution(parent, "posthog", queue=queue), requests=requests, spans=spans, **settings)
