"""
A user's home, with a yes in an ini, in which real programs run: several of them can be lived in at the same time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import support
from franklinwh_telemetry.backlog import existing_spools
from franklinwh_telemetry.statefolder import FOLDER_NAME

if TYPE_CHECKING:
    from franklinwh_telemetry.backlog import Backlog

PATIENCE_S = 120.0
"""How long something is waited for that a busy machine takes its time for."""


class Home:
    """
    A folder with a home, a state folder and a working directory; programs there see nothing of the tests' own world.

    *lines* stand in the ini behind the yes; *variables* are more of the environment, an empty one is none.
    """

    def __init__(self, folder: Path, *lines: str, **variables: str) -> None:
        self.work = folder / "work"
        self.ini = self.work / "franklinwh.ini"
        self.variables = variables
        self._places = {"HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state")}
        for place in ("home", "state", "work"):
            (folder / place).mkdir(mode=0o700, parents=True)
        self.write_ini("\n".join((support.CONSENT.rstrip(), *lines, "")))

    def write_ini(self, text: str, name: str = "franklinwh.ini") -> Path:
        """Put an ini into the working directory."""
        path = self.work / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def write_program(self, code: str, name: str = "host.py") -> Path:
        """Put a program there."""
        path = self.work / name
        path.write_text(code, encoding="utf-8")
        return path

    def environment(self) -> dict[str, str]:
        """What a program of this user is started with; what measures the tests' subprocesses stays."""
        measured = {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_")}
        found = {"PATH": os.environ["PATH"], **measured, **self._places, **self.variables}
        return {name: text for name, text in found.items() if text}

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a Python program, and leave it to the test."""
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.work,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a Python program: its exit status, and what it said."""
        done = support.run([sys.executable, *words], cwd=self.work, env=self.environment())
        return done.returncode, done.stdout, done.stderr

    def telemetry(self, *words: str) -> tuple[int, str, str]:
        """Run our own command line."""
        return self.run("-m", "franklinwh_telemetry", *words)

    @property
    def root(self) -> str:
        """Where its state lies."""
        return os.path.join(self._places["XDG_STATE_HOME"], FOLDER_NAME)

    def spools(self, application: str = support.APPLICATION) -> list[Backlog]:
        """The spools of an application."""
        return list(existing_spools(self.root, application))

    def counts(self, application: str = support.APPLICATION) -> dict[str, int]:
        """What has been counted in all of them."""
        found: dict[str, int] = {}
        for spool in self.spools(application):
            for name, count in spool.tally.read().items():
                found[name] = found.get(name, 0) + count
        return found

    def waiting(self, application: str = support.APPLICATION) -> int:
        """How many records wait."""
        return sum(len(spool.names()) for spool in self.spools(application))

    def pids(self) -> list[int]:
        """The senders that live: the processes that have the state folder in their command line."""
        mark = os.fsencode(self.root)
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and mark in _line(entry)]

    def wait_for_senders(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until none lives any more."""
        support.wait_until(lambda: not self.pids(), patience_s)

    def let_pauses_end(self) -> None:
        """Let the marks of senders and pauses be as old as they would be in two days."""
        before_s = time.time() - 2 * 24 * 60 * 60
        for spool in self.spools():
            for name in ("alive", "backoff"):
                if os.path.exists(spool.path(name)):
                    os.utime(spool.path(name), (before_s, before_s))


def _line(process: Path) -> bytes:
    """Its command line; it has none for a moment while it becomes another program, and is looked at again then."""
    try:
        while not (line := (process / "cmdline").read_bytes()):
            os.readlink(process / "exe")  # what has ended, or belongs to the kernel, has no program
            time.sleep(0.001)
    except OSError:
        return b""
    return line
