"""
The queue of an event loop: what is recorded there waits in memory until it is written, off the loop.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import system
from franklinwh_telemetry.lookup import Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from franklinwh_telemetry.event import Record
    from franklinwh_telemetry.recorder import Telemetry

MAX_QUEUED: Final = 1_000
"""What an event loop may record between two `flush()` calls; beyond it the oldest are dropped, counted."""


@final
class LoopQueue:
    """Records, each with the name of the spool that belongs to its yes."""

    __slots__ = ("_dropped", "_flushed_by", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Record]] = deque(maxlen=MAX_QUEUED)
        self._flushed_by: object = None
        self._dropped = 0

    def __iter__(self) -> Iterator[Record]:
        """The records that wait, oldest first."""
        return iter([record for _, record in self._waiting])

    def clear(self) -> None:
        """Throw away all that waits."""
        self._waiting.clear()

    def put(self, folder_name: str, record: Record, flush: Callable[[], object]) -> None:
        """Let *record* wait; *flush* is called as the process ends."""
        if self._flushed_by is not system.at_exit:
            if self._flushed_by is not None:
                self.clear()  # a test has an end of its own, and nothing from before it
            self._flushed_by = system.at_exit
            system.at_exit(flush)
        self._put(folder_name, (record,))

    def write(self, telemetry: Telemetry) -> None:
        """
        Write what waits to the spool of the yes that holds now; what belongs to another is thrown away.

        What cannot be written goes on waiting.
        """
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        allowed = telemetry.permission() if waiting else None
        if allowed is None or isinstance(allowed, Denied):
            return
        folder_name = allowed.manifest.folder_name()
        records = [record for name, record in waiting if name == folder_name]
        dropped, self._dropped = self._dropped, 0
        written = False
        try:
            written = allowed.write(telemetry.state_root(), records, dropped=dropped)
        finally:
            if not written:
                self._dropped += dropped
                self._put(folder_name, records)

    def _put(self, folder_name: str, records: Iterable[Record]) -> None:
        for record in records:
            self._dropped += len(self._waiting) == MAX_QUEUED
            self._waiting.append((folder_name, record))
