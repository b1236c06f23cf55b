from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes

import pytest

from conftest import ROOT, build
from support import posix_only

DEPENDENCIES = {
    "opentelemetry-api": "<2,>=1.43",
    "opentelemetry-sdk": "<2,>=1.43",
    "opentelemetry-exporter-otlp": "<2,>=1.43",
    "requests": ">=2.32",
    "click": ">=8.1",
    "rich": ">=13.7",
}

EXTRAS = {"instrument": ("opentelemetry-instrumentation", "<1,>=0.64b0"), "maintainer": ("duckdb", ">=1.2")}

FOREIGN_MODULES = """
import json, sys, threading
before = set(sys.modules)
import franklinwh_telemetry
from franklinwh_telemetry import Telemetry, Vocabulary, dispatch_cli_event
foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps([sorted(foreign), "socket" in sys.modules, threading.active_count(), franklinwh_telemetry.__file__]))
"""


@pytest.fixture(scope="module")
def sdist(source_root, tmp_path_factory):
    """
    Return a freshly built source distribution.
    """
    return build(source_root, "sdist", tmp_path_factory.mktemp("sdist"))


def contents(wheel):
    """
    Return the wheel's files, by name.
    """
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_nothing_else(wheel, source_root):
    """The wheel is every file of the package, byte for byte, its licence and its metadata: no test, no tool."""
    package = source_root / "src"
    expected = {
        path.relative_to(package).as_posix(): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    files = contents(wheel)

    assert {name: data for name, data in files.items() if ".dist-info/" not in name} == expected
    assert "franklinwh_telemetry/py.typed" in files
    assert {name.partition(".dist-info/")[2] for name in files if ".dist-info/" in name} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert wheel.name == "franklinwh_telemetry-0.1.0-py3-none-any.whl"


def test_metadata_names_few_wide_dependencies(wheel):
    """The dependencies are six, each of a wide range, an extra apart; neither protobuf nor grpc is pinned."""
    metadata = message_from_bytes(contents(wheel)["franklinwh_telemetry-0.1.0.dist-info/METADATA"])
    lines = metadata.get_all("Requires-Dist", [])
    for_extras = [line for line in lines if ";" in line]
    required = [re.fullmatch(r"([a-z-]+)(.*)", line) for line in lines if line not in for_extras]

    assert {match[1]: match[2] for match in required if match} == DEPENDENCIES
    assert len(required) == len(DEPENDENCIES)
    assert for_extras == [f"{name}{of}; extra == '{extra}'" for extra, (name, of) in EXTRAS.items()]
    assert metadata.get_all("Provides-Extra") == list(EXTRAS)
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_the_command_is_installed(wheel):
    """Installing gives exactly one command, franklinwh-telemetry, and our hooks to whoever runs OpenTelemetry's."""
    lines = contents(wheel)["franklinwh_telemetry-0.1.0.dist-info/entry_points.txt"].decode().split("\n")

    assert [line for line in lines if line] == [
        "[console_scripts]",
        "franklinwh-telemetry = franklinwh_telemetry.cli:main",
        "[opentelemetry_instrumentor]",
        "franklinwh-cloud = franklinwh_telemetry.integrations.otel_instrumentor:FranklinWHCloudInstrumentor",
    ]


def test_the_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    """A source distribution has what a build needs, no tests, and gives the very same wheel."""
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()

    rebuilt = build(unpacked, "wheel", tmp_path / "rebuilt")

    assert contents(rebuilt) == contents(wheel)
    assert {name.split("/")[1] for name in names if "/" in name} <= {
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
        "src",
        ".gitignore",
    }


@posix_only
def test_importing_the_installed_wheel_needs_nothing_else(wheel, tmp_path):
    """In an environment that holds the wheel alone the public names import: no other package, socket or thread."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    options = ["install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, *options, str(wheel)], check=True, capture_output=True)

    done = subprocess.run([python, "-I", "-c", FOREIGN_MODULES], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    foreign, has_socket, threads, file = json.loads(done.stdout)
    assert (foreign, has_socket, threads) == (["franklinwh_telemetry"], False, 1)
    assert file.startswith(str(tmp_path / "bare"))
    assert (tmp_path / "bare" / "bin" / "franklinwh-telemetry").is_file()


@posix_only
def test_the_sdist_installs_in_a_bare_environment(sdist, tmp_path):
    """What is built from the source distribution, as pip builds it, installs and its command says its version."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", str(tmp_path), str(sdist)], check=True)
    (built,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    subprocess.run([*pip, "--python", python, "install", *offline, str(built)], check=True)

    version = "import importlib.metadata as m, franklinwh_telemetry; print(m.version('franklinwh-telemetry'))"
    done = subprocess.run([python, "-I", "-c", version], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("0.1.0\n", "")


def test_the_index_would_show_what_is_published(wheel, sdist):
    """`twine check --strict` has nothing to say about wheel and source distribution, and does about a damaged one."""
    check = [sys.executable, "-m", "twine", "check", "--strict"]

    done = subprocess.run([*check, str(wheel), str(sdist)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2
    broken = wheel.parent / "broken-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("broken-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: broken\nVersion: 0.1.0\n")
        archive.writestr("broken-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    assert subprocess.run([*check, str(broken)], capture_output=True, check=False).returncode == 1


def test_the_lock_is_made_from_the_packages_own_dependencies(source_root):
    """requirements-dev.in repeats the package's own ranges, since the package is installed without dependencies."""
    asked = (source_root / "requirements-dev.in").read_text().splitlines()

    for name, specifier in {**DEPENDENCIES, **dict(EXTRAS.values())}.items():
        assert f"{name}{','.join(reversed(specifier.split(',')))}" in asked


def test_the_lock_pins_and_hashes_everything(source_root):
    """Each line of the lock is an exact version with its hashes: no option, no index, no file of this machine."""
    text = (source_root / "requirements-dev.txt").read_text()
    logical = [line.split("#")[0].split() for line in re.sub(r"\\\n", " ", text).splitlines()]
    requirements = [words for words in logical if words]

    assert len(requirements) > len(DEPENDENCIES)
    for name, *rest in requirements:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", name)
        assert any(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in rest)
        assert not [word for word in rest if word.startswith("-") and not word.startswith("--hash=")]
    assert "://" not in text


@posix_only
def test_the_makefile_is_the_whole_of_ci():
    """The check before a change lands is `make lint test`, runnable as it is, and stops at the first failure."""
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("the sources are out of the way")

    assert script.stat().st_mode & 0o111 == 0o111
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert commands == ["set -eu", 'cd "$(dirname "$0")/.."', "make lint test"]
