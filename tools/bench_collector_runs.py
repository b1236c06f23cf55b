"""One run of the real Collector between a client and a backend, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import yaml

import bench_sink
import bench_traffic
from bench_traffic import Told

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from doubles.collector import SOURCES, Collector, built_binary, free_port, peak_bytes  # noqa: E402 - the tests start it too

if TYPE_CHECKING:
    from collections.abc import Iterator

DELIVERED_WITHIN_S = 120.0
GATE = "[memory_limiter, commandgate]"


class Setup(NamedTuple):
    """A copy of the shipped configuration, and the backend that it is run with."""

    folder: Path
    backend: str


class Run(NamedTuple):
    """What one run came to; the processor time and the memory are the Collector's alone."""

    accepted: int
    refused: int
    delivered: int
    wall_s: float
    slow_ms: float
    cpu_s: float
    peak_mb: float


def distribution(parent: str, backend: str, *, compression: str = "none", queue: bool = True) -> Setup:
    """
    Return a copy of the shipped configuration, changed in what is measured.

    The backend `stock` is the stock exporter in place of ours, with the same queue and without the gate.
    """
    folder = Path(parent, f"{backend}-{compression}-{queue}")
    setup = Setup(folder, backend)
    if folder.exists():
        return setup
    for name in ("backends", "tls", "vocabularies"):
        shutil.copytree(SOURCES / name, folder / name)
    configuration = (SOURCES / "config.yaml").read_text(encoding="utf-8")
    if backend == "stock":
        before, gated, after = configuration.partition(GATE)
        if not gated:
            message = f"config.yaml no longer has {GATE}"
            raise RuntimeError(message)
        configuration = f"{before}[memory_limiter]{after}"
    (folder / "config.yaml").write_text(configuration, encoding="utf-8")
    shipped = "otlp" if backend == "stock" else backend
    source = folder / "backends" / shipped / "exporters.yaml"
    exporters = yaml.safe_load(source.read_text(encoding="utf-8"))
    (exporter,) = exporters.values()
    exporter["compression"] = compression
    exporter["sending_queue"]["enabled"] = queue
    if not queue:
        del exporter["sending_queue"]["batch"]
    if backend == "stock":
        exporter["encoding"] = "json"
        shutil.copytree(source.parent, folder / "backends" / "stock")
    target = folder / "backends" / backend / "exporters.yaml"
    target.write_text(yaml.safe_dump(exporters), encoding="utf-8")
    return setup


@contextlib.contextmanager
def sink(cpus: set[int]) -> Iterator[str]:
    """A backend that takes everything, on these processors; yields its URL."""
    command = [sys.executable, bench_sink.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        os.sched_setaffinity(process.pid, cpus)
        with cast("IO[bytes]", process.stdin):  # its end is the sink's
            yield f"http://127.0.0.1:{int(cast('IO[bytes]', process.stdout).readline())}"


def run(
    setup: Setup,
    *,
    requests: int,
    spans: int,
    cores: int = 0,
    connections: int = 4,
    per_second: float = 0.0,
    is_away: bool = False,
    fsync: bool = True,
) -> Run:
    """
    Send so many requests and wait until the backend has all that was accepted; with `is_away` there is no backend.

    With one core the Collector has a processor for itself, and client and backend have the others.
    """
    every = os.sched_getaffinity(0)
    own = {min(every)} if cores == 1 else every
    others = (every - own) or every
    folder = setup.folder.parent / f"run-{time.monotonic_ns()}"
    folder.mkdir()
    with sink(others) as url:
        target = f"http://127.0.0.1:{free_port()}" if is_away else url
        settings = {
            "FRANKLINWH_CONFIG": str(setup.folder),
            "POSTHOG_HOST": target,
            "POSTHOG_API_KEY": "phc_bench",
            "FRANKLINWH_OTLP_ENDPOINT": target,
            "FRANKLINWH_FSYNC": str(fsync).lower(),
            "GOMAXPROCS": str(len(own)),
        }
        collector = Collector(built_binary(), folder, setup.backend, **settings)
        collector.configuration = setup.folder / "config.yaml"
        with collector:
            for thread in Path(f"/proc/{collector.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), own)
            before_s = cpu_s(collector.pid)
            told = traffic(collector.port, requests, spans, connections, per_second, others)
            delivered = 0 if is_away else wait_for(url, told.accepted * spans)
            used_s, peak_mb = cpu_s(collector.pid) - before_s, peak_bytes([collector.pid]) / 2**20
    shutil.rmtree(folder)
    return Run(told.accepted * spans, told.refused * spans, delivered, told.wall_s, told.slow_ms, used_s, peak_mb)


def traffic(port: int, requests: int, spans: int, connections: int, per_second: float, cpus: set[int]) -> Told:
    """Send from a process of its own, on these processors."""
    words = [str(word) for word in (port, requests, spans, connections, per_second)]
    with subprocess.Popen([sys.executable, bench_traffic.__file__, *words], stdout=subprocess.PIPE) as client:
        os.sched_setaffinity(client.pid, cpus)
        printed, _ = client.communicate()
    return Told(*json.loads(printed))


def wait_for(url: str, number: int) -> int:
    """Wait until this many have arrived at a sink, and return how many have."""
    deadline_s = time.monotonic() + DELIVERED_WITHIN_S
    while (arrived := bench_sink.arrived(url)) < number:
        if time.monotonic() > deadline_s:
            message = f"{arrived} of {number} spans arrived within {DELIVERED_WITHIN_S:.0f} s"
            raise RuntimeError(message)
        time.sleep(0.05)
    return arrived


def cpu_s(pid: int) -> float:
    """The processor time that a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
