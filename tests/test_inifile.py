from __future__ import annotations

import configparser
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import franklinwh_telemetry
import support
from franklinwh_telemetry import iniedit, inifile, inisyntax, iniwrite, system
from franklinwh_telemetry.iniedit import Edited, EditRefused
from franklinwh_telemetry.inifile import Ini, IniProblem, ProblemKind
from franklinwh_telemetry.iniwrite import EditRefusal
from support import posix_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
ROOT = support.effective_uid == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root can give files away")

ACCOUNT = b"[energy.franklinwh.com]\nemail = me@example.com\npassword = 100%safe%(x)s\n\n"
MOUNTED = """
import sys
from franklinwh_telemetry import iniedit, inifile
print(iniedit.edit(sys.argv[1], "telemetry", {"enabled": "true"}).reason.name)
"""


def written(path: Path, data: bytes) -> str:
    """Write *data* with a mode that is the user's alone."""
    path.write_bytes(data)
    path.chmod(0o600)
    return str(path)


def good(result: Ini | IniProblem | None) -> Ini:
    """Take a file that was believed."""
    assert isinstance(result, Ini), result
    return result


def sections(result: Ini | IniProblem | None) -> dict[str, dict[str, str]]:
    """Take the telemetry sections of a file that was believed."""
    return {name: dict(keys) for name, keys in good(result).sections.items()}


def bad(result: Ini | IniProblem | None) -> IniProblem:
    """Take the problem of a file that was not believed."""
    assert isinstance(result, IniProblem), result
    return result


def kind(result: Ini | IniProblem | None) -> ProblemKind:
    """Take the kind of that problem."""
    return bad(result).kind


def refusal(result: Edited | EditRefused) -> EditRefused:
    """Take the refusal of an edit."""
    assert isinstance(result, EditRefused), result
    return result


def reason(result: Edited | EditRefused) -> EditRefusal:
    """Take the reason of that refusal."""
    return refusal(result).reason


def as_nobody(work: Callable[[], object]) -> str:
    """Do *work* in a child process of a user who owns nothing, and take what it returns as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        outcome = "the child failed"
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            outcome = str(work())
        finally:
            os.write(writer, outcome.encode())
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


def edit_mounted(path: Path, setup: str) -> str:
    """Edit in a mount namespace of its own, prepared by the shell command *setup*."""
    command = [
        "unshare",
        "-m",
        "sh",
        "-ec",
        f'{setup}; exec "$2" -c "$3" "$1"',
        "sh",
        str(path),
        sys.executable,
        MOUNTED,
    ]
    source = str(Path(franklinwh_telemetry.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": source}
    done = subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and ("mount:" in done.stderr or "unshare:" in done.stderr):
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make a folder with nothing else in it."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def shared() -> Iterator[Path]:
    """Make a folder that every user may pass through (pytest's own is closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="ini-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Count what is opened, under a clock by which no file has just changed."""
    paths: list[str] = []
    real_open, real_clock = os.open, time.time_ns

    def counting(path, *args, **kwargs):
        paths.append(str(path))
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", counting)
    monkeypatch.setattr("time.time_ns", lambda: real_clock() + 10_000_000_000)
    return paths


# --- names


def test_section_names() -> None:
    """franklinwh-cloud owns the plain section, and every other application has one by its name."""
    assert inifile.section_name("franklinwh-cloud") == "telemetry"
    assert inifile.section_name("myapp") == "telemetry myapp"


# --- reading


def test_read_keeps_telemetry_sections_only(place) -> None:
    """Nothing but telemetry sections is kept, and the text form shows none of their values."""
    text = ACCOUNT + b"[telemetry]\nenabled = true\nuuid=x\n[telemetry myapp]\nENABLED: no\n[telemetryx]\na=1\n"
    path = written(place / "a.ini", text)
    ini = good(inifile.read(path, explicit=False))
    assert sections(ini) == {"telemetry": {"enabled": "true", "uuid": "x"}, "telemetry myapp": {"enabled": "no"}}
    assert ini.path == path
    assert "password" not in repr(ini)
    assert "true" not in repr(ini)


@posix_only
def test_read_of_nothing(place) -> None:
    """A missing file, a dangling link and a path through a file are all no file."""
    written(place / "file", b"")
    (place / "link").symlink_to(place / "gone")
    for name in ("gone", "link", "file/below"):
        assert inifile.read(str(place / name), explicit=False) is None


def test_read_file_that_goes_away(place, monkeypatch) -> None:
    """A file removed between the look and the opening is no file."""
    path = written(place / "a.ini", b"[telemetry]\n")
    real = os.open

    def late(*args):
        Path(path).unlink(missing_ok=True)
        return real(*args)

    monkeypatch.setattr(os, "open", late)
    assert inifile.read(path, explicit=False) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf[telemetry]\nenabled = true\n",
        b"[telemetry]\r\nenabled = true\r\n",
        b"[telemetry]\renabled = true\r",
        b"[telemetry]\nenabled:true",
        b"# caf\xe9 in Latin-1\n[a]\nx = \xff\xfe\n[telemetry]\n  Enabled   =   true   \n",
    ],
    ids=["bom", "crlf", "cr", "colon-no-newline", "not-utf-8"],
)
def test_read_tolerates(place, data) -> None:
    """Byte order mark, line endings and stray bytes elsewhere do not hide an answer."""
    assert sections(inifile.read(written(place / "a.ini", data), explicit=False)) == {
        "telemetry": {"enabled": "true"},
    }


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ("[telemetry]\nenabled = true\n".encode("utf-16"), "NUL"),
        (b"[telemetry]\nenabled = true\n\0", "NUL"),
        (b"[telemetry]\nenabled = true\n[a]\n[telemetry]\nenabled = no\n", "line 4"),
        (b"[telemetry]\nenabled = true\nENABLED = no\n", "line 3"),
        (b"surprise\n[telemetry]\nenabled = true\n", "line 1"),
        (b"[telemetry]\nenabled = true\nsurprise\n", "line 3"),
        (b"[telemetry]\n= surprise\n", "line 2"),
    ],
    ids=["utf-16", "nul", "section-twice", "key-twice", "no-header", "no-delimiter", "no-key"],
)
def test_read_malformed(place, data, detail) -> None:
    """What `configparser` refuses is malformed as a whole; the message counts lines and repeats none."""
    problem = bad(inifile.read(written(place / "a.ini", data), explicit=False))
    assert problem.kind is ProblemKind.MALFORMED
    assert detail in problem.detail
    assert "surprise" not in problem.detail


