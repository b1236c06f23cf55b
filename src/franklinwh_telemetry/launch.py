"""
Starting the sender: one detached process, only when none lives and no pause is pending.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.statefolder import remove_quietly

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping

    from franklinwh_telemetry.spool import Spool

SENDER_MODULE: Final = "franklinwh_telemetry.sender"

SENDER_MARK: Final = "FRANKLINWH_TELEMETRY_SENDER"
"""Set in a sender's environment, so that nothing that runs there starts another."""

_PASSED_ON: Final = (
    "HOME",
    "PATH",
    "SYSTEMROOT",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DO_NOT_TRACK",
    "FRANKLINWH_TELEMETRY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
_PASSED_ON_IN_ANY_CASE: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

try:
    _STARTED_IN = os.getcwd()
except OSError:
    _STARTED_IN = ""

_children: list[subprocess.Popen[bytes]] = []


def launch(spool: Spool, now_s: float) -> bool:
    """
    Start a sender for *spool* if one is due, and say whether it was started.

    At most two `stat`s when none is due; about a quarter of a millisecond when one is.
    Raises OSError when the process cannot be started.
    """
    reap()
    if spool.sender_is_alive(now_s) or spool.backing_off(now_s):
        return False
    if SENDER_MARK in os.environ or not is_python(sys.executable):
        return False
    import subprocess  # noqa: PLC0415 - not loaded until something is to be sent

    mark_alive(spool)
    spool.tally.add("senders_launched")
    try:
        child = subprocess.Popen(  # noqa: S603 - our own module, by the interpreter that runs us
            command_line(spool.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=True,
            cwd=spool.folder,
            env=environment(os.environ, sys.path),
            start_new_session=True,
            creationflags=_creation_flags(subprocess),
        )
    except OSError:
        remove_quietly(spool.path("alive"))
        raise
    # Nobody waits for this child; without a status, Popen would say so on stderr under -X dev.
    child.returncode = 0
    _children.append(child)
    return True


def mark_alive(spool: Spool) -> None:
    """Say that a sender lives, or is about to; the mark fades by itself."""
    path = spool.path("alive")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        os.utime(path)
    finally:
        os.close(descriptor)


def reap() -> None:
    """Collect senders of this process that have ended, so that a long-lived host keeps no zombie; never waits."""
    if sys.platform == "win32":
        _children.clear()
        return
    for child in tuple(_children):
        try:
            ended, _status = os.waitpid(child.pid, os.WNOHANG)
        except OSError:
            ended = child.pid
        if ended and child in _children:
            _children.remove(child)


def command_line(folder: str) -> list[str]:
    """What `ps` shows of a sender: the interpreter, our module, the spool, and nothing else."""
    return [sys.executable, "-m", SENDER_MODULE, folder]


def environment(environ: Mapping[str, str], path: Iterable[str]) -> dict[str, str]:
    """A sender's whole environment: how to find Python's modules, a proxy and certificates, and who says no."""
    passed_on = {name: environ[name] for name in _PASSED_ON if name in environ}
    for name in _PASSED_ON_IN_ANY_CASE:
        for spelling in (name, name.upper()):
            if spelling in environ:
                passed_on[spelling] = environ[spelling]
    passed_on["PYTHONPATH"] = os.pathsep.join(module_path(path))
    passed_on[SENDER_MARK] = "1"
    return passed_on


def module_path(path: Iterable[str], package_file: str = __file__) -> list[str]:
    """
    The host's `sys.path`, absolute and reordered so that nothing beside the user's script hides a module.

    The standard library comes first, then the place we were imported from, then the rest in its order,
    last what the host had first: the folder of its script, or the working directory under `-m`.
    """
    absolute = [entry if os.path.isabs(entry) else os.path.join(_STARTED_IN, entry) for entry in path if entry]
    absolute = [entry for entry in absolute if os.path.isabs(entry) and os.pathsep not in entry]
    ours = os.path.dirname(os.path.dirname(package_file))
    ours = ours if os.path.isabs(ours) else os.path.join(_STARTED_IN, ours)
    library = os.path.dirname(os.__file__)
    first = [entry for entry in absolute if entry == library or entry.startswith(library + os.sep + "lib-")]
    rest = [entry for entry in absolute if entry not in first and entry != ours]
    return list(dict.fromkeys([*first, ours, *rest[1:], *rest[:1]]))


def is_python(executable: str | None) -> bool:
    """Whether *executable* is a Python, and not a program that embeds or froze one."""
    if not executable or getattr(sys, "frozen", False):
        return False
    name = os.path.basename(executable).lower()
    return name.startswith(("python", "pypy"))


def _creation_flags(subprocess: object) -> int:
    return getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "IDLE_PRIORITY_CLASS", 0)
