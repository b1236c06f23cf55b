"""
Non-interference through real processes: programs, a sender and the real Collector, with all loopback traffic captured.

Two users run the same commands at the same times; everything else about them differs, and is to be found nowhere.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

import support
from doubles.collector import Collector
from doubles.lines import LINES
from doubles.posthog import KNOWN_KEY, PostHogDouble
from franklinwh_telemetry.backlog import existing_spools
from franklinwh_telemetry.launch import SENDER_MARK
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="captures loopback traffic and renames hosts"),
]

STARTED_MS = time.time_ns() // 1_000_000 - 60_000
"""The Collector takes no old events, so that the programs' clocks stand still a minute ago."""

PROGRAM = """
import itertools, os, sys, time
number, fails, way = int(os.environ.pop("CASE")), os.environ.pop("FAILS") == "1", os.environ.pop("WAY")
now_ms = int(os.environ.pop("NOW_MS")) + number
ticks, ids = itertools.count(now_ms * 10**6, 7 * 10**6), itertools.count(1000 * (number + 1))
time.time = lambda: now_ms / 1000
from franklinwh_telemetry import Telemetry, dispatch_cli_event, system
from franklinwh_telemetry.vocabularies import franklinwh_cloud
system.now_ns = lambda: now_ms * 10**6
system.monotonic_ns = lambda: next(ticks)
system.random_bytes = lambda size: next(ids).to_bytes(size, "big")
telemetry = Telemetry(franklinwh_cloud.APPLICATION, franklinwh_cloud.vocabulary())
def main():
    print(*sys.argv, os.environ, flush=True)
    if fails:
        raise RuntimeError(*sys.argv)
if way == "run":
    telemetry.run(main)
else:
    dispatch_cli_event(sys.argv[1], True, {uuid!r}, latency_ms=7, success=not fails, telemetry=telemetry)
    main()
"""


class User(NamedTuple):
    """Somebody with a home, a host, and secrets that occur nowhere else."""

    name: str
    folder: Path
    draw: random.Random

    def secret(self) -> str:
        """Another one of theirs; some hold a word of the vocabulary."""
        word = self.draw.choice([*franklinwh_cloud.vocabulary().commands, "true", "%(off)s", "--help"])
        return f"{self.name}{self.draw.randrange(10**12):012}{self.draw.choice(['', ' ', '-', '/'])}{word}"

    def environment(self) -> dict[str, str]:
        """All of this user's surroundings."""
        secret = self.secret
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "USER": secret(),
            "LOGNAME": secret(),
            "FRANKLINWH_PASSWORD": secret(),
            "OTEL_SERVICE_NAME": secret(),
            "OTEL_RESOURCE_ATTRIBUTES": f"host.name={secret()}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={secret()}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.name}.invalid:4318",
            "http_proxy": f"http://{self.name}:{self.name}@192.0.2.1:3128",
            "HTTPS_PROXY": f"http://{self.name}:{self.name}@192.0.2.1:3128",
        }


class Capture:
    """Every packet of the loopback interface while the context is open."""

    def __init__(self) -> None:
        self.bytes = b""
        self._packets: list[bytes] = []
        self._is_over = threading.Event()

    def __enter__(self) -> Capture:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._socket.close()
        self.bytes = b"".join(self._packets)

    def _read(self) -> None:
        while True:
            try:
                self._packets.append(self._socket.recv(1 << 17))
            except TimeoutError:
                if self._is_over.is_set():
                    return


@pytest.fixture
def users(tmp_path: Path) -> list[User]:
    """Two, of whom nothing but their commands is alike."""
    made = [
        User(name, tmp_path / f"{name}-{number}", random.Random(number))  # noqa: S311 - the same secrets in every run
        for number, name in enumerate(("alicesmith", "bobjones"))
    ]
    for user in made:
        for name in ("home", "state", "work"):
            (user.folder / name).mkdir(mode=0o700, parents=True)
        netrc = user.folder / "home" / ".netrc"
        netrc.write_text(f"machine 127.0.0.1 login {user.name} password {user.name}\ndefault login {user.name}\n")
        netrc.chmod(0o600)
    return made


@contextlib.contextmanager
def capturing() -> Iterator[Capture | None]:
    """Capture, where this user may."""
    if os.geteuid() != 0:
        yield None
        return
    with Capture() as capture:
        yield capture


def write_ini(user: User, destination: str) -> Path:
    """What franklinwh-cloud keeps in its ini, with the user's yes."""
    ini = user.folder / "work" / "franklinwh.ini"
    ini.write_text(
        f"[credentials]\nemail = {user.secret()}\npassword = {user.secret()}\n[battery]\nsoc = {user.secret()}\n"
        f"{support.CONSENT}{destination}",
        encoding="utf-8",
    )
    ini.chmod(0o600)
    return ini


def run_commands(user: User) -> None:
    """Run every line twice, once well and once failing, each as a process of its own, on a host of the user's name."""
    script = user.folder / "work" / f"{user.name}.py"
    script.write_text(PROGRAM.replace("{uuid!r}", repr(support.VERSION_4)), encoding="utf-8")
    rename = []
    if os.geteuid() == 0 and shutil.which("unshare"):
        rename = ["unshare", "--uts", "sh", "-c", 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"', user.name]
    for number in range(2 * len(LINES)):
        words = [word.format(user.secret()) for word in LINES[number // 2]]
        case = {"CASE": str(number), "FAILS": str(number % 2), "WAY": ("run", "dispatch")[number // 2 % 2]}
        done = subprocess.run(
            [*rename, sys.executable, str(script), *words],
            env={**user.environment(), **case, "NOW_MS": str(STARTED_MS), SENDER_MARK: "1"},
            cwd=user.folder / "work",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, user.name in done.stdout) == (number % 2, True), done.stderr


def send(user: User) -> None:
    """Let the user's own command line send what waits."""
    done = subprocess.run(
        [sys.executable, "-m", "franklinwh_telemetry", "send"],
        env=user.environment(),
        cwd=user.folder / "work",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_users_look_alike_to_everybody(collector_binary: Path, tmp_path: Path, users: list[User]) -> None:
    """The same records, the same requests to the Collector, the same to its backend; no word of either on any wire."""
    seen = []
    with PostHogDouble() as posthog:
        settings = {"POSTHOG_HOST": posthog.url, "POSTHOG_API_KEY": KNOWN_KEY}
        with (
            Collector(collector_binary, tmp_path / "collector", "posthog", **settings) as collector,
            capturing() as capture,
        ):
            for user in users:
                write_ini(user, f"endpoint = {collector.url}\n")
                run_commands(user)
                root = str(user.folder / "state" / "franklinwh-telemetry")
                spools = list(existing_spools(root, support.APPLICATION))
                records = sorted((name, spool.read(name)) for spool in spools for name in spool.names())
                before = len(posthog.receiver.requests)
                send(user)
                requests = sorted(
                    found.request for spool in spools for found in Journal(spool.path("journal")).entries()
                )
                support.wait_until(lambda: len(posthog.receiver.requests) > before)  # noqa: B023 - called at once
                time.sleep(0.2)
                seen.append((records, requests, [found.raw for found in posthog.receiver.requests[before:]]))
        log = collector.log()

    (records, requests, backend), other = seen
    assert len(records) == 2 * len(LINES)
    assert requests
    assert backend
    assert (records, requests, backend) == other
    for user in users:
        assert user.name not in log
        assert capture is None or (len(capture.bytes) > len(requests[0]) and user.name.encode() not in capture.bytes)
