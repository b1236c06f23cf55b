from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from franklinwh_telemetry.statefolder import MAX_COUNT, Tally

COUNTING = """
import sys
from franklinwh_telemetry.statefolder import Tally
sys.stdin.readline()
for _ in range(200):
    Tally(sys.argv[1]).add("errors")
"""


def test_counts_add_up(tmp_path):
    """Each count is the sum of what was added, by name, in the order of names."""
    counts = Tally(str(tmp_path))
    counts.add("sent", 3)
    counts.add("errors")
    counts.add("sent", 2)

    assert list(Tally(str(tmp_path)).read().items()) == [("errors", 1), ("sent", 5)]


def test_nothing_is_counted_below_a_missing_folder(tmp_path):
    """A count never makes the folder it belongs to, and where there is none it reads as nothing."""
    counts = Tally(str(tmp_path / "missing"))
    counts.add("errors")

    assert counts.read() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [0, -1])
def test_nothing_is_taken_away(tmp_path, number):
    """Adding nothing, or less, leaves a count as it was."""
    counts = Tally(str(tmp_path))
    counts.add("errors", 2)
    counts.add("errors", number)
    assert counts.read() == {"errors": 2}


def test_a_count_is_bounded(tmp_path):
    """A count never passes its limit, so that no file grows without bound."""
    counts = Tally(str(tmp_path))
    counts.add("errors", MAX_COUNT - 1)
    counts.add("errors", 2)
    assert counts.read() == {"errors": MAX_COUNT - 1}

    counts.add("errors")
    counts.add("errors")
    assert counts.read() == {"errors": MAX_COUNT}


def test_processes_add_up_from_the_first_on(tmp_path):
    """Eight processes that begin to count at once, in a folder where nothing was counted, lose nothing."""
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTING, str(tmp_path)], stdin=subprocess.PIPE) for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)

    assert Tally(str(tmp_path)).read() == {"errors": 1600}


def test_a_folder_made_by_another_at_the_same_moment(tmp_path, monkeypatch):
    """Two that find no folder, and both make it, both count."""
    make = os.mkdir

    def lose_the_race(path, mode):
        make(path, mode)
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", lose_the_race)
    Tally(str(tmp_path)).add("errors")
    assert Tally(str(tmp_path)).read() == {"errors": 1}


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
def test_only_for_this_user_and_through_no_link(tmp_path):
    """Counts are 0600 in a folder 0700, and a link put in a count's place is not written through."""
    counts = Tally(str(tmp_path))
    counts.add("errors")
    (tmp_path / "elsewhere").touch()
    (tmp_path / "counts" / "surprise").symlink_to(tmp_path / "elsewhere")
    counts.add("surprise")

    assert (tmp_path / "counts").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "counts" / "errors").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "elsewhere").stat().st_size == 0


def test_what_goes_wrong_is_ignored(tmp_path):
    """A file in the folder's place, or a folder in a count's, raises nothing."""
    (tmp_path / "counts").write_text("in the way")
    Tally(str(tmp_path)).add("errors")
    assert Tally(str(tmp_path)).read() == {}
    assert Path(tmp_path, "counts").read_text() == "in the way"

    Path(tmp_path, "counts").unlink()
    Path(tmp_path, "counts", "errors").mkdir(parents=True)
    Tally(str(tmp_path)).add("errors")
