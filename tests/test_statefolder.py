from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import support
from franklinwh_telemetry import Telemetry, Vocabulary, statefolder, system
from franklinwh_telemetry.statefolder import (
    FOLDER_NAME,
    FolderRefusal,
    check_folder,
    make_folder,
    make_folder_below,
    state_root,
)
from support import APPLICATION, CONSENT, VERSION_4, posix_only

NOBODY = 65534
UNKNOWN_UID = 54321

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away and become somebody else"
)

HOST = """
import sys
from franklinwh_telemetry import Telemetry, Vocabulary
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
with telemetry.command("status"):
    print("work done")
    print("and said", file=sys.stderr)
sys.exit(7)
"""


def untouched(ended):
    """Whether the host's output and exit status are its own."""
    return (ended.returncode, ended.stdout, ended.stderr) == (7, "work done\n", "and said\n")


def tree(folder: Path) -> list[tuple[str, str]]:
    return sorted((str(path.relative_to(folder)), oct(path.lstat().st_mode)) for path in folder.rglob("*"))


def as_user(uid, function):
    """What *function* returns in a process of another user; its modules are those that are loaded here already."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            result = function()
        except BaseException as error:  # noqa: BLE001 - handed to the parent, which fails
            result = error
        os.write(writing, pickle.dumps(result))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        data = answer.read()
    os.waitpid(child, 0)
    result = pickle.loads(data)  # noqa: S301 - from our own child
    if isinstance(result, BaseException):
        raise result
    return result


@pytest.fixture
def shared():
    """A folder that other users can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="franklinwh-telemetry-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def said_yes():
    """A working directory whose ini says yes."""
    Path("franklinwh.ini").write_text(CONSENT)


def test_state_directory_comes_first(tmp_path):
    """`$STATE_DIRECTORY` wins over everything, the first where systemd names several."""
    environ = {"STATE_DIRECTORY": f"{tmp_path}/one:{tmp_path}/two", "HOME": str(tmp_path), "XDG_STATE_HOME": "/xdg"}

    assert state_root(environ) == f"{tmp_path}/one/{FOLDER_NAME}"


@pytest.mark.parametrize("given", ["", "relative/folder", ":/second"])
def test_unusable_state_directory_gives_way(tmp_path, given):
    """An empty or relative `$STATE_DIRECTORY` is none."""
    environ = {"STATE_DIRECTORY": given, "HOME": str(tmp_path)}
    assert state_root(environ) == f"{system.state_base(environ)}{os.sep}{FOLDER_NAME}"


@posix_only
@pytest.mark.usefixtures("said_yes")
@pytest.mark.parametrize("home", ["", "relative", "~", "/", "/does/not/exist"])
def test_a_host_without_a_home_makes_nothing(monkeypatch, home):
    """With a home that is of no use the command runs as ever, no file is made anywhere near, and `status` says why."""
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_STATE_HOME")
    Path("program.py").write_text(HOST)
    before = tree(Path.cwd().parent)

    assert untouched(support.run([sys.executable, "program.py"]))
    assert tree(Path.cwd().parent) == before
    assert not Path("/.local").exists()
    assert FolderRefusal.NO_HOME.value in Telemetry(APPLICATION, Vocabulary(["status"])).status().trouble


@needs_root
def test_an_unknown_user_makes_nothing(shared, monkeypatch):
    """A uid that the user database does not know, without HOME, has no state folder and leaves none."""
    shared.chmod(0o777)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.chdir(shared)

    assert as_user(UNKNOWN_UID, lambda: state_root(os.environ)) is FolderRefusal.NO_HOME
    assert as_user(UNKNOWN_UID, lambda: record_once(Telemetry(APPLICATION, Vocabulary(["status"]), consent=yes))) == 1
    assert tree(shared) == []


def yes():
    return True


def record_once(telemetry):
    """Run a command whose event cannot be kept; the number of times it did its work."""
    done = []
    with telemetry.command("status"):
        done.append(1)
    return len(done)


@needs_root
@pytest.mark.usefixtures("said_yes")
def test_root_with_a_kept_home_makes_nothing(shared, monkeypatch):
    """Under `sudo -E` no folder of root appears in the user's home: not in it, nor in what it holds already."""
    home = shared / "home"
    (home / ".local").mkdir(parents=True)
    os.chown(home, NOBODY, NOBODY)
    os.chown(home / ".local", NOBODY, NOBODY)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_STATE_HOME")
    Path("program.py").write_text(HOST)

    assert untouched(support.run([sys.executable, "program.py"]))
    assert [name for name, _mode in tree(home)] == [".local"]
    assert make_folder(str(home / "one" / "two")) is FolderRefusal.FOREIGN_OWNER


