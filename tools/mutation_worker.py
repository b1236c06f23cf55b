"""
Tries mutants in a copy of the tree: for each a fork of a Python that has the libraries loaded, and pytest in it.

It reads one task a line from standard input, as JSON: the file to change, its changed text, the tests, a time limit;
and answers each with one line: `survived`, or what killed it. The tests that take least go first, and before them
those that killed the last mutants. Hypothesis does not look for the smallest example, which nobody reads here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hypothesis
import pytest
from _pytest.config import default_plugins

LOADED = (
    *(f"_pytest.{name}" for name in default_plugins),
    "_hypothesis_pytestplugin",
    "asyncio",
    "click",
    "hypothesis.strategies",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.trace.export",
    "pdb",
    "pytest_timeout",
    "requests",
    "rich.console",
    "trustme",
)
"""What the tests, or pytest for them, load; here once, so that no fork has to."""
for library in LOADED:
    with contextlib.suppress(ImportError):
        importlib.import_module(library)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_KILLERS = 20
POLL_S = 0.01
OUTPUT = "mutation-output"
REPORT = "mutation-report.json"

# The time is set to another whole second for each text, because Python knows a compiled module by that and the size.
FIRST_TIME_S = 1_000_000_000


class Watching:
    """Of one pytest: puts the tests in order, notes how long each took, and ends with the first that fails."""

    def __init__(self, copy: Path, killers: list[str], durations_s: dict[str, float]) -> None:
        self.copy = copy
        self.killers = killers
        self.durations_s = durations_s
        self.took_s: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put first what killed last, then what takes least; of a new test it is not known yet."""
        order = {name: place for place, name in enumerate(self.killers)}
        items.sort(key=lambda item: (order.get(item.nodeid, MAX_KILLERS), self.durations_s.get(item.nodeid, 0.0)))
        default = hypothesis.settings.default
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutation", default, phases=phases)
        hypothesis.settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a part of a test: its setup, its call or its end."""
        self.took_s[report.nodeid] = self.took_s.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            # One is enough, and whatever else this process would still do takes longer than that took.
            self.write([report.nodeid])
            os._exit(pytest.ExitCode.TESTS_FAILED)

    def write(self, failed: list[str]) -> None:
        """Leave behind what was found."""
        (self.copy / REPORT).write_text(json.dumps({"took_s": self.took_s, "failed": failed}))


class Worker:
    """One copy of the tree, and what is known of its tests."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        self.texts = 0
        self.durations_s: dict[str, float] = {}
        self.killers: list[str] = []

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """Put the changed text in place, run the tests, put the old one back."""
        path = self.copy / task["file"]
        before = path.read_bytes()
        self.write(path, task["text"].encode())
        try:
            return self.tested(task["tests"], task["limit_s"])
        finally:
            self.write(path, before)

    def write(self, path: Path, text: bytes) -> None:
        """Write a module so that no process takes an older compiled one for it."""
        path.write_bytes(text)
        self.texts += 1
        os.utime(path, (FIRST_TIME_S + self.texts, FIRST_TIME_S + self.texts))

    def tested(self, tests: list[str], limit_s: float) -> dict[str, Any]:
        """Run the tests in a fork, as a process group of its own, which does not outlive them."""
        report = self.copy / REPORT
        report.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            self.end_with_pytest(tests)
        deadline_s = time.monotonic() + limit_s
        status: int | None = None
        while status is None and time.monotonic() < deadline_s:
            pid, raw = os.waitpid(child, os.WNOHANG)
            if pid:
                status = os.waitstatus_to_exitcode(raw)
            else:
                time.sleep(POLL_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        if status is None:
            os.waitpid(child, 0)
            return {"status": "killed", "by": "the time limit"}
        shutil.rmtree(self.copy / "mutation-temporary", ignore_errors=True)
        return self.judged(status, json.loads(report.read_text()) if report.exists() else {})

    def judged(self, status: int, report: dict[str, Any]) -> dict[str, Any]:
        """Pass on how pytest ended; it ends with 0 where all passed, and with 5 where there was nothing to run."""
        if status in (0, 5):
            self.durations_s.update(report["took_s"])
            return {"status": "survived" if status == 0 else "no tests", "took_s": sum(report["took_s"].values())}
        by = report["failed"][0] if report.get("failed") else f"the import, status {status}"
        if report.get("failed"):
            self.killers = [by, *(name for name in self.killers if name != by)][:MAX_KILLERS]
        return {"status": "killed", "by": by}

    def end_with_pytest(self, tests: list[str]) -> NoReturn:
        """Run pytest in this process, which is a fork, and end it."""
        status = int(pytest.ExitCode.INTERNAL_ERROR)
        try:
            status = self.pytest(tests)
        except BaseException:  # noqa: BLE001 - whatever it is, it ends here, and the parent goes on
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def pytest(self, tests: list[str]) -> int:
        """Run pytest with nothing to read, its output in a file, and leave behind what it found."""
        os.setpgid(0, 0)
        os.chdir(self.copy)
        output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        watching = Watching(self.copy, self.killers, self.durations_s)
        options = [
            "-x",
            "-q",
            "--tb=line",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:anyio",
            "--basetemp",
            "mutation-temporary",
        ]
        # The libraries are loaded already, and those that are plugins of pytest too.
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        status = int(pytest.main([*options, *tests], plugins=[watching]))
        watching.write([])
        return status


def tasks() -> Iterator[dict[str, Any]]:
    """What is to be done, until nobody asks any more."""
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    """Do each task in the copy that the command line names."""
    worker = Worker(Path(sys.argv[1]).resolve())
    sys.path.insert(0, str(worker.copy / "src"))
    os.environ["PYTHONPATH"] = str(worker.copy / "src")
    gc.freeze()
    for task in tasks():
        print(json.dumps(worker.run(task)), flush=True)


if __name__ == "__main__":
    main()
