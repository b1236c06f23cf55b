"""The report: seconds and memory for ten million events, beside pandas, which makes a part of the same figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from bench_table import Cell, Table
from environments import separate
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENTS = 10_000_000
QUICK_EVENTS = 200_000
DAYS = 365
INSTALLATIONS = 20_000
SPANS_A_LINE = 100
LINES_A_FILE = 20_000
PANDAS = "pandas==2.3.3"
COLUMNS = ("events", "input MB", "by", "seconds", "CPU s", "peak MB", "output MB", "events counted")
METHOD = (
    "Events of a year by 20,000 installations, 100 in a line, in files of about 1 GB; each program in a process of its "
    "own, memory is that process's own highest resident set. `report` is the whole command, page included; pandas "
    "reads the lines one by one, drops duplicates and makes the daily sums, p50 and p95 by command alone."
)

WRITE = """
COPY (
    WITH drawn AS (
        SELECT number, $words[1 + floor(length($words) * pow(random(), 3))::INTEGER] AS command,
               (floor(exp(6 + 1.2 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())))::BIGINT) AS latency_ms,
               1748736000000 + floor(random() * $days * 86400000)::BIGINT AS at_ms, random() > 0.05 AS success,
               '00000000-0000-4000-8000-' || lpad(to_hex(floor($users * pow(random(), 2))::BIGINT), 12, '0') AS uuid
        FROM range($first, $first + $events) AS numbers(number)
    ), spans AS (
        SELECT number // $a_line AS line, {
            traceId: md5(number::VARCHAR), spanId: lpad(to_hex(number + 1), 16, '0'), flags: 256, name: command,
            kind: 1, startTimeUnixNano: (at_ms * 1000000)::VARCHAR,
            endTimeUnixNano: ((at_ms + latency_ms) * 1000000)::VARCHAR,
            attributes: json_array(
                json_object('key', 'franklinwh.command', 'value', json_object('stringValue', command)),
                json_object('key', 'franklinwh.execution_latency_ms',
                            'value', json_object('intValue', latency_ms::VARCHAR)),
                json_object('key', 'franklinwh.success', 'value', json_object('boolValue', success)),
                json_object('key', 'franklinwh.execution_uuid', 'value', json_object('stringValue', uuid))
            ),
            status: {code: CASE WHEN success THEN 1 ELSE 2 END}
        } AS span
        FROM drawn
    )
    SELECT [{
        resource: {attributes: [{key: 'service.name', value: {stringValue: 'franklinwh-cloud'}}]},
        scopeSpans: [{scope: {name: 'franklinwh_telemetry'}, spans: list(span)}]
    }] AS resourceSpans
    FROM spans GROUP BY line
) TO '{path}' (FORMAT json)
"""

WITH_PANDAS = """
import json, sys
import pandas
rows = []
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        for line in file:
            for resource in json.loads(line)["resourceSpans"]:
                name = resource["resource"]["attributes"][0]["value"]["stringValue"]
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        facts = {one["key"]: one["value"] for one in span["attributes"]}
                        rows.append((
                            name, span["traceId"], span["spanId"], int(span["startTimeUnixNano"]) // 86_400_000_000_000,
                            facts["franklinwh.command"]["stringValue"],
                            int(facts["franklinwh.execution_latency_ms"]["intValue"]),
                            facts["franklinwh.success"]["boolValue"],
                            facts["franklinwh.execution_uuid"]["stringValue"],
                        ))
columns = ["application", "trace", "span", "day", "command", "latency_ms", "success", "uuid"]
events = pandas.DataFrame(rows, columns=columns)
del rows
events = events.drop_duplicates(["trace", "span"])
groups = events.groupby(["application", "command", "day"])
daily = groups.agg(runs=("success", "size"), good=("success", "sum"), latency_ms=("latency_ms", "sum"),
                   users=("uuid", "nunique"))
