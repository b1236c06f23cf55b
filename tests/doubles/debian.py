"""
Programs of Debian that tests use and that a machine need not have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from doubles.collector import CALLER
from doubles.engine import APT_LOCK


def found_or_installed(package: str, *other_names: str) -> str:
    """The path of a program of that or another name, which root on Debian has the tests install; else a skip."""
    names = (package, *other_names)
    if (found := _found(names)) is not None:
        return found
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"no {package} is here, and only root on Debian can have the tests install it")
    said = _install(package)
    if (found := _found(names)) is None:
        pytest.skip(f"{package} cannot be installed: {said.strip()[-300:]}")
    return found


def _found(names: tuple[str, ...]) -> str | None:
    return next(filter(None, (shutil.which(name, path=CALLER.get("PATH")) for name in names)), None)


def _install(package: str) -> str:
    """Install it once no other test installs, and return what was said on standard error."""
    import fcntl

    install = f"apt-get install -y --no-install-recommends {package}"
    APT_LOCK.parent.mkdir(parents=True, exist_ok=True)
    with APT_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["sh", "-c", f"{install} || {{ apt-get update && {install}; }}"],
            env={**CALLER, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    return done.stderr
