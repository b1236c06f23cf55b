"""
What every test stands on: a home, a state folder and a working directory of its own, and a machine without a network.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import hypothesis.configuration
import pytest

import doubles.collector  # noqa: F401 - remembers the caller's environment before any test changes it
import support
from franklinwh_telemetry import dispatch, guard
from franklinwh_telemetry.launch import SENDER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doubles.collector import Collector
    from doubles.hostile import Besieged
    from doubles.misfortune import World
    from doubles.stack import Stack
    from franklinwh_telemetry.testing import Captured

ROOT = Path(__file__).resolve().parent.parent

collect_ignore = ["home_assistant"]
"""They run on a real Home Assistant, in an environment of their own; see tools/home_assistant_environment.py."""

FOREIGN = (
    "CI",
    "DO_NOT_TRACK",
    "STATE_DIRECTORY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
FOREIGN_PREFIXES = ("FRANKLINWH_", "OTEL_", "POSTHOG_", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "SCARF_", "XDG_")
FOREIGN_SUFFIXES = ("_PROXY",)
"""Variables of whoever runs the tests that the package, or a library of the sender, would read."""

WORLD = {"HOME": "home", "XDG_STATE_HOME": "state"}
"""Where the package finds the test's world: on Windows by other names, on macOS all of it below the home."""
if sys.platform == "win32":
    WORLD |= {"USERPROFILE": "home", "LOCALAPPDATA": "state", "PROGRAMDATA": "machine"}

LOOPBACK = ("127.", "::1", "localhost")

# The same examples on every run and no limit on their time: a test fails because of the code, never of the hour.
hypothesis.configuration.set_hypothesis_home_dir(ROOT / ".hypothesis")
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=False)
hypothesis.settings.load_profile("repeatable")


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """
    Fail as a machine without a network does, whenever this process looks up or calls anything but itself.
    """
    if event == "socket.getaddrinfo":
        host = arguments[0]
        if isinstance(host, bytes):
            host = host.decode(errors="replace")
        if host and not str(host).startswith(LOOPBACK):
            raise OSError(errno.ENETUNREACH, f"the tests have no network: {host}")
    elif event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise OSError(errno.ENETUNREACH, f"the tests have no network: {address[0]}")


sys.addaudithook(_refuse_network)

# Who started the tests in the background may have them ignore Ctrl-C, which every program under test would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """
    Give the test an empty home, state folder and working directory, and take the caller's settings away.

    Variables of coverage stay, so that subprocesses are measured. `STATE_DIRECTORY` is unset. No host starts a sender
    unless the test asks for `senders`.
    """
    for name in list(os.environ):
        upper = name.upper()
        if upper in FOREIGN or upper.startswith(FOREIGN_PREFIXES) or upper.endswith(FOREIGN_SUFFIXES):
            monkeypatch.delenv(name)
    base = tmp_path_factory.mktemp("isolated")
    for name in ("home", "state", "cwd"):
        (base / name).mkdir(mode=0o700)
    for variable, name in WORLD.items():
        monkeypatch.setenv(variable, str(base / name))
    monkeypatch.chdir(base / "cwd")
    monkeypatch.setenv(SENDER_MARK, "1")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    umask = os.umask(0o022)
    yield base
    os.umask(umask)
    guard.notes.clear()
    guard.forget_state_folder()
    dispatch.default_telemetry.cache_clear()


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Let hosts start real senders; those that live at the end of the test are woken and waited for.
    """
    monkeypatch.delenv(SENDER_MARK)
    yield
    for application in support.applications():
        support.wake_senders(application)


@pytest.fixture
def captured() -> Iterator[Captured]:
    """
    Capture what is recorded, for a user who has said yes to every application.
    """
    from franklinwh_telemetry.testing import capture_events

    with capture_events() as capturing:
        yield capturing


@pytest.fixture
def world() -> Iterator[World]:
    """
    Give the test a user with a destination, who has said yes.
    """
    from doubles.misfortune import World
    from franklinwh_telemetry.sender.loopback import LoopbackReceiver

    with LoopbackReceiver() as receiver:
        found = World(receiver)
        found.say_yes()
        yield found


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """
    Give the test the same for a user who is not root, although the tests are.
    """
    from doubles.misfortune import as_stranger

    yield from as_stranger(monkeypatch)


@pytest.fixture(scope="session")
def source_root() -> Path:
    """
    Return the folder of the sources; a test that needs them is skipped where only the wheel is there.
    """
    if not (ROOT / "src" / "franklinwh_telemetry").is_dir():
        pytest.skip("the sources are out of the way")
    return ROOT


@pytest.fixture(scope="session")
def collector_binary() -> Path:
    """
    Return the real Collector; it is built if nobody has built these sources yet, which takes minutes.
    """
    from doubles.collector import built_binary

    return built_binary()


@pytest.fixture
def collector(collector_binary: Path, tmp_path: Path) -> Iterator[Collector]:
    """
    Give the test a Collector with the backend `file`, which has said that it is ready.
    """
    from doubles.collector import Collector

    with Collector(collector_binary, tmp_path / "collector") as started:
        yield started


@pytest.fixture(scope="module")
def besieged(collector_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """
    Give the module's tests one Collector, so that what one of them does to it shows in the next.
    """
    from doubles.collector import Collector
    from doubles.hostile import MEMORY, Besieged

    folder = tmp_path_factory.mktemp("besieged")
    with Collector(collector_binary, folder, **MEMORY) as started:
        yield Besieged(started, folder)
        assert started.stop() == 0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """
    Give the module's tests the whole Compose project, built and started as a user would, with the profile `public`.
    """
    from doubles.engine import engine
    from doubles.stack import Stack

    with engine() as docker:
        found = Stack(docker, tmp_path_factory.mktemp("compose"))
        try:
            found.up()
            yield found
        finally:
            found.down()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Return the wheel: the one under test, or one built from the sources by the locked backend, without a network.
    """
    if tested := os.environ.get("TESTED_WHEEL"):
        return Path(tested)
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


def build(source: Path, target: str, folder: Path) -> Path:
    """
    Build "wheel" or "sdist" of `source` into `folder` and return the one file that it gives.
    """
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.iterdir()
    return built
