"""
The journal: the bytes of each request as the connection sent them, kept on this machine for its user to read.

One file a request: a line of JSON, then exactly the bytes, then, once there is one, a line about the answer.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry import system
from franklinwh_telemetry.statefolder import (
    FolderRefusal,
    check_folder,
    make_folder,
    read_small,
    remove_quietly,
    write_new,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_REQUESTS: Final = 1_000
MAX_BYTES: Final = 4 * 1024 * 1024

_SUFFIX: Final = ".request"
_ROOM_FOR_THE_ANSWER: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A request that was sent: when, to whom, what exactly, and how it ended (*error* only where no answer came)."""

    at_ms: int
    host: str
    request_line: str
    request: bytes
    status: int | None
    error: str | None


class Journal:
    """
    At most `MAX_REQUESTS` requests and `MAX_BYTES`, the oldest removed; read by anybody, written by one sender.

    The caller holds the spool's lock while it writes. `skipped` counts the files that `entries` could not read.
    """

    def __init__(self, folder: str, *, wall_clock_s: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._wall_clock_s = wall_clock_s
        self._sizes: dict[str, int] | None = None
        self.skipped = 0

    def write(self, request: bytes, *, host: str, line: str) -> str:
        """
        Keep a request that is about to be written, and return the name for `answered`.

        OSError where it cannot be kept; then it must not be sent.
        """
        meta = {"at_ms": int(self._wall_clock_s() * 1000), "bytes": len(request), "host": host, "request": line}
        data = json.dumps(meta, sort_keys=True).encode("ascii") + b"\n" + request
        size = len(data) + _ROOM_FOR_THE_ANSWER
        if size > MAX_BYTES:
            raise OSError("a request larger than the whole journal")
        sizes = self._known_sizes()
        self._make_room(sizes, size)
        name = f"{self._next_number(sizes):012d}{_SUFFIX}"
        write_new(self._path(name), data)
        sizes[name] = size
        return name

    def answered(self, name: object, status: int | None, error: str | None) -> None:
        """Add how the request ended; one that cannot be added is left out."""
        line = json.dumps({"error": error, "status": status}, sort_keys=True)
        try:
            descriptor = os.open(self._path(str(name)), os.O_WRONLY | os.O_APPEND | system.OURS)
        except OSError:
            return
        try:
            os.write(descriptor, f"\n{line}\n".encode("ascii"))
        except OSError:
            return
        finally:
            system.close(descriptor)

    def entries(self) -> Iterator[Entry]:
        """Every request that can be read, the newest last."""
        self.skipped = 0
        for name in self._names():
            entry = _parse(read_small(self._path(name), MAX_BYTES) or b"")
            if entry is None:
                self.skipped += 1
            else:
                yield entry

    def erase(self) -> None:
        """Remove every request."""
        for name in self._names():
            remove_quietly(self._path(name))
        self._sizes = None

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _names(self) -> list[str]:
        if check_folder(self._folder) is not True:
            return []
        return sorted(name for name in os.listdir(self._folder) if name.endswith(_SUFFIX))

    def _known_sizes(self) -> dict[str, int]:
        if self._sizes is None:
            refusal = make_folder(self._folder)
            if isinstance(refusal, FolderRefusal):
                raise OSError(refusal.value)
            sizes = {name: os.lstat(self._path(name)).st_size for name in self._names()}
            # A sender that was killed between the two has made its entry, and not written it.
            self._sizes = {name: size for name, size in sizes.items() if size or not remove_quietly(self._path(name))}
        return self._sizes

    def _make_room(self, sizes: dict[str, int], size: int) -> None:
        while len(sizes) >= MAX_REQUESTS or sum(sizes.values()) + size > MAX_BYTES:
            oldest = min(sizes)
            system.patiently(os.unlink, self._path(oldest))
            del sizes[oldest]

    def _next_number(self, sizes: dict[str, int]) -> int:
        digits = max(sizes, default="").removesuffix(_SUFFIX)
        return int(digits) + 1 if digits.isascii() and digits.isdigit() else len(sizes)


def _parse(data: bytes) -> Entry | None:
    first, newline, rest = data.partition(b"\n")
    meta = _object(first)
    if meta is None or not newline:
        return None
    at_ms, size, host, line = meta.get("at_ms"), meta.get("bytes"), meta.get("host"), meta.get("request")
    if type(at_ms) is not int or type(size) is not int or not isinstance(host, str) or not isinstance(line, str):
        return None
    if not 0 <= size <= len(rest):
        return None
    answer = _object(rest[size:].strip()) or {}
    status, error = answer.get("status"), answer.get("error")
    return Entry(
        at_ms=at_ms,
        host=host,
        request_line=line,
        request=rest[:size],
        status=status if type(status) is int else None,
        error=error if isinstance(error, str) else None,
    )


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
