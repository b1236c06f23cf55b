"""The sender: how long it takes and how much memory, and how both grow with what waits."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench_destinations import ANSWERING, Place, place
from bench_stats import estimate
from bench_table import Cell, Table, verdict
from bench_world import World, ini
from franklinwh_telemetry.launch import command_line

NUMBERS = (10, 100, 1_000)
WALL_GOAL_S = 2.0
MEMORY_GOAL_MB = 90.0
COLUMNS = ("pending", "runs", "wall s", "least s", "CPU s", "peak RSS MB", "requests", "delivered", "goal", "met")
METHOD = (
    "The sender as a host starts it, without its wait for what follows (the `wake` file is there), "
    "to an OTLP receiver that answers after 20 ms; memory is the process's own highest resident set."
)

MEASURED = """
import json, resource, subprocess, sys, time
began_ns = time.monotonic_ns()
status = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL)
wall_s = (time.monotonic_ns() - began_ns) / 1e9
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([status, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
"""A small program in between: a child counts its parent's memory as its own until it becomes the new program."""

FILLING = """
import os, sys, time
from franklinwh_telemetry import Telemetry, event
from franklinwh_telemetry.permission import open_spool
from franklinwh_telemetry.vocabularies import franklinwh_cloud
vocabulary = franklinwh_cloud.vocabulary()
telemetry = Telemetry("bench", vocabulary)
allowed = telemetry.permission()
spool = open_spool(telemetry.state_root(), allowed.manifest, allowed.granted)
words = [vocabulary.member(text) for text in vocabulary.commands]
now_ms = int(time.time() * 1000)
for number in range(int(sys.argv[1])):
    made = event.CommandEvent(command=words[number % len(words)], executed_at_ms=now_ms - number,
        execution_latency_ms=number, success=number % 3 > 0, execution_uuid=allowed.granted.execution_uuid)
    spool.append(event.make_record(made, os.urandom), now_ms + number)
"""


class Run(NamedTuple):
    """One run of a sender."""

    wall_s: float
    cpu_s: float
    memory_mb: float
    requests: int
    delivered: int


def measure(*, quick: bool) -> Table:
    """Measure senders with few and with many records waiting, in turn."""
    rounds = 3 if quick else 9
    found: dict[int, list[Run]] = {number: [] for number in NUMBERS}
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as parent:
        for _ in range(rounds):
            for number in NUMBERS:
                with place(ANSWERING) as target:
                    found[number].append(send(parent, number, target))
    rows = [_row(number, runs) for number, runs in found.items()]
    few, many = found[NUMBERS[0]], found[NUMBERS[-1]]
    wall_ms = 1000 * (statistics.median(run.wall_s for run in many) - statistics.median(run.wall_s for run in few))
    memory = statistics.median(run.memory_mb for run in many) - statistics.median(run.memory_mb for run in few)
    more = NUMBERS[-1] - NUMBERS[0]
    growth = (
        f"From {NUMBERS[0]} to {NUMBERS[-1]} pending: {wall_ms:+.0f} ms and {memory:+.1f} MB, "
        f"that is {wall_ms / more:.2f} ms and {memory * 1024 / more:.1f} KB for each record more."
    )
    return Table("sender", "The sender, off the user's path", METHOD, COLUMNS, rows, [growth])


def send(parent: str, number: int, target: Place) -> Run:
    """Fill a new spool, let one sender empty it, and measure that sender."""
    world = World(parent)
    (world.cwd / "franklinwh.ini").write_text(ini("ours", target.url), encoding="utf-8")
    (world.cwd / "franklinwh.ini").chmod(0o600)
    environment = world.environment()
    fill = [sys.executable, "-c", FILLING, str(number)]
    subprocess.run(fill, cwd=world.cwd, env=environment, check=True)
    (spool,) = world.spools()
    Path(spool.path("wake")).touch()
    time.sleep(0.2)
    command = [sys.executable, "-c", MEASURED, *command_line(spool.folder)]
    done = subprocess.run(command, cwd=spool.folder, env=environment, stdout=subprocess.PIPE, check=True)
    status, wall_s, cpu_s, peak = json.loads(done.stdout)
    arrived = target.wait_for(number, 1.0)
    if status or arrived != number or world.waiting():
        message = f"a sender ended with status {status}, and {arrived} of {number} records arrived"
        raise RuntimeError(message)
    return Run(wall_s, cpu_s, peak / _units_per_mb(), target.requests(), arrived)


def _units_per_mb() -> int:
    """What `ru_maxrss` counts in: bytes on macOS, KiB elsewhere."""
    return 1024 * 1024 if sys.platform == "darwin" else 1024


def _row(number: int, runs: list[Run]) -> tuple[Cell, ...]:
    wall = estimate([run.wall_s for run in runs])
    memory = estimate([run.memory_mb for run in runs])
    goal = number == NUMBERS[-1]
    return (
        number,
        len(runs),
        wall.text(2),
        f"{wall.least:.2f}",
        f"{statistics.median(run.cpu_s for run in runs):.2f}",
        memory.text(1),
        int(statistics.median(run.requests for run in runs)),
        f"{sum(run.delivered for run in runs)} of {number * len(runs)}",
        f"<= {WALL_GOAL_S:.0f} s, <= {MEMORY_GOAL_MB:.0f} MB" if goal else "-",
        f"{verdict(wall, WALL_GOAL_S)}, {verdict(memory, MEMORY_GOAL_MB)}" if goal else "-",
    )
