"""
Stamps: when some folders last changed.
"""

from __future__ import annotations

import os
import time


class Stamps:
    """
    When some folders last changed, so that a later look can tell whether anything was put into them since.

    Taken before a folder is read, so that what comes in meanwhile is seen at the next look.
    """

    __slots__ = ("_modified_ns", "_taken_ns")

    def __init__(self, folder: str) -> None:
        self._taken_ns = time.time_ns()
        self._modified_ns: dict[str, int] = {}
        self.take(folder)

    def take(self, path: str) -> None:
        """Keep the time of one more folder."""
        self._modified_ns[path] = _modified_ns(path)

    def still_hold(self) -> bool:
        """Whether none of them has changed; one `stat` each."""
        return all(
            _modified_ns(path) == before_ns and self._is_settled(before_ns)
            for path, before_ns in self._modified_ns.items()
        )

    def _is_settled(self, modified_ns: int) -> bool:
        # A file system's clock ticks in steps, and what changes twice within one shows one time; whole seconds
        # are the mark of long steps.
        step_ns = 100_000_000 if modified_ns % 1_000_000_000 else 2_000_000_000
        return self._taken_ns - modified_ns > step_ns


def _modified_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