def test_read_lends_nothing_but_enabled(place) -> None:
    """A `[DEFAULT]` section lends no password and no UUID; its `enabled` is reported by itself."""
    path = written(place / "a.ini", b"[DEFAULT]\npassword = p\nuuid = u\nenabled = no\n[telemetry]\nsince = s\n")
    ini = good(inifile.read(path, explicit=False))
    assert sections(ini) == {"telemetry": {"since": "s"}}
    assert ini.inherited_enabled == "no"


@posix_only
@pytest.mark.parametrize("make", [support.make_fifo, os.mkdir], ids=["fifo", "folder"])
def test_read_what_is_no_file(place, make) -> None:
    """A pipe does not hang the command, and a folder is no answer."""
    path = str(place / "a.ini")
    make(path)
    assert kind(inifile.read(path, explicit=True)) is ProblemKind.NOT_REGULAR


def test_read_device(opened) -> None:
    """A device is not even opened."""
    assert kind(inifile.read("/dev/zero", explicit=True)) is ProblemKind.NOT_REGULAR
    assert opened == []


@posix_only
def test_read_becomes_a_pipe(place, monkeypatch) -> None:
    """A pipe put in the file's place after the first look is found out when it is opened."""
    path = written(place / "a.ini", b"[telemetry]\n")
    status = os.stat(path)
    Path(path).unlink()
    support.make_fifo(path)
    monkeypatch.setattr(os, "stat", lambda _path: status)
    assert kind(inifile.read(path, explicit=True)) is ProblemKind.NOT_REGULAR


def test_read_too_large(place) -> None:
    """One mebibyte is read, one byte more is not."""
    text = b"[telemetry]\nenabled = true\n"
    path = place / "a.ini"
    written(path, text + b"#" * (inifile.MAX_INI_BYTES - len(text)))
    assert sections(inifile.read(str(path), explicit=False)) == {"telemetry": {"enabled": "true"}}
    written(path, text + b"#" * (inifile.MAX_INI_BYTES - len(text) + 1))
    problem = bad(inifile.read(str(path), explicit=False))
    assert (problem.kind, problem.detail) == (ProblemKind.TOO_LARGE, f"it has {inifile.MAX_INI_BYTES + 1} bytes")


def test_read_file_that_grows(place, monkeypatch) -> None:
    """A file that turns out longer than it said is not read to the end."""
    path = written(place / "a.ini", b"[telemetry]\n")
    monkeypatch.setattr(os, "read", lambda _descriptor, size: b"#" * size)
    assert kind(inifile.read(path, explicit=False)) is ProblemKind.TOO_LARGE


@posix_only
@pytest.mark.parametrize("mode", [0o602, 0o666, 0o777])
def test_read_world_writable(place, mode) -> None:
    """What everybody may write to is nobody's word, even when named or read by root."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")
    Path(path).chmod(mode)
    for explicit in (False, True):
        assert kind(inifile.read(path, explicit=explicit)) is ProblemKind.WORLD_WRITABLE


def test_read_group_writable(place) -> None:
    """A file shared with a group is the user's own affair."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")
    Path(path).chmod(0o664)
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "true"}}


@needs_root
@pytest.mark.parametrize(
    ("owner", "explicit", "expected"),
    [
        (1234, False, "ProblemKind.FOREIGN_OWNER"),
        (1234, True, "believed"),
        (0, False, "believed"),
        (NOBODY, False, "believed"),
    ],
)
def test_read_owner(shared, owner, explicit, expected) -> None:
    """Only one's own and root's files are believed, unless another's was named."""
    path = shared / "a.ini"
    written(path, b"[telemetry]\nenabled = true\n")
    path.chmod(0o644)
    os.chown(path, owner, owner)
    assert as_nobody(lambda: getattr(inifile.read(str(path), explicit=explicit), "kind", "believed")) == expected


