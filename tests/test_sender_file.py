"""The embedded file: one OTLP/JSON request a line, whole or not at all, private and bounded."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import support
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.records import APPLICATION, Told, make_record, make_records
from franklinwh_telemetry.destination import FILE
from franklinwh_telemetry.sender import file as file_module
from franklinwh_telemetry.sender.acknowledge import UNWRITABLE
from franklinwh_telemetry.sender.delivery import Delivery
from franklinwh_telemetry.sender.file import FILE_NAME
from franklinwh_telemetry.sender.spans import otlp_json
from support import posix_only

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from franklinwh_telemetry.event import Record


def send(folder: Path, records: Sequence[Record], **settings: Any) -> Told:
    """Deliver to the file, and return what was said."""
    told = Told()
    settings = {"may_send": lambda: True, **settings}
    delivery = Delivery(application=APPLICATION, destination=FILE, folder=str(folder), outcome=told, **settings)
    delivery.deliver(records)
    delivery.close()
    return told


def lines(path: Path) -> list[Any]:
    """The lines of a file that ends with one."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def test_each_batch_is_a_line(tmp_path: Path) -> None:
    """512 spans at most to a line; every line is a whole request in OTLP/JSON."""
    records = make_records(600)
    told = send(tmp_path, records)
    assert told.accepted_ids == list(range(1, 601))
    assert lines(tmp_path / FILE_NAME) == [
        otlp_json(records[:512], APPLICATION),
        otlp_json(records[512:], APPLICATION),
    ]


def test_a_line_that_was_written_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal as the file is closed changes nothing of what is in it: the events are delivered."""
    records = make_records(3)
    with support.closing_interrupted(monkeypatch):
        told = send(tmp_path, records)
    assert told.accepted_ids == [1, 2, 3]
    assert lines(tmp_path / FILE_NAME) == [otlp_json(records, APPLICATION)]


def test_text_with_line_separators_stays_on_its_line(tmp_path: Path) -> None:
    """Only the end of a request ends a line, for readers that split at line feeds."""
    record = make_record(command="a<b>&é\u2028z")
    send(tmp_path, [record])
    content = (tmp_path / FILE_NAME).read_bytes()
    assert content.count(b"\n") == 1
    assert json.loads(content) == otlp_json([record], APPLICATION)


def test_nothing_else_is_made(tmp_path: Path) -> None:
    """No journal, no key, no other file: nothing left the machine."""
    send(tmp_path, make_records(1))
    assert [name for name in os.listdir(tmp_path) if name not in ("home", "state", "work")] == [FILE_NAME]


@posix_only
def test_only_this_user_can_read_it(tmp_path: Path) -> None:
    """0600, also under a generous umask."""
    before = os.umask(0)
    try:
        send(tmp_path, make_records(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b'{"resourceSpans":[{"resou', b"{}", b"x" * 200_000])
def test_torn_line_is_taken_away(tmp_path: Path, torn: bytes) -> None:
    """What a killed run left half written was not acknowledged; the next run begins on a line of its own."""
    send(tmp_path, make_records(1))
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole + torn)
    send(tmp_path, make_records(2))
    assert (tmp_path / FILE_NAME).read_bytes().startswith(whole)
    assert len(lines(tmp_path / FILE_NAME)) == 2


def test_torn_first_line_is_taken_away(tmp_path: Path) -> None:
    """Also when there is no whole line at all."""
    (tmp_path / FILE_NAME).write_bytes(b"surprise")
    send(tmp_path, make_records(1))
    assert lines(tmp_path / FILE_NAME) == [otlp_json(make_records(1), APPLICATION)]


@posix_only
def test_killed_writer_tears_at_most_the_last_line(tmp_path: Path) -> None:
    """A process killed in the middle of a line leaves every earlier line whole, and the next run mends the rest."""
    program = (
        "import os, sys\n"
        "from doubles.records import make_records\n"
        "from franklinwh_telemetry.sender import file\n"
        "import test_sender_file as test\n"
        "from pathlib import Path\n"
        "folder = Path(sys.argv[1])\n"
        "test.send(folder, make_records(1))\n"
        "honest = os.write\n"
        "def dying(descriptor, data):\n"
        "    honest(descriptor, bytes(data)[:100])\n"
        "    os.kill(os.getpid(), 9)\n"
        "file.os.write = dying\n"
        "test.send(folder, make_records(2))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, env=environment)
    assert killed.returncode == -9
    assert len((tmp_path / FILE_NAME).read_bytes().splitlines()[1]) == 100
    assert send(tmp_path, make_records(2)).accepted_ids == [1, 2]
    assert lines(tmp_path / FILE_NAME) == [
        otlp_json(make_records(1), APPLICATION),
        otlp_json(make_records(2), APPLICATION),
    ]


def test_file_is_rotated_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full file makes way for a new one; three old ones stay, the oldest goes."""
    monkeypatch.setattr(file_module, "MAX_FILE_BYTES", 1_500)
    for number in range(1, 12):
        send(tmp_path, [make_record(number)])
    kept = [FILE_NAME, *(f"{FILE_NAME}.{number}" for number in (1, 2, 3))]
    found = {name: lines(tmp_path / name) for name in kept}
    assert sorted(name for name in os.listdir(tmp_path) if name.startswith(FILE_NAME)) == sorted(kept)
    assert all((tmp_path / name).stat().st_size <= 1_500 for name in kept)
    newest_last = [line for name in reversed(kept) for line in found[name]]
    expected = [otlp_json([make_record(number)], APPLICATION) for number in range(1, 12)]
    assert newest_last == expected[-len(newest_last) :]
    assert len(newest_last) >= 4


