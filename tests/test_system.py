"""
The seam between this package and the system it runs on, and the whole way of an event on simulated other systems.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import support
from doubles import simulated
from franklinwh_telemetry import Telemetry, Vocabulary, foresight, launch, lookup, statefolder, system
from franklinwh_telemetry.backlog import Backlog, existing_spools
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from franklinwh_telemetry.statefolder import FolderRefusal
from support import APPLICATION, linux_only, posix_only

HOST = """
import sys
from franklinwh_telemetry import Telemetry, Vocabulary
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
with telemetry.command("status"):
    print("work done on", sys.platform)
sys.exit(7)
"""

COMMAND_LINE = "import sys; from franklinwh_telemetry.cli import main; main()"


class Machine:
    """
    A machine of another system: its user's home and state folder, and programs that take it for real.
    """

    def __init__(self, platform: str, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "Users" / "alice"
        self.variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "simulated")}
        if platform == "win32":
            self.state = self.home / "AppData" / "Local"
            self.variables |= {
                "SYSTEMROOT": "C:\\Windows",
                "USERPROFILE": str(self.home),
                "LOCALAPPDATA": str(self.state),
                "PROGRAMDATA": str(folder / "ProgramData"),
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1",
            }
        else:
            self.state = self.home / "Library" / "Application Support"
            self.variables |= {"HOME": str(self.home)}
        self.state.mkdir(parents=True, mode=0o755)
        (folder / "simulated").mkdir()
        text = Path(simulated.__file__).read_text(encoding="utf-8")
        (folder / "simulated" / "sitecustomize.py").write_text(f"{text}\n\ninstall({platform!r})\n", encoding="utf-8")

    def run(self, code: str, *arguments: str, text: bool = True) -> subprocess.CompletedProcess[Any]:
        """Run a program of the user's."""
        return support.run([sys.executable, "-c", code, *arguments], env=self.variables, text=text)

    def run_host(self, platform: str) -> None:
        """Run the program whose commands are recorded; it is what it would be without."""
        ended = self.run(HOST)
        assert (ended.returncode, ended.stdout, ended.stderr) == (7, f"work done on {platform}\n", "")

    def spools(self) -> list[Backlog]:
        """The spools in the state folder."""
        return list(existing_spools(str(self.state / statefolder.FOLDER_NAME), APPLICATION))

    def senders_end(self) -> None:
        """Wake the senders, and wait until as many have ended as were started."""
        for spool in self.spools():
            Path(spool.path("wake")).touch()
        counts = [spool.tally for spool in self.spools()]
        support.wait_until(
            lambda: all(count.read().get("senders_completed") == count.read()["senders_launched"] for count in counts)
        )

    def asked(self) -> list[list[str]]:
        """What the simulated system was asked for, each with the process first."""
        return [line.split() for line in (self.folder / "simulated" / "asked").read_text().splitlines()]


def say_yes(machine: Machine, url: str) -> Path:
    """The ini in the user's home."""
    ini = machine.home / ".franklinwh.ini"
    ini.write_bytes(f"[telemetry]\r\nenabled = true\r\nendpoint = {url}\r\n".encode())
    return ini


@linux_only
@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_the_main_job_on_another_system(tmp_path, platform):
    """
    A command is recorded, a sender delivers it, the journal has the bytes that arrived, and `erase` leaves nothing.
    """
    machine = Machine(platform, tmp_path)
    with LoopbackReceiver() as receiver:
        ini = say_yes(machine, receiver.url)
        machine.run_host(platform)
        machine.senders_end()
        machine.run_host(platform)
        machine.senders_end()

        (spool,) = machine.spools()
        assert [span.name for span in receiver.spans] == ["status", "status"]
        assert spool.tally.read() == {"delivered": 2, "senders_completed": 2, "senders_launched": 2}
        kept = [path.read_bytes() for path in sorted(Path(spool.path("journal")).iterdir())]
        assert [request.raw in data for request, data in zip(receiver.requests, kept, strict=True)] == [True, True]
        assert os.listdir(spool.path("new")) == os.listdir(spool.path("claimed")) == os.listdir(spool.path("tmp")) == []

        status = machine.run(COMMAND_LINE, "status")
        assert status.stdout.splitlines()[:1] == [f"{APPLICATION}: on"]
        assert str(machine.state) in status.stdout
        shown = machine.run(COMMAND_LINE, "show", "--sent", "--raw", text=False)
        assert all(request.raw in shown.stdout for request in receiver.requests)
        erased = machine.run(COMMAND_LINE, "erase")
        assert (erased.returncode, erased.stderr) == (0, ""), erased.stdout
        assert not Path(spool.folder).parent.exists()
        assert ini.read_bytes().startswith(b"[telemetry]\r\nenabled = false\r\nendpoint = ")
        assert machine.run(COMMAND_LINE, "status").stdout.splitlines()[:1] == [f"{APPLICATION}: off"]
        machine.run_host(platform)
        assert len(receiver.requests) == 2