@needs_root
def test_read_as_root(place) -> None:
    """Root may read another's file."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")
    os.chown(path, 1234, 1234)
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "true"}}


@needs_root
def test_read_unreadable(shared) -> None:
    """A file that may not be read is a problem, never no file."""
    path = shared / "a.ini"
    written(path, b"[telemetry]\nenabled = true\n")
    for mode in (0o755, 0o700):
        shared.chmod(mode)
        assert as_nobody(lambda: kind(inifile.read(str(path), explicit=True))) == "ProblemKind.UNREADABLE"


def test_read_does_not_remember_a_failure(place, monkeypatch) -> None:
    """A file that could not be opened just now is tried again at the next call."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")

    def refuse(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert bad(inifile.read(path, explicit=False)).detail == "Too many open files"
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "true"}}


def test_read_path_that_cannot_be(place) -> None:
    """A path no file can have is a problem and no exception."""
    for path in ("a\0b", str(place / ("x" * 300))):
        assert kind(inifile.read(path, explicit=True)) is ProblemKind.UNREADABLE


@posix_only
def test_read_without_posix_owners(place, monkeypatch) -> None:
    """Where files have no POSIX owner and mode, those two are not looked at."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")
    Path(path).chmod(0o666)
    monkeypatch.setattr(system, "effective_uid", None)
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "true"}}


def test_read_opens_once(place, opened) -> None:
    """An unchanged file, good or bad, is opened once and looked at with one `stat` after that."""
    for name, data in (("good.ini", b"[telemetry]\nenabled = no\n"), ("bad.ini", b"surprise\n")):
        path = written(place / name, data)
        first = inifile.read(path, explicit=False)
        assert [inifile.read(path, explicit=False) for _ in range(5)] == [first] * 5
        assert inifile.read(path, explicit=False) is first
        assert opened.count(path) == 1


def test_read_again_after_change(place, opened) -> None:
    """A change of the text, the mode or the file behind the name is seen at the next call."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "true"}}
    Path(path).write_bytes(b"[telemetry]\nenabled = false\n")
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "false"}}
    Path(path).chmod(0o602)
    assert kind(inifile.read(path, explicit=False)) is ProblemKind.WORLD_WRITABLE
    other = written(place / "b.ini", b"[telemetry]\nenabled = later\n")
    Path(other).replace(path)
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "later"}}
    Path(path).unlink()
    assert inifile.read(path, explicit=False) is None


def test_read_again_within_a_tick(place) -> None:
    """Two changes so close that the clock shows no difference are both seen."""
    path = place / "a.ini"
    written(path, b"[telemetry]\nenabled = yes\n")
    now = time.time_ns()
    for answer in (b"yes", b"0ff") * 50:
        with path.open("r+b") as file:
            file.seek(22)
            file.write(answer)
        os.utime(path, ns=(now, now))
        assert sections(inifile.read(str(path), explicit=False)) == {"telemetry": {"enabled": answer.decode()}}


@pytest.mark.parametrize(("stamp_ns", "step_ms"), [(1_700_000_000_000_000_000, 2000), (1_700_000_000_123_456_789, 100)])
def test_read_remembers_after_a_tick(place, monkeypatch, stamp_ns, step_ms) -> None:
    """A file is remembered once the clock has surely moved on: 0.1 s, or 2 s where times are whole seconds."""
    path = written(place / "a.ini", b"[telemetry]\n")
    os.utime(path, ns=(stamp_ns, stamp_ns))
    changed_ns = Path(path).stat().st_ctime_ns
    for wait_ms, kept in ((step_ms - 1, False), (step_ms, True)):
        monkeypatch.setattr("time.time_ns", lambda wait_ms=wait_ms: changed_ns + wait_ms * 1_000_000)
        inifile.read(path, explicit=False)
        assert ((path, False) in inifile._cache) is kept


def test_cache_is_bounded(place, opened) -> None:
    """A program that looks in ever new places does not remember them all."""
    for number in range(inifile._MAX_CACHED * 2):
        inifile.read(written(place / f"{number}.ini", b"[telemetry]\n"), explicit=False)
        assert len(inifile._cache) <= inifile._MAX_CACHED
    assert len(opened) == inifile._MAX_CACHED * 2


