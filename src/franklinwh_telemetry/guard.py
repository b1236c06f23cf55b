"""
The one place where our own errors end, so that the user's program never meets them; and where a fork waits.

No process is forked while another of its threads is in here: a child has none of its parent's other threads, and had
one of them been importing something of ours at that moment, its import would never end in the child, where the next
command would wait for it for ever.
"""

from __future__ import annotations

import _thread
import os
import time
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import system

if TYPE_CHECKING:
    from types import TracebackType

reraising: type[Exception] | None = None
"""Set by our `testing` module alone: while it is active our errors are raised, not swallowed, and a refusal as this."""

PATIENCE_S: Final = 1.0
"""A fork waits so long for other threads to come out, and no longer: one of them may wait for a disk."""

_POLL_S: Final = 0.001

MAX_NOTES: Final = 20

notes: list[str] = []
"""What was swallowed in this process: the class of each error and where it arose; never its text."""

_state_folders: list[str] = []


@final
class Guard:
    """
    A context that swallows an `Exception`, notes it and goes on; nothing else is touched.

    It knows the threads that are inside, each with how often it has come in; one that is inside may come in again.
    """

    __slots__ = ("_depths", "_door")

    def __init__(self) -> None:
        # A signal may come, and its handler come in, while the door is in use by the same thread.
        self._door = _thread.RLock()
        self._depths: dict[int, int] = {}

    def __enter__(self) -> None:
        """Come in; while a fork is being made, wait at the door."""
        me = _thread.get_ident()
        with self._door:
            self._depths[me] = self._depths.get(me, 0) + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Come out."""
        try:
            if kind is None or not issubclass(kind, Exception) or reraising:
                return False
            _note(kind, traceback)
            return True
        finally:
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


guard: Final = Guard()

system.at_fork(before=guard.close, in_parent=guard.open, in_child=guard.begin_anew)


def remember_state_folder(folder: str) -> None:
    """Name the folder in which errors are counted: one that consent has already made."""
    if folder not in _state_folders:
        _state_folders[:] = [folder]


def forget_state_folder() -> None:
    """Name no folder any more, as when the process began."""
    _state_folders.clear()


def note_refusal(reason: str) -> None:
    """Note a refusal of our own that keeps an event from being recorded, such as an unsafe folder."""
    if reraising:
        raise reraising(reason)
    _keep_note(reason)


def _note(kind: type[BaseException], traceback: TracebackType | None) -> None:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    place = ""
    if traceback is not None:
        code = traceback.tb_frame.f_code
        place = f" in {os.path.basename(code.co_filename)}:{code.co_name}"
    _keep_note(kind.__name__ + place)


def _keep_note(note: str) -> None:
    if len(notes) < MAX_NOTES:
        notes.append(note)
    for folder in _state_folders:
        _keep(folder, note)


def _keep(folder: str, note: str) -> None:
    from franklinwh_telemetry.statefolder import Tally, replace  # noqa: PLC0415 - only when something went wrong

    try:
        Tally(folder).add("errors")
        replace(os.path.join(folder, "last-error"), note.encode("utf-8", "replace"))
    except (OSError, RuntimeError):
        return
