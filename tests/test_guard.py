from __future__ import annotations

import os
from pathlib import Path

import pytest

import support
from franklinwh_telemetry import Telemetry, Vocabulary, guard, testing
from franklinwh_telemetry.spool import Spool
from franklinwh_telemetry.statefolder import Tally
from support import APPLICATION, CONSENT


def fail(error):
    raise error


@pytest.fixture(autouse=True)
def nobody_remembers(monkeypatch):
    """No state folder is remembered, and nothing was noted."""
    monkeypatch.setattr(guard, "_state_folders", [])
    monkeypatch.setattr(guard, "notes", [])


@pytest.mark.parametrize("error", [ValueError, OSError, RecursionError, MemoryError])
def test_errors_end_here(error):
    """An `Exception` is swallowed, and noted by its class and the place where it arose."""
    with guard.guard:
        fail(error("surprise"))

    assert guard.notes == [f"{error.__name__} in test_guard.py:fail"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_passes(error):
    """Ctrl-C, an exit and a closed generator are not ours to swallow, and are not noted."""
    with pytest.raises(error), guard.guard:
        fail(error())
    assert guard.notes == []


def test_no_text_of_an_error_is_kept(tmp_path):
    """Neither the notes nor the files hold a word of an error's text, its cause or its arguments."""
    guard.remember_state_folder(str(tmp_path))
    with guard.guard:
        try:
            fail(OSError(2, "surprise", "/home/user/surprise"))
        except OSError as error:
            raise ValueError("surprise") from error

    kept = "".join(guard.notes) + "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "ValueError" in kept
    assert "surprise" not in kept


def test_counted_in_the_state_folder(tmp_path):
    """In the folder that was named last, errors are counted and the last one stands in a file; no other is made."""
    guard.remember_state_folder(str(tmp_path / "other"))
    guard.remember_state_folder(str(tmp_path))
    for error in (ValueError, KeyError):
        with guard.guard:
            fail(error())

    assert Tally(str(tmp_path)).read() == {"errors": 2}
    assert (tmp_path / "last-error").read_text() == "KeyError in test_guard.py:fail"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counts", "last-error"]


def test_a_folder_that_has_gone_costs_nothing(tmp_path):
    """Where the folder was removed meanwhile, the error is still swallowed, and no folder is made for it."""
    guard.remember_state_folder(str(tmp_path / "gone"))
    with guard.guard:
        fail(ValueError())

    assert guard.notes == ["ValueError in test_guard.py:fail"]
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_written():
    """Before consent has made a folder, an error is noted in memory alone."""
    with guard.guard:
        fail(ValueError())
    assert guard.notes
    assert os.listdir(os.environ["XDG_STATE_HOME"]) == []


def test_notes_are_bounded():
    """A program that fails a million times keeps twenty notes."""
    for _ in range(guard.MAX_NOTES * 2):
        guard.note_refusal("no state folder")
    assert guard.notes == ["no state folder"] * guard.MAX_NOTES


def test_raised_only_while_testing_is_active():
    """Our own errors pass while the `testing` module says so, nested too, and are swallowed again afterwards."""
    with testing.errors_raised():
        with testing.errors_raised(), pytest.raises(ValueError, match="surprise"), guard.guard:
            fail(ValueError("surprise"))
        with pytest.raises(ValueError, match="surprise"), guard.guard:
            fail(ValueError("surprise"))
    with guard.guard:
        fail(ValueError("surprise"))
    assert guard.notes == ["ValueError in test_guard.py:fail"]


def test_status_shows_what_was_swallowed(monkeypatch):
    """An error on the user's path, here of the spool, is counted and named in `status`; the command does its work."""
    Path("franklinwh.ini").write_text(CONSENT)
    telemetry = Telemetry(APPLICATION, Vocabulary(["status"]))
    with telemetry.command("status"):
        pass
    monkeypatch.setattr(Spool, "append", lambda *_arguments: fail(OSError("surprise")))

    with telemetry.command("status"):
        done = True

    status = telemetry.status()
    assert done
    assert len(support.waiting()) == 1
    assert status.counts["errors"] == 1
    assert status.last_error == "OSError in test_guard.py:fail"
