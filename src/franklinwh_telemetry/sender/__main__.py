"""
The sender's process, started by a host or by `send` with a spool as its one argument.

It is run by its path where there is one, so that it can wait for what follows before it imports anything: what is
imported up here, the interpreter has loaded already. A package in a zip has no path, and is run with `-m`.
"""

from __future__ import annotations

import os
import sys
import time

GRACE_S = 2.0
"""How long a new sender waits for what follows, so that a burst of commands costs one sender."""

LOWEST_PRIORITY = 19

_POLL_S = 0.1
_UNUSABLE = 2


def main(arguments: list[str]) -> int:
    """Wait, then send one spool; the exit status is an `Ending`."""
    began_s = time.monotonic()
    if len(arguments) != 1 or not os.path.isabs(arguments[0]):
        return _UNUSABLE
    if hasattr(os, "nice"):
        os.nice(LOWEST_PRIORITY)
    os.umask(0o077)
    wait_for_more(arguments[0], GRACE_S)
    if sys.flags.no_site:
        import site  # noqa: PLC0415 - put off until now; what `.pth` files add may hold what follows

        site.main()
    from franklinwh_telemetry import kernel  # noqa: PLC0415 - after the wait, as all that follows
    from franklinwh_telemetry.sender.send import Ending, drain  # noqa: PLC0415
    from franklinwh_telemetry.sender.surroundings import forget_otel_environment  # noqa: PLC0415
    from franklinwh_telemetry.spool import SENDER_LIFETIME_S  # noqa: PLC0415
    from franklinwh_telemetry.statefolder import check_folder  # noqa: PLC0415

    kernel.start_watchdog(SENDER_LIFETIME_S - (time.monotonic() - began_s), _UNUSABLE)
    forget_otel_environment()
    if check_folder(arguments[0]) is not True:
        return Ending.UNUSABLE
    try:
        return drain(arguments[0], grace_s=0.0)
    except OSError:
        return Ending.UNUSABLE


def wait_for_more(folder: str, grace_s: float) -> None:
    """Wait for the burst to end, importing nothing; a `wake` file in *folder* ends the wait."""
    wake = os.path.join(folder, "wake")
    deadline_s = time.monotonic() + grace_s
    while time.monotonic() < deadline_s and not os.path.exists(wake):
        time.sleep(_POLL_S)
    try:
        os.unlink(wake)
    except OSError:
        return


if __name__ == "__main__":
    if not __package__:
        # Run by its path, Python has put this folder in front, where our `posthog` or `file` would hide another's.
        del sys.path[0]
    sys.exit(main(sys.argv[1:]))
