"""
What keeps a spool within its bounds: how many records may wait, how long, and which go first.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import system
from franklinwh_telemetry.statefolder import FOLDER_MODE, discard, remove_quietly, replace

if TYPE_CHECKING:
    from franklinwh_telemetry.statefolder import Tally

MAX_DROPPED_AT_ONCE: Final = 10_000
"""A tenth of a second's work: where far more lie there a command does not wait for it all; a sender does the rest."""

KNOWN_OLDEST: Final = 64
"""So many of the oldest names are kept while the spool is full, so that it is listed once for as many records."""

_DAY_MS: Final = 24 * 60 * 60 * 1000
_OLDEST: Final = "oldest"
_ROW: Final = 33


@final
class Room:
    """
    The room for one more record in a spool, made by dropping the oldest.

    Where more than *few* wait, their number is the length of a file, to which each append adds a byte: listing a
    thousand names would take 0.3 ms. It is never less than there are, because only another look at the folder makes
    it smaller. It is looked at when the file says that the spool is full, and once a day for those that have grown
    too old. Hosts that append at the very moment of a look may go uncounted, until the next one.
    """

    __slots__ = ("_crowd", "_few", "_max_age_ms", "_max_records", "_new", "_tally")

    def __init__(self, folder: str, crowd: str, tally: Tally, *, few: int, max_records: int, max_age_ms: int) -> None:
        self._new = os.path.join(folder, "new")
        self._crowd = crowd
        self._tally = tally
        self._few = few
        self._max_records = max_records
        self._max_age_ms = max_age_ms

    def make_for_one(self, now_ms: int) -> None:
        """Let one more record in; at the bound the oldest goes, counted."""
        waiting = self._count_one(now_ms)
        if waiting is None or (waiting > self._max_records and not self._drop_known_oldest()):
            self.make(now_ms, at_most=MAX_DROPPED_AT_ONCE)

    def make(self, now_ms: int, room: int = 1, *, at_most: int | None = None) -> None:
        """Look at what waits, and drop the oldest, *at_most* so many in one go, until *room* more fit."""
        names = system.uninterrupted(os.listdir, self._new)
        surplus = len(names) + room - self._max_records
        oldest_allowed = f"{max(0, now_ms - self._max_age_ms):015d}"
        if surplus >= 0 or min(names, default=oldest_allowed) < oldest_allowed:
            names.sort()
            names = self._drop(names, surplus, oldest_allowed, at_most)
        try:
            if self._few < len(names) <= self._max_records - room:
                self._begin_count(now_ms, names, room)
            else:
                # Too few for it to be worth while, or so many too many that the next must look again.
                self._end_count()
        except OSError:
            return  # without a count the next append looks again

    def _drop(self, names: list[str], surplus: int, oldest_allowed: str, at_most: int | None) -> list[str]:
        """Drop those at the head of the sorted *names* that must go, and return the others."""
        dropped = {"dropped_too_old": 0, "dropped_spool_full": 0}
        seen = 0
        for name in names[:at_most]:
            expired = name < oldest_allowed
            if not expired and seen >= surplus:
                break
            # Only who removed it counts it: another host drops the same ones, and a sender claims them.
            dropped["dropped_too_old" if expired else "dropped_spool_full"] += discard(os.path.join(self._new, name))
            seen += 1
        for count, number in dropped.items():
            if number:
                self._tally.add(count, number)
        return names[seen:]

    def _count_path(self, now_ms: int) -> str:
        return os.path.join(self._crowd, str(now_ms // _DAY_MS))

    def _count_one(self, now_ms: int) -> int | None:
        """Count one more, and say how many wait at most; None where nobody has counted today."""
        try:
            descriptor = os.open(self._count_path(now_ms), os.O_WRONLY | os.O_APPEND | system.OURS)
            try:
                os.write(descriptor, b".")
                return system.uninterrupted(os.lseek, descriptor, 0, os.SEEK_CUR)
            finally:
                system.close(descriptor)
        except OSError:
            return None

    def _begin_count(self, now_ms: int, names: list[str], room: int) -> None:
        """Write down how many wait, those included that are about to come, and, of a full spool, the oldest names."""
        today = self._count_path(now_ms)
        if not os.path.exists(today):
            self._end_count()
            os.mkdir(self._crowd, FOLDER_MODE)
        waiting = len(names) + room
        if waiting >= self._max_records:
            # From the end of the file each later append takes the oldest that is left.
            rows = [f"{name}\n" for name in reversed(names[:KNOWN_OLDEST]) if _is_record(name)]
            replace(os.path.join(self._crowd, _OLDEST), "".join(rows).encode())
        replace(today, b"." * waiting)

    def _end_count(self) -> None:
        discard(self._crowd)

    def _drop_known_oldest(self) -> bool:
        """Drop the oldest record that was seen at the last look and is still there; False if none is."""
        try:
            descriptor = os.open(os.path.join(self._crowd, _OLDEST), os.O_RDWR | system.OURS)
        except OSError:
            return False
        try:
            end = os.fstat(descriptor).st_size
            while end >= _ROW:
                end -= _ROW
                system.uninterrupted(os.lseek, descriptor, end, os.SEEK_SET)
                name = os.read(descriptor, _ROW - 1).decode("ascii", "replace")
                os.ftruncate(descriptor, end)
                # Two hosts may read one row: only one of them removes the record, the other takes the next row.
                if _is_record(name) and remove_quietly(os.path.join(self._new, name)):
                    self._tally.add("dropped_spool_full")
                    return True
        finally:
            system.close(descriptor)
        return False


def _is_record(name: str) -> bool:
    return len(name) == _ROW - 1 and name[:15].isdigit() and name[15] == "-" and name[16:].isalnum()
