from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import support
from doubles.opening import granted, opened, said_yes  # noqa: F401 - an autouse fixture
from doubles.records import VOCABULARY, make_record
from franklinwh_telemetry import Granted, Telemetry, Vocabulary, event, permission, room, statefolder, testing
from franklinwh_telemetry.consent import read_consent
from franklinwh_telemetry.decoding import decode
from franklinwh_telemetry.destination import Destination, parse_destination
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.permission import assigned_uuid, open_spool, uuid_path
from franklinwh_telemetry.spool import MAX_AGE_MS, MAX_RECORDS, SENDER_LIFETIME_S, Manifest, Spool
from franklinwh_telemetry.statefolder import FolderRefusal
from support import APPLICATION, CONSENT, VERSION_4, posix_only

NOW_MS = 1_750_000_000_000

RECORDING = """
import sys
from franklinwh_telemetry import Telemetry, Vocabulary, testing
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
print("ready", flush=True)
sys.stdin.readline()
with testing.errors_raised():
    for _ in range(int(sys.argv[1])):
        with telemetry.command("status"):
            pass
"""

APPENDING = """
import os, sys
from franklinwh_telemetry import Vocabulary, event
from franklinwh_telemetry.decoding import decode
from franklinwh_telemetry.spool import Spool
spool = Spool(sys.argv[1])
vocabulary = Vocabulary(["status"])
of = decode(sys.stdin.buffer.readline(), vocabulary)
for number in range(1200):
    spool.append(event.make_record(of.event, os.urandom), 1_750_000_000_000 + number)
"""


