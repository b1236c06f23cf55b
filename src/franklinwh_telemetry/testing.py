"""
For tests of programs that use this package: our own errors become visible.

Imports no test framework.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from franklinwh_telemetry import guard

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def errors_raised() -> Iterator[None]:
    """While this context is open, errors of this package are raised instead of swallowed and counted."""
    before = guard.reraising
    guard.reraising = True
    try:
        yield
    finally:
        guard.reraising = before
