"""
What Linux, macOS and Windows are asked for each in their own way, beyond what a command does by itself (`system.py`).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

from franklinwh_telemetry import system

if TYPE_CHECKING:
    import subprocess


def has_room(folder: str) -> bool:
    """Whether the disk below *folder* takes another file; True where that cannot be told."""
    if sys.platform == "win32":
        return True
    room = os.statvfs(folder)
    return room.f_bavail > 0 and (room.f_files == 0 or room.f_favail > 0)


def take_over(descriptor: int, path: str, status: os.stat_result) -> bool:
    """
    Give a new file an old one's owner, group, mode and extended attributes (access control lists are some, on Linux).

    False where that is refused. Python reads no attributes on macOS, and Windows lends each file its folder's list.
    """
    if sys.platform == "win32" or system.effective_uid is None:
        return True
    try:
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        if sys.platform == "linux":
            for name in os.listxattr(path):
                if not name.startswith("security."):  # labels come from the folder, by the system's own rules
                    os.setxattr(descriptor, name, os.getxattr(path, name))
    except OSError as error:
        return error.errno == errno.ENOTSUP  # no extended attributes there: the rest has been done
    return True


def try_lock(descriptor: int) -> bool:
    """Lock an open file against every other descriptor of it; False if one of those has the lock."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl  # noqa: PLC0415

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Give up the lock of a file that is about to be closed; Windows may else take its time."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415

        try:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        except OSError:
            return


def interrupt(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to tidy up and end, as Ctrl-C would; on Windows it is ended without being asked."""
    if sys.platform == "win32":
        child.terminate()
        return
    import signal  # noqa: PLC0415

    child.send_signal(signal.SIGINT)


def is_in_foreground(terminal: int) -> bool:
    """Whether this process may read from its *terminal*: one in the background would be stopped by the attempt."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return True  # a terminal that does not control this process stops nobody


def start_watchdog(lifetime_s: float, status: int) -> None:
    """
    End this process after *lifetime_s*, whatever it is doing then.

    The kernel does it by SIGALRM; on Windows a thread does, with the exit status *status*, unless native code holds
    all threads back.
    """
    if sys.platform == "win32":
        import threading  # noqa: PLC0415

        timer = threading.Timer(lifetime_s, os._exit, (status,))
        timer.daemon = True
        timer.start()
        return
    import signal  # noqa: PLC0415

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, lifetime_s)
