"""
What this process has from its machine: where it began, its clocks, its randomness, its end, and whom it asks.

Read as `process.now_ns()`, never by name: our `testing` module alone puts something else into these places.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STARTED_IN: str
"""The working directory at our first import, noted before the program can change it; empty where it was gone."""

try:
    STARTED_IN = os.getcwd()
except OSError:
    STARTED_IN = ""

now_ns: Callable[[], int] = time.time_ns
"""The time at which a command was executed: UTC, in nanoseconds since 1970."""

monotonic_ns: Callable[[], int] = time.monotonic_ns
"""What a command's latency is taken from."""

random_bytes: Callable[[int], bytes] = os.urandom
"""What an event's own ids are drawn from."""

at_exit: Callable[[Callable[[], object]], object] = atexit.register
"""What is to be done as the process ends."""

only_ini: Callable[[str], str] | None = None
"""In tests, the one ini in which an application's user may have answered, instead of all that are looked up."""

state_directory: str | None = None
"""In tests, the folder that holds all state, whatever the environment or the program says."""


def in_event_loop() -> bool:
    """Whether an asyncio event loop runs in this thread, without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001 - documented, public by use


def is_completion(environ: Mapping[str, str]) -> bool:
    """Whether a shell runs the program only for its completions (argcomplete, click, typer)."""
    return any(name.startswith("_") and name.endswith(("_ARGCOMPLETE", "_COMPLETE")) for name in environ)
