"""
The real Collector, with the configuration that ships, as a process of a test's own.

Ports are the kernel's choice; it is stopped by its own process id; its folder outlives it, for the next start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "collector"
CONFIGURATION = SOURCES / "config.yaml"

START_S = 30.0
STOP_S = 30.0
ATTEMPTS = 5

CALLER = dict(os.environ)
"""What the one who runs the tests has set, before a test takes it away: the caches of Go and ours are found by it."""


def built_binary() -> Path:
    """Return the distribution, built at most once for each state of its sources; skip where it cannot be built."""
    if os.name == "nt":
        pytest.skip("the Collector is not built on Windows")
    if not CONFIGURATION.is_file():
        pytest.skip("the sources are out of the way")
    command = [sys.executable, str(ROOT / "tools" / "collector.py"), "build"]
    done = subprocess.run(command, env=CALLER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody had a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def impatient(folder: Path) -> str:
    """Copy the files that the configuration reads, all but the pauses between retries, and return FRANKLINWH_CONFIG."""
    copy = folder / "configuration"
    for name in ("backends", "tls", "vocabularies"):
        shutil.copytree(SOURCES / name, copy / name)
    for path in copy.glob("backends/*/exporters.yaml"):
        text = path.read_text(encoding="utf-8")
        if "retry_on_failure" in text:
            assert text.count("initial_interval: 5s") == text.count("max_interval: 5m") == 1
            quick = text.replace("initial_interval: 5s", "initial_interval: 100ms")
            quick = quick.replace("max_interval: 5m", "max_interval: 300ms")
            path.write_text(quick, encoding="utf-8")
    return str(copy)


def peak_bytes(pids: Sequence[int]) -> int:
    """The most memory that these processes have ever had, in bytes; what they share is counted in each."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


class NotStartedError(Exception):
    """The Collector ended before it was ready; the text is its log."""


class Collector:
    """
    A context manager: started and ready within, ended after.

    `backend` is FRANKLINWH_BACKEND and `settings` are more variables of the configuration; it sees no others. `folder`
    holds its data and its log. What was a free port can be another's by the time the Collector binds it: then other
    ports are tried, at the first start only, because clients remember the one of OTLP.
    """

    def __init__(self, binary: Path, folder: Path, backend: str = "file", **settings: str) -> None:
        self.binary = binary
        self.configuration = CONFIGURATION
        self.data = folder / "data"
        self.log_path = folder / "log"
        self.settings = {"FRANKLINWH_BACKEND": backend, **settings}
        self.port = 0
        self._health_port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            self.stop()

    @property
    def url(self) -> str:
        """The OTLP base URL."""
        scheme = "https" if self.settings.get("FRANKLINWH_TLS") == "on" else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """Everything that it has written to stdout and stderr, in all its lives."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def lines(self) -> list[str]:
        """The lines of the file backend, rotated files first."""
        files = sorted((self.data / "spans").glob("spans*.jsonl"), key=lambda path: (path.name == "spans.jsonl", path))
        return [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]

    def metrics(self) -> str:
        """The Collector's own metrics, in Prometheus's text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def start(self) -> None:
        """Start, and return once it is ready; `NotStartedError` if it ends before."""
        attempts = 1 if self.port else ATTEMPTS
        for attempt in range(attempts):
            # The port of OTLP is the last to be let go, so that the two others cannot be given it.
            self._health_port, self._metrics_port = free_port(), free_port()
            self.port = self.port if attempts == 1 else free_port()
            self._launch()
            try:
                self._wait_until_ready()
            except NotStartedError as reason:
                if "address already in use" in str(reason) and attempt + 1 < attempts:
                    continue
                raise
            return

    def stop(self) -> int:
        """Ask it to end, as `docker stop` does, and return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as a power cut would: it writes nothing more."""
        self._end(signal.SIGKILL)

    def _launch(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        environment = {
            "FRANKLINWH_CONFIG": str(SOURCES),
            "FRANKLINWH_DATA": str(self.data),
            "FRANKLINWH_LISTEN": f"127.0.0.1:{self.port}",
            "FRANKLINWH_HEALTH": f"127.0.0.1:{self._health_port}",
            "FRANKLINWH_METRICS_PORT": str(self._metrics_port),
            **self.settings,
        }
        with self.log_path.open("ab") as log:
            self._began = log.tell()
            self._process = subprocess.Popen(
                [str(self.binary), "--config", str(self.configuration)],
                env=environment,
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        health = f"http://127.0.0.1:{self._health_port}/"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                raise NotStartedError(self._log_of_this_life())
            with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(health, timeout=1):
                return
            time.sleep(0.05)
        self.kill()
        raise NotStartedError(f"not ready within {START_S} s\n{self._log_of_this_life()}")

    def _log_of_this_life(self) -> str:
        return self.log_path.read_bytes()[self._began :].decode(errors="replace")

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
