from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import support
from doubles.misfortune import COMMAND_LINE, PLAIN, STRANGER, WRAPPED, World, as_stranger, clear
from doubles.records import make_record
from franklinwh_telemetry import event
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from franklinwh_telemetry.spool import MAX_AGE_MS, MAX_DROPPED_AT_ONCE, MAX_RECORDS, Spool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners, modes, links and pipes are POSIX")

NO_HOME = "there is no state folder: HOME is not an absolute, existing folder: set HOME or STATE_DIRECTORY"
FOREIGN = "it would lie below a folder of another user: set HOME or STATE_DIRECTORY to a folder of your own"
NOT_WRITABLE = "it cannot be made or written: check the permissions and the space on the disk"


@pytest.fixture
def world():
    """A user with a destination, who has said yes."""
    with LoopbackReceiver() as receiver:
        found = World(receiver)
        found.say_yes()
        yield found


@pytest.fixture
def stranger(monkeypatch):
    """The same for a user who is not root, although the tests are."""
    yield from as_stranger(monkeypatch)


def ini_spool() -> Spool:
    """The spool of the ini's yes, beside that of the program's own."""
    (found,) = [spool for spool in support.spools() if b'"source": "host"' not in manifest_bytes(spool)]
    return found


def manifest_bytes(spool: Spool) -> bytes:
    """The manifest as it lies there."""
    return Path(spool.path("manifest.json")).read_bytes()


# Homes and state folders.


def by_working_directory(world: World) -> None:
    """Let the yes stand beside the program, and no state folder be named."""
    world.without = ("XDG_STATE_HOME",)
    Path("franklinwh.ini").write_text(world.good_ini())
    clear(world.ini)


def records_nothing_and_says(world: World, where: str, says: str, **environment: str) -> None:
    """The program runs as ever, nothing is made, and `status` has the reason and the remedy."""
    before = sorted(Path.cwd().parent.rglob("*"))
    world.run_host(**environment)
    (line,) = [line for line in world.status(**environment) if says in line]
    assert where in line
    assert world.status(**environment)[0] == "franklinwh-cloud: on"
    for arguments in (("send",), ("show", "--pending"), ("off",), ("erase",)):
        world.ask(*arguments, **environment)
    assert sorted(Path.cwd().parent.rglob("*")) == before


@pytest.mark.parametrize("home", [None, "", "/", "//", "relative", "/nowhere/at/all"])
def test_no_home(stranger, home):
    """Without a home of one's own nothing is recorded anywhere; a state folder that is named mends it."""
    by_working_directory(stranger)
    Path("relative").mkdir()
    if home is None:
        stranger.without += ("HOME",)
    environment = {} if home is None else {"HOME": home}

    records_nothing_and_says(stranger, "last trouble", NO_HOME, **environment)

    given = Path("..", "state").resolve()
    Path("franklinwh.ini").write_text(stranger.good_ini())
    stranger.run_host(STATE_DIRECTORY=str(given), **environment)
    assert stranger.ask("send", STATE_DIRECTORY=str(given), **environment).stdout == b"Sent 2 events.\n"
    assert len(stranger.arrived()) == 1


def test_an_unwritable_home(stranger):
    """A home in which nothing may be made gets nothing, and the folder that could not be made is told."""
    by_working_directory(stranger)
    home = Path(os.environ["HOME"])
    home.chmod(0o555)

    where = f"{home}/.local/state/franklinwh-telemetry/franklinwh-cloud is not used"
    records_nothing_and_says(stranger, where, NOT_WRITABLE)


def test_a_home_of_another_user(stranger):
    """Nothing is made in a home that somebody else has lent, although it can be written."""
    by_working_directory(stranger)
    home = Path(os.environ["HOME"])
    os.chown(home, 4242, 4242)
    home.chmod(0o777)

    where = f"{home}/.local/state/franklinwh-telemetry/franklinwh-cloud is not used"
    records_nothing_and_says(stranger, where, FOREIGN)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can keep another's HOME")
def test_root_with_a_kept_home(world):
    """Root, by sudo, makes nothing in the home of the user it came from."""
    by_working_directory(world)
    os.chown(os.environ["HOME"], STRANGER, STRANGER)

    records_nothing_and_says(world, "franklinwh-cloud is not used", FOREIGN)


@contextmanager
def tiny_disk(folder: str, options: str):
    """A file system of its own on *folder*."""
    mounted = support.run(["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", folder])
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: str) -> None:
    """Use up every byte that is left."""
    with suppress(OSError), open(f"{folder}/ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def test_a_full_disk(world):
    """On a full disk the program runs as ever; what waits is kept, the full disk is told, and with space it leaves."""
    state = os.environ["XDG_STATE_HOME"]
    with tiny_disk(state, "size=256k"):
        world.run_host()
        (valid,) = world.kept()
        fill(state)

        world.run_host()
        world.explains("franklinwh-cloud is not used", "its disk is full: free some space")
        world.survives()
        assert (world.kept(), world.arrived()) == ([valid], [])

        Path(state, "ballast").unlink()
        assert world.ask("send").returncode == 0
        assert (world.kept(), world.arrived()) == ([], [valid])

        fill(state)
        assert world.ask("off").returncode == 0
        assert "enabled = false" in world.ini.read_text()


def level(number: int) -> Path:
    """The state folder, the application's, or a spool: by how deep it lies."""
    root = Path(support.state_root())
    return (root, root / support.APPLICATION, Path(ini_spool().folder))[number]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path, _aside: path.write_text("surprise"), "is not used: it is not a folder: remove it"),
        (lambda path, aside: path.symlink_to(aside), "is not used: it is a link: remove it"),
        (lambda path, _aside: (path.mkdir(), path.chmod(0o777)), "is not used: it is open to others: run chmod 700"),
    ],
    ids=["file", "link", "open to others"],
)
def test_a_state_folder_that_is_none(world, number, spoil, says):
    """A file, a link or an open folder in the place of one of ours is not used; what waits leaves once it is mended."""
    world.run_host()
    (valid,) = world.kept()
    path, aside = level(number), Path("aside").resolve()
    path.rename(aside)
    spoil(path, aside)

    world.run_host()
    world.explains(str(path), says)
    world.survives()

    clear(path)
    aside.rename(path)
    world.ask("send")
    assert (world.kept(), world.arrived()) == ([], [valid])


