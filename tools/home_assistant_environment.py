"""
The environment for the tests on a real Home Assistant, and what its newer releases would let us install.

The releases of Home Assistant and of its test kit are pinned, and everything else by the constraints that Home
Assistant itself installs with. That environment takes minutes and half a gigabyte, so it lies in the user's cache
folder, by the contents that it was made from; each checkout has a small one of its own in front of it, with the wheel.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from environments import CACHE, OTHERS, PROGRAMS, ROOT, fingerprint, is_current, mark_current, uv, uv_says

PYTHON = "3.13"
RELEASE = "2025.4.4"
TEST_KIT = "pytest-homeassistant-custom-component==0.13.236"
"""What goes together; Home Assistant from 2025.5 on asks for a CPython that few machines have."""

PINS = (f"homeassistant=={RELEASE}", TEST_KIT, "pycares<5")
"""pycares 5 breaks the aiodns that this release is pinned to."""

BUILT_IN = ("frontend", "backup", "recorder")
"""What a real process of it does not start without, and would install by itself at its first start."""

NEWER = {"2026.2.3": "3.13.2", "2026.11.0": "3.14.2"}
"""Newer releases, by the oldest CPython each runs on: only that their constraints let us in can be shown."""

FOLDER = CACHE.parent / "home-assistant"


def interpreter(python: str, built: Path) -> Path:
    """Return the interpreter of this checkout's environment: Home Assistant, its test kit, and the wheel *built*."""
    below = _made(python)
    environment = OTHERS / "home-assistant"
    made_from = fingerprint(str(below))
    program = environment / PROGRAMS / "python"
    if not is_current(environment, made_from):
        uv("venv", "--quiet", "--clear", "--python", python, environment)
        (_packages(environment) / "home-assistant.pth").write_text(f"{_packages(below)}\n")
        mark_current(environment, made_from)
    uv("pip", "install", "--quiet", "--no-deps", "--no-index", "--reinstall", "--python", program, built)
    return program


def why_not(python: str | None) -> str | None:
    """Return why there can be no such environment here, or None."""
    if python is None:
        return f"no CPython {PYTHON} on the path or in pyenv"
    if os.name == "nt":
        return "Home Assistant does not run on Windows"
    compiler = os.environ.get("CC", "cc").split()[0]
    if shutil.which(compiler) is None and shutil.which("gcc") is None and not _made_before(python):
        return "no C compiler, which some of its requirements are built with"
    return None


def resolution(release: str, python_version: str, built: Path) -> tuple[bool, str]:
    """
    Return whether the wheel *built* could be installed beside a release of Home Assistant, and a line about it.

    As Home Assistant asks for it: everything newer than what is there, under its own constraints. Nothing is installed.
    Where the index has no such release, or there is none, it is passed over.
    """
    pinned = _constraints(release, python_version)
    if pinned is None:
        return True, f"skipped: the index has no Home Assistant {release}"
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "requirements.in"
        asked.write_text(f"franklinwh-telemetry @ {built.as_uri()}\n")
        shape = ("--quiet", "--no-header", "--no-annotate", "--no-build", "--python-version", python_version)
        said = uv_says("pip", "compile", *shape, "--constraint", pinned, asked)
    if said.returncode and "fetch" in said.stderr.lower():
        return True, "skipped: the index cannot be reached"
    found = re.findall(r"^(?:opentelemetry-sdk|protobuf)==\S+", said.stdout, re.MULTILINE)
    if said.returncode or len(found) != len(("opentelemetry-sdk", "protobuf")):
        print(said.stderr, flush=True)
        return False, f"CANNOT BE INSTALLED on CPython {python_version}"
    return True, f"can be installed on CPython {python_version}, with {' and '.join(found)}"


def _constraints(release: str, python_version: str) -> Path | None:
    """Return the file of versions that a release installs everything with, kept in the cache; None if it is not had."""
    kept = FOLDER / f"constraints-{release}.txt"
    if not kept.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            only = ("--no-deps", "--no-build", "--python-version", python_version, "--target", folder)
            if uv_says("pip", "install", "--quiet", *only, f"homeassistant=={release}").returncode:
                return None
            shutil.move(Path(folder) / "homeassistant" / "package_constraints.txt", kept)
    return kept


def _made(python: str) -> Path:
    """Return the environment without our package, made if these very inputs have not been seen before."""
    import fcntl  # noqa: PLC0415 - where Home Assistant runs there is one

    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two checkouts, one makes it
        environment, made_from = _place(python)
        if not is_current(environment, made_from):
            print("setting up Home Assistant in the user's cache folder; it takes minutes, once", flush=True)
            _make(python, environment)
            mark_current(environment, made_from)
    return environment


def _make(python: str, environment: Path) -> None:
    uv("venv", "--quiet", "--clear", "--python", python, environment)
    install = ("pip", "install", "--quiet", "--python", environment / PROGRAMS / "python")
    uv(*install, "--no-deps", PINS[0])
    package = _packages(environment) / "homeassistant"
    constrained = ("--constraint", package / "package_constraints.txt")
    uv(*install, "--compile-bytecode", *constrained, *PINS, *_of_components(package), *_our_dependencies())


def _place(python: str) -> tuple[Path, str]:
    version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout
    made_from = fingerprint(version, os.path.realpath(python), *PINS, *BUILT_IN, *_our_dependencies())
    return FOLDER / f"environment-{made_from[:16]}", made_from


def _made_before(python: str) -> bool:
    return is_current(*_place(python))


def _packages(environment: Path) -> Path:
    """Where an environment of this CPython keeps its packages."""
    return environment / "lib" / f"python{PYTHON}" / "site-packages"


def _of_components(package: Path) -> list[str]:
    """Return the requirements of `BUILT_IN` and of what they depend on, as Home Assistant would install them."""
    found: dict[str, list[str]] = {}
    waiting = list(BUILT_IN)
    while waiting:
        name = waiting.pop()
        if name not in found:
            manifest = json.loads((package / "components" / name / "manifest.json").read_text())
            found[name] = manifest.get("requirements", [])
            waiting += [*manifest.get("dependencies", []), *manifest.get("after_dependencies", [])]
    return sorted({requirement for requirements in found.values() for requirement in requirements})


def _our_dependencies() -> list[str]:
    """Return what our own `pyproject.toml` asks for, read without a TOML library, which Python 3.10 lacks."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    return re.findall(r'^ +"([^"]+)"', found[1] if found else "", re.MULTILINE)
