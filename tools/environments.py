"""
Makes the environments: `.venv` for developing, and one under `build/` for each release or interpreter to test on.

Only the standard library, and Python 3.10, because this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-dev.txt"
SOURCE_OF_LOCK = ROOT / "requirements-dev.in"
LOCKS = ("requirements-dev", "collector/requirements-go")
"""What `make lock` writes anew, each from the `.in` file beside it."""
DEVELOPMENT = ROOT / ".venv"
OTHERS = ROOT / "build" / "environments"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "franklinwh-telemetry" / "uv"

PROGRAMS = "Scripts" if os.name == "nt" else "bin"
"""The folder of an environment that holds its programs."""

UV = DEVELOPMENT / PROGRAMS / "uv"

OPENTELEMETRY = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp")
FREED = ("opentelemetry-", "googleapis-common-protos", "protobuf")
"""What an older OpenTelemetry may need in another version than the lock's; all else stays as locked."""


def run(*command: str | Path, **environment: str) -> None:
    """Run a command at the root of the repository; its failure ends this program with its status."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def uv(*arguments: str | Path) -> None:
    """Run the locked uv; its failure ends this program."""
    run(UV, *arguments, **uv_settings())


def uv_says(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the locked uv, and return how it ended and what it said."""
    words = [str(part) for part in (UV, *arguments)]
    environment = {**os.environ, **uv_settings()}
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def uv_settings() -> dict[str, str]:
    """Return what has uv keep its files in the user's cache folder, and use the index and the CA that pip uses."""
    settings = {"UV_CACHE_DIR": str(CACHE), "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    for of_uv, of_pip in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("SSL_CERT_FILE", "PIP_CERT")):
        if of_uv not in os.environ and os.environ.get(of_pip):
            settings[of_uv] = os.environ[of_pip]
    return settings


def fingerprint(*parts: str | Path) -> str:
    """Return a digest of texts and of the contents of files: what an environment was made from."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def is_current(environment: Path, made_from: str) -> bool:
    """Tell whether the environment stands where it was made, complete, from these very inputs."""
    stamp = environment / "made-from"
    return stamp.is_file() and stamp.read_text() == f"{environment}\n{made_from}\n"


def mark_current(environment: Path, made_from: str) -> None:
    """Note, as the last step, what the environment was made from."""
    (environment / "made-from").write_text(f"{environment}\n{made_from}\n")


def development() -> None:
    """Make `.venv` by pip alone, every file checked against the lock's hashes, and the package from its sources."""
    made_from = fingerprint(sys.version, os.path.realpath(sys.executable), LOCK, ROOT / "pyproject.toml")
    if is_current(DEVELOPMENT, made_from):
        return
    print("setting up .venv", flush=True)
    venv.create(DEVELOPMENT, clear=True, with_pip=True, symlinks=os.name != "nt")
    pip = (DEVELOPMENT / PROGRAMS / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--require-hashes", "--requirement", LOCK)
    run(*pip, "--no-deps", "--no-index", "--no-build-isolation", "--editable", ROOT)
    mark_current(DEVELOPMENT, made_from)


def wheel() -> Path:
    """Build the wheel from the sources as they are now, with the locked backend, and return its path."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    run(DEVELOPMENT / PROGRAMS / "python", "-m", "hatchling", "build", "--target", "wheel")
    (built,) = (ROOT / "dist").glob("*.whl")
    return built


def installed(name: str, built: Path, *, python: str = sys.executable, opentelemetry: str | None = None) -> Path:
    """
    Return the interpreter of an environment that holds the wheel and what its tests need, but not the sources.

    `opentelemetry` is a version specifier such as `==1.43.0`; without it everything is as locked.
    """
    environment = OTHERS / name
    interpreter = environment / PROGRAMS / "python"
    version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout
    made_from = fingerprint(version, os.path.realpath(python), LOCK, opentelemetry or "")
    if not is_current(environment, made_from):
        print(f"setting up {environment.relative_to(ROOT)}", flush=True)
        uv("venv", "--quiet", "--clear", "--python", python, environment)
        install = ("pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter)
        if opentelemetry is None:
            uv(*install, "--require-hashes", "--requirement", LOCK)
        else:
            constraints = environment / "constraints.txt"
            constraints.write_text("".join(f"{pin}\n" for pin in pins() if not pin.startswith(FREED)))
            asked = [f"{package}{opentelemetry}" for package in OPENTELEMETRY]
            uv(*install, "--constraint", constraints, "--requirement", SOURCE_OF_LOCK, *asked)
        mark_current(environment, made_from)
    uv("pip", "install", "--quiet", "--no-deps", "--no-index", "--reinstall", "--python", interpreter, built)
    return interpreter


def separate(name: str, requirement: str) -> Path:
    """
    Return the folder of programs of an environment that holds one requirement, which the lock must not have.

    What else a library finds installed beside it can change what it does, and how long it takes.
    """
    environment = OTHERS / name
    made_from = fingerprint(sys.version, os.path.realpath(sys.executable), requirement)
    if not is_current(environment, made_from):
        uv("venv", "--quiet", "--clear", "--python", sys.executable, environment)
        uv("pip", "install", "--quiet", "--python", environment / PROGRAMS / "python", requirement)
        mark_current(environment, made_from)
    return environment / PROGRAMS


def pins() -> list[str]:
    """Return the lock's `name==version ; marker` lines, without their hashes."""
    lines = LOCK.read_text().splitlines()
    return [line.removesuffix("\\").strip() for line in lines if line[:1].isalpha()]


def lock() -> None:
    """Resolve once for CPython 3.10 and newer on every platform; neither an index nor a folder is written down."""
    shape = ("--universal", "--python-version", "3.10", "--generate-hashes", "--upgrade", "--quiet")
    for name in LOCKS:
        uv("pip", "compile", *shape, "--no-header", "--no-emit-index-url", f"{name}.in", "--output-file", f"{name}.txt")


if __name__ == "__main__":
    lock() if sys.argv[1:] == ["--lock"] else development()
