from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doubles.misfortune import COMMAND_LINE, WRAPPED, clear, ini_spool
from doubles.records import make_record
from franklinwh_telemetry import event
from franklinwh_telemetry.room import MAX_DROPPED_AT_ONCE
from franklinwh_telemetry.spool import MAX_AGE_MS, MAX_RECORDS
from support import spools

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners, modes, links and pipes are POSIX")


# Records.

GOOD = event.encode(make_record(9))


def with_bytes(data: bytes):
    """A record of just these bytes."""
    return lambda path: path.write_bytes(data)


RECORDS = {
    "truncated": (with_bytes(GOOD[:120]), "refused record not json: 2 (damaged"),
    "binary": (with_bytes(b"\x00\xffsurprise" * 9), "refused record not json: 2 (damaged"),
    "too large": (with_bytes(GOOD.ljust(100_000)), "refused record too large: 2 (larger than"),
    "newer": (with_bytes(GOOD.replace(b'"v":1', b'"v":2')), "refused record newer version: 2 (written by a newer"),
    "extra key": (with_bytes(GOOD.replace(b"{", b'{"argv":"surprise",')), "refused record wrong keys: 2 (with more"),
    "missing key": (
        with_bytes(GOOD.replace(b'"success":true,', b"")),
        "refused record wrong keys: 2 (with more or less",
    ),
    "wrong value": (
        with_bytes(GOOD.replace(b'"success":true', b'"success":1')),
        "refused record wrong value: 2 (with a",
    ),
    "e-mail": (
        with_bytes(GOOD.replace(b"0dfc7f6e-6a2b-4c1d-8e9f-0a1b2c3d4e5f", b"surprise@example.com")),
        "refused record wrong value: 2 (with a value that no event can have",
    ),
    "unknown command": (
        with_bytes(GOOD.replace(b'"status"', b'"surprise"')),
        "refused record unknown command: 2 (of a command not in the vocabulary",
    ),
    "FIFO": (os.mkfifo, "refused record not json: 2 (damaged"),
    "folder": (lambda path: (path.mkdir(), (path / "surprise").touch()), "refused record not json: 2 (damaged"),
    "link": (lambda path: path.symlink_to("/dev/zero"), "refused record not json: 2 (damaged"),
}


@pytest.mark.parametrize(("spoil", "says"), RECORDS.values(), ids=RECORDS)
def test_a_bad_record(world, spoil, says):
    """What is not a record of ours, wherever it lies, goes nowhere, is counted with its reason, and blocks no other."""
    world.run_host()
    (valid,) = world.kept()
    name = f"{int(time.time() * 1000):015d}-000000000000000"
    paths = [Path(ini_spool().path(f"new/{name}8")), Path(ini_spool().path(f"claimed/{name}9"))]
    for path in paths:
        spoil(path)

    world.run_host()
    world.ask("show", "--pending", "--json")
    assert world.ask("send").returncode == 0

    world.explains("", says)
    assert (world.kept(), len(world.arrived())) == ([], 2)
    assert valid in world.arrived()
    assert not any(os.path.lexists(path) for path in paths)


@pytest.mark.parametrize(("of_folder", "of_record"), [("claimed", "new"), ("new", "claimed")])
def test_a_folder_with_a_records_name(world, of_folder, of_record):
    """A folder that has the name of a valid record in the other place goes, and the record leaves."""
    world.run_host()
    (valid,) = world.kept()
    spool = ini_spool()
    (name,) = os.listdir(spool.path("new"))
    os.rename(spool.path(f"new/{name}"), spool.path(f"{of_record}/{name}"))
    os.makedirs(spool.path(f"{of_folder}/{name}/surprise"))

    world.run_host()
    assert world.ask("send").returncode == 0
    assert valid in world.arrived()
    assert len(world.arrived()) == 2


def test_far_too_many_records(world):
    """A spool with twenty times as many records as it may hold costs a command little, and a sender sends its bound."""
    world.run_host()
    spool = ini_spool()
    now_ms = int(time.time() * 1000)
    for number in range(1, 20_001):
        Path(spool.path(f"new/{now_ms - 30_000 + number:015d}-{number:016x}")).write_bytes(
            event.encode(make_record(number, executed_at_ms=now_ms))
        )

    began_s = time.monotonic()
    world.run_host()
    assert time.monotonic() - began_s < 20
    assert len(spool.names()) == 20_002 - MAX_DROPPED_AT_ONCE
    world.run_host()
    assert len(spool.names()) == MAX_RECORDS
    world.survives()
    assert (world.kept(), len(world.arrived())) == ([], MAX_RECORDS)
    world.explains("", f"dropped spool full: {20_003 - MAX_RECORDS} (more than 1,000 waited; check")


