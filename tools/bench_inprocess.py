"""
What the user's thread pays, measured inside a program that has imported franklinwh-cloud's command line.

Run as a program in a world of its own (`HOME`, state folder, working directory with an ini): its one argument names
what to measure, and it prints the samples in microseconds as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from franklinwh_cloud import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from franklinwh_telemetry import Telemetry
    from franklinwh_telemetry.scope import CommandScope
    from franklinwh_telemetry.spool import Spool

Samples = dict[str, list[float]]
SETTLED_S = 0.3
"""A file that changed a moment ago is read again at each look; a user's ini is older than that."""


def timed_us(action: Callable[[], object]) -> float:
    """How long one call takes."""
    began_ns = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - began_ns) / 1000


def imports() -> Samples:
    """The import, in a process that has loaded nothing else of ours."""
    began_ns = time.perf_counter_ns()
    import franklinwh_telemetry  # noqa: F401, PLC0415 - this is what is measured

    return {"import": [(time.perf_counter_ns() - began_ns) / 1000], "modules": [float(len(ours_loaded()))]}


def ours_loaded() -> list[str]:
    """Our modules that are loaded."""
    return [name for name in sys.modules if name.partition(".")[0] == "franklinwh_telemetry"]


def telemetry() -> Telemetry:
    """An application of its own, with franklinwh-cloud's vocabulary."""
    from franklinwh_telemetry import Telemetry  # noqa: PLC0415 - loaded only where it is measured
    from franklinwh_telemetry.vocabularies import franklinwh_cloud  # noqa: PLC0415

    return Telemetry("bench", franklinwh_cloud.vocabulary())


def run_nothing(scope: CommandScope) -> None:
    """Run a command that does nothing, so that all of its time is ours."""
    with scope:
        pass


def first() -> Samples:
    """The first command of a process, with the launch: everything behind a yes is imported and the ini parsed."""
    scope = telemetry().command("status")
    time.sleep(SETTLED_S)
    return {"first": [timed_us(lambda: run_nothing(scope))]}


def off(number: int) -> Samples:
    """A command of a user who has not said yes."""
    scope = telemetry().command("status")
    time.sleep(SETTLED_S)
    run_nothing(scope)
    return {"off": [timed_us(lambda: run_nothing(scope)) for _ in range(number)]}


def recorded(pending: int, number: int, *, launching: bool) -> Samples:
    """
    Commands recorded while *pending* records wait, with a sender started for each or for none.

    What each adds is moved away, not deleted: a disk that has just freed an inode takes longer to hand out the next.
    Beside each stands what making, writing and renaming such a file costs by itself.
    """
    reporter = telemetry()
    scope = reporter.command("status")
    spool = opened(reporter)
    aside = Path(spool.folder).parent / "aside"
    aside.mkdir(mode=0o700)
    fill(spool, pending)
    time.sleep(SETTLED_S)
    samples: Samples = {"record": [], "file": []}
    for index in range(number + 1):
        mark = Path(spool.path("alive"))
        if launching:
            mark.unlink(missing_ok=True)
        else:
            mark.touch()
        before = set(os.listdir(spool.path("new")))
        took_us = timed_us(lambda: run_nothing(scope))
        (added,) = set(os.listdir(spool.path("new"))) - before
        end_launched()
        raise_unless(len(before) == pending)
        if len(os.listdir(spool.path("new"))) > pending:  # at the bound the oldest has gone by itself
            os.rename(spool.path(f"new/{added}"), aside / added)
        file_us = timed_us(partial(bare_file, aside, index))
        if index:  # the first has imported what the others need
            samples["record"].append(took_us)
            samples["file"].append(file_us)
    return samples


def opened(reporter: Telemetry) -> Spool:
    """The spool of the yes that holds here."""
    from franklinwh_telemetry.lookup import Denied  # noqa: PLC0415
    from franklinwh_telemetry.permission import open_spool  # noqa: PLC0415
    from franklinwh_telemetry.spool import Spool  # noqa: PLC0415

    allowed, root = reporter.permission(), reporter.state_root()
    raise_unless(not isinstance(allowed, Denied) and isinstance(root, str))
    spool = open_spool(str(root), allowed.manifest, allowed.granted)  # type: ignore[union-attr]
    raise_unless(isinstance(spool, Spool))
    return spool  # type: ignore[return-value]


def fill(spool: Spool, pending: int) -> None:
    """Put records there that are a minute old."""
    minute_ago_ms = int(time.time() * 1000) - 60_000
    for number in range(pending):
        Path(spool.path(f"new/{minute_ago_ms + number:015d}-{number:016x}")).write_bytes(b"{}\n")


def bare_file(folder: Path, index: int) -> None:
    """Make, write and rename one file of a record's size, without anything of ours."""
    temporary = os.path.join(folder, f"half-{index}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, b"x" * 250)
    os.close(descriptor)
    os.rename(temporary, os.path.join(folder, f"whole-{index}"))


def end_launched() -> None:
    """End the sender that was just started; it is a child of this process."""
    launch = sys.modules["franklinwh_telemetry.launch"]
    for child in launch._children:  # noqa: SLF001 - nobody else knows its pid
        with suppress(OSError):
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
    launch._children.clear()  # noqa: SLF001


def raise_unless(holds: bool) -> None:  # noqa: FBT001 - a condition
    """End the measurement where it would measure something else."""
    if not holds:
        message = "the situation is not the one that was to be measured"
        raise RuntimeError(message)


def main(what: str, *numbers: str) -> None:
    """Measure *what* and print the samples."""
    raise_unless(bool(cli.main) and not ours_loaded())
    values = [int(number) for number in numbers]
    if what == "import":
        samples = imports()
    elif what == "first":
        samples = first()
        end_launched()
    elif what == "off":
        samples = off(values[0])
    else:
        samples = recorded(values[0], values[1], launching=what == "launch")
    print(json.dumps(samples))


if __name__ == "__main__":
    main(*sys.argv[1:])
