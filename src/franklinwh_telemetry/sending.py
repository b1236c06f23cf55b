"""
`send`: a sender in a process of its own, waited for, and a report of how it went.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.consenting import Told
from franklinwh_telemetry.launch import command_line, environment
from franklinwh_telemetry.sender.send import Ending
from franklinwh_telemetry.spool import SENDER_LIFETIME_S, existing_spools
from franklinwh_telemetry.statefolder import remove_quietly, replace
from franklinwh_telemetry.status import read_trouble

if TYPE_CHECKING:
    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.spool import Spool

_POLL_S: Final = 0.2


def send_now(telemetry: Telemetry) -> Told:
    """Run a sender for every spool of *telemetry*'s application, pauses notwithstanding, and wait for it."""
    root = telemetry.state_root()
    if not isinstance(root, str):
        return Told([f"There is no state folder: {root.value}."], done=False)
    lines: list[str] = []
    sent = left = 0
    for spool in existing_spools(root, telemetry.application):
        before = spool.tally.read().get("delivered", 0)
        if spool.names():
            run_sender(spool)
        sent += spool.tally.read().get("delivered", 0) - before
        waiting = len(spool.names())
        left += waiting
        trouble = read_trouble(spool)
        if waiting:
            lines.append(f"{waiting} events are kept: {trouble.message if trouble else 'the sender did not finish'}.")
    lines.insert(0, f"Sent {sent} events." if sent or not left else "Nothing was sent.")
    return Told(lines, done=not left)


def run_sender(spool: Spool) -> Ending:
    """Run one sender to its end; wait for another that is at work first, no longer than such a one can live."""
    deadline_s = time.monotonic() + SENDER_LIFETIME_S
    while True:
        with contextlib.suppress(OSError):
            replace(spool.path("wake"), b"")
        spool.tally.add("senders_launched")
        ended = subprocess.run(  # noqa: S603 - our own module
            command_line(spool.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=spool.folder,
            env=environment(os.environ, sys.path),
            check=False,
        )
        remove_quietly(spool.path("wake"))
        known = ended.returncode in tuple(Ending)
        ending = Ending(ended.returncode) if known else Ending.KEPT
        if ending is not Ending.ANOTHER_SENDER:
            return ending
        if time.monotonic() > deadline_s:
            return ending
        time.sleep(_POLL_S)
