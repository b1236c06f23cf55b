"""How the Collector is built: once for each state of its sources, whoever asks; a stand-in for Go does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doubles.collector import ROOT

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the Collector is not built on Windows"),
    pytest.mark.skipif(not (ROOT / "tools" / "collector.py").is_file(), reason="the sources are out of the way"),
]

GO = """#!/bin/sh
case "$1" in
    version) echo "go version go{version} linux/amd64" ;;
    env) echo "{version} linux amd64" ;;
    run)
        echo built >> "$BUILDS"
        sleep 0.5
        test -z "$FAILS" || exit 1
        mkdir build && cat builder-config.yaml gate/gate.go > build/otelcol-franklinwh
        ;;
esac
"""


class Clone:
    """A clone with few sources, a cache of its own, and a Go of one's choice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.builds = folder / "builds"
        (folder / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "collector.py", folder / "tools")
        sources = folder / "collector"
        (sources / "gate").mkdir(parents=True)
        for name in ("build.sh", "requirements-go.txt"):
            shutil.copy(ROOT / "collector" / name, sources)
        self.write("builder-config.yaml", "dist")
        self.write("gate/go.mod", "module gate")
        self.write("gate/gate.go", "package gate")
        self.go("1.26.1")

    def write(self, name: str, text: str) -> None:
        """Change a source."""
        (self.folder / "collector" / name).write_text(text, encoding="utf-8")

    def go(self, version: str) -> None:
        """Put a Go of this version on the path."""
        path = self.folder / "bin" / "go"
        path.parent.mkdir(exist_ok=True)
        path.write_text(GO.replace("{version}", version), encoding="utf-8")
        path.chmod(0o755)

    def start(self, what: str = "build", **settings: str) -> subprocess.Popen[str]:
        """Start the tool."""
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.cache),
            "BUILDS": str(self.builds),
            # There is no index: whoever wants to install something fails at once.
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
            **settings,
        }
        command = [sys.executable, str(self.folder / "tools" / "collector.py"), what]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder
        )

    def build(self, **settings: str) -> Path:
        """Build, and return where the binary lies."""
        process = self.start(**settings)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return Path(output.strip())

    def count(self) -> int:
        """How many builds there have been."""
        return len(self.builds.read_text(encoding="utf-8").splitlines()) if self.builds.exists() else 0


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone in which nothing has been built."""
    return Clone(tmp_path)


def test_many_who_ask_at_once_get_one_build(clone: Clone) -> None:
    """Whoever comes while it is being built waits for it."""
    asking = [clone.start() for _ in range(4)]
    found = {process.communicate(timeout=60)[0].strip() for process in asking}

    assert {process.returncode for process in asking} == {0}
    assert len(found) == 1
    assert Path(found.pop()).read_text(encoding="utf-8") == "distpackage gate"
    assert clone.count() == 1
    assert clone.build().is_relative_to(clone.cache / "franklinwh-telemetry" / "collector")
    assert clone.count() == 1


def test_a_change_of_a_source_or_of_go_is_another_binary(clone: Clone) -> None:
    """What decides the binary decides where it lies; tests and what is read at run time do not."""
    first = clone.build()
    clone.write("gate/gate_test.go", "package gate")
    clone.write("config.yaml", "receivers:")
    assert clone.build() == first

    clone.write("gate/gate.go", "package gate // changed")
    second = clone.build()
    clone.go("1.27.0")
    third = clone.build()

    assert len({first, second, third}) == 3
    assert second.read_text(encoding="utf-8") == "distpackage gate // changed"
    assert clone.count() == 3


def test_a_build_that_fails_leaves_nothing(clone: Clone) -> None:
    """The next one starts afresh, and no half of a binary is ever found."""
    process = clone.start(FAILS="yes")
    _, errors = process.communicate(timeout=60)

    assert process.returncode != 0
    assert "the Collector could not be built" in errors
    assert list(clone.cache.rglob("otelcol*")) == []
    assert clone.build().is_file()
    assert clone.count() == 2
    assert {path.suffix for path in (clone.cache / "franklinwh-telemetry" / "collector").iterdir()} == {"", ".lock"}


def test_a_go_that_is_too_old_is_not_used(clone: Clone) -> None:
    """The locked Go is installed then; where that fails too, it is said what is missing."""
    clone.go("1.25.9")
    process = clone.start("go")
    output, errors = process.communicate(timeout=60)

    assert (process.returncode != 0, output) == (True, "")
    assert "Go 1.26 or newer is needed" in errors
    clone.go("1.27.0")
    assert Path(clone.start("go").communicate(timeout=60)[0].strip()) == clone.folder / "bin"