def at_once(code: str, count: int, *arguments: str) -> list[str]:
    """Start programs that say when they are ready, then let them all go; what each has printed afterwards."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    printed = []
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            printed.append(process.communicate(timeout=100)[0])
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return printed


def test_a_record_is_one_small_file_in_new():
    """What is appended lies in `new`, byte for byte as it is encoded, and nothing else is left."""
    spool = opened()
    spool.append(make_record(7), NOW_MS)

    (path,) = Path(spool.path("new")).iterdir()
    assert path.name == "001750000000000-0000000000000007"
    assert path.read_bytes() == event.encode(make_record(7))
    assert sorted(path.name for path in Path(spool.folder).iterdir()) == ["claimed", "manifest.json", "new", "tmp"]
    assert os.listdir(spool.path("tmp")) == os.listdir(spool.path("claimed")) == []


@pytest.mark.parametrize("failing", ["write", "close", "rename"])
def test_a_record_that_cannot_be_written_leaves_nothing(monkeypatch, failing):
    """Whichever step of it fails, no half of it lies anywhere."""
    spool = opened()
    real_close = os.close

    def fail(*arguments):
        if failing == "close":
            real_close(*arguments)
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, fail)
        with pytest.raises(OSError, match="no room"):
            spool.append(make_record(7), NOW_MS)

    assert [os.listdir(spool.path(place)) for place in ("tmp", "new", "claimed")] == [[], [], []]


def test_a_close_that_was_interrupted_has_closed(monkeypatch):
    """The record is there: a file is closed even if a signal came in between."""
    spool = opened()

    with support.closing_interrupted(monkeypatch):
        spool.append(make_record(7), NOW_MS)

    assert spool.names() == ["001750000000000-0000000000000007"]


def test_a_signal_at_every_close_costs_no_event(monkeypatch):
    """The first command of a user, whose UUID, spool, counts and mark of life are made on the way, is recorded."""
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = true\n", encoding="utf-8")

    with support.closing_interrupted(monkeypatch), Telemetry(APPLICATION, VOCABULARY).command("status"):
        pass

    assert len(support.waiting()) == 1


@pytest.mark.parametrize("call", ["lstat", "mkdir", "listdir", "rename", "link", "stat"])
def test_calls_that_were_interrupted_are_made_again(monkeypatch, call):
    """A signal that interrupts a call, as a file system in a network lets it, costs no event."""
    with (
        support.interrupted_three_times(monkeypatch, call) as interruptions,
        Telemetry(APPLICATION, VOCABULARY).command("status"),
    ):
        pass

    assert (len(interruptions), len(support.waiting())) == (3, 1)


def test_what_a_killed_withdrawal_has_left_is_under_no_new_yes():
    """Records without a manifest go before a new one is written: they were thrown away with the old one."""
    spool = opened()
    spool.append(make_record(7), NOW_MS)
    Path(spool.path("claimed/surprise")).touch()
    os.unlink(spool.path("manifest.json"))

    opened().append(make_record(8), NOW_MS)

    assert spool.names() == ["001750000000000-0000000000000008"]


def test_a_manifest_that_cannot_be_read_costs_no_record(monkeypatch):
    """It is written anew, and what waits stays."""
    spool = opened()
    spool.append(make_record(7), NOW_MS)
    monkeypatch.setattr(permission, "read_small", lambda _path, _size: None)

    assert opened().names() == ["001750000000000-0000000000000007"]


def test_one_record_that_cannot_be_written_keeps_no_other_from_being(monkeypatch):
    """Of three that are written together, two are there."""
    allowed = Telemetry(APPLICATION, VOCABULARY).permission()
    assert not isinstance(allowed, Denied)
    real = Spool.append

    def append(spool, record, now_ms):
        if record.span_id == 2:
            raise OSError(errno.EIO, "an error")
        real(spool, record, now_ms)

    monkeypatch.setattr(Spool, "append", append)
    assert allowed.write(support.state_root(), [make_record(number) for number in (1, 2, 3)])
    assert [int(name[16:], 16) for name in support.only_spool().names()] == [1, 3]
    assert not allowed.write(support.state_root(), [make_record(2)])


def test_names_sort_by_time():
    """The names are in the order of time, whatever the ids, from 1970 to the end of the range."""
    spool = opened()
    kept = []
    for number, now_ms in enumerate((0, 1, 999, 10**9, 1_599_999_999_999, NOW_MS, event.MAX_EXECUTED_AT_MS)):
        spool.append(make_record(1000 - number), now_ms)
        kept.append(spool.names()[-1])

    assert kept == sorted(kept)
    assert {len(name) for name in kept} == {32}


def test_a_clock_before_1970_is_no_error():
    """A machine whose clock is wrong records all the same."""
    spool = opened()
    spool.append(make_record(1), -5)
    assert spool.names() == ["000000000000000-0000000000000001"]


def test_one_spool_for_each_yes():
    """Another ini, application or destination has another folder; the same yes always the same."""
    Path("other.ini").write_text(CONSENT)
    Path("app.ini").write_text(CONSENT.replace("[telemetry]", "[telemetry myapp]"))
    yes = opened()
    others = [
        opened(granted(ini="other.ini")),
        opened(granted("myapp", "app.ini")),
        opened(literal="https://collector.example.com"),
        opened(literal="https://collector.example.com/other"),
        opened(literal="posthog:phc_one"),
        opened(literal="posthog:phc_two"),
        opened(literal="posthog:phc_two@eu.i.posthog.com"),
    ]

    assert len({yes.folder, *(other.folder for other in others)}) == len(others) + 1
    assert opened().folder == yes.folder
    assert Path(yes.folder).parent == Path(support.state_root(), APPLICATION)


@posix_only
def test_a_link_to_an_ini_is_the_same_yes(tmp_path):
    """The real path counts: through a link, a relative path or another working directory it is one spool."""
    (tmp_path / "link.ini").symlink_to(Path("franklinwh.ini").resolve())
    (tmp_path / "folder").symlink_to(Path.cwd())

    folders = {
        opened(granted(ini=ini)).folder
        for ini in (
            "franklinwh.ini",
            "./franklinwh.ini",
            tmp_path / "link.ini",
            tmp_path / "folder" / "franklinwh.ini",
            Path("franklinwh.ini").resolve(),
        )
    }
    assert len(folders) == 1


def test_records_of_one_yes_do_not_meet_those_of_another():
    """When the user routes elsewhere, what was recorded before stays where it was."""
    telemetry = Telemetry(APPLICATION, Vocabulary(["status"]))
    for endpoint in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        Path("franklinwh.ini").write_text(CONSENT + f"endpoint = {endpoint}\n")
        with testing.errors_raised(), telemetry.command("status"):
            pass

    manifests = [spool.manifest() for spool in support.spools()]
    assert [len(spool.names()) for spool in support.spools()] == [1, 1]
    assert {of.destination.url for of in manifests if of is not None} == {
        "http://127.0.0.1:1/v1/traces",
        "http://127.0.0.1:2/v1/traces",
    }


def test_only_a_real_yes_opens_a_spool():
    """Nothing opens a spool but the `Granted` of that application and ini, whatever it looks like."""
    given = granted()
    destination = parse_destination("https://collector.example.com")
    assert isinstance(destination, Destination)
    manifest = Manifest.of(given, destination, VOCABULARY, 1)
    Path("other.ini").write_text(CONSENT)
    Path("app.ini").write_text(CONSENT.replace("[telemetry]", "[telemetry myapp]"))
    lookalike = SimpleNamespace(**{name: getattr(given, name) for name in Granted.__slots__})
    denied = read_consent(APPLICATION, config="missing.ini")

    surprises: tuple[Any, ...] = (
        None,
        True,
        lookalike,
        denied,
        Granted,
        granted("myapp", "app.ini"),
        granted(ini="other.ini"),
    )
    for surprise in surprises:
        with pytest.raises(TypeError, match="needs the Granted"):
            open_spool(support.state_root(), manifest, surprise)
    assert not Path(support.state_root()).exists()


@pytest.mark.parametrize("surplus", [1, 7])
def test_at_most_a_thousand_records_wait(surplus):
    """Beyond the bound the oldest go, each of them counted, and the newest stays."""
    spool = opened()
    data = event.encode(make_record(1))
    for number in range(MAX_RECORDS + surplus - 1):
        Path(spool.path(f"new/{NOW_MS + number:015d}-{number:016x}")).write_bytes(data)

    spool.append(make_record(0xABC), NOW_MS + 5_000)

    names = spool.names()
    assert len(names) == MAX_RECORDS
    assert names[0] == f"{NOW_MS + surplus:015d}-{surplus:016x}"
    assert names[-1] == f"{NOW_MS + 5_000:015d}-{0xABC:016x}"
    assert spool.tally.read() == {"dropped_spool_full": surplus}


def test_records_expire_after_thirty_days():
    """What is older goes with the next record, counted; what is exactly as old stays."""
    spool = opened()
    for number, age_ms in enumerate((MAX_AGE_MS + 86_400_000, MAX_AGE_MS + 1, MAX_AGE_MS, 0)):
        Path(spool.path(f"new/{NOW_MS - age_ms:015d}-{number:016x}")).write_bytes(b"{}")

    spool.append(make_record(9), NOW_MS)

    assert [int(name[16:], 16) for name in spool.names()] == [2, 3, 9]
    assert spool.tally.read() == {"dropped_too_old": 2}


def test_too_old_and_too_many_at_once():
    """The two are counted apart, and no more goes than must."""
    spool = opened()
    for number in range(MAX_RECORDS + 5):
        age_ms = MAX_AGE_MS + 1 if number < 3 else 1000 - number
        Path(spool.path(f"new/{NOW_MS - age_ms:015d}-{number:016x}")).write_bytes(b"{}")

    spool.room.make(NOW_MS)

    assert len(spool.names()) == MAX_RECORDS - 1
    assert spool.tally.read() == {"dropped_spool_full": 3, "dropped_too_old": 3}


def test_only_who_drops_a_record_counts_it(monkeypatch):
    """Two hosts that make room at the same moment, or a sender that claims, lead to no record counted twice."""
    spool = opened()
    for number in range(MAX_RECORDS + 2):
        Path(spool.path(f"new/{NOW_MS + number:015d}-{number:016x}")).write_bytes(b"{}")
    discard = statefolder.discard

    def overtaken(path):
        os.unlink(path)
        return discard(path)

    monkeypatch.setattr(room, "discard", overtaken)
    spool.room.make(NOW_MS)
    assert len(spool.names()) == MAX_RECORDS - 1
    assert spool.tally.read() == {}


def test_a_reader_never_sees_half_a_record():
    """While another process appends more than the bound, every file that is seen in `new` is whole."""
    spool = opened(vocabulary=Vocabulary(["status"]))
    writer = subprocess.Popen([sys.executable, "-c", APPENDING, spool.folder], stdin=subprocess.PIPE)
    assert writer.stdin is not None
    writer.stdin.write(event.encode(make_record(1)))
    writer.stdin.close()
    vocabulary, seen = Vocabulary(["status"]), 0
    try:
        while writer.poll() is None:
            for name in os.listdir(spool.path("new"))[-20:]:
                data = spool.read(name)
                if data is not None:
                    assert isinstance(decode(data, vocabulary), event.Record)
                    seen += 1
    finally:
        writer.kill()
        writer.wait()

    assert writer.returncode == 0
    assert seen
    assert len(spool.names()) == MAX_RECORDS
    assert os.listdir(spool.path("tmp")) == []


def test_sixteen_processes_lose_and_double_nothing():
    """Sixteen programs that record fifty commands each, at once from the first run on: 800 records, each its own."""
    at_once(RECORDING, 16, "50")

    records = support.waiting()
    assert len(records) == 800
    assert len({record["span_id"] for record in records}) == 800
    assert len({record["trace_id"] for record in records}) == 800
    assert {record["execution_uuid"] for record in records} == {VERSION_4}
    assert support.only_spool().tally.read() == {}


def test_concurrent_first_runs_agree_on_one_uuid():
    """Sixteen first runs at once, without a UUID in the ini: every record carries the same one, which is kept."""
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = true\n")
    at_once(RECORDING, 16, "1")

    records = support.waiting()
    assert len(records) == 16
    (assigned,) = {record["execution_uuid"] for record in records}
    assert Path(uuid_path(support.state_root(), APPLICATION, granted().source)).read_text() == assigned


def test_a_first_run_does_not_take_anothers_uuid_away(monkeypatch):
    """One that found no UUID, while another made it in that very moment, takes over what the other made."""
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = true\n")
    given = granted()
    path = uuid_path(support.state_root(), APPLICATION, given.source)
    read = statefolder.read_small
    others: list[object] = []

    def overtaken(of, max_bytes):
        found = read(of, max_bytes)
        if not others:
            monkeypatch.setattr(permission, "read_small", read)
            others.append(assigned_uuid(support.state_root(), given))
        return found

    monkeypatch.setattr(permission, "read_small", overtaken)
    assert [assigned_uuid(support.state_root(), given)] == others
    assert Path(path).read_text() == str(others[0])


@posix_only
@pytest.mark.parametrize(
    "damaged", [b"", b"surprise", b"\xff" * 100, b"me@example.com", b"6ba7b810-9dad-11d1-80b4-00c04fd430c8"]
)
def test_a_damaged_uuid_is_drawn_anew(damaged):
    """What is no random UUID in the state folder is never said; a new one takes its place and stays."""
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = true\nuuid = anonymous\n")
    given = granted()
    path = Path(uuid_path(support.state_root(), APPLICATION, given.source))
    first = assigned_uuid(support.state_root(), given)
    path.write_bytes(damaged)

    drawn = assigned_uuid(support.state_root(), given)

    assert drawn != first
    assert path.read_text() == str(drawn)
    assert event.parse_execution_uuid(path.read_text()) == drawn == assigned_uuid(support.state_root(), given)
    assert path.stat().st_mode & 0o777 == 0o600


@posix_only
@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/etc/hostname"), support.make_fifo])
def test_what_is_no_file_in_the_uuids_place_makes_way(make):
    """A folder, a link or a FIFO where the UUID is kept is neither read nor followed."""
    given = granted()
    path = Path(uuid_path(support.state_root(), APPLICATION, given.source))
    path.parent.mkdir(parents=True, mode=0o700)
    path.parent.parent.chmod(0o700)
    make(path)

    drawn = assigned_uuid(support.state_root(), given)
    assert path.is_file()
    assert not path.is_symlink()
    assert path.read_text() == str(drawn)


def test_each_application_and_ini_has_its_own_uuid():
    """Two applications, or two inis, share no UUID, so that nobody can link them."""
    for name, section in (("one.ini", "telemetry"), ("two.ini", "telemetry"), ("app.ini", "telemetry myapp")):
        Path(name).write_text(f"[{section}]\nenabled = true\n")
    root = support.state_root()
    drawn = [
        assigned_uuid(root, granted(ini="one.ini")),
        assigned_uuid(root, granted(ini="two.ini")),
        assigned_uuid(root, granted("myapp", "app.ini")),
    ]

    assert len(set(drawn)) == 3
    assert assigned_uuid(root, granted(ini="one.ini")) == drawn[0]


def test_a_uuid_never_changes_the_ini():
    """A command makes the UUID in the state folder, and not one byte or date of the ini changes."""
    path = Path("franklinwh.ini")
    path.write_text("[telemetry]\nenabled = true\n")
    os.utime(path, (1, 1))
    before = path.read_bytes(), path.stat().st_mtime, path.stat().st_ino

    with testing.errors_raised(), Telemetry(APPLICATION, Vocabulary(["status"])).command("status"):
        pass

    assert len(support.waiting()) == 1
    assert (path.read_bytes(), path.stat().st_mtime, path.stat().st_ino) == before


def test_no_uuid_in_an_unsafe_folder():
    """Where the state folder cannot be used there is no UUID, and the reason is given."""
    root = Path(support.state_root())
    root.mkdir(mode=0o755)
    assert assigned_uuid(str(root), granted()) is FolderRefusal.OPEN_TO_OTHERS
    assert list(root.iterdir()) == []


def test_the_mark_of_life_fades():
    """A mark is believed for a sender's lifetime; an old one, or one from the future, stops no launch for ever."""
    spool = opened()
    alive = Path(spool.path("alive"))
    assert not spool.sender_is_alive(time.time())
    alive.touch()

    for modified_s, believed in (
        (1_000_000.0, True),
        (1_000_000.0 - SENDER_LIFETIME_S, True),
        (1_000_000.0 - SENDER_LIFETIME_S - 60, False),
        (1_000_000.0 + 1, True),
        (1_000_000.0 + SENDER_LIFETIME_S + 60, False),
        (4_000_000_000.0, False),
        (0.0, False),
    ):
        os.utime(alive, (modified_s, modified_s))
        assert spool.sender_is_alive(1_000_000.0) is believed


