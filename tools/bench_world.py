"""A folder of its own for each run of the measured program, and the end of every sender that was started there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench_host import UUID
from franklinwh_telemetry.backlog import Backlog
from franklinwh_telemetry.launch import command_line
from franklinwh_telemetry.spool import PLACES

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = Path(__file__).resolve().parent / "bench_host.py"
HUNG_AFTER_S = 120.0
PASSING = ("alive", "backoff", "wake")
PASSED_ON = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONNOUSERSITE", "VIRTUAL_ENV", "SYSTEMROOT", "LD_LIBRARY_PATH")


class Outcome(NamedTuple):
    """One run: its time by the wall and on the processor, its wait after the command's work, and what it wrote."""

    wall_s: float
    cpu_s: float
    exit_s: float
    status: int
    stdout: bytes
    stderr_lines: int


def ini(way: str, url: str) -> str:
    """The ini that says yes: upstream's own section for its dispatcher, an application's for everything else."""
    section = "telemetry" if way == "upstream" else "telemetry bench"
    return f"[{section}]\nenabled = true\nuuid = {UUID}\nendpoint = {url}\n"


class World:
    """A home, a state folder and a working directory with an ini, all of them new."""

    def __init__(self, parent: str) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=parent))
        self.state, self.home, self.cwd = (self.folder / name for name in ("state", "home", "cwd"))
        for made in (self.state, self.home, self.cwd):
            made.mkdir(mode=0o700)
        self._running: set[int] = set()
        self._killed: set[int] = set()
        self._died = 0

    def environment(self, path: str = "", name: str = "") -> dict[str, str]:
        """The whole environment of a measured program; *path* comes first on its module path."""
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        parts = [path, *kept.get("PYTHONPATH", "").split(os.pathsep)]
        joined = os.pathsep.join(os.path.abspath(part) for part in parts if part)
        own = {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.state),
            "BENCH_MARK": str(self.folder / f"mark{name}"),
        }
        return {**kept, **own, **({"PYTHONPATH": joined} if joined else {})}

    def run(self, way: str, url: str, path: str = "", *, name: str = "", under: Sequence[str] = ()) -> Outcome:
        """Run the program once and measure it, *under* another if so asked; of several at once each has a *name*."""
        written = self.cwd / "franklinwh.ini"
        if not written.exists() or written.read_text(encoding="utf-8") != ini(way, url):
            written.write_text(ini(way, url), encoding="utf-8")
            written.chmod(0o600)
        environment = self.environment(path, name)
        command = [*under, sys.executable, str(HOST), way, url]
        outputs = [self.folder / f"{output}{name}" for output in ("stdout", "stderr")]
        with outputs[0].open("wb") as stdout, outputs[1].open("wb") as stderr:
            began_ns = time.monotonic_ns()
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=self.cwd, env=environment
            )
            self._running.add(child.pid)
            watchdog = threading.Timer(HUNG_AFTER_S, child.kill)
            watchdog.start()
            _pid, status, usage = os.wait4(child.pid, 0)
            ended_ns = time.monotonic_ns()
        watchdog.cancel()
        self._running.discard(child.pid)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode and child.pid not in self._killed:
            message = f"`{way}` ended with {child.returncode}: {outputs[1].read_text()[-400:]}"
            raise RuntimeError(message)
        done_ns = int((self.folder / f"mark{name}").read_text())
        return Outcome(
            wall_s=(ended_ns - began_ns) / 1e9,
            cpu_s=usage.ru_utime + usage.ru_stime,
            exit_s=(ended_ns - done_ns) / 1e9,
            status=child.returncode,
            stdout=outputs[0].read_bytes(),
            stderr_lines=len(outputs[1].read_bytes().splitlines()),
        )

    def spools(self) -> list[Backlog]:
        """The spools that were made here."""
        return [Backlog(str(path)) for path in self.state.glob("franklinwh-telemetry/*/spool-*")]

    def count(self, name: str) -> int:
        """A count of all spools together."""
        return sum(spool.tally.read().get(name, 0) for spool in self.spools())

    def _uncompleted(self) -> int:
        return self.count("senders_launched") - self.count("senders_completed")

    def waiting(self) -> int:
        """How many records wait."""
        return sum(len(spool.names()) for spool in self.spools())

    def deliver(self, within_s: float = 30.0) -> bool:
        """Wake the senders up, and say whether all have come to their end."""
        self.wake_senders()
        deadline_s = time.monotonic() + within_s
        while self._uncompleted() > self._died:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.02)
        self.end_senders(patience_s=5.0)
        return True

    def clear(self) -> None:
        """Leave what a command finds after others whose events have all gone: nothing waits, and nobody sends."""
        self.end_senders()
        self._died = self._uncompleted()
        for spool in self.spools():
            records = [f"{place}/{name}" for place in PLACES for name in os.listdir(spool.path(place))]
            for name in (*PASSING, *records):
                Path(spool.path(name)).unlink(missing_ok=True)

    def wake_senders(self) -> None:
        """Let no sender wait any longer for what follows."""
        for spool in self.spools():
            Path(spool.path("wake")).touch()

    def kill_senders(self) -> None:
        """Kill every sender of this folder, and no other."""
        for pid in self.senders():
            _kill(pid)

    def kill_running(self) -> None:
        """Kill the measured programs that run now; that they were is no error."""
        for pid in tuple(self._running):
            self._killed.add(pid)
            _kill(pid)

    def end_senders(self, patience_s: float = 0.0) -> None:
        """End what still runs for this folder, and for no other; it is waited for."""
        deadline_s = time.monotonic() + patience_s
        while self.senders():
            if time.monotonic() >= deadline_s:
                self.kill_senders()
            time.sleep(0.02)

    def senders(self) -> list[int]:
        """The processes that were started with a spool of this folder."""
        return processes_of(str(self.folder) + os.sep)


def processes_of(part: str) -> list[int]:
    """The senders whose arguments hold *part*: the words of `launch.command_line` but for the spool, then the spool."""
    beginning = " ".join(command_line("")[1:])
    columns = ["-A", "-ww", "-o", "pid=,args="]
    listing = subprocess.run(["ps", *columns], capture_output=True, text=True, check=True)  # noqa: S607 - any system's
    rows = (line.strip().partition(" ") for line in listing.stdout.splitlines())
    return [int(pid) for pid, _space, words in rows if part in words and beginning in words]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
