from __future__ import annotations

import os
from pathlib import Path

import support
from doubles.opening import opened, said_yes  # noqa: F401 - an autouse fixture
from doubles.records import make_record
from franklinwh_telemetry import event
from franklinwh_telemetry.spool import MAX_MANIFEST_BYTES
from support import APPLICATION, posix_only

NOW_MS = 1_750_000_000_000


def test_waiting_records_are_read_from_both_places():
    """What a sender has claimed waits as well, the oldest first."""
    spool = opened()
    for number in (2, 1, 3):
        spool.append(make_record(number), NOW_MS + number)
    names = spool.names()
    os.rename(spool.path(f"new/{names[1]}"), spool.path(f"claimed/{names[1]}"))

    assert spool.names() == names == sorted(names)
    assert [spool.read(name) for name in names] == [event.encode(make_record(number)) for number in (1, 2, 3)]
    assert spool.read("missing") is None


@posix_only
def test_no_manifest_but_ours_is_read(tmp_path):
    """A manifest that is missing, damaged, too large or a link is none: nothing may be sent then."""
    spool = opened()
    path = Path(spool.path("manifest.json"))
    good = path.read_bytes()
    assert spool.manifest() is not None

    (tmp_path / "elsewhere").write_bytes(good)
    for spoil in (path.unlink, lambda: path.symlink_to(tmp_path / "elsewhere")):
        spoil()
        assert spool.manifest() is None
    path.unlink()
    for data in (b"", good[:-1], good + b" " * MAX_MANIFEST_BYTES):
        path.write_bytes(data)
        assert spool.manifest() is None


def test_empty_withdraws_the_grant_first(monkeypatch):
    """The manifest goes before the first record, so that a sender at work stops; all goes, and is counted."""
    spool = opened()
    for number in range(3):
        spool.append(make_record(number), NOW_MS + number)
    name = spool.names()[0]
    os.rename(spool.path(f"new/{name}"), spool.path(f"claimed/{name}"))
    Path(spool.path("tmp/half")).touch()
    Path(spool.path("new/folder/below")).mkdir(parents=True)
    removed = []
    unlink = os.unlink

    def watched(path):
        removed.append(os.path.basename(path))
        unlink(path)

    monkeypatch.setattr(os, "unlink", watched)

    assert spool.empty() == 4
    assert removed[0] == "manifest.json"
    assert spool.names() == os.listdir(spool.path("tmp")) == []
    assert spool.manifest() is None
    assert spool.tally.read() == {"discarded_on_withdrawal": 4}
    assert spool.empty() == 0


def test_after_a_withdrawal_a_new_yes_starts_afresh():
    """A spool that was emptied takes records again once there is a yes, with a manifest of its own."""
    opened().append(make_record(1), NOW_MS)
    opened().empty()
    opened().append(make_record(2), NOW_MS)

    assert opened().manifest() is not None
    assert [record["span_id"] for record in support.waiting()] == ["0000000000000002"]


def test_state_that_is_not_ours_is_passed_over():
    """Without a state folder there are no applications and no spools, and files among the spools are none."""
    assert (support.applications(), support.spools()) == ([], [])
    spool = opened()
    Path(support.state_root(), "file").touch()
    assert support.applications() == [APPLICATION]
    assert [found.folder for found in support.spools()] == [spool.folder]


def test_a_no_where_nothing_waits_parses_no_manifest():
    """A program whose user has said no looks for what waits, and loads nothing that would read it."""
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = false\n", encoding="utf-8")
    code = (
        "import sys\nfrom franklinwh_telemetry import Telemetry, Vocabulary\n"
        "with Telemetry('franklinwh-cloud', Vocabulary(['status'])).command('status'):\n    pass\n"
        "print(*(name.removeprefix('franklinwh_telemetry.') for name in sys.modules))\n"
    )
    loaded = support.run_python(code).stdout.split()

    assert "backlog" in loaded
    assert {"address", "destination", "manifestfile", "permission"}.isdisjoint(loaded)
