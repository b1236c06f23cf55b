"""
Changes one place of a module at a time, in a copy of the tree, and writes down what none of its tests notices.

`mutate.py [MODULE...]`, or `make mutate`: all modules that decide what may be said, whether, and to whom. The survivors
go to `tests/proof/survivors.txt`, the figures to `docs/mutation.md`. It ends with 1 where a survivor has no reason in
that file, or a reason no survivor.

Why not one of the tools there are: mutmut changes the bodies of functions only, while much of what is decided here is
decided by constants, and switches its mutants by a variable, which our tests that start programs with an environment of
their own do not pass on; cosmic-ray starts a Python for each mutant, which with our libraries takes longer than the
tests do; and neither would leave one list for Python and Go.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mutants
import survivors
from environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from survivors import Result

PROCESSES = 2
PACKAGE = "src/franklinwh_telemetry"
GATE = "collector/commandgateprocessor"
EXPORTER = "collector/posthogexporter"
SURVIVORS = "tests/proof/survivors.txt"
PAGE = "docs/mutation.md"
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", "build", "dist", "__pycache__", ".hypothesis", ".*_cache", "site")
BASELINE_LIMIT_S = 900.0
LIMIT_FACTOR, LIMIT_MORE_S = 6, 60
"""A mutant may take this much longer than all the tests took without one; then it counts as killed."""
GO_TEST_LIMIT_S = 60
GO_MAX_KIB = 4 * 1024 * 1024
"""A loop that appends and never ends would have all of the machine's memory before the time is up."""
TIME_LIMIT = "the time limit"