@pytest.mark.parametrize("place", ["new", "tmp", "claimed"])
def test_a_place_of_the_spool_that_is_none(world, place):
    """Where one of a spool's own folders is a file this is told; where it is gone it is made again."""
    world.run_host()
    spool = ini_spool()
    (valid,) = world.kept()
    path, aside = Path(spool.path(place)), Path("aside").resolve()
    path.rename(aside)
    path.write_text("surprise")

    world.run_host()
    world.explains(str(path), "is not used: it is not a folder: remove it")
    world.survives()

    path.unlink()
    world.run_host()
    for record in aside.iterdir():
        record.rename(path / record.name)
    assert valid in world.kept()
    world.ask("send")
    assert (world.kept(), len(world.arrived())) == ([], 2)
    assert valid in world.arrived()


# Manifests.


def newer(path: Path) -> None:
    """Make it one that a newer version could have written."""
    path.write_text(json.dumps({**json.loads(path.read_text()), "v": 2, "surprise": 1}))


MANIFESTS = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "binary": lambda path: path.write_bytes(b"\x00\xffsurprise" * 50),
    "empty": lambda path: path.write_bytes(b""),
    "huge": lambda path: path.write_bytes(path.read_bytes().ljust(1_000_000)),
    "newer": newer,
    "destination": lambda path: path.write_text(path.read_text().replace("http://127.0.0.1", "http://surprise.com")),
    "link": lambda path: (path.rename("aside"), path.symlink_to(Path("aside").resolve())),
    "FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("spoil", MANIFESTS.values(), ids=MANIFESTS)
def test_a_bad_manifest(world, spoil):
    """Under a manifest that cannot be read nothing leaves and nothing is lost; the program's next run writes it anew."""
    world.run_host()
    (valid,) = world.kept()
    spool = ini_spool()
    spoil(Path(spool.path("manifest.json")))

    world.explains(spool.path("manifest.json"), "is unreadable, damaged or from a newer version: run a command")
    world.survives()
    world.explains(spool.path("manifest.json"), "is unreadable, damaged or from a newer version: run a command")
    assert (world.kept(), world.arrived()) == ([valid], [])

    world.run_host()
    assert world.ask("send").returncode == 0
    assert (world.kept(), len(world.arrived())) == ([], 2)
    assert valid in world.arrived()


def test_a_folder_as_manifest(world):
    """A folder in the manifest's place has to be removed, and this is told; nothing leaves until then."""
    world.run_host()
    spool = ini_spool()
    path = Path(spool.path("manifest.json"))
    path.unlink()
    path.mkdir()

    world.run_host()
    world.explains(str(path), "is a folder: remove it")
    world.survives()
    assert (len(world.kept()), world.arrived()) == (1, [])

    path.rmdir()
    world.run_host()
    world.ask("send")
    assert (world.kept(), len(world.arrived())) == ([], 2)


def test_a_manifest_of_another_user(stranger):
    """A manifest that only somebody else may read holds all back; the next run puts one of the user's own there."""
    stranger.run_host()
    (valid,) = stranger.kept()
    path = Path(ini_spool().path("manifest.json"))
    os.chown(path, 4242, 4242)

    stranger.explains(str(path), "is unreadable, damaged or from a newer version: run a command")
    stranger.survives()
    assert (stranger.kept(), stranger.arrived()) == ([valid], [])

    stranger.run_host()
    assert stranger.ask("send").returncode == 0
    assert (stranger.kept(), len(stranger.arrived())) == ([], 2)
    assert path.stat().st_uid == STRANGER


def test_a_spool_of_another_user(stranger):
    """A spool that belongs to somebody else is neither filled nor sent, and whose it may not be is told."""
    stranger.run_host()
    spool = ini_spool()
    os.chown(spool.folder, 4242, 4242)

    stranger.run_host()
    stranger.explains(spool.folder, FOREIGN)
    stranger.survives()
    assert (len(stranger.kept()), stranger.arrived()) == (1, [])

    os.chown(spool.folder, STRANGER, STRANGER)
    stranger.ask("send")
    assert (stranger.kept(), len(stranger.arrived())) == ([], 1)


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
        "refused record unknown command: 2 (of a command that is not in the vocabulary",
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
    counts = [spool.tally.read() for spool in support.spools()]
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

    shown = world.ask("show", "--sent").stdout.decode()

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
    assert (ended.returncode in (0, 1), ended.stderr) == (True, b"")


def test_the_program_itself_is_the_same():
    """The program that all of this is measured by differs from its plain form by the lines of telemetry alone."""
    assert PLAIN.count("{wrapped}") == 1
    assert "telemetry" not in PLAIN
