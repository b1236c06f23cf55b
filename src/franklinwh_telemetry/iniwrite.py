"""
Writing an ini: a new file, or one put in the place of another with its mode, owner and attributes.
"""

from __future__ import annotations

import errno
import os
from enum import Enum
from typing import Final

from franklinwh_telemetry import kernel, system
from franklinwh_telemetry.inifile import identity, words_of

_NEW_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.OURS


class EditRefusal(Enum):
    """Why a file was left exactly as it was."""

    BIND_MOUNTED = "it is mounted into place by itself, so it cannot be replaced"
    READ_ONLY = "its file system is read-only"
    HARD_LINK = "it has a second name (a hard link) that would keep the old text"
    NOT_WRITABLE = "it or its folder cannot be written to"
    NO_FOLDER = "its folder does not exist"
    OWNER = "its owner, group or mode could not be kept"
    MALFORMED = "it is not a well-formed ini file, or not one that can be edited safely"
    NOT_REGULAR = "it is not a regular file"
    CHANGED = "somebody else changed it at the same moment"
    FAILED = "it could not be read or written"


def create(path: str, data: bytes) -> tuple[EditRefusal, str] | None:
    """Make a new file (0600) in one step; None, or what refused it."""
    try:
        descriptor = os.open(path, _NEW_FLAGS, 0o600)
    except FileNotFoundError:
        return EditRefusal.NO_FOLDER, ""
    except FileExistsError:
        return EditRefusal.CHANGED, ""
    except OSError as error:
        return _classify(error)
    try:
        _fill(descriptor, data)
    except OSError as error:
        _discard(path)
        return _classify(error)
    finally:
        system.close(descriptor)
    _sync_folder(os.path.dirname(path))
    return None


def replace(path: str, status: os.stat_result, data: bytes) -> tuple[EditRefusal, str] | None:
    """Put *data* in the place of the file whose state was *status*; None, or what refused it."""
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".franklinwh-telemetry-{os.urandom(8).hex()}.tmp")
    try:
        descriptor = os.open(temporary, _NEW_FLAGS, 0o600)
    except OSError as error:
        return _classify(error)
    try:
        try:
            if not kernel.take_over(descriptor, path, status):
                return EditRefusal.OWNER, ""
            _fill(descriptor, data)
        finally:
            system.close(descriptor)
        if identity(os.stat(path, follow_symlinks=False)) != identity(status):
            return EditRefusal.CHANGED, ""
        system.patiently(os.replace, temporary, path)
    except FileNotFoundError:
        return EditRefusal.CHANGED, "it was removed"
    except OSError as error:
        return _classify(error)
    finally:
        _discard(temporary)
    _sync_folder(folder)
    return None


def _fill(descriptor: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
    os.fsync(descriptor)


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _sync_folder(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders
    try:
        os.fsync(descriptor)
    except OSError:
        return  # some file systems cannot; the file itself is safe
    finally:
        system.close(descriptor)


def _classify(error: OSError) -> tuple[EditRefusal, str]:
    reasons = {
        errno.EBUSY: EditRefusal.BIND_MOUNTED,
        errno.EROFS: EditRefusal.READ_ONLY,
        errno.EACCES: EditRefusal.NOT_WRITABLE,
        errno.EPERM: EditRefusal.NOT_WRITABLE,
    }
    return reasons.get(error.errno or 0, EditRefusal.FAILED), words_of(error)