def test_a_pause_ends():
    """A back-off holds until its time; one that ends in years, by a clock that was wrong, is not believed."""
    spool = opened()
    assert not spool.backing_off(1_000_000.0)
    backoff = Path(spool.path("backoff"))
    backoff.touch()

    for until_s, holds in (
        (1_000_001.0, True),
        (1_000_000.0 + 86_400, True),
        (1_000_000.0, False),
        (999_999.0, False),
        (1_000_000.0 + 365 * 86_400, False),
    ):
        os.utime(backoff, (until_s, until_s))
        assert spool.backing_off(1_000_000.0) is holds


def test_threads_append_as_processes_do():
    """Appends from eight threads lose nothing either."""
    spool = opened()

    def append_some(first):
        for number in range(first * 100 + 1, first * 100 + 26):
            spool.append(make_record(number), NOW_MS)

    threads = [threading.Thread(target=append_some, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spool.names()) == 200


def test_a_record_that_cannot_be_put_in_place_leaves_nothing():
    """Where `new` is gone, the append fails and no file is left in `tmp`."""
    spool = opened()
    Path(spool.path("new")).rmdir()
    Path(spool.path("new")).write_text("in the way")

    with pytest.raises(OSError, match="new"):
        spool.append(make_record(1), NOW_MS)
    assert os.listdir(spool.path("tmp")) == []
