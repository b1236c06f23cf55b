"""
The folder that holds our state: where it is, when it may be made, what makes it unsafe to use; its files and counts.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import system
from franklinwh_telemetry.value import Choice

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER_NAME: Final = "franklinwh-telemetry"
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

MAX_COUNT: Final = 1_000_000
"""A count stops here, so that no file grows without bound."""


class FolderRefusal(Choice):
    """Why a folder is not used; the value says how to mend it."""

    NO_HOME = (
        f"{system.STATE_VARIABLE} is not an absolute, existing folder: set {system.STATE_VARIABLE} or STATE_DIRECTORY"
    )
    FOREIGN_OWNER = "it would lie below a folder of another user: set HOME or STATE_DIRECTORY to a folder of your own"
    LINK = "it is a link: remove it"
    NOT_A_FOLDER = "it is not a folder: remove it"
    OPEN_TO_OTHERS = "it is open to others: run chmod 700 on it, or remove it"
    NOT_WRITABLE = "it cannot be made or written: check the permissions and the space on the disk"
    NO_SPACE = "its disk is full: free some space"


def state_root(environ: Mapping[str, str]) -> str | FolderRefusal:
    """
    The folder below which all state lies; nothing is made here.

    `$STATE_DIRECTORY` (systemd's, the first of several) wins; else the platform's per-user state folder, see
    `system.state_base`.
    """
    given = environ.get("STATE_DIRECTORY", "").split(os.pathsep)[0]
    if os.path.isabs(given):
        return os.path.join(given, FOLDER_NAME)
    base = system.state_base(environ)
    return FolderRefusal.NO_HOME if base is None else os.path.join(base, FOLDER_NAME)


def check_folder(path: str) -> FolderRefusal | bool:
    """True if *path* is a safe folder of ours, False if there is none, else what is wrong with it."""
    try:
        found = system.uninterrupted(os.lstat, path)
    except FileNotFoundError:
        return False
    except OSError:
        return FolderRefusal.NOT_WRITABLE
    return _judge(found) or True


def _judge(found: os.stat_result) -> FolderRefusal | None:
    if stat.S_ISLNK(found.st_mode):
        return FolderRefusal.LINK
    if not stat.S_ISDIR(found.st_mode):
        return FolderRefusal.NOT_A_FOLDER
    if not system.is_own(found):
        return FolderRefusal.FOREIGN_OWNER
    if system.is_open_to_others(found):
        return FolderRefusal.OPEN_TO_OTHERS
    return None


def make_folder(path: str) -> FolderRefusal | None:
    """
    Make *path* and what is missing above it, for this user only (0700); None when it stands and is safe.

    Nothing is made below a folder that belongs to another user: root with a kept `HOME` must not leave
    folders that later break every program of that home's owner.
    """
    checked = check_folder(path)
    if checked is True:
        return None
    if isinstance(checked, FolderRefusal):
        return checked
    ground = ground_of(path)
    if ground is None:
        return FolderRefusal.NOT_WRITABLE
    above, missing = ground
    if not system.is_own(system.uninterrupted(os.stat, above)):
        return FolderRefusal.FOREIGN_OWNER
    for folder in reversed(missing):
        try:
            system.uninterrupted(os.mkdir, folder, FOLDER_MODE)
        except FileExistsError:
            continue
        except OSError:
            return FolderRefusal.NOT_WRITABLE
    return _refusal_or_none(check_folder(path))


def make_folder_below(safe: str, name: str) -> FolderRefusal | None:
    """The same for a folder right below one that has just been made or found safe, and needs no second look."""
    path = os.path.join(safe, name)
    checked = check_folder(path)
    if checked is False:
        try:
            system.uninterrupted(os.mkdir, path, FOLDER_MODE)
        except FileExistsError:
            checked = check_folder(path)  # another process has just made it
        except OSError:
            checked = FolderRefusal.NOT_WRITABLE
        else:
            return None
    return _refusal_or_none(checked)


def ground_of(path: str) -> tuple[str, list[str]] | None:
    """The lowest folder above *path* that is there, and what is missing below it, *path* first; None on no drive."""
    missing = [path]
    above = os.path.dirname(path)
    while not _is_folder(above):
        if above == os.path.dirname(above):
            return None
        missing.append(above)
        above = os.path.dirname(above)
    return above, missing


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(system.uninterrupted(os.stat, path).st_mode)
    except (OSError, ValueError):
        return False


def _refusal_or_none(checked: FolderRefusal | bool) -> FolderRefusal | None:  # noqa: FBT001 - an answer
    if checked is True:
        return None
    return FolderRefusal.NOT_WRITABLE if checked is False else checked


def write_once(path: str, data: bytes) -> bool:
    """Make the file *path* (0600) with *data* in one step; False if there is one already."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    write_new(temporary, data)
    try:
        system.uninterrupted(os.link, temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links: the last of two writers wins, which is only seen if both are first.
        if os.path.lexists(path):
            return False
        system.patiently(os.replace, temporary, path)
        return True
    finally:
        remove_quietly(temporary)
    return True


def replace(path: str, data: bytes) -> None:
    """Put *data* at *path* (0600), whole or not at all."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        write_new(temporary, data)
        system.patiently(os.replace, temporary, path)
    except BaseException:
        remove_quietly(temporary)
        raise


_NEW_FILE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.OURS
_COUNT_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | system.OURS
_READ_FLAGS: Final = os.O_RDONLY | system.OURS | system.NO_WAITING


def write_new(path: str, data: bytes) -> None:
    """Write a file that must not exist yet (0600); a short write counts as an error, and nothing is left."""
    descriptor = os.open(path, _NEW_FILE_FLAGS, FILE_MODE)
    try:
        try:
            written = os.write(descriptor, data)
        finally:
            system.close(descriptor)  # it may be here that a disk says it has no room
    except BaseException:
        remove_quietly(path)
        raise
    if written != len(data):
        remove_quietly(path)
        message = f"only {written} of {len(data)} bytes could be written"
        raise OSError(message)


def read_small(path: str, max_bytes: int) -> bytes | None:
    """The bytes of a regular file of ours, at most *max_bytes* + 1 of them; None if it cannot be read."""
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        # Python makes room for as much as it is asked for: for what there is, then, and for more if it has grown since.
        data = os.read(descriptor, min(found.st_size, max_bytes) + 1)
        return data if len(data) <= found.st_size else data + os.read(descriptor, max_bytes + 1 - len(data))
    except OSError:
        return None
    finally:
        system.close(descriptor)


def is_missing(path: str) -> bool:
    """Whether there is certainly nothing at *path*: a file that could not be looked at may be there."""
    try:
        system.uninterrupted(os.lstat, path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def remove_quietly(path: str) -> bool:
    """Remove a file that may be gone already, and say whether it was this call that removed it."""
    try:
        system.patiently(os.unlink, path)
    except OSError:
        return False
    return True


def discard(path: str) -> bool:
    """The same for what should be a file of ours: a folder that stands in its place goes with all that it holds."""
    if remove_quietly(path):
        return True
    if not os.path.isdir(path) or os.path.islink(path):
        return False
    import shutil  # noqa: PLC0415 - only where somebody has put a folder among our files

    shutil.rmtree(path, ignore_errors=True)
    return not os.path.lexists(path)


class Tally:
    """
    Counts below one existing folder, each the length of a file; appends of several processes add up without a lock.

    Names are ours alone (lower case, underscores); nothing is made above the folder, and whatever goes wrong
    while counting is ignored: a count must never cost what it counts.
    """

    __slots__ = ("_folder",)

    def __init__(self, folder: str) -> None:
        self._folder = os.path.join(folder, "counts")

    def add(self, name: str, number: int = 1) -> None:
        """Add *number* to the count *name*."""
        try:
            self._append(name, number)
        except OSError:
            return

    def _append(self, name: str, number: int) -> None:
        path = os.path.join(self._folder, name)
        try:
            descriptor = os.open(path, _COUNT_FLAGS, FILE_MODE)
        except FileNotFoundError:
            self._make_folder()
            descriptor = os.open(path, _COUNT_FLAGS, FILE_MODE)
        try:
            if number > 0 and os.fstat(descriptor).st_size + number <= MAX_COUNT:
                os.write(descriptor, b"." * number)
        finally:
            system.close(descriptor)

    def _make_folder(self) -> None:
        try:
            os.mkdir(self._folder, FOLDER_MODE)
        except FileExistsError:
            return  # another process has just made it

    def read(self) -> dict[str, int]:
        """All counts, by name."""
        counts = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    counts[entry.name] = entry.stat(follow_symlinks=False).st_size
        except OSError:
            return counts
        return dict(sorted(counts.items()))
