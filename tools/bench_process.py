"""The whole process: the same program with and without telemetry, paired, on destinations that answer or do not."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from bench_destinations import ANSWERING, BLACK_HOLE, DEAD, REFUSED, Place, place
from bench_stats import differences, estimate, ratios
from bench_table import Cell, Table, verdict
from bench_ways import LABELS, ways_here
from bench_world import Outcome, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

GOAL = 1.03
METHOD = (
    "`franklinwh-cli energy --describe`, which needs no account: the same program with and without telemetry, "
    "a new process each time, in pairs whose order alternates; this package's destinations take turns. "
    "*Any of these* are the pairs of all its destinations together: a command does not come across them, as "
    "*Instructions* shows, so that what differs between their rows is chance. "
    "*times* is the median of the ratios of the pairs with the interval that holds it in 95 of 100 repetitions; "
    "*more* the median of their differences; *at exit* what the process waits, after its command's work is done, "
    "longer than without telemetry. With this package every run starts a sender of its own, and finds the state folder "
    "that earlier commands have left, their events gone; the *first command* finds none, and makes it. With *one core* "
    "the program and its sender have a single one for both; no goal was set for that."
)
COLUMNS = (
    "telemetry",
    "destination",
    "pairs",
    "times",
    "more ms",
    "more CPU ms",
    "at exit ms",
    "events arrived",
    "kept for later",
    "lines on stderr",
    "goal",
    "met",
)


class Plan(NamedTuple):
    """How many pairs of each kind; this package's own in rounds, see `in_turn`."""

    rounds: int
    one_core: int
    others: int
    others_dead: int


FULL = Plan(rounds=160, one_core=60, others=8, others_dead=3)
QUICK = Plan(rounds=3, one_core=3, others=2, others_dead=1)
FIRST = "first command"
ONE_CORE = "one core"


class Pairs:
    """The pairs of one way of telemetry on one destination; *special* is what is special about them."""

    def __init__(self, way: str, destination: str, special: str = "") -> None:
        self.way = way
        self.destination = destination
        self.special = special
        self.label = f"{LABELS[way]}, {special}" if special else LABELS[way]
        self.with_it: list[Outcome] = []
        self.without: list[Outcome] = []
        self.kept = 0
        self.launched = 0
        self.arrived = 0

    def take(self, other: Pairs) -> None:
        """Add the pairs of another."""
        self.with_it += other.with_it
        self.without += other.without
        self.kept += other.kept
        self.launched += other.launched
        self.arrived += other.arrived

    def row(self) -> tuple[Cell, ...]:
        """The pairs as a row of the table."""
        number = len(self.with_it)
        times = estimate(ratios([run.wall_s for run in self.with_it], [run.wall_s for run in self.without]))
        ours = self.way == "ours"
        goal = ours and self.special != ONE_CORE
        return (
            self.label,
            self.destination,
            number,
            times.text(3),
            _more([run.wall_s for run in self.with_it], [run.wall_s for run in self.without]),
            _more([run.cpu_s for run in self.with_it], [run.cpu_s for run in self.without]),
            _more([run.exit_s for run in self.with_it], [run.exit_s for run in self.without]),
            f"{self.arrived} of {number}",
            f"{self.kept} of {number}" if ours else "-",
            sum(run.stderr_lines for run in self.with_it) - sum(run.stderr_lines for run in self.without),
            f"<= {GOAL}" if goal else "-",
            verdict(times, GOAL) if goal else "-",
        )

    def is_unchanged(self) -> bool:
        """Whether the program printed the same and ended with the same status in every run."""
        return len({(run.status, run.stdout) for run in (*self.with_it, *self.without)}) == 1


class Series(Pairs):
    """
    Pairs that are run one by one; *path* comes first on the module path of what runs with telemetry.

    All of them run in the world that is *used*; without one, each run has its own.
    """

    def __init__(
        self, way: str, target: Place, *, destination: str, special: str, path: str, used: World | None
    ) -> None:
        super().__init__(way, destination, special)
        self._target = target
        self._path = path
        self._used = used

    def run(self, parent: str) -> None:
        """Run one more pair; within every second one the order is turned round."""
        for each in (self.way, "without") if len(self.without) % 2 else ("without", self.way):
            path = self._path if each == self.way else ""
            outcome, kept, launched = once(parent, each, self._target, path=path, used=self._used)
            (self.with_it if each == self.way else self.without).append(outcome)
            self.kept += kept
            self.launched += launched


