"""
Runs the tests in the environments named on the command line, and ends with the last line of each pytest run.

Names: `dev` (the sources, with coverage), `quick` (the same without), `wheel` (the installed wheel, the sources out of
the way), `otel` (its wire, status and contract tests on each OpenTelemetry release), `newest` (the same on the newest
release that is out), `pythons` (everything on each interpreter found), `home-assistant` (its tests on a real Home
Assistant).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import home_assistant_environment as home_assistant
from environments import DEVELOPMENT, PROGRAMS, ROOT, installed, pins, run, wheel

RELEASES = ("1.43.0", "1.44.0", "1.45.0")
"""OpenTelemetry releases whose senders differ; the lock holds the newest, which `dev` and `wheel` run on."""

SENDER_TESTS = ("test_sender_*.py", "test_contract*.py")
NEEDS_SOURCES = ("test_collector*.py", "test_packaging.py", "test_release.py", "test_site.py", "test_structure.py")
SLOW = ("proof/test_*.py", "test_bad_input*.py", "test_mutate.py")
"""What these strike, crowd and spoil for minutes is the same code in a wheel, where they are left out."""

SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile", "--no-loadscope-reorder")
"""A file of tests on each processor, since most of them wait; those of one file share its Collector or its engine."""

COPIED = ("tests", "docs", "collector/README.md", "README.md", "pyproject.toml")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


class Runs:
    """The runs so far: the closing line of each, and whether all passed."""

    def __init__(self) -> None:
        self.closing: dict[str, str] = {}
        self.failed = False

    def pytest(self, name: str, *command: str | Path, cwd: Path) -> None:
        """Run one pytest, pass its output on line by line, and keep the closing line."""
        print(f"\n>>> {name}", flush=True)
        self.closing[name] = "no closing line"
        words = [str(part) for part in command]
        with subprocess.Popen(words, cwd=cwd, stdout=subprocess.PIPE, text=True, errors="replace") as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                if re.search(r"\d+ \w+.* in [\d.]+s", line):
                    self.closing[name] = line.strip(" =\n")
        self.failed |= process.returncode != 0

    def on_sources(self, *, measured: bool) -> None:
        """Run everything in `.venv`; if it is measured, subprocesses are too, and what was not reached is reported."""
        python = DEVELOPMENT / PROGRAMS / "python"
        tests = ("-m", "pytest", *SIDE_BY_SIDE, *extra_arguments())
        if not measured:
            self.pytest("sources", python, *tests, cwd=ROOT)
            return
        run(python, "-m", "coverage", "erase")
        self.pytest("sources", python, "-m", "coverage", "run", *tests, cwd=ROOT)
        run(python, "-m", "coverage", "combine", "--quiet")
        run(python, "-m", "coverage", "report")

    def on_wheel(
        self, name: str, python: Path, built: Path, *patterns: str, left_out: tuple[str, ...] = NEEDS_SOURCES
    ) -> None:
        """Run the tests, or those that match, from a copied folder where only the installed wheel can be imported."""
        with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-") as folder:
            copy = Path(folder)
            for source, target in ((ROOT / part, copy / part) for part in COPIED):
                if source.is_dir():
                    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
                elif source.exists():
                    target.parent.mkdir(exist_ok=True)
                    shutil.copy(source, target)
            chosen = [str(path.relative_to(copy)) for pattern in patterns for path in (copy / "tests").glob(pattern)]
            if patterns and not chosen:
                sys.exit(f"no test file matches {patterns}")
            ignored = [f"--ignore-glob=tests/{test}" for test in left_out]
            os.environ["TESTED_WHEEL"] = str(built)
            tests = (*SIDE_BY_SIDE, *ignored, *sorted(chosen), *extra_arguments())
            self.pytest(name, python, "-m", "pytest", *tests, cwd=copy)
            del os.environ["TESTED_WHEEL"]

    def on_release(self, release: str, specifier: str, built: Path) -> None:
        """Run the sender's tests on one OpenTelemetry release."""
        python = installed(f"opentelemetry-{release}", built, opentelemetry=specifier)
        self.on_wheel(f"opentelemetry {release}", python, built, *SENDER_TESTS)

    def on_interpreter(self, version: str, built: Path) -> None:
        """Run everything on a CPython of this minor version, if there is one."""
        if version == "{}.{}".format(*sys.version_info) and "wheel" in self.closing:
            self.closing[f"CPython {version}"] = f"{self.closing['wheel']} (it is what the wheel ran on)"
            return
        python = find_python(version)
        if python is None:
            self.closing[f"CPython {version}"] = "skipped: no such interpreter on the path or in pyenv"
            return
        self.on_wheel(f"CPython {version}", installed(f"python-{version}", built, python=python), built)

    def on_home_assistant(self, built: Path) -> None:
        """Run its tests on a real Home Assistant, and see whether newer releases would let us be installed."""
        name = f"Home Assistant {home_assistant.RELEASE}"
        python = find_python(home_assistant.PYTHON)
        reason = home_assistant.why_not(python)
        if python is None or reason is not None:
            self.closing[name] = f"skipped: {reason}"
        else:
            tests = ROOT / "tests" / "home_assistant"
            alone = ("-c", tests / "pytest.ini", "--rootdir", tests, "--confcutdir", tests)
            interpreter = home_assistant.interpreter(python, built)
            self.pytest(name, interpreter, "-m", "pytest", *alone, *extra_arguments(), tests, cwd=tests)
        for release, version in home_assistant.NEWER.items():
            can_be, line = home_assistant.resolution(release, version, built)
            self.closing[f"Home Assistant {release}"] = line
            self.failed |= not can_be

    def conclude(self) -> None:
        """Print how each run closed, and last of all how the first one did."""
        locked = next(pin for pin in pins() if pin.startswith("opentelemetry-sdk=="))
        print(f"\nsources and wheel ran on the newest OpenTelemetry as locked: {locked}")
        for name, line in self.closing.items():
            print(f"{name}: {line}")
        print(f"==== {next(iter(self.closing.values()), 'nothing ran')} ====", flush=True)


def extra_arguments() -> list[str]:
    """Return what the caller asks of every pytest, such as `-n0` for one test after the other: `PYTEST_ARGS`."""
    return os.environ.get("PYTEST_ARGS", "").split()


def find_python(version: str) -> str | None:
    """Return an interpreter of this minor version, from the path or from pyenv, or None."""
    candidates = [shutil.which(f"python{version}")]
    if pyenv := shutil.which("pyenv"):
        root = Path(subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip())
        candidates += [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python"))]
    probe = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", probe], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def main(names: list[str]) -> int:
    """Run what is named; 0 only if every run passed."""
    if unknown := set(names) - {"dev", "quick", "wheel", "otel", "newest", "pythons", "home-assistant"}:
        sys.exit(f"not an environment: {', '.join(sorted(unknown))}")
    runs = Runs()
    if "dev" in names or "quick" in names:
        runs.on_sources(measured="dev" in names)
    built = wheel() if set(names) - {"dev", "quick"} else Path()
    if "wheel" in names:
        runs.on_wheel("wheel", installed("wheel", built), built, left_out=(*NEEDS_SOURCES, *SLOW))
    releases = {release: f"=={release}" for release in RELEASES if "otel" in names}
    if "newest" in names:
        releases["newest"] = ">=1.43,<2"
    for release, specifier in releases.items():
        runs.on_release(release, specifier, built)
    if "home-assistant" in names:
        runs.on_home_assistant(built)
    for version in PYTHONS if "pythons" in names else ():
        runs.on_interpreter(version, built)
    runs.conclude()
    return int(runs.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
