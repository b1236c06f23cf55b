"""
A Docker engine to run `docker-compose.yml` on: the one that is there, else one of the tests' own, else a skip.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from doubles.collector import CALLER, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRIPTS = ROOT / "tests" / "containers"
CACHE = Path(CALLER.get("XDG_CACHE_HOME") or Path(CALLER.get("HOME", "/")) / ".cache") / "franklinwh-telemetry"
APT_LOCK = CACHE / "apt.lock"
"""Held by whatever runs apt for the tests, which would end at once while another does."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Docker's client, ready to be asked. `is_ours` tells that there is no registry, and no network for containers."""

    environment: Mapping[str, str]
    is_ours: bool

    def docker(self, *arguments: str, check: bool = True, **settings: str) -> subprocess.CompletedProcess[bytes]:
        """Run `docker`, with more variables; unless `check` is off, failing ends the test with what it printed."""
        environment = {**self.environment, **settings}
        docker = shutil.which("docker", path=environment["PATH"])
        assert docker is not None
        done = subprocess.run([docker, *arguments], cwd=ROOT, env=environment, capture_output=True, check=False)
        assert not check or done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
        return done


def caller_without_settings() -> dict[str, str]:
    """The caller's variables, except for those that the Compose file and the configuration read."""
    return {name: value for name, value in CALLER.items() if not name.startswith(("FRANKLINWH_", "POSTHOG_"))}


def _works(environment: dict[str, str]) -> bool:
    """Tell whether an engine answers and its client has Compose."""
    if shutil.which("docker", path=environment.get("PATH")) is None:
        return False
    return all(
        subprocess.run(["docker", *words], env=environment, capture_output=True, check=False).returncode == 0
        for words in (["info"], ["compose", "version"])
    )


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """Yield an engine, and leave nothing of it running that was not running before."""
    environment = caller_without_settings()
    if _works(environment):
        yield Engine(environment=environment, is_ours=False)
        return
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("no Docker with Compose is here, and only root on Debian can have the tests start their own")
    with _one_at_a_time():
        folder = CACHE / "engine"
        _script("engine-up.sh", environment, ENGINE_DIR=str(folder))
        try:
            lines = (folder / "env").read_text(encoding="utf-8").splitlines()
            ours = environment | dict(line.split("=", 1) for line in lines)
            _script("make-bases.sh", ours, GO_ROOT=str(_go_root()))
            yield Engine(environment=ours, is_ours=True)
        finally:
            _script("engine-down.sh", environment, ENGINE_DIR=str(folder))


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait while the tests of another work tree use the engine: there is one bridge of its name to a machine."""
    import fcntl

    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _go_root() -> Path:
    command = [sys.executable, str(ROOT / "tools" / "collector.py"), "go"]
    done = subprocess.run(command, env=CALLER, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).parent


def _script(name: str, environment: dict[str, str], **settings: Any) -> None:
    done = subprocess.run(
        ["bash", str(SCRIPTS / name)],
        env={**environment, **settings, "APT_LOCK": str(APT_LOCK)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
