"""
Faults at system calls: a program that has stopped itself, a `strace` that takes hold of it, and one fault at one call.

First a run without a fault lists the calls; then each of them is struck in turn, by its name and its number.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest

from doubles import crashing
from doubles.scale import FULL
from franklinwh_telemetry import system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Case = TypeVar("Case")

KILL = "SIGKILL"
ERRORS = ("ENOSPC", "EIO", "EACCES", "EMFILE", "EINTR", "ENOMEM")

OF_MEMORY = frozenset(("clone", "clone3", "fork", "madvise", "mmap", "mprotect", "mremap", "munmap", "vfork"))
"""Calls that fail for want of memory, and for nothing else of the above."""

WITHOUT_ERRORS = frozenset(
    (
        "brk",
        "exit",
        "exit_group",
        "futex",
        "getegid",
        "geteuid",
        "getgid",
        "getpid",
        "gettid",
        "getuid",
        "rseq",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "set_robust_list",
        "umask",
    )
)
"""
Calls that never fail for a reason like those: the C library ends a program to which such a thing is said.

`brk` does fail for want of memory, but has no error to say it with.
"""

CODE = (os.path.dirname(os.path.realpath(os.__file__)), os.path.dirname(os.path.realpath(system.__file__)))
"""The folders of what is imported: Python's own, and ours."""

_CALL = re.compile(r"(?:\[pid +\d+\] )?(\w+)\((.*)")


class Call(NamedTuple):
    """One call of a program: its name, how many calls of that name there had been with it, and what was asked."""

    name: str
    number: int
    words: str

    def loads_code(self) -> bool:
        """Whether it finds, opens or reads a module, and is no call of the module's own."""
        words = re.sub(r"AT_FDCWD<[^>]*>", "", self.words)
        return any(folder in words for folder in CODE)

    def can_fail_with(self, error: str) -> bool:
        """Whether the kernel may answer it so."""
        return self.name not in WITHOUT_ERRORS and (self.name not in OF_MEMORY or error == "ENOMEM")


class Ended(NamedTuple):
    """How a run ended: its status (a signal's is negative), what it had said and noted, and what struck it."""

    status: int
    output: str
    warnings: str
    returned: int
    trace: list[str]

    @property
    def was_struck(self) -> bool:
        """Whether the fault has met a call."""
        return any("(INJECTED)" in line or "+++ killed by SIGKILL +++" in line for line in self.trace)


class Nursery:
    """
    A program that has all that a run needs, and forks one for each.

    *what* is `host` or `sender`; the runs find *environment* and work in *folder*, which is theirs.
    """

    def __init__(self, strace: str, what: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._strace = strace
        self._folder = folder
        python = folder / "python3"
        if not python.exists():
            python.symlink_to(shutil.which("true") or "/bin/true")
        # Coverage would write its files into the trace, and a host its own output into the path under test.
        foreign = ("COVERAGE_", "PYTHONUNBUFFERED")
        self.environment = {name: text for name, text in environment.items() if not name.startswith(foreign)}
        self._program = subprocess.Popen(
            [sys.executable, crashing.__file__, what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **self.environment,
                "PYTHONPATH": os.pathsep.join([str(Path(crashing.__file__).parent.parent), *sys.path]),
                "SENDERS_PYTHON": str(python),
            },
        )

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.wait()
        self._program.stdout.close()

    def calls(self, run: str, folder: Path, *arguments: str) -> tuple[Ended, list[Call]]:
        """How a run ends without a fault, and the calls that it makes until then."""
        ended = self._run(run, folder, arguments, ["-y"])
        found: list[Call] = []
        numbers: dict[str, int] = {}
        for line in ended.trace:
            call = _CALL.match(line)
            if call is None:
                continue
            if crashing.END in line:
                break
            name, words = call.groups()
            numbers[name] = numbers.get(name, 0) + 1
            found.append(Call(name, numbers[name], words))
        return ended, found

    def strike(self, run: str, folder: Path, call: Call, fault: str, *arguments: str) -> Ended:
        """How it ends when *fault* strikes *call*."""
        kind = "signal" if fault == KILL else "error"
        inject = f"inject={call.name}:{kind}={fault}:when={call.number}"
        return self._run(run, folder, arguments, ["-e", f"trace={call.name}", "-e", inject])

    def run(self, run: str, folder: Path, *arguments: str) -> Ended:
        """How it ends when nobody looks."""
        return self._run(run, folder, arguments, None)

    def _run(self, run: str, folder: Path, arguments: tuple[str, ...], options: list[str] | None) -> Ended:
        files = {name: self._folder / name for name in ("stdout", "stderr", "returned", "trace")}
        files["returned"].write_bytes(b"\0")
        files["trace"].write_bytes(b"")
        self._ask(
            run=run,
            folder=str(folder),
            arguments=arguments,
            environment=self.environment,
            **{name: str(path) for name, path in files.items()},
        )
        stopped = self._answer()["stopped"]
        assert stopped is not None, files["stderr"].read_text()
        tracing = None
        try:
            if options is not None:
                tracing = self._take_hold(stopped, [*options, "-o", str(files["trace"])])
        finally:
            os.kill(stopped, signal.SIGCONT)
        status = self._answer()["status"]
        if tracing is not None:
            _wait(tracing)
        return Ended(
            status,
            files["stdout"].read_text(),
            files["stderr"].read_text(),
            files["returned"].read_bytes()[0],
            files["trace"].read_text(errors="replace").splitlines(),
        )

    def _take_hold(self, pid: int, options: list[str]) -> subprocess.Popen[bytes]:
        tracing = subprocess.Popen(
            [self._strace, *options, "-p", str(pid)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert tracing.stderr is not None
        said = tracing.stderr.readline()
        if b"attached" not in said:
            _wait(tracing)
            if b"ermi" in said:
                pytest.skip(f"no process may be traced here: {said.decode().strip()}")
            raise AssertionError(said.decode())
        return tracing

    def _ask(self, **request: Any) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(request).encode() + b"\n")
        self._program.stdin.flush()

    def _answer(self) -> Any:
        assert self._program.stdout is not None
        return json.loads(self._program.stdout.readline())


def _wait(tracing: subprocess.Popen[bytes]) -> None:
    assert tracing.stderr is not None
    tracing.stderr.read()
    tracing.stderr.close()
    tracing.wait()


def sampled(cases: Sequence[Case], count: int, seed: object) -> list[Case]:
    """*count* of the cases, the same in every run, in their order; at the scale `full` all of them."""
    if FULL or len(cases) <= count:
        return list(cases)
    draw = random.Random(repr(seed))  # noqa: S311 - the same in every run
    return [cases[index] for index in sorted(draw.sample(range(len(cases)), count))]