def test_read_never_calls_the_builtin_open(place, monkeypatch) -> None:
    """Home Assistant flags the builtin `open` in its event loop; reading does without."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")

    def refuse(*_args, **_kwargs):
        raise AssertionError

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    assert sections(inifile.read(path, explicit=False)) == {"telemetry": {"enabled": "true"}}


@posix_only
def test_read_through_a_link(place) -> None:
    """The path reported is the real one, so that one file is one grant."""
    real = written(place / "real.ini", b"[telemetry]\n")
    (place / "link.ini").symlink_to("real.ini")
    assert good(inifile.read(str(place / "link.ini"), explicit=False)).path == real


def test_values_cannot_be_changed(place) -> None:
    """What was read stays what was read."""
    ini: Any = inifile.read(written(place / "a.ini", b"[telemetry]\nenabled = no\n"), explicit=False)
    with pytest.raises(AttributeError):
        ini.path = "elsewhere"
    with pytest.raises(AttributeError):
        del ini.path
    with pytest.raises(TypeError):
        ini.sections["telemetry"]["enabled"] = "true"


# --- editing

EDITS = [
    (b"", {"enabled": "true"}, b"[telemetry]\nenabled = true\n"),
    (b"[a]\nx=1\n", {"enabled": "true"}, b"[a]\nx=1\n\n[telemetry]\nenabled = true\n"),
    (b"[a]\nx=1\n\n", {"enabled": "true"}, b"[a]\nx=1\n\n[telemetry]\nenabled = true\n"),
    (b"[a]\r\nx=1", {"enabled": "true"}, b"[a]\r\nx=1\r\n\r\n[telemetry]\r\nenabled = true\r\n"),
    (b"\xef\xbb\xbf# c\n", {"enabled": "no"}, b"\xef\xbb\xbf# c\n\n[telemetry]\nenabled = no\n"),
    (b"[telemetry]\nenabled = false\n", {"enabled": "true"}, b"[telemetry]\nenabled = true\n"),
    (b"[telemetry]\nenabled = false", {"enabled": "true"}, b"[telemetry]\nenabled = true"),
    (b"[telemetry]\nenabled = false", {"policy": "1"}, b"[telemetry]\nenabled = false\npolicy = 1\n"),
    (b"[telemetry]", {"policy": "1"}, b"[telemetry]\npolicy = 1\n"),
    (b"[telemetry]\n\tENABLED :false  \n", {"enabled": "true"}, b"[telemetry]\n\tENABLED :true\n"),
    (b"[telemetry]\nenabled = true   \n", {"enabled": "true"}, b"[telemetry]\nenabled = true   \n"),
    (b"[telemetry]\nuuid=\n", {"uuid": "x"}, b"[telemetry]\nuuid= x\n"),
    (b"[telemetry]\nuuid = \n", {"uuid": "x"}, b"[telemetry]\nuuid = x\n"),
    (b"[telemetry]\nuuid = x\n", {"uuid": ""}, b"[telemetry]\nuuid = \n"),
    (b"[telemetry]\na=1\nuuid = x\n b\n\n c\n# d\nz=2\n", {"uuid": None}, b"[telemetry]\na=1\n\n# d\nz=2\n"),
    (b"[telemetry]\nuuid = x\n b\n # d\n c\nz=2\n", {"uuid": "y"}, b"[telemetry]\nuuid = y\n # d\nz=2\n"),
    (b"[telemetry]\nuuid = x\n b\n", {"uuid": "x"}, b"[telemetry]\nuuid = x\n"),
    (b"[telemetry]\na = 1\n\n# tail\n[b]\n", {"z": "2"}, b"[telemetry]\na = 1\nz = 2\n\n# tail\n[b]\n"),
    (b"[telemetry]\na = 1\n  more\n[b]\n", {"z": "2"}, b"[telemetry]\na = 1\n  more\nz = 2\n[b]\n"),
    (b"[telemetry]\n  a = 1\n[b]\n", {"z": "2"}, b"[telemetry]\n  a = 1\n  z = 2\n[b]\n"),
    (b"[telemetry]\n  [b]\n  y = 1\n", {"z": "2"}, b"[telemetry]\n  z = 2\n  [b]\n  y = 1\n"),
    (b"[telemetry]\n[b]\nenabled = 1\n", {"enabled": "no"}, b"[telemetry]\nenabled = no\n[b]\nenabled = 1\n"),
    (b"[telemetry x]\nenabled = 1\n", {"enabled": None}, b"[telemetry x]\nenabled = 1\n"),
    (b"[telemetry]\nenabled = 1\nuuid = x\n", {"uuid": None, "enabled": "no"}, b"[telemetry]\nenabled = no\n"),
    (b"[telemetry]\nenabled = 1", {"enabled": None, "z": "2"}, b"[telemetry]\nz = 2\n"),
    (b"[a]\np = caf\xe9 100%\n[telemetry]\ne=1\n", {"e": "2"}, b"[a]\np = caf\xe9 100%\n[telemetry]\ne=2\n"),
    (b"[DEFAULT]\nenabled = 1\n[telemetry]\n", {"enabled": None}, b"[DEFAULT]\nenabled = 1\n[telemetry]\n"),
]


@pytest.mark.parametrize(("before", "changes", "after"), EDITS)
def test_edit(place, before, changes, after) -> None:
    """Exactly the asked-for keys of the one section change, and no other byte."""
    path = written(place / "a.ini", before)
    assert iniedit.edit(path, "telemetry", changes) == Edited(path, changed=before != after)
    assert Path(path).read_bytes() == after
    assert iniedit.edit(path, "telemetry", changes) == Edited(path, changed=False)
    assert os.listdir(place) == ["a.ini"]


@pytest.mark.parametrize("before", [None, b"[telemetry]\nenabled = false\n"], ids=["new", "replaced"])
def test_edit_interrupted_as_it_closes(place, monkeypatch, before) -> None:
    """An answer that is on the disk has been given, whatever signal came as its file was closed."""
    path = place / "a.ini"
    if before is not None:
        written(path, before)
    with support.closing_interrupted(monkeypatch):
        edited = iniedit.edit(str(path), "telemetry", {"enabled": "true"})
    assert (edited, path.read_bytes()) == (Edited(str(path), changed=True), b"[telemetry]\nenabled = true\n")


def test_edit_another_application(place) -> None:
    """One application's answer is written beside another's, never over it."""
    path = written(place / "a.ini", b"[telemetry]\nenabled = true\n")
    iniedit.edit(path, "telemetry myapp", {"enabled": "false"})
    assert Path(path).read_bytes() == b"[telemetry]\nenabled = true\n\n[telemetry myapp]\nenabled = false\n"


@posix_only
def test_edit_makes_the_file(place) -> None:
    """A missing file is made for its user alone; taking keys out of a missing file makes none."""
    path = place / "new.ini"
    assert iniedit.edit(str(path), "telemetry", {"enabled": None}) == Edited(str(path), changed=False)
    assert not path.exists()
    assert iniedit.edit(str(path), "telemetry", {"enabled": "true"}) == Edited(str(path), changed=True)
    assert path.read_bytes() == b"[telemetry]\nenabled = true\n"
    assert path.stat().st_mode & 0o7777 == 0o600


@posix_only
def test_edit_through_a_link(place) -> None:
    """The real file changes, and the link stays a link; a link to nothing makes its target."""
    (place / "real").mkdir()
    real = place / "real" / "a.ini"
    written(real, b"[telemetry]\nenabled = no\n")
    link, dangling = place / "link.ini", place / "dangling.ini"
    link.symlink_to("real/a.ini")
    dangling.symlink_to("real/new.ini")
    assert iniedit.edit(str(link), "telemetry", {"enabled": "yes"}) == Edited(str(real), changed=True)
    assert link.is_symlink()
    assert real.read_bytes() == b"[telemetry]\nenabled = yes\n"
    iniedit.edit(str(dangling), "telemetry", {"enabled": "yes"})
    assert dangling.is_symlink()
    assert (place / "real" / "new.ini").read_bytes() == b"[telemetry]\nenabled = yes\n"


@posix_only
@pytest.mark.parametrize("mode", [0o400, 0o640, 0o664, 0o600])
def test_edit_keeps_mode_and_owner(place, mode) -> None:
    """The mode stays, and under root the owner and group too."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    path.chmod(mode)
    if ROOT:
        os.chown(path, 1234, 2345)
    before = path.stat()
    assert iniedit.edit(str(path), "telemetry", {"enabled": "true"}) == Edited(str(path), changed=True)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes are reached on Linux only")