def test_line_larger_than_a_file_is_still_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty or new file takes at least one line."""
    monkeypatch.setattr(file_module, "MAX_FILE_BYTES", 10)
    assert send(tmp_path, make_records(1)).accepted_ids == [1]
    assert send(tmp_path, make_records(1)).accepted_ids == [1]
    assert len(lines(tmp_path / FILE_NAME)) == len(lines(tmp_path / f"{FILE_NAME}.1")) == 1


@posix_only
@pytest.mark.parametrize("kind", ["link", "hard link", "folder", "pipe"])
def test_what_is_no_plain_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    """A link, a second name, a folder or a pipe in its place: kept, told, and nothing written through it."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    path = tmp_path / FILE_NAME
    if kind == "link":
        path.symlink_to(target)
    elif kind == "hard link":
        path.hardlink_to(target)
    elif kind == "folder":
        path.mkdir()
    else:
        support.make_fifo(path)
    told = send(tmp_path, make_records(2))
    assert target.read_bytes() == b"precious"
    assert told.accepted_ids == []
    assert [trouble.kind for trouble in told.troubles] == ["local"]
    assert FILE_NAME in told.troubles[0].message


def test_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written of a line that does not fit is taken back."""
    send(tmp_path, make_records(1))
    honest = os.write
    calls = iter([50])

    def full(descriptor: int, data: Any) -> int:
        size = next(calls, None)
        if size is None:
            raise OSError(28, "surprise")
        return honest(descriptor, bytes(data)[:size])

    monkeypatch.setattr(os, "write", full)
    told = send(tmp_path, make_records(2))
    monkeypatch.undo()
    assert [trouble.kind for trouble in told.troubles] == ["local"]
    assert "surprise" not in told.troubles[0].message
    assert lines(tmp_path / FILE_NAME) == [otlp_json(make_records(1), APPLICATION)]


def test_withdrawal_stops_the_file_too(tmp_path: Path) -> None:
    """Asked before each line."""
    told = send(tmp_path, make_records(1), may_send=lambda: False)
    assert [trouble.kind for trouble in told.troubles] == ["withdrawn"]
    assert not (tmp_path / FILE_NAME).exists()


def test_time_beyond_otlp_is_refused(tmp_path: Path) -> None:
    """OTLP/JSON has the same 64 bits."""
    told = send(tmp_path, [make_record(1), make_record(2, executed_at_ms=253_402_300_799_999)])
    assert (told.accepted_ids, told.refusals) == ([1], [(2, UNWRITABLE)])