def measure(*, quick: bool) -> Table:
    """Measure this package on every destination, and the others on one that answers and two that do not."""
    plan = QUICK if quick else FULL
    ways, remarks = ways_here()
    others = {way: path for way, path in ways.items() if way != "ours"}
    done: list[Pairs] = []
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-bench-") as parent:
        warm_up(parent, ways)
        done += in_turn(parent, plan.rounds)
        together = everywhere(done)
        if sys.platform == "linux":
            done.append(pairs(parent, "ours", ANSWERING, plan.one_core, special=ONE_CORE))
        for destination in (ANSWERING, REFUSED, BLACK_HOLE):
            number = plan.others if destination == ANSWERING else plan.others_dead
            done += [pairs(parent, way, destination, number, path=path) for way, path in others.items()]
    rows = [pair.row() for pair in (together, *done)]
    return Table("process", "Whole process", METHOD, COLUMNS, rows, [*_remarks(done), *remarks])


def _remarks(done: list[Pairs]) -> list[str]:
    launched = sum(pair.launched for pair in done)
    runs = sum(len(pair.with_it) for pair in done if pair.way == "ours")
    remarks = [f"Senders started by the {runs} runs with this package: {launched}."]
    changed = [f"{pair.label} on {pair.destination}" for pair in done if not pair.is_unchanged()]
    remarks.append(f"Standard output and exit status differ from the run without for: {', '.join(changed) or 'none'}.")
    remarks.append(
        "What is kept for later is sent by the next sender; there a machine that was offline loses nothing. "
        "The others keep nothing between runs."
    )
    return remarks


def _more(ours: list[float], base: list[float]) -> str:
    return f"{estimate(differences(ours, base)).median * 1000:.1f}"


def warm_up(parent: str, ways: Mapping[str, str]) -> None:
    """Run each way once, with what comes first on its module path, so that every module is compiled and in memory."""
    with place(ANSWERING) as answering:
        for way, path in {"without": "", **ways}.items():
            once(parent, way, answering, path=path)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """What is started in here, and what that starts, has one core for all of it."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def begun(parent: str, way: str, destination: str, *, path: str = "", special: str = "") -> Iterator[Series]:
    """
    No pair so far, for a destination that is there until the context ends; then what has arrived is counted.

    *special* is `FIRST` for commands that find no state folder, `ONE_CORE` for one core for all of it (Linux).
    """
    with one_core() if special == ONE_CORE else contextlib.nullcontext(), place(destination) as target:
        # The others keep nothing between runs.
        used = used_world(parent, target) if way == "ours" and special != FIRST else None
        before = target.wait_for(1, 1.0) if used and target.answers else 0
        found = Series(way, target, destination=destination, special=special, path=path, used=used)
        yield found
        found.arrived = target.wait_for(before + len(found.with_it), 1.0) - before if target.answers else 0


def pairs(parent: str, way: str, destination: str, number: int, *, path: str = "", special: str = "") -> Pairs:
    """Run *number* pairs, see `begun`."""
    with begun(parent, way, destination, path=path, special=special) as found:
        for _ in range(number):
            found.run(parent)
    return found


def in_turn(parent: str, rounds: int) -> list[Series]:
    """
    The pairs of this package on every destination, in turn, so that none has the machine's better minutes.

    In each round two on the destination that answers, and one each on the others and for a first command.
    """
    with contextlib.ExitStack() as stack:
        all_of_them = [stack.enter_context(begun(parent, "ours", name)) for name in (ANSWERING, *DEAD)]
        all_of_them.append(stack.enter_context(begun(parent, "ours", ANSWERING, special=FIRST)))
        for _ in range(rounds):
            for found in (all_of_them[0], *all_of_them):
                found.run(parent)
    return all_of_them


def everywhere(found: Iterable[Pairs]) -> Pairs:
    """All pairs of later commands together: a command does not come across its destination."""
    together = Pairs("ours", "any of these")
    for pairs_of_one in found:
        if not pairs_of_one.special:
            together.take(pairs_of_one)
    return together


def used_world(parent: str, target: Place) -> World:
    """The world of an ini under which a command has recorded before, whose event has gone."""
    world = World(parent)
    once(parent, "ours", target, used=world)
    return world


def once(
    parent: str, way: str, target: Place, *, path: str = "", used: World | None = None, under: Sequence[str] = ()
) -> tuple[Outcome, int, int]:
    """
    One run, its senders brought to their end before the next; what was kept, what started.

    In a *used* world the next run finds what this one found: a yes is known by its ini, so that a copy would be new.
    *under* are the words of another program that runs this one.
    """
    world = used or World(parent)
    launched_before = world.count("senders_launched")
    outcome = world.run(way, target.url, path, under=under)
    launched = world.count("senders_launched") - launched_before
    if target.answers:
        world.deliver()
    world.end_senders()
    kept = world.waiting()
    if used:
        world.clear()
    return outcome, kept, launched
