"""
The machine as a command meets it: clocks, randomness, the end of the process, and where the systems differ.

Where else Linux, macOS and Windows differ is in `kernel.py`; nobody but these two knows the system, and the sender's
first line, which lowers its priority before anything of ours is imported.
Read as `system.now_ns()`, never by name: our `testing` module puts something else into these places.
"""

from __future__ import annotations

import atexit
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeGuard, TypeVar

    Result = TypeVar("Result")

STARTED_IN: str
"""The working directory at our first import, noted before the program can change it; empty where it was gone."""

try:
    STARTED_IN = os.getcwd()
except OSError:
    STARTED_IN = ""

now_ns: Callable[[], int] = time.time_ns
"""The time at which a command was executed: UTC, in nanoseconds since 1970."""

monotonic_ns: Callable[[], int] = time.monotonic_ns
"""What a command's latency is taken from."""

random_bytes: Callable[[int], bytes] = os.urandom
"""What an event's own ids are drawn from."""

at_exit: Callable[[Callable[[], object]], object] = atexit.register
"""What is to be done as the process ends."""

only_ini: Callable[[str], str] | None = None
"""In tests, the one ini in which an application's user may have answered, instead of all that are looked up."""

state_directory: str | None = None
"""In tests, the folder that holds all state, whatever the environment or the program says."""

# No flag keeps descriptors from children: `os.open` itself does, on every system.
BYTES: Final[int] = getattr(os, "O_BINARY", 0)
"""A flag for every file that is opened: Windows would change ends of lines, and stop reading at a Ctrl-Z."""

OURS: Final[int] = BYTES | getattr(os, "O_NOFOLLOW", 0)
"""The same for a file of our own: no link in its place is followed, where the system can be told."""

NO_WAITING: Final[int] = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Flags for reading what may be no file: a FIFO or a terminal in its place must not hang the command."""

effective_uid: Callable[[], int] | None = getattr(os, "geteuid", None)
"""None where files have no POSIX owner and mode (Windows): those two are not looked at there."""

HOME_VARIABLE: Final = "USERPROFILE" if sys.platform == "win32" else "HOME"
STATE_VARIABLE: Final = "LOCALAPPDATA" if sys.platform == "win32" else "HOME"
"""The variables that lead to the user's ini and to the state folder."""

MACHINE_FOLDER: Final = os.environ.get("PROGRAMDATA", "C:\\ProgramData") if sys.platform == "win32" else "/etc"
"""Where an administrator keeps what holds for a whole machine."""

