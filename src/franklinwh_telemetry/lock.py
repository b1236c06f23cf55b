"""
A spool's lock: whoever holds it may send or discard, and the kernel frees it when its holder dies.
"""

from __future__ import annotations

import os
import time
from typing import Final, final

from franklinwh_telemetry import kernel, system

_POLL_S: Final = 0.05


@final
class Lock:
    """An advisory lock on a file, held by one process at a time; it is never waited for on the user's path."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, wait_s: float = 0.0) -> bool:
        """Take the lock, waiting at most *wait_s* seconds; False if another process holds it. OSError if no file."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | system.OURS, 0o600)
        deadline_s = time.monotonic() + wait_s
        while not kernel.try_lock(descriptor):
            if time.monotonic() >= deadline_s:
                system.close(descriptor)
                return False
            time.sleep(_POLL_S)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let the lock go; harmless when it is not held."""
        if self._descriptor is not None:
            kernel.unlock(self._descriptor)
            system.close(self._descriptor)
            self._descriptor = None
