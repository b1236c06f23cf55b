"""
Text for people without any library: it steers no terminal, fits every encoding, and no closed pipe breaks it.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from franklinwh_telemetry import system

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C, as shells have it."""

NOBODY_READS: Final = 141
"""The exit status after a pipe was closed by its reader, as shells have it for a program that SIGPIPE ended."""

_GAP: Final = "  "
_LAST_MOMENT_MS: Final = 253_402_300_799_999
_CLOSED: Final = (errno.EPIPE, errno.EINVAL)
"""What writing into a closed pipe gives; the second is Windows'."""


def printable(text: str) -> str:
    """*text* with every character that is no visible one, or no text at all, written as its escape sequence."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def counted(number: int, what: str) -> str:
    """How many of something there are, in words: `1 event`, `1,000 events`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def moment(at_ms: int) -> str:
    """A time in milliseconds since 1970, held within the years 1970 to 9999, as people and programs read it: UTC."""
    from datetime import datetime, timedelta, timezone  # noqa: PLC0415 - only for people

    at_ms = max(0, min(at_ms, _LAST_MOMENT_MS))
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=at_ms)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def facts_lines(facts: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Labels of at most *width* characters and what belongs to them, a line each."""
    return [printable(f"{_GAP}{label:<{width}}{_GAP}{text}") for label, text in facts]


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows below their columns, as wide as they are: whoever reads this may want to search it."""
    cells = [list(columns), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    return [
        (_GAP + _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in cells
    ]


def write(text: str, stream: TextIO | None) -> OSError | None:
    """
    Write *text* at once, characters that *stream* cannot encode as escape sequences; what refused it, or None.

    After a refusal the stream leads nowhere, so that the interpreter has nothing to complain of at its end.
    """
    if stream is None:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return _attempt(stream, lambda: stream.write(text.encode(encoding, "backslashreplace").decode(encoding)))


def write_bytes(data: bytes, stream: TextIO | None) -> OSError | None:
    """The same for bytes that must reach whoever reads them as they are."""
    buffer = getattr(stream, "buffer", None)
    if stream is None or buffer is None:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    return _attempt(stream, lambda: buffer.write(data))


def say(lines: Iterable[str], stream: TextIO | None = None) -> OSError | None:
    """Write *lines* to standard output, or to *stream*."""
    return write("".join(f"{line}\n" for line in lines), sys.stdout if stream is None else stream)


def is_closed_pipe(error: OSError | None) -> bool:
    """Whether a refusal means that whoever read has seen enough."""
    return error is not None and error.errno in _CLOSED


def _attempt(stream: TextIO, act: Any) -> OSError | None:
    try:
        act()
        stream.flush()
    except OSError as error:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            system.close(nowhere)
        except (OSError, ValueError):
            return error
        return error
    return None