CHILD_VARIABLES: Final = (
    ("SYSTEMROOT", "USERPROFILE", "PROGRAMDATA")
    if sys.platform == "win32"
    else ("HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
)
"""What a Python needs from its parent's environment to start, to open a socket, and to find the same ini files."""

SHELL: Final = "" if sys.platform == "win32" else "/bin/sh"
"""The shell at the place where POSIX systems have one; none on Windows."""

OPEN_FILES_STAY: Final = sys.platform == "win32"
"""Whether a file that is open, and a folder that a process works in, cannot be removed."""

_SHARING_PAUSES_S: Final = (0.001, 0.004, 0.02)
_INTERRUPTIONS: Final = 10


def in_event_loop() -> bool:
    """Whether an asyncio event loop runs in this thread, without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001 - documented, public by use


def is_completion(environ: Mapping[str, str]) -> bool:
    """Whether a shell runs the program only for its completions (argcomplete, click, typer)."""
    return any(name.startswith("_") and name.endswith(("_ARGCOMPLETE", "_COMPLETE")) for name in environ)


def spellings(variable: str) -> tuple[str, ...]:
    """How a variable that is known in both cases may be written; two that differ in case are one on Windows."""
    return (variable.upper(),) if sys.platform == "win32" else (variable, variable.upper())


def is_own(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to the user we act for, as far as its owner can be told."""
    return effective_uid is None or status.st_uid == effective_uid()


def is_open_to_others(status: os.stat_result) -> bool:
    """Whether a folder's mode lets others in, as far as its mode can be told."""
    return effective_uid is not None and bool(status.st_mode & 0o077)


def is_home(path: str | None) -> TypeGuard[str]:
    """
    Whether *path* can be somebody's home: absolute, there, and not the root of the file system.

    One that cannot be looked at is taken for a home: a no may stand in it, and whoever opens that file is told why not.
    """
    if not path or not os.path.isabs(path):
        return False
    normal = os.path.normpath(path)
    if os.path.dirname(normal) == normal:
        return False
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True


def home_in_database() -> str | None:
    """The home that the user database has for us, usable or not; None where there is no such thing."""
    if sys.platform == "win32":
        return None
    import pwd  # noqa: PLC0415 - only where the variable is of no use

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return None


def state_base(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """
    The folder below which a user's programs keep their state, made or not; None where there is no usable home.

    `$XDG_STATE_HOME` or `~/.local/state` on Linux, `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on
    Windows.
    """
    if platform == "win32":
        local = environ.get("LOCALAPPDATA", "")
        return local if os.path.isabs(local) and os.path.isdir(local) else None
    home = environ.get("HOME")
    if home is None:
        home = home_in_database()
    if not is_home(home):
        return None
    if platform == "darwin":
        return os.path.join(home, "Library", "Application Support")
    xdg = environ.get("XDG_STATE_HOME", "")
    return xdg if os.path.isabs(xdg) else os.path.join(home, ".local", "state")


def uninterrupted(call: Callable[..., Result], *arguments: object) -> Result:
    """
    What *call* returns, done again where a signal has interrupted it.

    Python does so by itself for opening, reading and writing, but not for what only a file system that lies in a
    network lets a signal interrupt. Ten times at most, so that no command hangs.
    """
    for _ in range(_INTERRUPTIONS):
        try:
            return call(*arguments)
        except InterruptedError:
            continue
    return call(*arguments)


def close(descriptor: int) -> None:
    """Close a file; one whose closing a signal has interrupted is closed, and what was written to it has arrived."""
    try:
        os.close(descriptor)
    except InterruptedError:
        return


def patiently(change: Callable[..., None], *paths: str) -> None:
    """
    Rename or remove a file (`os.replace`, `os.unlink`), whoever looks at it at this moment, and whatever interrupts it.

    Windows refuses that while another process has it open, be it a host, a sender or a scanner of viruses, so that it
    is tried again there, for 25 ms at most.
    """
    if sys.platform == "win32":
        for pause_s in _SHARING_PAUSES_S:
            try:
                change(*paths)
            except PermissionError:
                time.sleep(pause_s)
            else:
                return
    uninterrupted(change, *paths)


def touch(descriptor: int, path: str) -> None:
    """Set the times of an open file to now: by the descriptor where the system can, else by the path."""
    os.utime(descriptor if os.utime in os.supports_fd else path)


def has_ended(pid: int) -> bool:
    """Whether a child of ours has ended, and need not be waited for any more; it leaves no zombie then."""
    if sys.platform == "win32":
        return True  # nothing to collect there: a process ends with its last handle
    try:
        ended, _status = os.waitpid(pid, os.WNOHANG)
    except OSError:
        return True
    return ended != 0


def at_fork(*, before: Callable[[], object], in_parent: Callable[[], object], in_child: Callable[[], object]) -> None:
    """Have these called around each fork of this process, where there are forks."""
    if sys.platform != "win32":
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def creation_flags() -> int:
    """For `Popen`: no window, whose Ctrl-C and closing would reach the child, and the lowest priority; on Windows."""
    if sys.platform == "win32":
        import subprocess  # noqa: PLC0415 - loaded by whoever is about to start a process

        return subprocess.CREATE_NO_WINDOW | subprocess.IDLE_PRIORITY_CLASS
    return 0
