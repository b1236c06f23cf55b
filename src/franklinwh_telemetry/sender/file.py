"""The embedded default: OTLP/JSON, one request a line, in a file that only this user can read."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import system
from franklinwh_telemetry.sender import spans
from franklinwh_telemetry.sender.acknowledge import (
    UNWRITABLE,
    Accepted,
    AcknowledgingSpanExporter,
    Outcome,
    Refused,
    Trouble,
    Verdict,
)
from franklinwh_telemetry.statefolder import FILE_MODE, read_small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from franklinwh_telemetry.event import Record

FILE_NAME: Final = "telemetry.jsonl"
MAX_FILE_BYTES: Final = 10 * 1024 * 1024
KEPT_FILES: Final = 3
"""Older files: `telemetry.jsonl.1` is the youngest of them."""

_BLOCK: Final = 64 * 1024
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | system.OURS


def otlp_line(records: Sequence[Record], application: str) -> bytes:
    """One ExportTraceServiceRequest in OTLP/JSON, and the end of its line."""
    fields = spans.otlp_json(records, application)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class FileSpanExporter(AcknowledgingSpanExporter):
    """
    Appends each batch as a line, flushed to the disk before it is acknowledged.

    A killed run tears at most the last line, which was not acknowledged; the next one takes its remains away.
    """

    def __init__(self, folder: str, *, application: str, may_send: Callable[[], bool], outcome: Outcome) -> None:
        super().__init__(application=application, host="the file on this machine", may_send=may_send, outcome=outcome)
        self._path = os.path.join(folder, FILE_NAME)

    def post(self, batch: Sequence[tuple[ReadableSpan, Record]]) -> Verdict:
        """One line."""
        records = [record for _span, record in batch]
        if not all(spans.fits_otlp(record) for record in records):
            return Refused(UNWRITABLE)
        try:
            line = otlp_line(records, self._application)
        except ValueError:
            return Refused(UNWRITABLE)
        try:
            self._append(line)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "it is not a file of this user alone"
            return Trouble("local", f"{FILE_NAME} cannot be written: {reason}; check it, the folder and the disk")
        return Accepted()

    def _append(self, line: bytes) -> None:
        self._rotate(len(line))
        descriptor = os.open(self._path, _FLAGS, FILE_MODE)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise OSError("not a plain file")
            end = _whole_lines(descriptor, found.st_size)
            if end != found.st_size:
                os.ftruncate(descriptor, end)
            try:
                _write_all(descriptor, line)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            system.close(descriptor)

    def _rotate(self, more_bytes: int) -> None:
        try:
            size = os.lstat(self._path).st_size
        except FileNotFoundError:
            return
        if size == 0 or size + more_bytes <= MAX_FILE_BYTES:
            return
        for number in reversed(range(KEPT_FILES)):
            younger = self._path if number == 0 else f"{self._path}.{number}"
            if os.path.lexists(younger):
                system.patiently(os.replace, younger, f"{self._path}.{number + 1}")


def _whole_lines(descriptor: int, size: int) -> int:
    """Where the last whole line ends."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        os.lseek(descriptor, start, os.SEEK_SET)
        newline = os.read(descriptor, end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def written_lines(folder: str) -> Iterator[bytes]:
    """Every whole line that is kept below *folder*, the oldest file first; what is no regular file is passed over."""
    path = os.path.join(folder, FILE_NAME)
    for name in (*(f"{path}.{number}" for number in range(KEPT_FILES, 0, -1)), path):
        data = read_small(name, MAX_FILE_BYTES) or b""
        yield from (line for line in data.splitlines(keepends=True) if line.endswith(b"\n"))
