"""
What several test modules need: real programs in real folders, and what they left behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from franklinwh_telemetry.backlog import Backlog, existing_applications, existing_spools

if TYPE_CHECKING:
    from collections.abc import Iterator

posix_only = pytest.mark.skipif(os.name == "nt", reason="owners, modes, links, pipes, signals and terminals of POSIX")
effective_uid = getattr(os, "geteuid", lambda: -1)()
"""Who runs the tests; -1 where users have no number."""

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

VERSION_4 = "5f0c9a54-3a0e-4c3b-9d0a-0123456789ab"

CONSENT = f"[telemetry]\nenabled = true\nuuid = {VERSION_4}\n"

APPLICATION = "franklinwh-cloud"

WORKED_EXAMPLE = """
import configparser
import os
import sys
from franklinwh_cloud.client import Client
from franklinwh_telemetry import dispatch_cli_event
def main():
    command_executed = sys.argv[1] if len(sys.argv) > 1 else "unknown"
    telemetry_enabled = False
    telemetry_uuid = "anonymous"
    ini_path = "franklinwh.ini"
    if os.path.exists(ini_path):
        config = configparser.ConfigParser()
        config.read(ini_path)
        try:
            if config.getboolean("telemetry", "enabled", fallback=False):
                telemetry_enabled = True
                telemetry_uuid = config.get("telemetry", "uuid", fallback="anonymous")
        except Exception:
            pass
    dispatch_cli_event(
        command=command_executed,
        is_opted_in=telemetry_enabled,
        execution_uuid=telemetry_uuid
    )
    {work}
if __name__ == "__main__":
    main()
"""
"""The policy's worked example with only its import line changed; `{work}` is the normal workload."""


def state_root() -> str:
    """The state folder of the test, as the package finds it."""
    if sys.platform == "darwin":
        return os.path.join(os.environ["HOME"], "Library", "Application Support", "franklinwh-telemetry")
    return os.path.join(os.environ["LOCALAPPDATA" if os.name == "nt" else "XDG_STATE_HOME"], "franklinwh-telemetry")


def make_fifo(path: str | os.PathLike[str]) -> None:
    """Make a named pipe; the test is skipped where there are none."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(path)


@contextmanager
def interrupted_three_times(monkeypatch: pytest.MonkeyPatch, call: str) -> Iterator[list[tuple[object, ...]]]:
    """Let a signal interrupt the first three calls of one of `os`; they are yielded, with what they were asked."""
    interruptions: list[tuple[object, ...]] = []
    real = getattr(os, call)

    def interrupted(*arguments: object, **keywords: object) -> object:
        if len(interruptions) < 3:
            interruptions.append(arguments)
            raise InterruptedError
        return real(*arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, interrupted)
        yield interruptions


@contextmanager
def closing_interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a signal interrupt each closing of a file, which is closed all the same."""
    real_close = os.close

    def interrupted(descriptor: int) -> None:
        real_close(descriptor)
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(os, "close", interrupted)
        yield


def applications() -> list[str]:
    """The applications that have state in the test's world."""
    return existing_applications(state_root())


def spools(application: str = APPLICATION) -> list[Backlog]:
    """The spools of an application."""
    return list(existing_spools(state_root(), application))


def only_spool(application: str = APPLICATION) -> Backlog:
    """The one spool there is."""
    (spool,) = spools(application)
    return spool


def waiting(application: str = APPLICATION) -> list[dict[str, Any]]:
    """The records that wait, oldest first."""
    return [json.loads(spool.read(name) or b"") for spool in spools(application) for name in spool.names()]


def kept_spans(application: str = APPLICATION) -> list[dict[str, Any]]:
    """The spans in the embedded files, in the order of their arrival."""
    from franklinwh_telemetry.sender.file import written_lines

    return [
        span
        for spool in spools(application)
        for line in written_lines(spool.folder)
        for resource_spans in json.loads(line)["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]


def run(
    arguments: list[str], *, text: bool = True, timeout_s: float = 60.0, **keywords: Any
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, its output taken."""
    return subprocess.run(
        arguments, check=False, capture_output=True, text=text, stdin=subprocess.DEVNULL, timeout=timeout_s, **keywords
    )


def run_python(code: str, *arguments: str, **keywords: Any) -> subprocess.CompletedProcess[Any]:
    """Write *code* to a file in the working directory, as a user would, and run it."""
    script = Path.cwd() / "program_under_test.py"
    script.write_text(code, encoding="utf-8")
    return run([sys.executable, str(script), *arguments], **keywords)


def wait_until(condition: Any, timeout_s: float = 30.0) -> None:
    """Wait for something that another process does."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)


def senders_done(application: str = APPLICATION) -> bool:
    """Whether every sender that was started has come to its end."""
    counts = [spool.tally.read() for spool in spools(application)]
    return all(count.get("senders_launched", 0) <= count.get("senders_completed", 0) for count in counts)


def wake_senders(application: str = APPLICATION) -> None:
    """Let waiting senders start at once, and wait for their end."""
    for spool in spools(application):
        if os.path.exists(spool.path("alive")):
            Path(spool.path("wake")).touch()
    wait_until(lambda: senders_done(application))
