"""
The sender's process: `python -m franklinwh_telemetry.sender SPOOL`, started by a host or by `send`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

from franklinwh_telemetry.sender.send import Ending, drain
from franklinwh_telemetry.sender.surroundings import forget_otel_environment
from franklinwh_telemetry.spool import SENDER_LIFETIME_S
from franklinwh_telemetry.statefolder import check_folder

LOWEST_PRIORITY: Final = 19


def main(arguments: list[str]) -> int:
    """Send one spool; the exit status is an `Ending`."""
    start_watchdog(SENDER_LIFETIME_S)
    forget_otel_environment()
    if len(arguments) != 1 or not os.path.isabs(arguments[0]) or check_folder(arguments[0]) is not True:
        return Ending.UNUSABLE
    if hasattr(os, "nice"):
        os.nice(LOWEST_PRIORITY)
    os.umask(0o077)
    try:
        return drain(arguments[0])
    except OSError:
        return Ending.UNUSABLE


def start_watchdog(lifetime_s: float) -> None:
    """End this process after *lifetime_s*, whatever it is doing then: by the kernel where it can, else by a thread."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, lifetime_s)
        return
    import threading  # noqa: PLC0415

    timer = threading.Timer(lifetime_s, os._exit, (Ending.KEPT,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
