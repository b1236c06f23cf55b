"""
The one place where our own errors end, so that the user's program never meets them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.fork import inside

if TYPE_CHECKING:
    from types import TracebackType

reraising = False
"""Set by our `testing` module alone: while it is active our errors are raised, not swallowed."""

MAX_NOTES: Final = 20

notes: list[str] = []
"""What was swallowed in this process: the class of each error and where it arose; never its text."""

_state_folders: list[str] = []


class TelemetryError(Exception):
    """What this package passes over in silence, raised only while `reraising`."""


class Guard:
    """
    A context that swallows an `Exception`, notes it and goes on; nothing else is touched.

    Whoever is in it is inside, and a fork waits for them.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        inside.enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            if kind is None or not issubclass(kind, Exception) or reraising:
                return False
            _note(kind, traceback)
            return True
        finally:
            inside.leave()


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
        raise TelemetryError(reason)
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
    from franklinwh_telemetry.statefolder import replace  # noqa: PLC0415 - only when something went wrong
    from franklinwh_telemetry.tally import Tally  # noqa: PLC0415

    try:
        Tally(folder).add("errors")
        replace(os.path.join(folder, "last-error"), note.encode("utf-8", "replace"))
    except (OSError, RuntimeError):
        return


guard: Final = Guard()
