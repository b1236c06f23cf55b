"""The whole process by the instructions that it executes, which no neighbour on the machine makes more or fewer."""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
import tempfile
from typing import TYPE_CHECKING

from bench_destinations import ANSWERING, DEAD, Place, place
from bench_process import FIRST, GOAL, once, used_world, warm_up
from bench_stats import estimate
from bench_table import Cell, Table, verdict
from bench_ways import LABELS, ways_here
from bench_world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

METHOD = (
    "The program of *Whole process* once more, under valgrind's cachegrind. It counts what the process executes in "
    "user mode, in all its threads and in none of its children; what the kernel does for it is not counted. Sets keep "
    "their order from run to run (`PYTHONHASHSEED=0`). Figures are medians of the runs, *times* with the range of all "
    "of them, against the median without telemetry. Where a busy machine moves timings by more than telemetry costs, "
    "this tells whether a destination, or a change of the code, has a command do more."
)
COLUMNS = ("telemetry", "destination", "runs", "millions", "more millions", "times", "goal", "met")
REPEATS = 3


def measure(*, quick: bool) -> Table:
    """Count for this package on every destination and at a first command, for the others on the one that answers."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return Table("instructions", "Instructions", METHOD, COLUMNS, [], ["Left out: there is no valgrind here."])
    ways, remarks = ways_here()
    repeats = range(1 if quick else REPEATS)
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as parent, contextlib.ExitStack() as stack:
        warm_up(parent, ways)
        places = {name: stack.enter_context(place(name)) for name in (ANSWERING, *DEAD)}
        answering = places[ANSWERING]
        base = [instructions(valgrind, World(parent), "without", answering) for _ in repeats]
        rows = [_row("without telemetry", "-", base, base)]
        for name, target in places.items():
            used = used_world(parent, target)
            found = [instructions(valgrind, used, "ours", target) for _ in repeats]
            rows.append(_row(LABELS["ours"], name, found, base, GOAL))
        for way, path in ways.items():
            found = [instructions(valgrind, World(parent), way, answering, path) for _ in repeats]
            ours = way == "ours"
            label = f"{LABELS[way]}, {FIRST}" if ours else LABELS[way]
            rows.append(_row(label, ANSWERING, found, base, GOAL if ours else None))
    return Table("instructions", "Instructions", METHOD, COLUMNS, rows, remarks)


def instructions(valgrind: str, world: World, way: str, target: Place, path: str = "") -> int:
    """How many instructions one run executes; its senders are brought to their end, and their events out of the way."""
    log = world.folder / "instructions"
    options = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", f"--log-file={log}")
    under = ("env", "PYTHONHASHSEED=0", valgrind, *options)
    once(str(world.folder.parent), way, target, path=path, used=world, under=under)
    counted = re.search(r"^==\d+== I +refs: +([\d,]+)$", log.read_text(encoding="utf-8"), re.MULTILINE)
    if counted is None:
        message = f"valgrind counted nothing: {log.read_text(encoding='utf-8')[-400:]}"
        raise RuntimeError(message)
    return int(counted[1].replace(",", ""))


def _row(
    label: str, destination: str, found: Sequence[int], base: Sequence[int], goal: float | None = None
) -> tuple[Cell, ...]:
    usual = statistics.median(base)
    times = estimate([count / usual for count in found])
    return (
        label,
        destination,
        len(found),
        f"{statistics.median(found) / 1e6:.1f}",
        f"{(statistics.median(found) - usual) / 1e6:.1f}",
        times.text(4),
        f"<= {goal}" if goal else "-",
        verdict(times, goal) if goal else "-",
    )
