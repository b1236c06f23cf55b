"""The journal: bounded, exact, private, and never in the way of its own reading."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franklinwh_telemetry.sender import journal as journal_module
from franklinwh_telemetry.sender.journal import Entry, Journal
from support import closing_interrupted, posix_only

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = b"POST /v1/traces HTTP/1.1\r\nHost: h\r\n\r\n\x00\xff\n{}\n"


def write(journal: Journal, request: bytes = REQUEST) -> str:
    """Write one request."""
    return journal.write(request, host="collector.example", line="POST /v1/traces")


def test_entry_holds_the_exact_bytes_and_the_answer(tmp_path: Path) -> None:
    """What was written comes back whole, with when, where and how it ended."""
    journal = Journal(str(tmp_path / "journal"), wall_clock_s=lambda: 1_700_000_000.25)
    journal.answered(write(journal), 200, None)
    assert list(journal.entries()) == [
        Entry(
            at_ms=1_700_000_000_250,
            host="collector.example",
            request_line="POST /v1/traces",
            request=REQUEST,
            status=200,
            error=None,
        ),
    ]


def test_a_signal_as_it_is_closed_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request and its answer are there, and the sender goes on."""
    journal = Journal(str(tmp_path / "journal"))
    with closing_interrupted(monkeypatch):
        journal.answered(write(journal), 200, None)
    assert [(entry.request, entry.status) for entry in journal.entries()] == [(REQUEST, 200)]


def test_request_without_an_answer_is_there_too(tmp_path: Path) -> None:
    """A sender killed right after the write leaves the request, its answer unknown."""
    journal = Journal(str(tmp_path / "journal"))
    write(journal)
    (entry,) = journal.entries()
    assert (entry.request, entry.status, entry.error) == (REQUEST, None, None)


def test_error_is_kept_by_its_name(tmp_path: Path) -> None:
    """Where no answer came, the entry says why."""
    journal = Journal(str(tmp_path / "journal"))
    journal.answered(write(journal), None, "timed out")
    assert [(entry.status, entry.error) for entry in journal.entries()] == [(None, "timed out")]


def test_newest_is_last_whatever_the_clock_says(tmp_path: Path) -> None:
    """Entries come in the order of writing, also across senders and when the clock is set back."""
    folder = str(tmp_path / "journal")
    for number in range(12):
        write(Journal(folder, wall_clock_s=lambda number=number: 1000.0 - number), b"%d" % number)  # type: ignore[misc]
    assert [entry.request for entry in Journal(folder).entries()] == [b"%d" % number for number in range(12)]


@posix_only
def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """The folder is 0700 and each file 0600."""
    folder = tmp_path / "journal"
    name = write(Journal(str(folder)))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of requests is bounded, over several senders."""
    monkeypatch.setattr(journal_module, "MAX_REQUESTS", 3)
    journal = Journal(str(tmp_path / "journal"))
    for numbers in ((0, 1), (2, 3, 4)):
        journal = Journal(str(tmp_path / "journal"))
        for number in numbers:
            write(journal, b"%d" % number)
    assert [entry.request for entry in journal.entries()] == [b"2", b"3", b"4"]


def test_oldest_go_when_they_are_too_large(tmp_path: Path) -> None:
    """All files together stay within 4 MiB."""
    journal = Journal(str(tmp_path / "journal"))
    for number in range(6):
        journal.answered(write(journal, b"%d" % number * 1_000_000), 200, None)
    assert [entry.request[:1] for entry in journal.entries()] == [b"2", b"3", b"4", b"5"]
    assert sum(path.stat().st_size for path in (tmp_path / "journal").iterdir()) <= 4 * 1024 * 1024


def test_request_larger_than_the_journal_is_refused(tmp_path: Path) -> None:
    """It cannot be kept, so it must not be sent, and nothing is thrown away for it."""
    journal = Journal(str(tmp_path / "journal"))
    write(journal)
    with pytest.raises(OSError, match="larger"):
        write(journal, b"x" * 4 * 1024 * 1024)
    assert len(list(journal.entries())) == 1


def test_what_a_killed_sender_left_empty_is_removed(tmp_path: Path) -> None:
    """An entry that was made and not written goes with the next one, and its number is not missed."""
    write(Journal(str(tmp_path / "journal")), b"before")
    (tmp_path / "journal" / "000000000005.request").touch()
    journal = Journal(str(tmp_path / "journal"))
    write(journal, b"after")
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == [
        "000000000000.request",
        "000000000001.request",
    ]
    assert ([entry.request for entry in journal.entries()], journal.skipped) == ([b"before", b"after"], 0)


@pytest.mark.parametrize("damage", [b"{}", b"[]\n", b'{"at_ms": 1}\n', b"\xff\n", b"[" * 100_000 + b"\n"])
def test_damaged_file_is_skipped_and_counted(tmp_path: Path, damage: bytes) -> None:
    """What is not an entry is passed over; the others are read, and new ones written."""
    journal = Journal(str(tmp_path / "journal"))
    write(journal, b"before")
    (tmp_path / "journal" / "000000000005.request").write_bytes(damage)
    write(journal, b"after")
    again = Journal(str(tmp_path / "journal"))
    write(again, b"later")
    assert [entry.request for entry in again.entries()] == [b"before", b"after", b"later"]
    assert again.skipped == 1


def test_torn_entry_is_skipped(tmp_path: Path) -> None:
    """Fewer bytes than were announced are no entry."""
    journal = Journal(str(tmp_path / "journal"))
    path = tmp_path / "journal" / write(journal)
    path.write_bytes(path.read_bytes()[:-1])
    assert list(journal.entries()) == []
    assert journal.skipped == 1


def test_file_with_a_foreign_name_does_not_stop_it(tmp_path: Path) -> None:
    """A name that is no number of ours neither breaks the writing nor the reading."""
    journal = Journal(str(tmp_path / "journal"))
    write(journal, b"before")
    (tmp_path / "journal" / "surprise.request").write_bytes(b"surprise")
    again = Journal(str(tmp_path / "journal"))
    write(again, b"after")
    assert [entry.request for entry in again.entries()] == [b"before", b"after"]


@posix_only
def test_link_in_its_place_is_refused(tmp_path: Path) -> None:
    """A link where the folder should be is not followed."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "journal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        write(Journal(str(tmp_path / "journal")))
    assert os.listdir(tmp_path / "elsewhere") == []


def test_no_journal_has_no_entries(tmp_path: Path) -> None:
    """Reading makes nothing."""
    assert list(Journal(str(tmp_path / "journal")).entries()) == []
    assert not (tmp_path / "journal").exists()


def test_erase_leaves_nothing(tmp_path: Path) -> None:
    """Every request is gone, and the next can be written."""
    journal = Journal(str(tmp_path / "journal"))
    write(journal)
    journal.erase()
    assert os.listdir(tmp_path / "journal") == []
    write(journal)
    assert len(list(journal.entries())) == 1


@given(request=st.binary(max_size=200), status=st.none() | st.just(204))
def test_any_bytes_come_back(request: bytes, status: int | None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the bytes are, also line ends and what looks like an answer, they come back exactly."""
    journal = Journal(str(tmp_path_factory.mktemp("any") / "journal"))
    name = write(journal, request)
    if status is not None:
        journal.answered(name, status, None)
    assert [(entry.request, entry.status) for entry in journal.entries()] == [(request, status)]