@linux_only
def test_a_windows_sender_is_one_too(tmp_path):
    """The sender itself runs on the simulated Windows: it takes and gives back the lock as one does there."""
    machine = Machine("win32", tmp_path)
    with LoopbackReceiver() as receiver:
        say_yes(machine, receiver.url)
        machine.run_host("win32")
        machine.senders_end()

    (host,) = [process for process, *what in machine.asked() if what == ["Popen"]]
    assert [what for process, *what in machine.asked() if process != host] == [["locking", "2"], ["locking", "0"]]


@linux_only
@pytest.mark.parametrize("where", ["home", "machine"])
def test_a_no_elsewhere_reaches_a_windows_sender(tmp_path, where):
    """The sender looks where the host looked: a no in the home, or for the whole machine, holds back what waits."""
    machine = Machine("win32", tmp_path)
    with LoopbackReceiver() as receiver:
        say_yes(machine, receiver.url).rename("franklinwh.ini")
        machine.run_host("win32")
        folder = {"home": machine.home, "machine": tmp_path / "ProgramData"}[where]
        folder.mkdir(exist_ok=True)
        name = {"home": ".franklinwh.ini", "machine": "franklinwh.ini"}[where]
        (folder / name).write_text("[telemetry]\nenabled = false\n")
        machine.senders_end()

        assert receiver.requests == []
    (spool,) = machine.spools()
    assert spool.names() == []


@linux_only
def test_a_windows_erase_outlives_a_waiting_sender(tmp_path):
    """A sender that waits in the folder to be deleted is waited for, and the folder goes whole."""
    machine = Machine("win32", tmp_path)
    with LoopbackReceiver() as receiver:
        say_yes(machine, receiver.url)
        machine.run_host("win32")
        (spool,) = machine.spools()
        erased = machine.run(COMMAND_LINE, "erase")

        assert (erased.returncode, receiver.requests) == (0, []), erased.stdout
    assert not Path(spool.folder).parent.exists()


@linux_only
def test_a_windows_sender_ends_in_time(tmp_path):
    """Without the kernel's alarm a thread ends the process, with the exit status asked for."""
    code = "from franklinwh_telemetry import kernel; kernel.start_watchdog(0.2, 2); import time; time.sleep(60)"
    assert Machine("win32", tmp_path).run(code).returncode == 2


@linux_only
def test_a_windows_lock(tmp_path):
    """One holder at a time, in one process and in two, and the next as soon as it is let go."""
    code = """
import subprocess, sys
from franklinwh_telemetry.lock import Lock
first, second = Lock("lock"), Lock("lock")
print(first.acquire(), second.acquire(), flush=True)
again = [sys.executable, "-c", "from franklinwh_telemetry.lock import Lock; print(Lock('lock').acquire())"]
subprocess.call(again)
first.release()
first.release()
subprocess.call(again)
print(second.acquire())
"""
    ended = Machine("win32", tmp_path).run(code)
    assert (ended.stdout, ended.stderr) == ("True False\nFalse\nTrue\nTrue\n", "")


@linux_only
def test_windows_knows_no_owner_and_no_mode(tmp_path):
    """An ini and a state folder whose POSIX mode would refuse them are believed where modes mean nothing."""
    machine = Machine("win32", tmp_path)
    say_yes(machine, "http://127.0.0.1:9").chmod(0o666)
    code = "from franklinwh_telemetry import inifile; print(inifile.read({!r}, explicit=False))"
    found = machine.run(code.format(str(machine.home / ".franklinwh.ini"))).stdout
    assert found.endswith("sections=['telemetry'])\n")


@linux_only
def test_a_file_in_use_is_tried_again(tmp_path):
    """What is open for a moment is replaced a moment later; what stays open is refused, after 25 ms at the latest."""
    code = """
import os, time
from franklinwh_telemetry import statefolder
waits = []
open("target", "w").close()
held = open("target")
time.sleep = lambda pause_s: (waits.append(pause_s), held.close())
statefolder.replace("target", b"new")
print(open("target", "rb").read(), len(waits))
held = open("target")
time.sleep = waits.append
try:
    statefolder.replace("target", b"newer")
except PermissionError:
    print("refused", len(waits), 0 < sum(waits[1:]) <= 0.025)
print(open("target", "rb").read(), sorted(os.listdir()))
"""
    ended = Machine("win32", tmp_path).run(code)
    assert ended.stdout.splitlines() == ["b'new' 1", "refused 4 True", "b'new' ['target']"], ended.stderr


