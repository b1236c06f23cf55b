"""
`send`: a sender in a process of its own, waited for, and a report of how it went.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import kernel
from franklinwh_telemetry.backlog import existing_spools
from franklinwh_telemetry.launch import command_line, environment
from franklinwh_telemetry.plain import counted
from franklinwh_telemetry.plan import Told
from franklinwh_telemetry.sender.send import Ending
from franklinwh_telemetry.spool import SENDER_LIFETIME_S
from franklinwh_telemetry.statefolder import remove_quietly, replace
from franklinwh_telemetry.status import read_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from franklinwh_telemetry.backlog import Backlog
    from franklinwh_telemetry.console import Watch
    from franklinwh_telemetry.recorder import Telemetry

_POLL_S: Final = 0.2
_GENTLY_S: Final = 3.0
"""How long a sender that was asked to end may take to put back what it had claimed."""

UNFINISHED: Final = "the sender did not finish; run `franklinwh-telemetry send` again"


@final
class Stopped(KeyboardInterrupt):
    """Ctrl-C while sending, with what there is to say about it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines


def send_now(telemetry: Telemetry, watch: Watch | None = None) -> Told:
    """
    Run a sender for every spool of *telemetry*'s application, pauses notwithstanding, and wait for it.

    *watch* is told how far it has come. Raises `Stopped` at Ctrl-C, once the sender has ended.
    """
    root = telemetry.state_root()
    if not isinstance(root, str):
        return Told([f"There is no state folder: {root.value}."], done=False)
    lines: list[str] = []
    sent = left = 0
    # By what waits, not by the folders' names, which are digests of the inis' paths: a destination sees the order.
    spools = sorted(existing_spools(root, telemetry.application), key=lambda spool: min(spool.names(), default=""))
    for spool in spools:
        before = _delivered(spool)
        try:
            if total := len(spool.names()):
                run_sender(spool, _watched(spool, total, watch))
        except KeyboardInterrupt:
            kept = sum(len(each.names()) for each in spools)
            raise Stopped(_stopped(sent + _delivered(spool) - before, kept)) from None
        sent += _delivered(spool) - before
        waiting = len(spool.names())
        left += waiting
        trouble = read_trouble(spool)
        if waiting:
            lines.append(f"{counted(waiting, 'event')} kept: {trouble.message if trouble else UNFINISHED}.")
    lines.insert(0, f"Sent {counted(sent, 'event')}." if sent or not left else "Nothing was sent.")
    return Told(lines, done=not left)


def run_sender(spool: Backlog, watched: Callable[[], None]) -> Ending:
    """
    Run one sender to its end; wait for another that is at work first, no longer than such a one can live.

    It has a session of its own, so that Ctrl-C reaches it by us alone: it is ended then, and nothing stays claimed.
    """
    deadline_s = time.monotonic() + SENDER_LIFETIME_S
    while True:
        with contextlib.suppress(OSError):
            replace(spool.path("wake"), b"")
        spool.tally.add("senders_launched")
        ending = _wait_for(spool, watched)
        remove_quietly(spool.path("wake"))
        if ending is not Ending.ANOTHER_SENDER or time.monotonic() > deadline_s:
            return ending
        watched()
        time.sleep(_POLL_S)


def _wait_for(spool: Backlog, watched: Callable[[], None]) -> Ending:
    process = subprocess.Popen(  # noqa: S603 - our own module
        command_line(spool.folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=spool.folder,
        env=environment(os.environ, sys.path),
        start_new_session=True,
    )
    try:
        while True:
            watched()
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(_POLL_S)
                return Ending(status) if status in tuple(Ending) else Ending.KEPT
    except BaseException:
        _end(process, spool)
        raise


def _end(process: subprocess.Popen[bytes], spool: Backlog) -> None:
    """End a sender that is no longer wanted: first so that it tidies up, then in any case."""
    kernel.interrupt(process)
    try:
        process.wait(_GENTLY_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode not in tuple(Ending):
        # It did not die: it was ended, and what it had claimed belongs to the next.
        spool.tally.add("senders_completed")
    remove_quietly(spool.path("wake"))


def _watched(spool: Backlog, total: int, watch: Watch | None) -> Callable[[], None]:
    if watch is None:
        return lambda: None
    manifest, before, began_s = spool.manifest(), _delivered(spool), time.monotonic()
    destination = "its destination" if manifest is None else manifest.destination.name

    def look() -> None:
        done = min(_delivered(spool) - before, total)
        watch(destination, done, total, time.monotonic() - began_s)

    return look


def _delivered(spool: Backlog) -> int:
    return spool.tally.read().get("delivered", 0)


def _stopped(sent: int, kept: int) -> list[str]:
    if not kept:
        return [f"Stopped; {counted(sent, 'event')} had been sent, and nothing is left."]
    return [
        f"Stopped; {counted(sent, 'event')} had been sent.",
        f"Kept: {counted(kept, 'event')}; nothing is lost: a later command or `franklinwh-telemetry send` sends them.",
    ]