def test_edit_keeps_extended_attributes(place) -> None:
    """Attributes such as access control lists are carried over."""
    path = written(place / "a.ini", b"[telemetry]\n")
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    iniedit.edit(path, "telemetry", {"enabled": "true"})
    assert os.getxattr(path, "user.note") == b"kept"


def edit_on(path: Path) -> Edited | EditRefused:
    """Switch telemetry on, as `on` does."""
    return iniedit.edit(str(path), "telemetry", {"enabled": "true"})


def refused_unchanged(path: Path, expected: EditRefusal) -> EditRefused:
    """Edit a file, and see the refusal leave it as it was."""
    before = path.read_bytes()
    result = refusal(iniedit.edit(str(path), "telemetry", {"enabled": "true", "uuid": None}))
    assert result.reason is expected
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.tmp"))
    assert not list(path.parent.glob(".*.tmp"))
    assert result.lines == ("[telemetry]", "enabled = true")
    assert result.remove == ("uuid",)
    return result


def test_edit_refuses_hard_links(place) -> None:
    """A file with a second name is left alone: the other name would keep the old answer."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    os.link(path, place / "b.ini")
    refused_unchanged(path, EditRefusal.HARD_LINK)


@pytest.mark.parametrize(
    "data",
    [b"surprise\n", b"[telemetry]\n[telemetry]\n", b"[telemetry]\nenabled=1\nenabled=2\n", b"[telemetry]\n\0"],
)
def test_edit_refuses_malformed(place, data) -> None:
    """What cannot be read is not written, and the refusal repeats none of it."""
    path = place / "a.ini"
    written(path, data)
    assert "surprise" not in repr(refused_unchanged(path, EditRefusal.MALFORMED))


def test_edit_refuses_what_reads_differently_afterwards(place, monkeypatch) -> None:
    """An edit is read back before it is kept: one that moved anything else is refused."""
    path = place / "a.ini"
    written(path, b"[a]\nx = 1\n[telemetry]\n")
    monkeypatch.setattr(iniedit, "_edited", lambda *_: "[a]\nx = 2\n[telemetry]\nenabled = true\n")
    refused_unchanged(path, EditRefusal.MALFORMED)


@posix_only
@pytest.mark.parametrize("make", [support.make_fifo, os.mkdir], ids=["fifo", "folder"])
def test_edit_refuses_what_is_no_file(place, make) -> None:
    """A pipe or a folder is not written to, and does not hang."""
    path = str(place / "a.ini")
    make(path)
    assert reason(iniedit.edit(path, "telemetry", {"enabled": "true"})) is EditRefusal.NOT_REGULAR


def test_edit_refuses_large_files(place) -> None:
    """What is too large to be an ini is not rewritten."""
    path = place / "a.ini"
    written(path, b"#" * (inifile.MAX_INI_BYTES + 1))
    refused_unchanged(path, EditRefusal.FAILED)


def test_edit_refuses_a_missing_folder(place) -> None:
    """No folder is made for a file."""
    written(place / "file", b"")
    for name in ("gone/a.ini", "file/a.ini"):
        assert reason(iniedit.edit(str(place / name), "telemetry", {"enabled": "true"})) is EditRefusal.NO_FOLDER
    assert os.listdir(place) == ["file"]


def test_edit_refuses_what_changes_meanwhile(place, monkeypatch) -> None:
    """What somebody else wrote during the edit is not overwritten."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    real = iniwrite._fill

    def racing(descriptor, data):
        path.write_bytes(b"[telemetry]\nenabled = false\n")
        real(descriptor, data)

    monkeypatch.setattr(iniwrite, "_fill", racing)
    assert reason(iniedit.edit(str(path), "telemetry", {"enabled": "true"})) is EditRefusal.CHANGED
    assert path.read_bytes() == b"[telemetry]\nenabled = false\n"
    monkeypatch.setattr(iniwrite, "_fill", lambda *_: path.unlink())
    assert reason(iniedit.edit(str(path), "telemetry", {"enabled": "true"})) is EditRefusal.CHANGED
    assert os.listdir(place) == []