@needs_root
def test_a_user_below_roots_folder_makes_nothing(shared):
    """Another user makes nothing below a folder of root, even one that everybody may write to."""
    shared.chmod(0o777)
    root = str(shared / "state" / FOLDER_NAME)

    assert as_user(NOBODY, lambda: make_folder(root)) is FolderRefusal.FOREIGN_OWNER
    assert tree(shared) == []


@needs_root
def test_another_users_folder_is_refused(shared):
    """A folder of another uid is not used, even by root and even with the right mode."""
    theirs = shared / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, NOBODY, NOBODY)

    assert check_folder(str(theirs)) is FolderRefusal.FOREIGN_OWNER
    assert make_folder(str(theirs)) is FolderRefusal.FOREIGN_OWNER
    assert make_folder(str(theirs / "ours")) is FolderRefusal.FOREIGN_OWNER
    assert as_user(NOBODY, lambda: make_folder(str(theirs / "a" / "b"))) is None
    assert [(name, mode) for name, mode in tree(theirs)] == [("a", "0o40700"), ("a/b", "0o40700")]


@posix_only
@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_modes_whatever_the_umask(umask):
    """Every folder is 0700 and every file 0600, with an open umask as with a closed one."""
    Path("franklinwh.ini").write_text(CONSENT.replace(VERSION_4, ""))
    before = os.umask(umask)
    try:
        record_once(Telemetry(APPLICATION, Vocabulary(["status"])))
    finally:
        os.umask(before)

    made = [Path(support.state_root()), *Path(support.state_root()).rglob("*")]
    assert len(support.waiting()) == 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}


@posix_only
def test_check_folder(tmp_path):
    """A safe folder, none, a link, a file and one that others may enter are told apart."""
    (tmp_path / "safe").mkdir(mode=0o700)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "safe")
    (tmp_path / "dangling").symlink_to(tmp_path / "missing")

    assert check_folder(f"{tmp_path}/safe") is True
    assert check_folder(f"{tmp_path}/missing") is False
    assert check_folder(f"{tmp_path}/link") is FolderRefusal.LINK
    assert check_folder(f"{tmp_path}/dangling") is FolderRefusal.LINK
    assert check_folder(f"{tmp_path}/file") is FolderRefusal.NOT_A_FOLDER
    assert check_folder(f"{tmp_path}/file/below") is FolderRefusal.NOT_WRITABLE
    for mode in (0o701, 0o710, 0o720, 0o704, 0o777):
        (tmp_path / "safe").chmod(mode)
        assert check_folder(f"{tmp_path}/safe") is FolderRefusal.OPEN_TO_OTHERS


@posix_only
@pytest.mark.usefixtures("said_yes")
@pytest.mark.parametrize("depth", ["root", "application", "spool"])
@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        ("link", FolderRefusal.LINK),
        ("open", FolderRefusal.OPEN_TO_OTHERS),
        ("file", FolderRefusal.NOT_A_FOLDER),
    ],
)
def test_an_unsafe_folder_is_not_used_and_status_names_the_mend(tmp_path, depth, spoil, refusal):
    """A link, a file or an open folder where ours should be: nothing is written through it, and `status` says so."""
    telemetry = Telemetry(APPLICATION, Vocabulary(["status"]))
    record_once(telemetry)
    spool = support.only_spool()
    paths = {"root": support.state_root(), "application": os.path.dirname(spool.folder), "spool": spool.folder}
    unsafe = Path(paths[depth])
    elsewhere = tmp_path / "elsewhere"
    if spoil == "open":
        unsafe.chmod(0o777)
    else:
        unsafe.rename(elsewhere)
        if spoil == "link":
            unsafe.symlink_to(elsewhere)
        else:
            unsafe.write_text("in the way")
    before = tree(tmp_path), tree(Path(support.state_root()).parent)

    assert untouched(support.run_python(HOST))

    records = [[name for name, _mode in of if "new/" in name] for of in before]
    after = tree(tmp_path), tree(Path(support.state_root()).parent)
    assert [[name for name, _mode in of if "new/" in name] for of in after] == records
    assert f"{unsafe} is not used: {refusal.value}" in telemetry.status().trouble


