"""What arrives under faults: the same commands and the same faults for this package and for what else could be used."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bench_destinations import Backend
from bench_table import Cell, Table
from bench_ways import LABELS, ways_here
from bench_world import Outcome, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE = "each command ends at once"
DEAD = "dead network, then it is back"
UNAVAILABLE = "503, then it recovers"
KILLED = "whoever sends is killed while sending, then a command more"
CROWD = "16 commands at the same time"

COLUMNS = (
    "telemetry",
    "fault",
    "commands",
    "delivered",
    "lost",
    "duplicated",
    "at exit ms",
    "lines on stderr",
)
METHOD = (
    "`franklinwh-cli energy --describe` again, every command a process of its own and all of one row in one home, to "
    "the same backend on this machine. *Delivered* is what the backend took and answered, each event once; *lost* the "
    "commands of which nothing arrived, in the end; *duplicated* what it took a second time. *At exit* is the median "
    "of what a command waits, after its work is done, longer than without telemetry under the same fault. "
    "A dead network takes the connection and never says a word. After each fault the backend takes everything and one "
    "command more is run; with this package `franklinwh-telemetry send` then stands for a command that is run once "
    "the pause after a failure is over."
)


class Sizes(NamedTuple):
    """How many commands are run under each fault."""

    at_once: int
    dead: int
    crowd: int


FULL = Sizes(at_once=10, dead=3, crowd=16)
QUICK = Sizes(at_once=3, dead=1, crowd=4)


class Case:
    """One way of telemetry in one home, with one backend, and what its commands came to."""

    def __init__(self, parent: str, way: str, path: str) -> None:
        self.way = way
        self.path = path
        self.world = World(parent)
        self.outcomes: list[Outcome] = []
        self.afterwards: list[Outcome] = []

    def run(self, backend: Backend, number: int) -> None:
        """Run commands one after another."""
        self.outcomes += [self.world.run(self.way, backend.url, self.path) for _ in range(number)]

    def run_together(self, backend: Backend, number: int) -> None:
        """Run commands at the same time."""
        with ThreadPoolExecutor(number) as threads:
            jobs = [
                threads.submit(self.world.run, self.way, backend.url, self.path, name=str(each))
                for each in range(number)
            ]
            self.outcomes += [job.result() for job in jobs]

    def recover(self, backend: Backend) -> None:
        """Let the backend take everything, and run a command more."""
        backend.recover()
        self.afterwards.append(self.world.run(self.way, backend.url, self.path))
        self.settle()

    def settle(self) -> None:
        """Bring the senders to their end; those that were told to wait are told to go on."""
        if self.way == "ours":
            self.world.deliver()
            send = [sys.executable, "-m", "franklinwh_telemetry", "send", "--application", "bench"]
            environment = self.world.environment()
            subprocess.run(send, cwd=self.world.cwd, env=environment, capture_output=True, timeout=120, check=False)


def ending_at_once(case: Case, backend: Backend, sizes: Sizes) -> None:
    """Nothing is wrong, but that no process stays for its telemetry."""
    case.run(backend, sizes.at_once)
    case.settle()


def dead_network(case: Case, backend: Backend, sizes: Sizes) -> None:
    """Nobody answers while the commands are run, nor while their senders try."""
    backend.fall_silent()
    case.run(backend, sizes.dead)
    case.world.deliver(60.0)
    case.recover(backend)


def unavailable(case: Case, backend: Backend, sizes: Sizes) -> None:
    """The backend answers 503 while the commands are run, and while their senders try."""
    backend.refuse()
    case.run(backend, sizes.dead)
    case.world.deliver(60.0)
    case.recover(backend)


def killed_while_sending(case: Case, backend: Backend, sizes: Sizes) -> None:
    """Whoever has sent a request is killed before it is answered; the backend keeps nothing of it."""
    backend.kill(case.world.kill_senders if case.way == "ours" else case.world.kill_running)
    case.run(backend, sizes.dead)
    case.world.wake_senders()
    case.world.end_senders(10.0)
    case.recover(backend)


def crowd(case: Case, backend: Backend, sizes: Sizes) -> None:
    """All commands at the same time."""
    case.run_together(backend, sizes.crowd)
    case.settle()


FAULTS: dict[str, Callable[[Case, Backend, Sizes], None]] = {
    AT_ONCE: ending_at_once,
    DEAD: dead_network,
    UNAVAILABLE: unavailable,
    KILLED: killed_while_sending,
    CROWD: crowd,
}


class Found(NamedTuple):
    """What one way came to under one fault: its commands, those under the fault first, and what the backend took."""

    outcomes: list[Outcome]
    under_fault: int
    delivered: int
    duplicated: int

    def waited_s(self) -> float:
        """The median wait at exit under the fault."""
        return statistics.median(run.exit_s for run in self.outcomes[: self.under_fault])

    def stderr_lines(self) -> int:
        """How much all commands wrote to stderr."""
        return sum(run.stderr_lines for run in self.outcomes)


def under(parent: str, way: str, fault: str, sizes: Sizes, path: str = "") -> Found:
    """Run one way under one fault; nothing of it runs any longer."""
    with _case(parent, way, path) as case, Backend() as backend:
        FAULTS[fault](case, backend, sizes)
        case.world.end_senders()
        taken = backend.taken()
    outcomes = [*case.outcomes, *case.afterwards]
    return Found(outcomes, len(case.outcomes), len(set(taken)), len(taken) - len(set(taken)))


@contextmanager
def _case(parent: str, way: str, path: str) -> Iterator[Case]:
    case = Case(parent, way, path)
    try:
        yield case
    finally:
        case.world.end_senders()


def measure(*, quick: bool) -> Table:
    """Put every way under every fault."""
    sizes = QUICK if quick else FULL
    ways, remarks = ways_here()
    rows = []
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as parent:
        for fault in FAULTS:
            without = under(parent, "without", fault, sizes)
            for way, path in ways.items():
                found = under(parent, way, fault, sizes, path)
                rows.append(row(way, fault, found, without))
    return Table("reliability", "Side by side, under faults", METHOD, COLUMNS, rows, remarks)


def row(way: str, fault: str, found: Found, without: Found) -> tuple[Cell, ...]:
    """One way under one fault as a row of the table."""
    commands = len(found.outcomes)
    return (
        LABELS[way],
        fault,
        commands,
        found.delivered,
        commands - found.delivered,
        found.duplicated,
        f"{(found.waited_s() - without.waited_s()) * 1000:.1f}",
        found.stderr_lines() - without.stderr_lines(),
    )
