"""
What stands in for the machine in a test: a clock that stands still, ids that are counted, and how they get there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from typing import TYPE_CHECKING, final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@final
class Clock:
    """Both clocks of a process; they stand still, but for `advance` and *step_ms* after each look at the latency."""

    def __init__(self, now_ms: int, step_ms: int) -> None:
        self._now_ns = now_ms * 1_000_000
        self._step_ms = step_ms
        self._lock = threading.Lock()

    def advance(self, by_ms: int) -> int:
        """Let time pass; the time before it, in nanoseconds."""
        with self._lock:
            before_ns = self._now_ns
            self._now_ns += by_ms * 1_000_000
            return before_ns

    def now_ns(self) -> int:
        """The time, in nanoseconds since 1970."""
        return self.advance(0)

    def monotonic_ns(self) -> int:
        """The same, followed by the step."""
        return self.advance(self._step_ms)


@final
class Ids:
    """Ids by the count: 1 is the first of each size and the first UUID; a process forked meanwhile draws its own."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._uuids = itertools.count(1)
        self._ids = {size: itertools.count(1) for size in (8, 16)}

    def random_bytes(self, size: int) -> bytes:
        """The next of 8 or 16 bytes."""
        if os.getpid() != self._pid:
            return os.urandom(size)
        return next(self._ids[size]).to_bytes(size, "big")

    def execution_uuid(self, _random_bytes: object) -> UUID:
        """The next UUID, version 4 by its form."""
        return UUID(int=next(self._uuids), version=4)


@contextlib.contextmanager
def placed(*places: tuple[object, str, object]) -> Iterator[None]:
    """Put a value into each place, an attribute of an object, and the former ones back at the end."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    try:
        for owner, name, value in places:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


@contextlib.contextmanager
def placed_in_environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables of the environment, or unset those given as None, and put the former ones back at the end."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        _set(variables)
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, text in variables.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text
