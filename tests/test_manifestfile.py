from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from doubles.opening import opened, said_yes  # noqa: F401 - an autouse fixture
from doubles.records import VOCABULARY, make_record
from franklinwh_telemetry import Vocabulary, manifestfile, permission, statefolder
from franklinwh_telemetry.lock import Lock
from support import posix_only

NOW_MS = 1_750_000_000_000


def test_a_vocabulary_that_outgrows_the_manifest_forgets_the_others():
    """What another program may record is kept beside one's own as long as the file stays readable."""
    many = [f"{number:0190}" for number in range(700)]
    opened(vocabulary=Vocabulary(many))
    spool = opened(vocabulary=Vocabulary([f"{number:0190}" for number in range(700, 1400)]))

    manifest = spool.manifest()
    assert manifest is not None
    assert (len(manifest.commands), set(manifest.commands) & set(many)) == (700, set())


def test_the_manifest_is_written_once():
    """Only another command to be named, or a damaged one, writes it anew; programs that differ do not take turns."""
    path = Path(opened().path("manifest.json"))
    os.utime(path, (1, 1))
    first = path.read_bytes()

    opened().append(make_record(1), NOW_MS)
    assert path.stat().st_mtime == 1

    opened(vocabulary=Vocabulary(["status", "x"]))
    assert path.stat().st_mtime != 1
    assert json.loads(path.read_bytes())["commands"] == [*VOCABULARY.commands, "x"]
    os.utime(path, (1, 1))
    opened(vocabulary=Vocabulary(["status", "x"]))
    opened()
    assert path.stat().st_mtime == 1

    path.write_bytes(b"surprise")
    opened()
    assert path.read_bytes() == first
    assert sorted(os.listdir(Path(path).parent)) == ["claimed", "manifest.json", "manifest.lock", "new", "tmp"]


@pytest.mark.parametrize("first", [True, False], ids=["no manifest yet", "a manifest"])
def test_programs_that_differ_open_the_spool_at_the_same_moment(monkeypatch, first):
    """Between one's look at the manifest and its writing another one writes: both lists are there afterwards."""
    looked = statefolder.read_small
    if not first:
        opened()

    def look(path, max_bytes):
        found = looked(path, max_bytes)
        if path.endswith("manifest.json"):
            monkeypatch.setattr(permission, "read_small", looked)
            opened(vocabulary=Vocabulary(["meanwhile"]))
        return found

    monkeypatch.setattr(permission, "read_small", look)
    manifest = opened(vocabulary=Vocabulary(["mine"])).manifest()

    assert manifest is not None
    assert {"mine", "meanwhile"} <= set(manifest.commands)


def test_a_list_is_added_while_nobody_else_adds_one():
    """Who holds the lock is waited for, and what it has written is kept."""
    spool = opened()
    path = Path(spool.path("manifest.json"))
    lock = Lock(spool.path("manifest.lock"))
    assert lock.acquire()
    other = threading.Thread(target=opened, kwargs={"vocabulary": Vocabulary(["mine"])})
    other.start()
    other.join(0.1)
    fields = json.loads(path.read_bytes())
    statefolder.replace(str(path), json.dumps({**fields, "commands": ["meanwhile"]}).encode())
    lock.release()
    other.join(60)

    assert json.loads(path.read_bytes())["commands"] == ["meanwhile", "mine"]


@posix_only
def test_a_program_that_was_stopped_with_the_lock_holds_nobody_up(monkeypatch):
    """The lock is not waited for for long; without it, what another writes at that very moment may be lost."""
    monkeypatch.setattr(manifestfile, "_LOCK_WAIT_S", 0.0)
    spool = opened()
    lock = Lock(spool.path("manifest.lock"))
    assert lock.acquire()
    manifest = opened(vocabulary=Vocabulary(["mine"])).manifest()
    lock.release()

    assert manifest is not None
    assert manifest.commands == (*VOCABULARY.commands, "mine")