daily["p50"], daily["p95"] = groups["latency_ms"].quantile(0.5), groups["latency_ms"].quantile(0.95)
daily.to_json(sys.argv[1], orient="split")
print(int(daily["runs"].sum()), file=sys.stderr)
"""

MEASURED = """
import json, resource, subprocess, sys, time
began_ns = time.monotonic_ns()
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
done = subprocess.run(sys.argv[1:], text=True, **quiet)
wall_s = (time.monotonic_ns() - began_ns) / 1e9
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, done.stdout]))
"""
"""A small program in between: a child counts its parent's memory as its own until it becomes the new program."""


class Run(NamedTuple):
    """One run of one program."""

    status: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    said: str


def measure(*, quick: bool) -> Table:
    """Make the files, and let both programs read them."""
    events = QUICK_EVENTS if quick else EVENTS
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as folder:
        paths = write(Path(folder), events)
        size_mb = sum(path.stat().st_size for path in paths) / 1e6
        page, frame = Path(folder, "report.html"), Path(folder, "frame.json")
        asked = ("--since", "2025-06-01", "--until", "2026-06-01", "--output", str(page))
        loads = [_load()]
        ours = run(sys.executable, "-m", "franklinwh_telemetry", "report", folder, *asked)
        loads.append(_load())
        theirs = run(str(separate("pandas", PANDAS) / "python"), "-c", WITH_PANDAS, str(frame), *map(str, paths))
        loads.append(_load())
        rows = [
            _row(events, size_mb, "report", ours, page),
            _row(events, size_mb, PANDAS, theirs, frame),
        ]
    return Table("report", "The report of many events", METHOD, COLUMNS, rows, [_circumstances(loads)])


def write(folder: Path, events: int) -> list[Path]:
    """Write the events as the Collector's backend `file` does, and return the files."""
    words = list(franklinwh_cloud.vocabulary().commands)
    a_file = SPANS_A_LINE * LINES_A_FILE
    paths = []
    with duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(folder / "spilled")}) as writing:
        writing.execute("SELECT setseed(0.5)")
        for first in range(0, events, a_file):
            paths.append(folder / f"spans-{first // a_file:03}.jsonl")
            facts = {"words": words, "days": DAYS, "users": INSTALLATIONS, "a_line": SPANS_A_LINE}
            numbers = {"first": first, "events": min(a_file, events - first)}
            writing.execute(WRITE.replace("{path}", str(paths[-1])), facts | numbers)
    return paths


def run(*command: str) -> Run:
    """Run one program to its end."""
    done = subprocess.run([sys.executable, "-c", MEASURED, *command], stdout=subprocess.PIPE, check=True)
    status, wall_s, cpu_s, peak, said = json.loads(done.stdout)
    return Run(status, wall_s, cpu_s, peak * (1 if sys.platform == "darwin" else 1024) / 1e6, said)


def _row(events: int, size_mb: float, name: str, found: Run, output: Path) -> tuple[Cell, ...]:
    if found.status:
        problem = f"status {found.status}: {found.said.strip()[-200:]}"
        return (f"{events:,}", f"{size_mb:,.0f}", name, problem, *[None] * 4)
    counted = next((line.split(" ")[0] for line in reversed(found.said.splitlines()) if line[:1].isdigit()), "-")
    figures: Sequence[float] = (found.wall_s, found.cpu_s)
    shown = [f"{figure:.1f}" for figure in figures]
    return (
        f"{events:,}", f"{size_mb:,.0f}", name, *shown, f"{found.peak_mb:,.0f}",
        f"{output.stat().st_size / 1e6:.1f}", f"{int(counted):,}",
    )  # fmt: skip


def _circumstances(loads: Sequence[float]) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    told = ", ".join(f"{load:.1f}" for load in loads)
    return (
        f"DuckDB {duckdb.__version__}, {PANDAS}, {os.cpu_count()} processors, {day}; the load of the machine before, "
        f"between and after was {told}, and where it is above the number of processors only CPU seconds compare."
    )


def _load() -> float:
    """The load of the last minute, where the system tells."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