@pytest.mark.usefixtures("said_yes")
def test_a_file_in_the_place_of_the_records():
    """Where `new` is a file, nothing is recorded, the file stays, and the command is as it was."""
    telemetry = Telemetry(APPLICATION, Vocabulary(["status"]))
    record_once(telemetry)
    new = Path(support.only_spool().path("new"))
    shutil.rmtree(new)
    new.write_text("in the way")

    assert untouched(support.run_python(HOST))
    assert new.read_text() == "in the way"


@needs_root
@pytest.mark.usefixtures("said_yes")
def test_a_link_above_is_followed_only_to_ones_own(tmp_path, shared, monkeypatch):
    """A state folder that the user has moved elsewhere by a link of the folder above works."""
    (shared / "disk").mkdir(mode=0o700)
    (tmp_path / "moved").symlink_to(shared / "disk")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "moved"))

    record_once(Telemetry(APPLICATION, Vocabulary(["status"])))

    assert len(support.waiting()) == 1
    assert (shared / "disk" / FOLDER_NAME).is_dir()


@pytest.mark.usefixtures("said_yes")
def test_a_file_in_the_way_of_the_state_folder():
    """Where the folder above is a file nothing can be made: the command is as it was."""
    above = Path(support.state_root()).parent
    above.rmdir()
    above.write_text("in the way")

    assert untouched(support.run_python(HOST))
    assert above.read_text() == "in the way"
    assert make_folder(support.state_root()) is FolderRefusal.NOT_WRITABLE


@needs_root
def test_an_unwritable_folder_changes_nothing_for_the_program(shared, monkeypatch):
    """A user who may not write to the state folder gets no event, no error and no file."""
    home = shared / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    home.chmod(0o500)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.chdir(shared)

    def in_host():
        done = record_once(Telemetry(APPLICATION, Vocabulary(["status"]), consent=yes))
        return done, make_folder(str(home / ".local" / "state"))

    assert as_user(NOBODY, in_host) == (1, FolderRefusal.NOT_WRITABLE)
    assert tree(home) == []


@posix_only
@pytest.mark.usefixtures("said_yes")
def test_a_file_that_cannot_grow_leaves_no_half_record():
    """Where nothing can be written, as on a full disk, the program is untouched and no half record is left."""
    pytest.importorskip("resource")
    record_once(Telemetry(APPLICATION, Vocabulary(["status"])))
    before = support.waiting()

    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n" + HOST
    # Coverage would have to write as well, and complain.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}

    assert untouched(support.run_python(limited, env=unmeasured))
    assert support.waiting() == before
    assert os.listdir(support.only_spool().path("tmp")) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk):
    with open(disk / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(1024))


@needs_root
@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is a tmpfs")
@pytest.mark.usefixtures("said_yes")
@pytest.mark.parametrize("first_run", [True, False])
def test_a_full_disk_changes_nothing_for_the_program(small_disk, monkeypatch, first_run):
    """On a full disk, from the first run or later, the program is untouched and what waited before is whole."""
    monkeypatch.setenv("XDG_STATE_HOME", str(small_disk))
    if not first_run:
        record_once(Telemetry(APPLICATION, Vocabulary(["status"])))
    before = support.waiting()
    fill(small_disk)

    assert untouched(support.run_python(HOST))
    assert support.waiting() == before
    assert [name for spool in support.spools() for name in os.listdir(spool.path("tmp"))] == []

    (small_disk / "ballast").unlink()
    assert untouched(support.run_python(HOST))
    assert len(support.waiting()) == len(before) + 1


@pytest.mark.parametrize("call", ["stat", "lstat", "mkdir"])
def test_a_folder_is_made_although_a_signal_comes_between(tmp_path, monkeypatch, call):
    """Each of the calls that it takes may be interrupted, and is made again."""
    real, interrupted = getattr(os, call), []

    def interrupt(path, *arguments, **keywords):
        if path not in interrupted:
            interrupted.append(path)
            raise InterruptedError
        return real(path, *arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, interrupt)
        assert make_folder(str(tmp_path / "above" / "folder")) is None

    assert interrupted
    assert check_folder(str(tmp_path / "above" / "folder")) is True


def test_write_once_keeps_the_first(tmp_path, monkeypatch):
    """The first of two writers wins, with hard links and without, and no other file is left."""
    assert statefolder.write_once(f"{tmp_path}/a", b"first") is True
    assert statefolder.write_once(f"{tmp_path}/a", b"second") is False

    def no_links(_source, _target):
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    assert statefolder.write_once(f"{tmp_path}/b", b"first") is True
    assert statefolder.write_once(f"{tmp_path}/b", b"second") is False

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"first", "b": b"first"}


