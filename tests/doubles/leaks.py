"""A fixture that fails a test which leaves a thread or a socket behind."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Compare the threads before and after; a socket that is not closed warns when it is collected, an error here."""
    before = set(threading.enumerate())
    yield
    deadline_s = time.monotonic() + 5
    while leaked := [thread for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < deadline_s, f"left behind: {leaked}"
        time.sleep(0.01)
    gc.collect()
