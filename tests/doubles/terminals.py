"""
A terminal: a program is run on one of a given width, is typed to, and what it writes is read.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|.)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Escape sequences and control characters, line ends aside."""

PLACING_AND_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True)
class Seen:
    """What a program wrote, byte for byte, and its exit status."""

    data: bytes
    status: int

    @property
    def raw(self) -> str:
        """All of it, line ends as the program wrote them."""
        return self.data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")

    @property
    def text(self) -> str:
        """Without what places and colours text; other control characters are left."""
        return PLACING_AND_COLOUR.sub("", self.raw)

    @property
    def unfolded(self) -> str:
        """Without any white space, so that whatever was folded is whole again."""
        return re.sub(r"\s", "", self.text)


def run(
    command: Sequence[str],
    *,
    columns: int = 80,
    typed: bytes = b"",
    interrupt_at: str = "",
    **environment: str,
) -> Seen:
    """
    Run a program that the terminal controls, to its end.

    *typed* waits for it from the beginning; Ctrl-C comes once *interrupt_at* was read, and again while nothing follows:
    CPython notices a signal that came just before it began to read only with the next one.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    kept = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_TERMINAL, *command],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env={**kept, "TERM": "xterm-256color", **environment},
    )
    os.close(follower)
    try:
        os.write(leader, typed)
        data = _read(leader, interrupt_at.encode())
        status = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    return Seen(data, status)


def _read(leader: int, interrupt_at: bytes) -> bytes:
    data = b""
    interrupted = False
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        if select.select([leader], [], [], 1.0)[0]:
            try:
                block = os.read(leader, 65536)
            except OSError:  # the last of its writers has gone
                return data
            if not block:
                return data
            data += block
            if interrupted or not interrupt_at or interrupt_at not in data:
                continue
        elif not interrupted:
            continue
        os.write(leader, b"\x03")
        interrupted = True
    raise TimeoutError(data.decode(errors="replace"))