def test_edit_refuses_a_file_made_meanwhile(place, monkeypatch) -> None:
    """A file that somebody else made at the same moment is not overwritten."""
    path = place / "a.ini"

    def racing(*_):
        written(path, b"theirs")
        return "[telemetry]\n"

    monkeypatch.setattr(iniedit, "_edited", racing)
    assert reason(iniedit.edit(str(path), "telemetry", {"enabled": "true"})) is EditRefusal.CHANGED
    assert path.read_bytes() == b"theirs"


@pytest.mark.parametrize("exists", [True, False])
def test_edit_refuses_when_the_disk_is_full(place, monkeypatch, exists) -> None:
    """A write that fails half-way leaves what was there, and nothing where there was nothing."""
    path = place / "a.ini"
    if exists:
        written(path, b"[telemetry]\n")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert iniedit.edit(str(path), "telemetry", {"enabled": "true"}) == EditRefused(
        EditRefusal.FAILED,
        str(path),
        "No space left on device",
        "telemetry",
        {"enabled": "true"},
    )
    assert os.listdir(place) == (["a.ini"] if exists else [])
    assert not exists or path.read_bytes() == b"[telemetry]\n"


def test_edit_refuses_an_owner_that_cannot_be_kept(place, monkeypatch) -> None:
    """A file is not given another owner or mode by the way."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    refused_unchanged(path, EditRefusal.OWNER)


def test_edit_without_posix_owners(place, monkeypatch) -> None:
    """Where files have no POSIX owner and mode, and folders cannot be opened, the text is edited all the same."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    real = os.open

    def files_only(name, *args):
        if name == str(place):
            raise PermissionError(13, "Permission denied")
        return real(name, *args)

    monkeypatch.setattr(system, "effective_uid", None)
    monkeypatch.setattr(os, "open", files_only)
    monkeypatch.delattr(os, "fchmod")
    monkeypatch.delattr(os, "fchown")
    assert edit_on(path) == Edited(str(path), changed=True)
    assert path.read_bytes() == b"[telemetry]\nenabled = true\n"


