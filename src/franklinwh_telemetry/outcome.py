"""
How a command ended: success or failure, from its exception, its exit status or its own word.
"""

from __future__ import annotations

import sys
from typing import Final

_LONG: Final = 2**63
"""Beyond C's long Python gives the system -1."""

_LONGEST_CHAIN: Final = 16
"""How many exceptions back a Ctrl-C is looked for; a chain of a program's own making may be a ring."""

INTERRUPTED_STATUS: Final = 130
"""128 + SIGINT, by which shells and programs report a Ctrl-C."""


def exit_status(code: object) -> int:
    """The process status that `sys.exit(code)` leads to: 0 for None, the low byte of a number, else 1."""
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    return code & 0xFF if -_LONG <= code < _LONG else 0xFF


def succeeded(error: BaseException | None, *, until_interrupted: bool = False) -> bool:
    """
    Whether a command that ended with *error* (None: it returned) has done its work.

    A generator that its consumer closed has; so has one marked *until_interrupted* when Ctrl-C ends it, also where
    the program makes an exit of the Ctrl-C, as click does (`Aborted!`, status 1), or asyncio a cancellation.
    """
    if error is None or isinstance(error, GeneratorExit):
        return True
    if isinstance(error, SystemExit):
        ended_well = status_succeeded(exit_status(error.code), until_interrupted=until_interrupted)
        return ended_well or (until_interrupted and _came_of_interrupt(error))
    return until_interrupted and (isinstance(error, KeyboardInterrupt) or _is_cancellation(error))


def status_succeeded(status: int, *, until_interrupted: bool = False) -> bool:
    """Whether a process status means success."""
    return status == 0 or (until_interrupted and status == INTERRUPTED_STATUS)


def result_succeeded(result: object) -> bool:
    """Whether what `main` returned means success: a whole number other than 0 does not, as in `sys.exit(main())`."""
    return not isinstance(result, int) or exit_status(result) == 0


def _is_cancellation(error: BaseException) -> bool:
    """What asyncio makes of the first Ctrl-C, told without importing it."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def _came_of_interrupt(error: BaseException | None) -> bool:
    """Whether an exception was raised while a Ctrl-C was being handled."""
    for _ in range(_LONGEST_CHAIN):
        if error is None or isinstance(error, KeyboardInterrupt):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)
