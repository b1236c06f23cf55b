"""
The bounds of a spool, kept without a look at the folder for each record.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import support
from franklinwh_telemetry.room import KNOWN_OLDEST
from franklinwh_telemetry.spool import FEW, MAX_AGE_MS, MAX_RECORDS, Spool
from franklinwh_telemetry.statefolder import Tally

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000

HOST = """
import sys
from franklinwh_telemetry.spool import Spool
folder, first, number, now_ms = sys.argv[1], *map(int, sys.argv[2:])
room = Spool(folder).room
for index in range(first, first + number):
    room.make_for_one(now_ms)
    open(f"{folder}/new/{now_ms + index:015d}-{index:016x}", "wb").close()
"""


@pytest.fixture
def folder(tmp_path):
    """Give the test an empty spool's folder."""
    (tmp_path / "new").mkdir()
    return tmp_path


@pytest.fixture
def looks(monkeypatch):
    """Count how often the folder of the records is listed."""
    found = []
    listdir = os.listdir

    def counted(path):
        if str(path).endswith("new"):
            found.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", counted)
    return found


def record_name(at_ms: int, number: int) -> str:
    return f"{at_ms:015d}-{number:016x}"


def fill(folder: Path, number: int, *, since_ms: int = NOW_MS - 60_000) -> list[str]:
    names = [record_name(since_ms + index, index) for index in range(number)]
    for name in names:
        (folder / "new" / name).touch()
    return names


def append(folder: Path, number: int, *, now_ms: int = NOW_MS, first: int = 0x10000) -> list[str]:
    room = Spool(str(folder)).room
    names = []
    for index in range(first, first + number):
        room.make_for_one(now_ms)
        names.append(record_name(now_ms + index, index))
        (folder / "new" / names[-1]).touch()
    return names


def waiting(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "new").iterdir())


def test_few_records_leave_no_count(folder):
    """Where hardly anything waits the folder is listed, and no file but the records is ever made."""
    append(folder, FEW)
    assert sorted(path.name for path in folder.iterdir()) == ["new"]


def test_many_records_are_counted_not_listed(folder, looks):
    """Once more than a few wait, hundreds of appends take one look at the folder."""
    fill(folder, FEW + 1)
    append(folder, 500)
    assert len(looks) == 1
    assert len(waiting(folder)) == FEW + 501


def test_from_empty_to_the_bound_exactly_the_newest_stay(folder, looks):
    """Of 2,500 appended in a row the newest 1,000 stay, each other one counted, after few looks at the folder."""
    names = append(folder, 2_500)
    assert waiting(folder) == names[-MAX_RECORDS:]
    assert Tally(str(folder)).read() == {"dropped_spool_full": 1_500}
    assert len(looks) <= FEW + 5 + 1_500 // KNOWN_OLDEST


def test_at_the_bound_the_oldest_goes_for_each_that_comes(folder):
    """The one that has waited longest is dropped at each append, across several looks."""
    names = fill(folder, MAX_RECORDS)
    for number in range(1, 3 * KNOWN_OLDEST):
        added = append(folder, 1, first=0x10000 + number)
        assert (len(waiting(folder)), waiting(folder)[0], waiting(folder)[-1]) == (
            MAX_RECORDS,
            names[number],
            added[0],
        )


@pytest.mark.parametrize("call", ["listdir", "lseek"])
def test_an_interrupted_look_is_taken_again(folder, monkeypatch, call):
    """A signal that interrupts a look at a full spool keeps no new record out, and costs no old one more."""
    old = fill(folder, MAX_RECORDS)
    with support.interrupted_three_times(monkeypatch, call) as interruptions:
        new = append(folder, 2)

    assert len(interruptions) == 3
    assert waiting(folder) == [*old[2:], *new]


def test_a_sender_that_has_emptied_the_spool_costs_nothing_new(folder):
    """What was counted and has left since drops no record that came later."""
    fill(folder, MAX_RECORDS)
    append(folder, 1)
    for path in (folder / "new").iterdir():
        path.unlink()
    names = append(folder, 300, first=0x20000)
    assert waiting(folder) == names
    assert Tally(str(folder)).read() == {"dropped_spool_full": 1}


def test_once_a_day_the_old_ones_go(folder, looks):
    """The first append of a day looks for what is too old, and yesterday's count is removed."""
    old = fill(folder, 100, since_ms=NOW_MS - MAX_AGE_MS)
    append(folder, 2)
    assert len(looks) == 1
    kept = append(folder, 1, now_ms=NOW_MS + DAY_MS)
    assert len(looks) == 2
    assert not set(old) & set(waiting(folder))
    assert kept[0] in waiting(folder)
    assert not (folder / "crowd").exists()
    assert Tally(str(folder)).read() == {"dropped_too_old": 100}


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"\0" * 330, b"../../../../../precious/file\n" * 20])
def test_a_damaged_list_of_the_oldest_removes_nothing_else(folder, damage):
    """Whatever the list of the oldest holds, only a record of this spool can be dropped, and the bound holds."""
    precious = folder / "precious"
    precious.touch()
    names = fill(folder, MAX_RECORDS)
    append(folder, 1)
    (folder / "crowd" / "oldest").write_bytes(damage)
    append(folder, 2, first=0x20000)
    assert precious.exists()
    assert waiting(folder)[0] == names[3]
    assert len(waiting(folder)) == MAX_RECORDS


def test_a_link_in_place_of_the_count_is_not_followed(folder):
    """A link of somebody else's among our files adds nothing to its target."""
    fill(folder, FEW + 1)
    target = folder / "target"
    target.write_bytes(b"")
    (folder / "crowd").mkdir()
    (folder / "crowd" / str(NOW_MS // DAY_MS)).symlink_to(target)
    append(folder, 3)
    assert target.read_bytes() == b""
    assert len(waiting(folder)) == FEW + 4


def test_a_count_that_says_too_little_is_mended_by_the_next_look(folder):
    """If bytes are lost, more may wait for a while; the next look brings the spool back to its bound."""
    fill(folder, MAX_RECORDS + 40)
    (folder / "crowd").mkdir()
    (folder / "crowd" / str(NOW_MS // DAY_MS)).write_bytes(b"." * MAX_RECORDS)
    append(folder, 1)
    assert len(waiting(folder)) == MAX_RECORDS


def test_eight_hosts_at_the_bound_stay_near_it(folder):
    """Hosts that append at the same moment drop one record for each, and the bound is passed by none but a few."""
    fill(folder, MAX_RECORDS)
    hosts = [
        subprocess.Popen([sys.executable, "-c", HOST, str(folder), str(index * 1_000 + 0x10000), "100", str(NOW_MS)])
        for index in range(8)
    ]
    assert [host.wait() for host in hosts] == [0] * 8
    found = waiting(folder)
    assert MAX_RECORDS <= len(found) <= MAX_RECORDS + 16
    assert Tally(str(folder)).read()["dropped_spool_full"] == MAX_RECORDS + 800 - len(found)
    append(folder, KNOWN_OLDEST + 2, first=0x90000)
    assert len(waiting(folder)) <= MAX_RECORDS + 1