def test_each_platforms_folder(tmp_path, monkeypatch):
    """Linux has XDG's folder, macOS Application Support, Windows the local application data."""
    monkeypatch.chdir(tmp_path.parent)
    home = {"HOME": str(tmp_path)}
    xdg = os.path.abspath("/xdg")

    assert system.state_base({**home, "XDG_STATE_HOME": xdg}, "linux") == xdg
    for useless in ({"XDG_STATE_HOME": "relative"}, {"XDG_STATE_HOME": ""}, {}):
        assert system.state_base({**home, **useless}, "linux") == os.path.join(tmp_path, ".local", "state")
    assert system.state_base({**home, "XDG_STATE_HOME": xdg}, "darwin") == (
        os.path.join(tmp_path, "Library", "Application Support")
    )
    assert system.state_base({**home, "LOCALAPPDATA": str(tmp_path)}, "win32") == str(tmp_path)
    for useless in ({"LOCALAPPDATA": f"{tmp_path}/missing"}, {"LOCALAPPDATA": tmp_path.name}, {}):
        assert system.state_base({**home, **useless}, "win32") is None


@posix_only
@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("home", ["", "relative", ".", "~", "/", "//", "/.", "/../", "/does/not/exist", "/etc/passwd"])
def test_unusable_home_is_none(home, platform):
    """A home that is empty, relative, the root folder, missing or a file is not used, and no other is guessed."""
    assert not system.is_home(home)
    assert system.state_base({"HOME": home, "XDG_STATE_HOME": "/tmp"}, platform) is None


@posix_only
def test_without_home_the_user_database_says(tmp_path, monkeypatch):
    """Without the variable the home is the user database's, and none where the user is unknown there."""
    import pwd

    entry = pwd.struct_passwd(("u", "x", 1, 1, "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", {os.geteuid(): entry}.__getitem__)
    assert system.state_base({}, "linux") == f"{tmp_path}/.local/state"

    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert system.state_base({}, "linux") is None


def test_a_drive_that_is_not_there(monkeypatch):
    """A folder on a drive that does not exist is refused, and not looked for without end."""

    def stat(path, **_keywords):
        raise FileNotFoundError(errno.ENOENT, "no such drive", path)

    monkeypatch.setattr(os, "stat", stat)
    nowhere = os.path.abspath("/nowhere/at/all")

    assert statefolder.make_folder(nowhere) is FolderRefusal.NOT_WRITABLE
    assert foresight.foresee(nowhere) is FolderRefusal.NOT_WRITABLE


@pytest.mark.parametrize("name", ["app.", "con", "aux.app", "nul", "com1", "lpt9.x", "prn"])
def test_an_application_is_a_folder_everywhere(name):
    """What Windows takes for a device, or for another name, can be no application's name on any system."""
    assert lookup.parse_application(name) is None
    with pytest.raises(ValueError, match="application"):
        Telemetry(name, Vocabulary(["status"]))
    for usable in ("console", "com", "app.con", "aux-app", "lpt10"):
        assert lookup.parse_application(usable) == usable


def test_a_child_is_reaped(monkeypatch):
    """A child that lives has not ended, one that has is no zombie afterwards, and one that is none counts as ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        alive = system.has_ended(child.pid)
        child.communicate(b"\n")
    assert alive is (sys.platform == "win32")
    assert system.has_ended(child.pid)


@posix_only
def test_touch_does_not_need_the_path(tmp_path):
    """The times of an open file are set by its descriptor, wherever its path leads by now."""
    path = tmp_path / "mark"
    path.touch()
    os.utime(path, (1, 1))
    descriptor = os.open(path, os.O_WRONLY)
    system.touch(descriptor, str(tmp_path / "missing"))
    os.close(descriptor)
    assert abs(path.stat().st_mtime - time.time()) < 60


def test_nothing_is_passed_on_twice():
    """A variable known in both cases is passed on as the system spells it."""
    made = launch.environment({"http_proxy": "a", "HTTP_PROXY": "a"}, [])
    assert {name for name in made if name.lower() == "http_proxy"} == set(system.spellings("http_proxy"))
