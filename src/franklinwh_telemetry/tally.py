"""
Counts that survive the process: a file whose length is the count, so that adding one is an append.
"""

from __future__ import annotations

import os
from typing import Final

from franklinwh_telemetry import system
from franklinwh_telemetry.statefolder import FILE_MODE, FOLDER_MODE

MAX_COUNT: Final = 1_000_000
"""A count stops here, so that no file grows without bound."""

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | system.OURS


class Tally:
    """
    Counts below one existing folder; appends of several processes add up without a lock.

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
            descriptor = os.open(path, _FLAGS, FILE_MODE)
        except FileNotFoundError:
            self._make_folder()
            descriptor = os.open(path, _FLAGS, FILE_MODE)
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
