"""
Starting the sender: one detached process, only when none lives and no pause is pending.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import system
from franklinwh_telemetry.statefolder import remove_quietly

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping

    from franklinwh_telemetry.spool import Spool

SENDER_MODULE: Final = "franklinwh_telemetry.sender"

SENDER_MARK: Final = "FRANKLINWH_TELEMETRY_SENDER"
"""Set in a sender's environment, so that nothing that runs there starts another."""

_PASSED_ON: Final = (
    *system.CHILD_VARIABLES,
    "PATH",
    "PYTHONHOME",
    "DO_NOT_TRACK",
    "FRANKLINWH_TELEMETRY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
_PASSED_ON_IN_ANY_CASE: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

_LATER: Final = '/bin/sleep 0.5; unset PWD SHLVL; exec "$@"'
"""Where `sleep` lies elsewhere, or takes no fractions, it fails, and the rest follows at once."""

_children: list[subprocess.Popen[bytes]] = []


def launch(spool: Spool, now_s: float) -> bool:
    """
    Start a sender for *spool* if one is due, and say whether it was started.

    At most two `stat`s when none is due; about a quarter of a millisecond when one is. Of several hosts that find one
    due at the same moment, the one that makes the mark of life starts it.
    Raises OSError when the process cannot be started.
    """
    reap()
    if spool.sender_is_alive(now_s) or spool.backing_off(now_s):
        return False
    if SENDER_MARK in os.environ or not is_python(sys.executable):
        return False
    try:
        if not _mark_first(spool, now_s):
            return False
        import subprocess  # noqa: PLC0415 - not loaded until something is to be sent

        child = subprocess.Popen(  # noqa: S603 - our own module, by the interpreter that runs us
            later(command_line(spool.folder)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=True,
            cwd=spool.folder,
            env=environment(os.environ, sys.path),
            start_new_session=True,
            creationflags=system.creation_flags(),
        )
    except BaseException:
        remove_quietly(spool.path("alive"))
        raise
    # Nobody waits for this child; without a status, Popen would say so on stderr under -X dev.
    child.returncode = 0
    _children.append(child)
    # Counted once it runs: a process that could not be started is no sender that died.
    spool.tally.add("senders_launched")
    return True


def _mark_first(spool: Spool, now_s: float) -> bool:
    """Make the mark of life; False if another host has just made it, and starts the sender."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.OURS
    try:
        system.close(os.open(spool.path("alive"), flags, 0o600))
    except FileExistsError:
        if spool.sender_is_alive(now_s):
            return False
        mark_alive(spool)
    return True


def mark_alive(spool: Spool) -> None:
    """Say that a sender lives, or is about to; the mark fades by itself."""
    path = spool.path("alive")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | system.OURS, 0o600)
    try:
        system.touch(descriptor, path)
    finally:
        system.close(descriptor)


def reap() -> bool:
    """
    Collect senders of this process that have ended, so that a long-lived host keeps no zombie; never waits.

    True while others still run, so that a host that lives on knows whether to come back for them.
    """
    for child in tuple(_children):
        if system.has_ended(child.pid) and child in _children:
            _children.remove(child)
    return bool(_children)


def command_line(folder: str) -> list[str]:
    """
    What `ps` shows of a sender: the interpreter, our module, the spool, and nothing else; at first behind a shell.

    The module by its path, which imports nothing before the sender asks for it; from a zip by its name. `-S` puts
    off what `site` does at every start, a third of an interpreter's, until the command that started it is long over.
    """
    program = os.path.join(os.path.dirname(_absolute(__file__)), "sender", "__main__.py")
    return [sys.executable, "-S", *([program] if os.path.isfile(program) else ["-m", SENDER_MODULE]), folder]


def later(command: list[str]) -> list[str]:
    """
    *command* half a second later, in the same process, where there is a shell that can wait.

    The host is about to end, and a Python that starts meanwhile would hold it up: on one core for some ten
    milliseconds (docs/decisions.md).
    """
    can_wait = os.access(system.SHELL, os.X_OK) and os.access(command[0], os.X_OK)
    return [system.SHELL, "-c", _LATER, "sh", *command] if can_wait else command


def environment(environ: Mapping[str, str], path: Iterable[str]) -> dict[str, str]:
    """A sender's whole environment: how to find Python's modules, a proxy and certificates, and who says no."""
    given = set(environ)  # asked for a variable that is not set, `os.environ` raises and catches an error
    passed_on: dict[str, str] = {name: environ[name] for name in _PASSED_ON if name in given}
    for name in _PASSED_ON_IN_ANY_CASE:
        for spelling in system.spellings(name):
            if spelling in given:
                passed_on[spelling] = environ[spelling]
    passed_on["PYTHONPATH"] = os.pathsep.join(module_path(path))
    passed_on[SENDER_MARK] = "1"
    return passed_on


def module_path(path: Iterable[object], package_file: str = __file__, script_file: str | None = None) -> list[str]:
    """
    The host's `sys.path`, absolute and reordered, without what lies beside the user's script.

    The standard library comes first, then the place we were imported from, then the rest in its order. The folder of
    the script and the one it was started in are left out unless we were imported from there: even as the last
    entries, their `opentelemetry` or `google` would hide the real ones, which are namespace packages. Left out as
    well is what no `PYTHONPATH` can say: other objects than text, the empty entry, a path that holds the separator.
    *script_file* is the program's own, where it has one.
    """
    entries = [_absolute(entry) for entry in path if isinstance(entry, str)]
    ours = _absolute(os.path.dirname(os.path.dirname(package_file)))
    library = os.path.dirname(os.__file__)
    first = [entry for entry in entries if entry == library or entry.startswith(library + os.sep + "lib-")]
    users_own = _users_own(script_file)
    rest = [entry for entry in entries if entry not in users_own]
    ordered = dict.fromkeys([*first, ours, *rest])
    return [entry for entry in ordered if os.path.isabs(entry) and os.pathsep not in entry and "\0" not in entry]


def _users_own(script_file: str | None) -> set[str]:
    """The folders that Python itself puts in front of the path: the script's, and the working directory for `-m`."""
    script_file = script_file or getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(script_file, str):
        return {system.STARTED_IN}
    script_file = _absolute(script_file)
    return {system.STARTED_IN, os.path.dirname(script_file), os.path.dirname(os.path.realpath(script_file))}


def _absolute(entry: str) -> str:
    """The entry from the folder in which the program was started; an empty one, which is any folder, stays empty."""
    return entry if not entry or os.path.isabs(entry) else os.path.join(system.STARTED_IN, entry)


def is_python(executable: str | None) -> bool:
    """Whether *executable* is a Python, and not a program that embeds or froze one."""
    if not executable or getattr(sys, "frozen", False):
        return False
    name = os.path.basename(executable).lower()
    return name.startswith(("python", "pypy"))