@dataclass(frozen=True)
class Subject:
    """A module, the tests that belong to it, and the only names in it that are meant, if not all."""

    module: str
    tests: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The file, from the root of the repository."""
        return self.module if self.is_go else f"{PACKAGE}/{self.module}"

    @property
    def is_go(self) -> bool:
        """Whether its tests are all those of its Go package."""
        return self.module.endswith(".go")


def python(module: str, *tests: str, only: tuple[str, ...] = ()) -> Subject:
    """A Python module with the names of its test modules."""
    return Subject(module, tuple(f"tests/test_{name}.py" for name in tests), only)


SUBJECTS = (
    python("event.py", "event"),
    python("decoding.py", "event"),
    python("value.py", "value"),
    python("consent.py", "consent"),
    python("lookup.py", "consent"),
    python("vocabulary.py", "vocabulary"),
    python("lines.py", "vocabulary"),
    python("entry.py", "vocabulary"),
    python("destination.py", "destination"),
    python("address.py", "destination"),
    python("sender/wire.py", "sender_wire"),
    python("sender/request.py", "sender_wire"),
    python("sender/answer.py", "sender_wire"),
    python("sender/posthog.py", "sender_contract", only=("NAMESPACE", "event_of", "event_uuid", "timestamp")),
    python("sender/provider.py", "sender_spans", "sender_contract", only=("_RecordIds",)),
    python("sender/spans.py", "sender_spans", "sender_contract"),
    *(Subject(f"{GATE}/{name}.go") for name in ("facts", "rebuild", "vocabulary")),
    *(Subject(f"{EXPORTER}/{name}.go") for name in ("event", "canonical")),
)
ORDER = tuple(subject.module for subject in SUBJECTS)


class PythonTrier:
    """A process that tries mutants of Python modules, in a copy of the tree."""

    def __init__(self, copy: Path) -> None:
        program = [sys.executable, "-B", str(ROOT / "tools" / "mutation_worker.py"), str(copy)]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.copy = copy
        self.limit_s = BASELINE_LIMIT_S

    def prepare(self, subject: Subject) -> None:
        """Run the tests without a mutant, which tells how long they may take."""
        self.limit_s = BASELINE_LIMIT_S
        answer = self.ask(subject, (self.copy / subject.path).read_text(encoding="utf-8"))
        if answer["status"] != "survived":
            output = (self.copy / "mutation-output").read_text(encoding="utf-8", errors="replace")
            sys.exit(f"{output}\nthe tests of {subject.module} fail without a mutant: {answer}; mend them first")
        self.limit_s = answer["took_s"] * LIMIT_FACTOR + LIMIT_MORE_S

    def ask(self, subject: Subject, text: str) -> dict[str, Any]:
        """What the tests say of a changed text of the module."""
        task = {"file": subject.path, "text": text, "tests": subject.tests, "limit_s": self.limit_s}
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


class GoTrier:
    """Tries mutants of Go files: the compiler reads the changed text in place of the file, which stays as it is."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        self.environment = go_environment()

    def prepare(self, subject: Subject) -> None:
        """Run the tests without a mutant."""
        answer = self.ask(subject, (self.copy / subject.path).read_text(encoding="utf-8"))
        if answer["status"] != "survived":
            sys.exit(f"the tests of {subject.module} fail without a mutant: {answer}; mend them first")

    def ask(self, subject: Subject, text: str) -> dict[str, Any]:
        """What the tests say of a changed text; `stillborn` is one that does not compile."""
        path = self.copy / subject.path
        changed, overlay, program = (self.copy / f"mutant{suffix}" for suffix in (".go", ".json", ".test"))
        changed.write_text(text, encoding="utf-8")
        overlay.write_text(json.dumps({"Replace": {str(path): str(changed)}}), encoding="utf-8")
        # What vet would refuse, such as a format without its verbs, is a mutant too.
        build = ["go", "test", "-c", "-vet=off", "-overlay", str(overlay), "-ldflags=-s -w", "-o", str(program), "."]
        done = subprocess.run(build, cwd=path.parent, env=self.environment, capture_output=True, check=False)
        if done.returncode:
            return {"status": "stillborn", "by": done.stderr.decode(errors="replace")}
        limited = ["sh", "-c", f'ulimit -v {GO_MAX_KIB}; exec "$0" "$@"']
        run = [*limited, str(program), "-test.failfast", f"-test.timeout={GO_TEST_LIMIT_S}s"]
        # Go's own limit begins with the tests: what is endless before them, in a variable's value, it would not end.
        limit_s = GO_TEST_LIMIT_S + LIMIT_MORE_S
        try:
            done = subprocess.run(
                run, cwd=path.parent, env=self.environment, capture_output=True, check=False, timeout=limit_s
            )
        except subprocess.TimeoutExpired:
            return {"status": "killed", "by": TIME_LIMIT}
        return {"status": "killed" if done.returncode else "survived", "by": done.stdout.decode(errors="replace")}


def go_environment() -> dict[str, str]:
    """The environment in which the collector's Makefile runs Go."""
    found = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "collector.py"), "go"], capture_output=True, text=True, check=True
    )
    path = f"{found.stdout.strip()}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false"}


