"""In the process: what recording, staying silent and importing cost the user's thread."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_stats import Estimate, estimate
from bench_table import Cell, Table, verdict
from bench_world import World, ini

Samples = dict[str, list[float]]

PROGRAM = Path(__file__).resolve().parent / "bench_inprocess.py"
PENDING = (0, 100, 1_000)
RECORD_GOAL_US = 300.0
LAUNCH_GOAL_US = 1000.0
OFF_GOAL_US = 30.0
IMPORT_GOAL_US = 3000.0
NOWHERE = "http://127.0.0.1:9"
COLUMNS = ("what the thread waits for", "samples", "median us", "least us", "of it the bare file us", "goal us", "met")

METHOD = (
    "A command that does nothing, inside a process that has imported `franklinwh_cloud.cli`; "
    "the median with the interval that holds it in 95 of 100 repetitions. "
    "*The bare file* is what making, writing and renaming one file of that size costs on this disk without us, "
    "measured in turn with the records: it depends on the disk alone, and is part of the median beside it."
)


def measure_record(*, quick: bool) -> Table:
    """Measure recording with and without the launch, the first record of a process, and a user's no."""
    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as parent:
        for pending in PENDING:
            found = inside(parent, yes(), "record", pending, 40 if quick else 300)
            rows.append(_row(f"record, no launch, {pending} pending", found, "record", RECORD_GOAL_US))
        for pending in PENDING:
            found = inside(parent, yes(), "launch", pending, 10 if quick else 60)
            rows.append(_row(f"record and launch, {pending} pending", found, "record", LAUNCH_GOAL_US))
        firsts = firsts_of(parent, 5 if quick else 25)
        rows.append(_row("the first record of a process, with its imports and the launch", firsts, "first", None))
        for label, written, variables in (
            ("consent off: no ini", None, {}),
            ("consent off: the ini says no", yes().replace("true", "false"), {}),
            ("consent off: DO_NOT_TRACK=1", yes(), {"DO_NOT_TRACK": "1"}),
        ):
            found = inside(parent, written, "off", 500, variables=variables)
            rows.append(_row(label, found, "off", OFF_GOAL_US))
    remarks = [
        "With 1,000 pending the spool is at its bound: each record also drops the oldest and counts it.",
        "A program that runs one command pays the first record; no goal was set for it.",
    ]
    return Table("record", "On the user's thread", METHOD, COLUMNS, rows, remarks)


def measure_import(*, quick: bool) -> Table:
    """Measure the import in new processes whose compiled modules are in place."""
    runs = [inside(None, None, "import") for _ in range(1 + (15 if quick else 40))][1:]
    rows = [
        _row("import franklinwh_telemetry", {"import": [run["import"][0] for run in runs]}, "import", IMPORT_GOAL_US)
    ]
    remarks = [f"It loads {runs[0]['modules'][0]:.0f} modules of ours; what is behind a yes is loaded after a yes."]
    method = "A new process each time, which has imported `franklinwh_cloud.cli` before; everything is compiled."
    return Table("import", "Import", method, COLUMNS, rows, remarks)


def yes() -> str:
    """An ini that says yes and names a place where nobody listens; nothing is ever sent here."""
    return ini("ours", NOWHERE)


def inside(
    parent: str | None,
    written: str | None,
    *arguments: str | int,
    variables: dict[str, str] | None = None,
) -> Samples:
    """Run one measurement in a new world and return its samples."""
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-", dir=parent) as folder:
        return run_in(World(folder), written, *arguments, variables=variables)


def run_in(
    world: World,
    written: str | None,
    *arguments: str | int,
    variables: dict[str, str] | None = None,
) -> Samples:
    """Run one measurement in a world, end what it started there, and return its samples."""
    if written is not None:
        (world.cwd / "franklinwh.ini").write_text(written, encoding="utf-8")
        (world.cwd / "franklinwh.ini").chmod(0o600)
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    environment = {**world.environment(), **(variables or {})}
    done = subprocess.run(command, cwd=world.cwd, env=environment, stdout=subprocess.PIPE, check=True)
    world.end_senders()
    samples: Samples = json.loads(done.stdout)
    return samples


def firsts_of(parent: str, number: int) -> Samples:
    """The first record of each of *number* processes of a user whose spool is there already."""
    world = World(parent)
    samples: Samples = {"first": []}
    for index in range(number + 1):
        for spool in world.spools():
            Path(spool.path("alive")).unlink(missing_ok=True)
        found = run_in(world, yes(), "first")
        if index:
            samples["first"] += found["first"]
    return samples


def _row(label: str, samples: Samples, key: str, goal_us: float | None) -> tuple[Cell, ...]:
    found: Estimate = estimate(samples[key])
    file = estimate(samples["file"]).median if "file" in samples else None
    return (
        label,
        found.samples,
        found.text(0),
        f"{found.least:.0f}",
        "-" if file is None else f"{file:.0f}",
        "-" if goal_us is None else f"<= {goal_us:.0f}",
        "-" if goal_us is None else verdict(found, goal_us),
    )
