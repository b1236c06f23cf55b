"""
A Windows, or a macOS, as this package would find it, on Linux: what Python offers there, and what it does there.

Only the package and the program see it; the standard library and all other packages see Linux. Its text, followed by a
call of `install`, is a `sitecustomize`, which a host takes from its `PYTHONPATH` and hands on to its sender.
Not simulated: drive letters and backslashes, access control lists, file systems that know no case, job objects.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import types
from collections.abc import Iterator, MutableMapping
from typing import Any

POSIX_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios")
MISSING_ON_WINDOWS = {
    "os": [
        "chown",
        "fchmod",
        "fchown",
        "fork",
        "forkpty",
        "getegid",
        "geteuid",
        "getgid",
        "getuid",
        "getxattr",
        "killpg",
        "lchown",
        "listxattr",
        "mkfifo",
        "nice",
        "removexattr",
        "setpriority",
        "setsid",
        "setxattr",
        "statvfs",
        "WNOHANG",
        "O_CLOEXEC",
        "O_DIRECTORY",
        "O_NOCTTY",
        "O_NOFOLLOW",
        "O_NONBLOCK",
    ],
    "signal": [
        "ITIMER_REAL",
        "SIGALRM",
        "SIGHUP",
        "SIGKILL",
        "SIG_BLOCK",
        "SIG_UNBLOCK",
        "alarm",
        "pthread_sigmask",
        "setitimer",
    ],
}
MISSING_ON_MACOS = {"os": ["getxattr", "listxattr", "memfd_create", "removexattr", "sched_getaffinity", "setxattr"]}
BINARY = 1 << 30
NO_WINDOW = 0x08000000
IDLE = 0x40


class Facade(types.ModuleType):
    """A module with some names changed and some missing; whatever is set lands in the real one."""

    def __init__(self, real: types.ModuleType, missing: list[str], changed: dict[str, object]) -> None:
        super().__init__(real.__name__)
        vars(self).update(changed, real_module=real, missing_names=frozenset(missing))

    def __getattr__(self, name: str) -> Any:
        if name in vars(self)["missing_names"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system")
        return getattr(vars(self)["real_module"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(vars(self)["real_module"], name, value)


class Variables(MutableMapping[str, str]):
    """The environment of Windows, whose names have no case."""

    def __getitem__(self, name: str) -> str:
        for there, value in os.environ.items():
            if there.upper() == name.upper():
                return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        os.environ[name.upper()] = value

    def __delitem__(self, name: str) -> None:
        del os.environ[name.upper()]

    def __iter__(self) -> Iterator[str]:
        return iter({name.upper() for name in os.environ})

    def __len__(self) -> int:
        return len({name.upper() for name in os.environ})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.upper() in set(self)


class Status:
    """What `stat` says on Windows: no owner, and of the mode what kind of thing it is."""

    def __init__(self, real: os.stat_result) -> None:
        self._real = real
        self.st_uid = self.st_gid = 0
        self.st_mode = stat.S_IFMT(real.st_mode) | (0o777 if stat.S_ISDIR(real.st_mode) else 0o666)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def violation(path: str) -> PermissionError:
    """The error for what is in use."""
    return PermissionError(errno.EACCES, "it is being used by another process", path)


def in_use(path: str) -> bool:
    """Whether a process has the file open, or works in the folder."""
    try:
        wanted = os.lstat(path)
    except OSError:
        return False
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            held = [f"/proc/{process}/cwd", *(f"/proc/{process}/fd/{n}" for n in os.listdir(f"/proc/{process}/fd"))]
        except OSError:
            continue
        for link in held:
            try:
                if os.path.samestat(os.stat(link), wanted):
                    return True
            except OSError:
                continue
    return False


class WindowsFiles:
    """The functions of `os` that behave differently: text mode, files in use, no descriptors where paths are meant."""

    def __init__(self) -> None:
        self._text: set[int] = set()

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        """A descriptor in text mode unless told otherwise; never of a folder."""
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "it is a folder", path)
        descriptor = os.open(path, flags & ~BINARY, mode)
        if not flags & BINARY:
            self._text.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        """Close it."""
        self._text.discard(descriptor)
        os.close(descriptor)

    def read(self, descriptor: int, size: int) -> bytes:
        """The bytes; in text mode up to a Ctrl-Z, and with short ends of lines."""
        data = os.read(descriptor, size)
        return data.partition(b"\x1a")[0].replace(b"\r\n", b"\n") if descriptor in self._text else data

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write them; in text mode with long ends of lines, which do not count."""
        os.write(descriptor, bytes(data).replace(b"\n", b"\r\n") if descriptor in self._text else data)
        return len(data)

    def unlink(self, path: str) -> None:
        """Remove a file that nobody has open."""
        if os.path.isdir(path) or in_use(path):
            raise violation(path)
        os.unlink(path)

    def rmdir(self, path: str) -> None:
        """Remove a folder that nobody works in."""
        if in_use(path):
            raise violation(path)
        os.rmdir(path)

    def replace(self, source: str, target: str) -> None:
        """Move a file that nobody has open to where none is open."""
        if in_use(source) or in_use(target) or os.path.isdir(target):
            raise violation(source)
        os.replace(source, target)

    def rename(self, source: str, target: str) -> None:
        """The same where nothing is yet."""
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "it exists", target)
        self.replace(source, target)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        """Make a folder, whose mode nobody asks for."""
        os.mkdir(path)

    def utime(self, path: str, times: tuple[float, float] | None = None) -> None:
        """Set the times of what has a path."""
        if isinstance(path, int):
            raise TypeError("utime: path should be string, bytes or os.PathLike, not int")
        os.utime(path, times)

    def stat(self, path: str | int, **options: Any) -> Status:
        """What is known of a file."""
        return Status(os.stat(path, **options))

    def lstat(self, path: str) -> Status:
        """What is known of it, or of the link."""
        return Status(os.lstat(path))

    def fstat(self, descriptor: int) -> Status:
        """What is known of what is open."""
        return Status(os.fstat(descriptor))

    def rmtree(self, path: str, *, ignore_errors: bool = False) -> None:
        """Remove a folder with all that can be removed."""
        assert ignore_errors
        for folder, folders, files in os.walk(path, topdown=False):
            for name in (*files, *folders):
                whole = os.path.join(folder, name)
                try:
                    (self.rmdir if os.path.isdir(whole) else self.unlink)(whole)
                except OSError:
                    continue
        try:
            self.rmdir(path)
        except OSError:
            return