def mutants_of(subject: Subject, root: Path) -> list[mutants.Mutant]:
    """The mutants of a module, those of the names that are not meant left out."""
    source = (root / subject.path).read_text(encoding="utf-8")
    if subject.is_go:
        program = ["go", "run", str(ROOT / "tools" / "mutants.go")]
        done = subprocess.run(program, input=source, env=go_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{subject.module}: {done.stderr}")
        found = [mutants.Mutant(**each) for each in json.loads(done.stdout)]
    else:
        found = list(mutants.mutants(source))
    return [mutant for mutant in found if not subject.only or mutant.where.partition(".")[0] in subject.only]


def judge(
    subject: Subject, triers: list[PythonTrier] | list[GoTrier], root: Path, known: Container[str] | None = None
) -> Result:
    """Try every mutant of a module, or those that are *known* to have survived, one with each trier at a time."""
    with ThreadPoolExecutor(len(triers)) as pool:
        list(pool.map(lambda trier: trier.prepare(subject), triers))
    found = mutants_of(subject, root)
    told = survivors.keys((subject.module, mutant.line, mutant.what, mutant.becomes) for mutant in found)
    wanted = [(key, mutant) for key, mutant in zip(told, found, strict=True) if known is None or key in known]
    free: queue.SimpleQueue[PythonTrier | GoTrier] = queue.SimpleQueue()
    for trier in triers:
        free.put(trier)
    progress = Progress(subject.module, len(wanted))

    def status(key: str, mutant: mutants.Mutant) -> str:
        trier = free.get()
        try:
            answer = trier.ask(subject, mutant.source)
        finally:
            free.put(trier)
        progress.note(key, answer)
        return str(answer["status"])

    with ThreadPoolExecutor(len(triers)) as pool:
        statuses = list(pool.map(lambda pair: status(*pair), wanted))
    alive = tuple(key for (key, _), status in zip(wanted, statuses, strict=True) if status == "survived")
    stillborn = statuses.count("stillborn")
    return survivors.Result(subject.module, len(wanted) - stillborn, alive, stillborn)


class Progress:
    """Says how far a module is, and names each survivor at once."""

    def __init__(self, module: str, total: int) -> None:
        self.module, self.total, self.tried = module, total, 0
        self.lock = threading.Lock()

    def note(self, key: str, answer: dict[str, Any]) -> None:
        """Count one, and say so now and then."""
        with self.lock:
            self.tried += 1
            if answer["status"] == "survived":
                print(f"  survived: {key}", flush=True)
            elif answer.get("by") == TIME_LIMIT:
                print(f"  took too long: {key}", flush=True)
            if self.tried % 50 == 0 or self.tried == self.total:
                print(f"  {self.module}: {self.tried} of {self.total}", flush=True)


def run(subjects: Iterable[Subject], root: Path, order: Iterable[str], *, again: bool = False) -> list[Result]:
    """Judge modules one after the other, all of it or *again* what survived, and write down each when it is done."""
    results = []
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-mutants-") as folder:
        copies = [Path(folder).resolve() / str(number) for number in range(PROCESSES)]
        for copy in copies:
            shutil.copytree(root, copy, ignore=NOT_COPIED, symlinks=True)
        with contextlib.ExitStack() as open_triers:
            pythons = [open_triers.enter_context(contextlib.closing(PythonTrier(copy))) for copy in copies]
            for subject in subjects:
                print(subject.module, flush=True)
                triers = [GoTrier(copy) for copy in copies] if subject.is_go else pythons
                if again:
                    page = (root / PAGE).read_text(encoding="utf-8")
                    result = judge(subject, triers, root, listed(root))
                    result = replace(result, mutants=survivors.counted(page)[subject.module])
                else:
                    result = judge(subject, triers, root)
                results.append(result)
                write_down(result, root, order)
    return results


def write_down(result: Result, root: Path, order: Iterable[str]) -> None:
    """Put a result into the file of survivors and the page's table."""
    order = tuple(order)
    (root / SURVIVORS).write_text(survivors.written(listed(root), [result], order), encoding="utf-8")
    page = (root / PAGE).read_text(encoding="utf-8")
    (root / PAGE).write_text(survivors.table(page, [result], order), encoding="utf-8")


def listed(root: Path) -> dict[str, str]:
    """What is written down of survivors."""
    path = root / SURVIVORS
    return survivors.listed(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> int:
    """Judge the modules that the command line names, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"any of: {', '.join(ORDER)}")
    parser.add_argument("--again", action="store_true", help="only what survived the last time")
    arguments = parser.parse_args()
    wanted = arguments.modules
    unknown = [module for module in wanted if module not in ORDER]
    if unknown:
        parser.error(f"{unknown[0]} is not mutated; name one of: {', '.join(ORDER)}")
    subjects = [subject for subject in SUBJECTS if not wanted or subject.module in wanted]
    results = run(subjects, ROOT, ORDER, again=arguments.again)
    found = survivors.faults(survivors.reasons(listed(ROOT)), results)
    for result in results:
        print(f"{result.module}: {result.mutants} mutants, {result.killed} killed, {len(result.survivors)} survived")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
