"""
Measures what telemetry costs the user, what it delivers, and what the Collector takes: `make bench`.

Prints tables; a full run also writes `docs/benchmarks.json` and `docs/benchmarks.md`. It talks to loopback only,
asks for one name that cannot exist, and leaves no process behind; the Collector is built if need be, and measured on
Linux alone. `--quick` takes fewer samples, `--only NAME` one part of it (`--help` lists them); neither touches the
documentation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bench_instructions
import bench_process
import bench_record
import bench_reliability
import bench_report
import bench_sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench_table import Table

DOCS = Path(__file__).resolve().parent.parent / "docs"

PARTS: dict[str, Callable[..., Table]] = {
    "import": bench_record.measure_import,
    "record": bench_record.measure_record,
    "sender": bench_sender.measure,
    "process": bench_process.measure,
    "instructions": bench_instructions.measure,
    "reliability": bench_reliability.measure,
}

ON_REQUEST: dict[str, Callable[..., Table]] = {"report": bench_report.measure}
"""Parts that take minutes and gigabytes, and say nothing of what a user pays: a full run leaves them out."""

if sys.platform == "linux":
    import bench_collector

    PARTS |= {
        "collector-cost": bench_collector.measure_cost,
        "collector-rate": bench_collector.measure_rate,
        "collector-bursts": bench_collector.measure_bursts,
    }

HEAD = """# Benchmarks

Written by `make bench`, which measures everything below in one run; the same figures are in `benchmarks.json`.
Goals stand beside the figures, and a goal that was missed says so.

Measured on {machine}.
The load of the machine was {load_before} when the run began and {load_after} when it ended (1.0 is one busy processor).
On a machine that does other work at the same time single runs vary by more than telemetry costs.
That is why runs are paired and medians are shown with their intervals; where an interval
reaches over a goal to either side, a question mark says that this run does not settle it.

{tables}
## What these figures do not say

- The receiver is on the same machine and answers after 20 ms; a real one is further away; only the sender notices.
- The sender takes its processor time when the command has ended; it runs at the lowest priority, but on a machine with
  one processor the next command may meet it.
- A disk that is slow to make a file makes recording slower by as much; nothing is synchronised to it.
"""


def machine() -> str:
    """What was measured on, without a name."""
    packages = " and ".join(f"{name} {metadata.version(name)}" for name in ("franklinwh-cloud", "opentelemetry-sdk"))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.system()}, {platform.machine()}, {os.cpu_count()} processors, {python}, with {packages}"


def load() -> float | None:
    """The load of the last minute, where the system tells."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def write(folder: Path, described: dict[str, Any], tables: list[Table]) -> None:
    """Write the page and the data."""
    data = {**described, "parts": [table.as_json() for table in tables]}
    (folder / "benchmarks.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = HEAD.format(**described, tables="\n".join(table.as_markdown() for table in tables))
    (folder / "benchmarks.md").write_text(page, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and after a full run write."""
    parser = argparse.ArgumentParser(description="Measure what telemetry costs, and what it delivers.")
    parser.add_argument("--quick", action="store_true", help="fewer samples, nothing written")
    parser.add_argument("--only", choices=sorted({**PARTS, **ON_REQUEST}), help="one part, nothing written")
    asked = parser.parse_args(arguments)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    described: dict[str, Any] = {"machine": machine(), "load_before": load()}
    tables = []
    for name in [asked.only] if asked.only else PARTS:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        tables.append({**PARTS, **ON_REQUEST}[name](quick=asked.quick))
        print(tables[-1].as_text(), flush=True)
    described["load_after"] = load()
    if not asked.quick and not asked.only:
        write(DOCS, described, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