def note(what: str) -> None:
    """Write down, beside this file, what was asked of the simulated system, and by which process."""
    with open(os.path.join(os.path.dirname(__file__), "asked"), "a", encoding="utf-8") as asked:
        asked.write(f"{os.getpid()} {what}\n")


def locking(descriptor: int, mode: int, size: int) -> None:
    """`msvcrt.locking`, of one handle against all others, without waiting."""
    assert size == 1
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
    note(f"locking {mode}")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN if mode == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise PermissionError(errno.EACCES, "Permission denied") from error


def check_environment(env: dict[str, str]) -> None:
    """A Python starts on Windows with SYSTEMROOT, and each of its variables exists once."""
    assert "SYSTEMROOT" in env, "no Python starts without SYSTEMROOT"
    assert len({name.upper() for name in env}) == len(env), "a variable is there twice"


def popen(command: list[str], *, env: dict[str, str], creationflags: int, start_new_session: bool, **rest: Any) -> Any:
    """Start a process as Windows would; it has no sessions."""
    check_environment(env)
    assert creationflags == NO_WINDOW | IDLE
    note("Popen")
    return subprocess.Popen(command, env=env, **rest)


def run(command: list[str], *, env: dict[str, str], **rest: Any) -> Any:
    """Run a process to its end."""
    check_environment(env)
    return subprocess.run(command, env=env, check=rest.pop("check"), **rest)


def windows() -> dict[str, types.ModuleType]:
    """What differs on Windows, by its name."""
    files = WindowsFiles()
    names = [
        "open",
        "close",
        "read",
        "write",
        "unlink",
        "rmdir",
        "replace",
        "rename",
        "mkdir",
        "utime",
        "stat",
        "lstat",
        "fstat",
    ]
    changed = {name: getattr(files, name) for name in names}
    changed |= {"name": "nt", "environ": Variables(), "supports_fd": frozenset(), "O_BINARY": BINARY}
    flags = {"CREATE_NO_WINDOW": NO_WINDOW, "IDLE_PRIORITY_CLASS": IDLE}
    msvcrt = types.ModuleType("msvcrt")
    vars(msvcrt).update(locking=locking, LK_UNLCK=0, LK_NBLCK=2)
    return {
        "os": Facade(os, MISSING_ON_WINDOWS["os"], changed),
        "sys": Facade(sys, [], {"platform": "win32"}),
        "signal": Facade(signal, MISSING_ON_WINDOWS["signal"], {}),
        "shutil": Facade(shutil, [], {"rmtree": files.rmtree}),
        "subprocess": Facade(subprocess, [], {**flags, "Popen": popen, "run": run}),
        "msvcrt": msvcrt,
    }


def macos() -> dict[str, types.ModuleType]:
    """What differs on macOS, by its name."""
    return {
        "os": Facade(os, MISSING_ON_MACOS["os"], {}),
        "sys": Facade(sys, [], {"platform": "darwin"}),
    }


def install(platform: str) -> None:
    """Let the package, and the program itself, find the system of this name from now on."""
    modules = windows() if platform == "win32" else macos()
    missing = POSIX_MODULES if platform == "win32" else ("msvcrt",)
    real_import = builtins.__import__

    def simulated_import(name: str, globals: Any = None, *rest: Any, **named: Any) -> Any:  # noqa: A002 - its name
        who = (globals or {}).get("__name__") or ""
        if who == "__main__" or who.partition(".")[0] == "franklinwh_telemetry":
            if name in missing:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in modules:
                return modules[name]
        return real_import(name, globals, *rest, **named)

    builtins.__import__ = simulated_import
