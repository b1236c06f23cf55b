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


def found_or_installed(program: str) -> str:
    """The path of a program, which root on Debian has the tests install where it is missing; else a skip."""
    found = shutil.which(program)
    if found is not None:
        return found
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"no {program} is here, and only root on Debian can have the tests install it")
    install = f"apt-get install -y --no-install-recommends {program}"
    done = subprocess.run(
        ["sh", "-c", f"{install} || {{ apt-get update && {install}; }}"],
        env={**CALLER, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} cannot be installed: {done.stderr.strip()[-200:]}")
    return found
