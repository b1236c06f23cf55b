"""
Installations of the package as users make them; what it depends on is fetched once and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest

CALLER: dict[str, str] = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""The environment of whoever runs the tests, before any test has an environment of its own."""

CACHE = Path(CALLER.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "franklinwh-telemetry"

BARE_PYTHON = os.path.join(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
"""The interpreter from which the environment of the tests was made; on 3.10 no attribute of `sys` names it."""

HOST = """
import os
import sys

import franklinwh_telemetry
from franklinwh_telemetry import Telemetry, Vocabulary


def main():
    telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
    for folder in sys.argv[1:]:
        os.chdir(folder)
    with telemetry.command("status"):
        print(franklinwh_telemetry.__file__)


if __name__ == "__main__":
    main()
"""
"""A program that records one command, and says from where it has the package; it goes to any folder named first."""


class Installation(NamedTuple):
    """
    How a user starts the host: the first words, what they set, and where its package must come from.

    `program` is the host's script, or its zipapp; `python` starts it.
    """

    python: str
    program: Path
    place: Path
    variables: dict[str, str]


def call(*command: str | Path, cwd: Path | None = None, variables: dict[str, str] | None = None) -> str:
    """Run a program in the caller's environment; the test fails with its output if it fails."""
    words = [str(word) for word in command]
    environment = {**CALLER, **(variables or {})}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def uv(*arguments: str | Path) -> None:
    """Run the uv of the tests' environment with the index and the CA that pip uses, and a cache that stays."""
    settings = {"UV_CACHE_DIR": str(CACHE / "uv"), "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    for of_uv, of_pip in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("SSL_CERT_FILE", "PIP_CERT")):
        if of_uv not in CALLER and CALLER.get(of_pip):
            settings[of_uv] = CALLER[of_pip]
    call(sys.executable, "-m", "uv", *arguments, variables=settings)


def dependencies(wheel: Path) -> Path:
    """A folder with all that the wheel requires, in the versions of the tests' environment; made once, then kept."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        declared = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
    required = [line for line in declared if "extra ==" not in line]
    here = {found.metadata["Name"]: found.version for found in importlib.metadata.distributions()}
    ours = {"franklinwh-telemetry"}
    pins = sorted(f"{name}=={version}\n" for name, version in here.items() if name and name.lower() not in ours)
    made_from = "".join([sys.version, sysconfig.get_platform(), *required, *pins])
    kept = CACHE / "tests" / f"dependencies-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    if kept.is_dir():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("".join(pins))
        made = Path(folder, "made")
        where = ("--python", sys.executable, "--target", made)
        uv("pip", "install", "--quiet", "--compile-bytecode", "--constraint", constraints, *where, *required)
        try:
            made.rename(kept)
        except OSError:
            assert kept.is_dir()  # another run of the tests was faster
    return kept


def spread(source: Path, target: Path) -> Path:
    """Put what `source` holds into `target`, without a second copy where the file system allows."""

    def link_or_copy(file: str, copy: str) -> str:
        try:
            os.link(file, copy)
        except OSError:
            shutil.copy2(file, copy)
        return copy

    shutil.copytree(source, target, copy_function=link_or_copy, dirs_exist_ok=True)
    return target


def bare_environment(folder: Path) -> Path:
    """A virtual environment with nothing in it; its interpreter."""
    venv.create(folder, symlinks=os.name != "nt")
    return folder / "bin" / "python"


def site_packages(python: Path) -> Path:
    """Where an environment keeps what is installed."""
    return Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())


def host_script(folder: Path) -> Path:
    """The host as a script in a folder of its own."""
    folder.mkdir(exist_ok=True)
    script = folder / "host.py"
    script.write_text(HOST)
    return script


def in_environment(folder: Path, built: Path, needed: Path) -> Installation:
    """`pip install` of a wheel, an editable one too, into a virtual environment."""
    python = bare_environment(folder / "environment")
    place = spread(needed, site_packages(python))
    uv("pip", "install", "--quiet", "--no-deps", "--no-index", "--python", python, built)
    return Installation(str(python), host_script(folder / "host"), place, {})


def in_user_site(folder: Path, wheel: Path, needed: Path) -> Installation:
    """`pip install --user`, by an interpreter that is in no virtual environment."""
    variables = {"PYTHONUSERBASE": str(folder / "user"), "PIP_BREAK_SYSTEM_PACKAGES": "1"}
    asked = call(BARE_PYTHON, "-c", "import site; print(site.getusersitepackages())", variables=variables)
    place = spread(needed, Path(asked.strip()))
    install = ("install", "--quiet", "--user", "--no-deps", "--no-index", "--force-reinstall", wheel)
    for pip in ((BARE_PYTHON, "-m", "pip"), (sys.executable, "-m", "pip", "--python", BARE_PYTHON)):
        if subprocess.run([*pip, "--version"], env=CALLER, capture_output=True, check=False).returncode == 0:
            call(*pip, *install, variables=variables)
            return Installation(BARE_PYTHON, host_script(folder / "host"), place, variables)
    pytest.skip("neither the interpreter of the system nor that of the tests has pip")


def in_target(folder: Path, wheel: Path, needed: Path) -> Installation:
    """`pip install --target`, found by `PYTHONPATH`."""
    python = bare_environment(folder / "environment")
    place = spread(needed, folder / "target")
    uv("pip", "install", "--quiet", "--no-deps", "--no-index", "--target", place, "--python", python, wheel)
    return Installation(str(python), host_script(folder / "host"), place, {"PYTHONPATH": str(place)})


def editable(folder: Path, source: Path, needed: Path) -> Installation:
    """`pip install --editable`, from a copy of the sources, by the wheel that the build backend makes for it."""
    copy = folder / "sources"
    shutil.copytree(source / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(source / name, copy)
    build = "import sys, hatchling.build; print(hatchling.build.build_editable(sys.argv[1]))"
    built = call(sys.executable, "-c", build, folder, cwd=copy).splitlines()[-1]
    return in_environment(folder, folder / built, needed)._replace(place=copy / "src")


def zipapp(folder: Path, wheel: Path, needed: Path) -> Installation:
    """A zipapp of a `--target` folder with the host in it."""
    python, _script, place, _variables = in_target(folder, wheel, needed)
    (place / "host.py").write_text(HOST)
    app = folder / "app.pyz"
    call(python, "-m", "zipapp", place, "--output", app, "--main", "host:main")
    return Installation(python, app, app, {})