@posix_only
def test_edit_is_on_the_disk(place, monkeypatch) -> None:
    """The new text is flushed before it takes the old one's name, and the folder after that."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor):
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        sync(descriptor)

    def noted_replace(source, target):
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    edit_on(path)
    assert steps == ["file", "rename", "folder"]


@posix_only
def test_edit_survives_a_folder_that_cannot_be_flushed(place, monkeypatch) -> None:
    """A file system that cannot flush a folder has changed the file all the same."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    real = os.fsync

    def files_only(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(22, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    assert edit_on(path) == Edited(str(path), changed=True)


def test_edit_refuses_what_cannot_be_opened(place, monkeypatch) -> None:
    """A file that cannot be opened is left alone, and the system's words say why."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        result = refusal(edit_on(path))
    assert (result.reason, result.detail) == (EditRefusal.FAILED, "Permission denied")


@needs_root
def test_edit_refuses_to_take_a_file_over(shared) -> None:
    """A user who may write to the folder of another's file does not become its owner."""
    path = shared / "a.ini"
    written(path, b"[telemetry]\n")
    path.chmod(0o664)
    os.chown(path, 1234, 1234)
    shared.chmod(0o777)
    assert as_nobody(lambda: reason(edit_on(path))) == "EditRefusal.OWNER"
    assert path.read_bytes() == b"[telemetry]\n"
    assert path.stat().st_uid == 1234
    assert os.listdir(shared) == ["a.ini"]


@needs_root
@pytest.mark.parametrize("exists", [True, False])
def test_edit_refuses_a_folder_that_is_not_writable(shared, exists) -> None:
    """Where no file can be put beside it, the ini is not written in place either."""
    path = shared / "a.ini"
    if exists:
        written(path, b"[telemetry]\n")
        os.chown(path, NOBODY, NOBODY)
    assert as_nobody(lambda: reason(edit_on(path))) == "EditRefusal.NOT_WRITABLE"
    assert not exists or path.read_bytes() == b"[telemetry]\n"


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="mount namespaces need unshare")
def test_edit_refuses_a_bind_mounted_file(place) -> None:
    """A single file mounted into a container cannot be replaced, and is left alone."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    assert edit_mounted(path, 'mount --bind "$1" "$1"') == "BIND_MOUNTED"
    assert path.read_bytes() == b"[telemetry]\n"
    assert os.listdir(place) == ["a.ini"]


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="mount namespaces need unshare")
def test_edit_refuses_a_read_only_file_system(place) -> None:
    """On a read-only mount nothing changes, and the reason says so."""
    path = place / "a.ini"
    written(path, b"[telemetry]\n")
    setup = 'cd "${1%/*}"; mount --bind . .; mount -o remount,ro,bind "${1%/*}"; cd /'
    assert edit_mounted(path, setup) == "READ_ONLY"


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("telemetry", {"enabled": "true\npassword = x"}),
        ("telemetry", {"enabled": "true\r"}),
        ("telemetry", {"enabled": "wäre"}),
        ("telemetry", {"enabled": " true"}),
        ("telemetry", {"Enabled": "true"}),
        ("telemetry", {"a = b": "true"}),
        ("telemetry", {"": "true"}),
        ("telemetry a]b", {"enabled": "true"}),
        ("telemetry ", {"enabled": "true"}),
        ("energy.franklinwh.com", {"password": "x"}),
        ("DEFAULT", {"enabled": "true"}),
    ],
)
def test_edit_takes_only_plain_words(place, section, changes) -> None:
    """A value that could break out of its line, or a section that is not ours, is a programming error."""
    path = place / "a.ini"
    with pytest.raises(ValueError, match=r"ours|telemetry|lower-case"):
        iniedit.edit(str(path), section, changes)
    assert not path.exists()


# --- properties

KEYS = ("enabled", "uuid", "since", "policy", "destination")
NEW = st.dictionaries(st.sampled_from(KEYS), st.none() | st.sampled_from(["true", "no", "a b", "1%2", ""]), max_size=3)
COMMENT = st.builds(
    bytes.__add__, st.sampled_from([b"#", b" ; "]), st.sampled_from([b"", b"c", b" \xff=1", b"[a]", b"\xe2\x80\xa8"])
)
FOREIGN = st.lists(
    st.sampled_from([b"password = 100%", b"email: \xe9@x", b"note = a\n  b\n\n  c", b"", b"# enabled = true"]),
    unique=True,
    max_size=4,
)


@st.composite
def documents(draw) -> tuple[bytes, bytes, dict[str, str | None]]:
    """Draw a file by its parts, changes to it, and the file that must come out of them."""
    changes = draw(NEW)
    eol = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    head = [b"# top", b"[account]", *draw(FOREIGN)]
    tail = [b"[gateways.enabled]", *draw(FOREIGN)] if draw(st.booleans()) else []
    before = [b"[telemetry]"]
    after = [b"[telemetry]"]
    anchor, present = 1, set()
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
        for line in draw(st.lists(COMMENT | st.just(b""), max_size=2)):
            before.append(line)
            after.append(line)
        start = draw(st.sampled_from([key, key.upper()])).encode() + draw(st.sampled_from([b" = ", b": ", b"=\t"]))
        more = [b"   continued"] * draw(st.integers(0, 2))
        before += [start + b"old", *more]
        present.add(key)
        value = changes.get(key)
        if key not in changes:
            after += [start + b"old", *more]
        elif value is not None:
            after.append(start + value.encode())
        anchor = len(after)
    after[anchor:anchor] = [
        f"{key} = {value}".encode() for key, value in changes.items() if value is not None and key not in present
    ]
    for line in draw(st.lists(COMMENT | st.just(b""), max_size=2)):
        before.append(line)
        after.append(line)

    def join(lines: list[bytes]) -> bytes:
        return bytes(bom) + b"".join(line.replace(b"\n", eol) + eol for line in [*head, *lines, *tail])

    return join(before), join(after), changes


@settings(max_examples=150, deadline=None)
@given(documents())
def test_edit_moves_no_other_byte(document) -> None:
    """Whatever the file looks like, the outcome is the old bytes with exactly the asked-for keys changed."""
    before, after, changes = document
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ini"
        written(path, before)
        assert isinstance(iniedit.edit(str(path), "telemetry", changes), Edited)
        assert path.read_bytes() == after


def read_by_upstream(data: bytes) -> dict[str, dict[str, str]] | None:
    """Read as `configparser` does, with no default section."""
    parser = configparser.RawConfigParser(default_section="surprise")
    try:
        parser.read_string(data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n"))
    except configparser.Error:
        return None
    return {name: dict(parser.items(name)) for name in parser.sections()}


LINES = [
    b"[telemetry]", b" [telemetry]", b"[a]", b"  [b]", b"enabled = true", b"  enabled=no", b"\tuuid : x", b"uuid=",
    b"", b"  ", b"# c", b"   ; enabled = 1", b" more", b"since = a = b", b"\xc2\xa0x = 1", b"\xff", b"[", b"=",
    b"x = \x0b", b"\x1cpolicy = 1",
]  # fmt: skip
SOUP = st.lists(st.sampled_from(LINES), max_size=10)


@settings(max_examples=300, deadline=None)
@given(SOUP, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans(), NEW)
def test_edit_of_anything(lines, eol, ended, changes) -> None:
    """Of any text at all, either only the asked-for keys change their meaning, or nothing changes."""
    before = eol.join(lines) + (eol if ended else b"")
    expected = read_by_upstream(before)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ini"
        written(path, before)
        result = iniedit.edit(str(path), "telemetry", changes)
        after = path.read_bytes()
    if expected is None or isinstance(result, EditRefused):
        refusal(result)
        assert after == before
        return
    for key, value in changes.items():
        if value is None:
            expected.get("telemetry", {}).pop(key, None)
        else:
            expected.setdefault("telemetry", {})[key] = value
    assert read_by_upstream(after) == expected


def agrees(text: str) -> bool:
    """Whether *text* is plain, where it then has to mean what `configparser` reads in it."""
    plain = inifile.plain_snapshot(text)
    assert plain is None or plain == inisyntax.snapshot(text), text
    return plain is not None


def test_short_texts_mean_what_configparser_reads() -> None:
    """Every text of up to five of the characters that make an ini, alone and below a section with a key, agrees."""
    texts = ["".join(drawn) for length in range(6) for drawn in itertools.product("[]=:#a \n", repeat=length)]
    assert sum(map(agrees, texts)) > 1_000
    assert sum(agrees(f"[a]\nb=c\n{text}") for text in texts) > 1_000


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from([line.decode("utf-8", "surrogateescape") for line in LINES])
        | st.builds("{}{}{}".format, st.text("aA_1- é\x1c", max_size=3), st.sampled_from("=:"), st.text(max_size=4)),
        max_size=8,
    ),
)
def test_plain_texts_mean_what_configparser_reads(lines) -> None:
    """Whatever stands in them: what is read without `configparser` is what it would have read."""
    agrees("\n".join(lines))
    agrees("\n".join(["[telemetry]", *lines]))


@pytest.mark.parametrize(
    "text",
    [
        "[telemetry]\r\nenabled = true\r\n",
        "[telemetry]\nenabled = true\0\n",
        "[telemetry]\nenabled = true\n  or not\n",
        "[telemetry]\n enabled = true\n",
        " [telemetry]\n",
        "[telemetry]\n[telemetry]\n",
        "[DEFAULT]\nenabled = true\n",
        "[telemetry]\nenabled = true\nEnabled = false\n",
        "enabled = true\n",
        "[telemetry]\nenabled\n",
        "[telemetry]\n= true\n",
        "[telemetry]\nis enabled = true\n",
        "[telemetry]\n\u0131s = true\n",
        "[telemetry] now\n",
        "[telemetry]]\n",
        "[[telemetry]\n",
        "[]\n",
        "[\n",
    ],
)
def test_what_is_not_plain_is_left_to_configparser(text) -> None:
    """A text that could be read in two ways is read by the library that the program itself reads it with."""
    assert inifile.plain_snapshot(text) is None


def test_a_common_ini_needs_no_configparser(place) -> None:
    """The user's file with account and answer is read without loading what takes a millisecond to load."""
    answer = b"[telemetry]\nenabled = true\nuuid = anonymous\nendpoint: https://collector.example.com\n"
    path = written(place / "franklinwh.ini", ACCOUNT + b"; mine\n" + answer)
    code = (
        "import sys; sys.modules['configparser'] = None  # whoever imports it fails\n"
        "from franklinwh_telemetry import inifile\n"
        f"print(dict(inifile.read({path!r}, explicit=True).sections['telemetry']))\n"
    )
    done = support.run_python(code)
    expected = {"enabled": "true", "uuid": "anonymous", "endpoint": "https://collector.example.com"}
    assert (done.returncode, done.stdout) == (0, f"{expected}\n"), done.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize("blank", [" ", "\t", "\u3000"])
def test_a_key_of_blanks_costs_no_time(blank):
    """Blanks without a value behind them, whose squares configparser would look at, are refused before it sees them."""
    text = f"[telemetry]\nenabled = true\nkey{blank * 100_000}x\n"

    assert inisyntax.snapshot(text) == "it holds far more blanks than keys have"
    assert isinstance(inisyntax.snapshot(f"[telemetry]\nenabled = true{blank * 1_000}\n"), dict)