def test_pending_is_bounded(world):
    """`show --pending` shows what a run would send: no more than a spool may hold, whatever lies there."""
    world.run_host()
    spool = ini_spool()
    now_ms = int(time.time() * 1000)
    for number in range(1, MAX_RECORDS + 100):
        Path(spool.path(f"new/{now_ms + number:015d}-{number:016x}")).write_bytes(event.encode(make_record(number)))
    Path(spool.path(f"claimed/{now_ms - MAX_AGE_MS - 60_000:015d}-00000000ffffffff")).write_bytes(GOOD)

    shown = world.ask("show", "--pending", "--json").stdout.splitlines()

    spans = [
        span
        for line in shown
        for of_resource in json.loads(line)["body"]["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
        if span["name"] == "status"
    ]
    assert len(spans) == MAX_RECORDS


# Clocks.

CLOCK = """
import time
_now, _now_ns = time.time, time.time_ns
time.time = lambda: {seconds}
time.time_ns = lambda: int({seconds} * 1_000_000_000)
"""

CLOCKS = {
    "1970": "0.0",
    "before 1970": "-10.0",
    "2000": "946684800.0",
    "2106": "4294967296.0",
    "9999": "253402300799.0",
}


@pytest.mark.parametrize("seconds", CLOCKS.values(), ids=CLOCKS)
def test_a_clock_far_off(world, seconds):
    """Under a clock that is decades off the program runs as ever, and nothing but five valid facts ever leaves."""
    world.run_host(wrapped=CLOCK.format(seconds=seconds) + WRAPPED)
    world.status()
    world.ask("show", "--pending")
    world.run_host()

    assert world.ask("send").returncode == 0
    assert len(world.arrived()) in (1, 2)
    counts = [spool.tally.read() for spool in spools()]
    dropped = sum(count.get("dropped_too_old", 0) for count in counts)
    assert sum(count.get("delivered", 0) for count in counts) + dropped == 4
    if dropped:
        world.explains("", f"dropped too old: {dropped} (older than 30 days; check the clock")


def test_a_clock_that_goes_back(world):
    """A clock set back an hour between two runs costs nothing, and no latency is ever negative."""
    world.run_host()
    (valid,) = world.kept()
    world.run_host(wrapped=CLOCK.format(seconds="(_now() - 3600)") + WRAPPED)
    backwards = CLOCK.format(seconds="(_now() - 3600 * _turn())").replace(
        "_now,", "import itertools\n_turns = itertools.count()\n_turn = lambda: next(_turns)\n_now,"
    )
    world.run_host(wrapped=backwards + WRAPPED)

    assert world.ask("send").returncode == 0
    assert (world.kept(), len(world.arrived())) == ([], 3)
    assert valid in world.arrived()


@pytest.mark.parametrize("off_s", [-(10**9), -90.0, 90.0, 10**9])
def test_marks_from_another_time(world, off_s):
    """A mark of life or a pause from a clock that was wrong keeps nothing back and costs nothing."""
    world.run_host()
    (valid,) = world.kept()
    spool = ini_spool()
    for name in ("alive", "backoff", "wake"):
        Path(spool.path(name)).write_text("surprise")
        os.utime(spool.path(name), (time.time() + off_s, time.time() + off_s))

    world.run_host()
    world.survives()
    assert (world.kept(), len(world.arrived())) == ([], 2)
    assert valid in world.arrived()


# What is said, and where.


def test_a_damaged_journal(world):
    """`show --sent` says how many requests of the journal are damaged, and shows the others."""
    world.run_host()
    world.ask("send")
    journal = Path(ini_spool().path("journal"))
    (journal / "000000000006.request").write_bytes(b"surprise")
    os.mkfifo(journal / "000000000007.request")
    (journal / "000000000008.request").mkdir()

    shown = world.ask("show", "--sent", "--full").stdout.decode()

    assert f"3 more in {journal} are damaged; remove them, or run `erase`" in shown
    assert '"name": "status"' in shown
    world.run_host()
    assert world.ask("send").returncode == 0
    world.ask("erase")
    assert not journal.exists()


PLAIN_TERMINAL = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("name", [b"M\xc3\xbcnze", b"\xff\xfe", b"line\nbreak", b"\x1b[31mred"])
@pytest.mark.parametrize("environment", [{}, PLAIN_TERMINAL], ids=["own locale", "C locale"])
def test_a_folder_with_an_unusual_name(world, name, environment):
    """A path that the terminal cannot show, or should not, is told in a form that it can, a line each."""
    os.mkdir(name)
    os.chdir(name)
    Path("franklinwh.ini").write_text(world.good_ini())
    clear(world.ini)
    world.run_host(**environment)

    on = world.ask("status", **environment)
    Path("franklinwh.ini").write_text("surprise")
    off = world.ask("status", **environment)
    for arguments in (("show", "--pending"), ("show", "--example"), ("send",), ("off",), ("erase",), ("on", "--yes")):
        world.ask(*arguments, **environment)

    for ended in (on, off):
        (decided,) = [line for line in ended.stdout.splitlines() if line.startswith(b"  decided by    ")]
        assert b"franklinwh.ini" in decided
        assert b"\x1b" not in ended.stdout


@pytest.mark.parametrize("environment", [{"COLUMNS": "20"}, {"NO_COLOR": "1"}, {"TERM": "dumb", "COLUMNS": "0"}])
def test_a_narrow_terminal(world, environment):
    """Whatever the terminal, the lines are the same, without an escape sequence."""
    world.run_host()
    for arguments in (("status",), ("show", "--pending"), ("--help",), ("on", "--help")):
        ended = world.ask(*arguments, **environment)
        assert b"\x1b" not in ended.stdout
        assert ended.stderr == b""
    assert world.ask("status", **environment).stdout == world.ask("status").stdout


@pytest.mark.parametrize("arguments", [("show", "--pending"), ("show", "--pending", "--raw"), ("status",), ("show",)])
def test_a_reader_who_has_seen_enough(world, arguments):
    """A closed pipe ends the command quietly."""
    world.run_host()
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-c", COMMAND_LINE, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert (ended.returncode, ended.stderr) == (141, b"")
