"""
Forks: who is inside this package when its process is forked. Nobody is, but for the thread that forks.

A child has none of its parent's other threads. Had one of them been importing something of ours at that moment, its
import would never end in the child, where the next command would wait for it for ever.
"""

from __future__ import annotations

import _thread
import time
from typing import Final, final

from franklinwh_telemetry import system

PATIENCE_S: Final = 1.0
"""A fork waits so long for other threads to come out, and no longer: one of them may wait for a disk."""

_POLL_S: Final = 0.001


@final
class Inside:
    """The threads that are inside, each with how often it has come in; one that is inside may come in again."""

    __slots__ = ("_depths", "_door")

    def __init__(self) -> None:
        # A signal may come, and its handler come in, while the door is in use by the same thread.
        self._door = _thread.RLock()
        self._depths: dict[int, int] = {}

    def enter(self) -> None:
        """Come in; while a fork is being made, wait at the door."""
        me = _thread.get_ident()
        with self._door:
            self._depths[me] = self._depths.get(me, 0) + 1

    def leave(self) -> None:
        """Come out."""
        me = _thread.get_ident()
        with self._door:
            depth = self._depths.pop(me, 0) - 1
            if depth > 0:
                self._depths[me] = depth

    def close(self) -> None:
        """Wait until no other thread is inside, and hold the door."""
        deadline_s = time.monotonic() + PATIENCE_S
        me = _thread.get_ident()
        self._door.acquire()
        while any(thread != me for thread in self._depths) and time.monotonic() < deadline_s:
            self._door.release()
            time.sleep(_POLL_S)
            self._door.acquire()

    def open(self) -> None:
        """Let the others in again."""
        self._door.release()

    def begin_anew(self) -> None:
        """In the child: only the thread that was forked is there, and as deep inside as it was."""
        me = _thread.get_ident()
        self._door = _thread.RLock()
        self._depths = {me: self._depths[me]} if me in self._depths else {}


inside: Final = Inside()

system.at_fork(before=inside.close, in_parent=inside.open, in_child=inside.begin_anew)