def test_replace_is_whole_or_not_at_all(tmp_path):
    """What cannot be put in place leaves the old one, and nothing beside it."""
    statefolder.replace(f"{tmp_path}/a", b"one")
    statefolder.replace(f"{tmp_path}/a", b"two")
    (tmp_path / "folder").mkdir()

    with pytest.raises(OSError, match="folder"):
        statefolder.replace(f"{tmp_path}/folder", b"three")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]
    assert (tmp_path / "a").read_bytes() == b"two"


@posix_only
def test_write_new_writes_a_new_file_only(tmp_path):
    """A file or link that is there already is neither followed nor changed."""
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "missing")

    for name in ("old", "link"):
        with pytest.raises(FileExistsError):
            statefolder.write_new(f"{tmp_path}/{name}", b"surprise")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert not (tmp_path / "missing").exists()


def test_a_short_write_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    """A disk that takes only half of the bytes has taken none."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[: len(data) // 2]))

    with pytest.raises(OSError, match="only 4 of 8 bytes"):
        statefolder.write_new(f"{tmp_path}/a", b"surprise")
    assert list(tmp_path.iterdir()) == []


@posix_only
def test_read_small_reads_plain_files_only(tmp_path):
    """A link, a folder, a FIFO that nobody writes to, and what is missing are not read, and none is waited for."""
    (tmp_path / "file").write_bytes(b"12345678")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    support.make_fifo(tmp_path / "fifo")

    assert statefolder.read_small(f"{tmp_path}/file", 8) == b"12345678"
    assert statefolder.read_small(f"{tmp_path}/file", 3) == b"1234"
    for name in ("link", "fifo", "missing", ""):
        assert statefolder.read_small(f"{tmp_path}/{name}", 8) is None


@pytest.mark.parametrize(
    ("limit", "grows", "asked", "data"),
    [
        (262_144, False, [5], b"1234"),
        (4, False, [5], b"1234"),
        (2, False, [3], b"123"),
        (262_144, True, [5, 262_140], b"12345678"),
        (6, True, [5, 2], b"1234567"),
        (4, True, [5, 0], b"12345"),
    ],
)
def test_read_small_makes_room_for_what_there_is(tmp_path, monkeypatch, limit, grows, asked, data):
    """It asks for no more than a file holds, and for the rest of one that has grown since, up to a byte too many."""
    path, sizes, real = tmp_path / "file", [], os.read
    path.write_bytes(b"1234")

    def read(descriptor, size):
        if grows:
            path.write_bytes(b"12345678")
        sizes.append(size)
        return real(descriptor, size)

    with monkeypatch.context() as patched:
        patched.setattr(os, "read", read)
        assert statefolder.read_small(str(path), limit) == data
    assert sizes == asked


@posix_only
def test_discard_removes_what_stands_there_and_nothing_behind_a_link(tmp_path):
    """A file, a link or a whole folder goes and says so once; what a link points to stays."""
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "kept" / "inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "kept")

    for name in ("file", "folder", "link"):
        assert statefolder.discard(f"{tmp_path}/{name}") is True
        assert statefolder.discard(f"{tmp_path}/{name}") is False
    assert [name for name, _mode in tree(tmp_path)] == ["kept", "kept/inside"]


@posix_only
def test_a_folder_below_a_safe_one_is_made_or_judged(tmp_path):
    """It is for this user only, whoever made it, and what else stands in its place is refused."""
    safe = tmp_path / "safe"
    assert make_folder(str(safe)) is None
    assert [make_folder_below(str(safe), "made") for _ in range(2)] == [None, None]
    assert stat.S_IMODE((safe / "made").stat().st_mode) == 0o700
    (safe / "open").mkdir(mode=0o755)
    (safe / "file").touch()
    (safe / "link").symlink_to(safe / "made")

    assert make_folder_below(str(safe), "open") is FolderRefusal.OPEN_TO_OTHERS
    assert make_folder_below(str(safe), "file") is FolderRefusal.NOT_A_FOLDER
    assert make_folder_below(str(safe), "link") is FolderRefusal.LINK
    assert make_folder_below(str(safe / "file"), "none") is FolderRefusal.NOT_WRITABLE
    assert make_folder_below(str(safe / "gone"), "none") is FolderRefusal.NOT_WRITABLE
