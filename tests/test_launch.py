"""
The launch: real hosts, real senders, and what `/proc` says of them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import support
from franklinwh_telemetry import Telemetry, Vocabulary, guard, launch, system, testing
from support import CONSENT, VERSION_4

CANARY = "surprise-4711"

HOST = """
from franklinwh_telemetry import Telemetry, Vocabulary, launch
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["canary-command"]))
with telemetry.command("canary-command"):
    pass
"""

HELD = (
    HOST
    + """
import os, signal
(sender,) = launch._children
os.kill(sender.pid, signal.SIGSTOP)
print(sender.pid)
"""
)
"""A host that stops the sender it has started, so that a test may look at it for as long as it takes."""

WAITING = """
import os, sys, time
before, waiting = set(sys.modules), set()
def sleep(_seconds):
    waiting.update(sys.modules)
    open(os.path.join(sys.argv[1], "wake"), "wb").close()
real, time.sleep = time.sleep, sleep
program = sys.argv.pop(1)
sys.path.insert(0, os.path.dirname(program))
with open(program, "rb") as source:
    code = compile(source.read(), program, "exec")
try:
    exec(code, {"__name__": "__main__", "__file__": program, "__package__": None})
except SystemExit as ended:
    status = ended.code
import json
print(json.dumps([sorted(before), sorted(waiting - before), bool(waiting), sorted(sys.modules), status]))
"""
"""A sender as the interpreter runs it by its path, which says what it had loaded while it waited."""

NETWORKING = {"opentelemetry", "requests", "urllib3", "google", "ssl", "certifi"}

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
posix = pytest.mark.skipif(sys.platform == "win32", reason="stops processes by signals")


@pytest.fixture
def consented(isolated):
    """The working directory's ini says yes."""
    Path("franklinwh.ini").write_text(CONSENT)


@pytest.fixture
def telemetry(consented):
    """An application in this very process, whose errors of ours are raised."""
    with testing.errors_raised():
        yield Telemetry(support.APPLICATION, Vocabulary(["status"]))


@pytest.fixture
def spool(telemetry):
    """A spool that holds one record, and no sender."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(launch.SENDER_MARK, "1")
        record(telemetry)
    return support.only_spool()


@pytest.fixture
def held(consented, senders):
    """A sender that is stopped in its wait, as left by a host that has ended; it goes on after the test."""
    pids = []

    def start(**keywords):
        ended = support.run_python(HELD, **keywords)
        assert (ended.returncode, ended.stderr) == (0, "")
        pids.append(int(ended.stdout))
        return pids[-1]

    yield start
    for pid in pids:
        go_on(pid)


def record(telemetry):
    with telemetry.command("status"):
        pass


def go_on(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def count(name):
    return sum(spool.tally.read().get(name, 0) for spool in support.spools())


def delivered_ids():
    """The span ids in the embedded file, in the order of their arrival."""
    return [span["spanId"] for span in support.kept_spans()]


def assert_delivered_once(number):
    ids = delivered_ids()
    assert len(set(ids)) == len(ids) == number
    assert support.waiting() == []


def is_gone(path):
    return not os.path.exists(path)


def fade(spool, by_s=60.0):
    """Let the mark of life be older than any sender."""
    before_s = time.time() - by_s
    os.utime(spool.path("alive"), (before_s, before_s))


def words_of(pid):
    """The command line of a process, in words."""
    return Path(f"/proc/{pid}/cmdline").read_text().removesuffix("\0").split("\0")


def process_state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def asked(monkeypatch):
    """What `Popen` was called with; no process is started."""
    calls = []

    class Process:
        pid = 2**22 + 1
        returncode = None

        def __init__(self, *arguments, **keywords):
            calls.append((arguments, keywords))

    monkeypatch.delenv(launch.SENDER_MARK)
    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(launch, "_children", [])
    return calls


@pytest.fixture
def stats(monkeypatch):
    """The paths that `os.stat` was asked for."""
    real, paths = os.stat, []

    def counting(path, **keywords):
        paths.append(path)
        return real(path, **keywords)

    monkeypatch.setattr(os, "stat", counting)
    return paths


# When a sender is started, and when none is


def test_none_while_one_lives(spool, asked, stats):
    """While a sender lives none is started, at the price of one `stat`."""
    launch.mark_alive(spool)

    assert launch.launch(spool, time.time()) is False
    assert stats == [spool.path("alive")]
    assert asked == []


def test_none_during_a_pause(spool, asked, stats):
    """While a pause is pending none is started, at the price of two `stat`s."""
    Path(spool.path("backoff")).touch()
    os.utime(spool.path("backoff"), (time.time() + 3600, time.time() + 3600))

    assert launch.launch(spool, time.time()) is False
    assert stats == [spool.path("alive"), spool.path("backoff")]
    assert asked == []


@pytest.mark.parametrize("name", ["alive", "backoff"])
@pytest.mark.parametrize("by_s", [60, -10 * 365 * 24 * 3600], ids=["past", "far-future"])
def test_marks_fade(spool, asked, name, by_s):
    """Neither a mark that is over nor one of a clock that was set back keeps a sender from starting."""
    Path(spool.path(name)).touch()
    os.utime(spool.path(name), (time.time() - by_s, time.time() - by_s))

    assert launch.launch(spool, time.time()) is True
    assert len(asked) == 1


def test_mark_is_made_by_one(spool, asked, monkeypatch):
    """Of two hosts that both saw no sender, only the one that makes the mark of life starts one."""
    seen = iter([False, True])
    monkeypatch.setattr(type(spool), "sender_is_alive", lambda _spool, _now_s: next(seen))
    launch.mark_alive(spool)

    assert launch.launch(spool, time.time()) is False
    assert asked == []
    assert count("senders_launched") == 0


def test_nothing_is_started_inside_a_sender(spool, asked, monkeypatch):
    """What runs in a sender's process starts no other."""
    monkeypatch.setenv(launch.SENDER_MARK, "1")

    assert launch.launch(spool, time.time()) is False
    assert asked == []
    assert not os.path.exists(spool.path("alive"))


@pytest.mark.parametrize("executable", ["/usr/bin/uwsgi", None, "", "/opt/app/bin/myapp"])
def test_skipped_without_a_python(telemetry, monkeypatch, asked, executable):
    """Where `sys.executable` is not a Python nothing is started, and the record waits."""
    monkeypatch.setattr(sys, "executable", executable)

    record(telemetry)

    assert asked == []
    assert not os.path.exists(support.only_spool().path("alive"))
    assert count("senders_launched") == 0
    assert len(support.waiting()) == 1


def test_skipped_in_a_frozen_program(telemetry, monkeypatch, asked):
    """A frozen program would start itself again; nothing is started."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)

    record(telemetry)

    assert asked == []
    assert len(support.waiting()) == 1


@pytest.mark.parametrize(
    "executable",
    ["/usr/bin/python", "/usr/bin/python3", "python3.13t", "C:/Python/pythonw.exe", "/opt/pypy3", "/F/MacOS/Python"],
)
def test_known_pythons(executable):
    """The usual names of an interpreter are recognized."""
    assert launch.is_python(executable)


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), PermissionError("no"), BlockingIOError("full")])
def test_failing_start_is_swallowed(consented, senders, monkeypatch, error):
    """Where no process can be started the record stays, the error is counted, and the next host tries again."""
    telemetry = Telemetry(support.APPLICATION, Vocabulary(["status"]))

    def refuse(*_arguments, **_keywords):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", refuse)
        now_ms = time.time_ns() // 1_000_000
        command = telemetry.vocabulary.parse("status")
        assert telemetry.record(command, executed_at_ms=now_ms, latency_ms=1, success=True)

    (spool,) = support.spools()
    assert len(support.waiting()) == 1
    assert not os.path.exists(spool.path("alive"))
    assert guard.notes[0].startswith(type(error).__name__)
    assert telemetry.status().senders_died == 0
    record(telemetry)
    support.wake_senders()
    assert_delivered_once(2)


# What is started


def test_whole_call(spool, asked):
    """Every argument with which the process is started."""
    launch.launch(spool, time.time())

    environment = launch.environment(os.environ, sys.path)
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    settings = {"close_fds": True, "cwd": spool.folder, "start_new_session": True}
    names = ("CREATE_NO_WINDOW", "IDLE_PRIORITY_CLASS") if sys.platform == "win32" else ()
    flags = sum(getattr(subprocess, name) for name in names)
    command = launch.later(launch.command_line(spool.folder))
    assert asked == [((command,), {**nowhere, **settings, "env": environment, "creationflags": flags})]


@posix
@pytest.mark.parametrize("sleep", ["/bin/sleep", "/nowhere/sleep"])
def test_sender_begins_later_in_the_process_that_was_started(monkeypatch, sleep):
    """The same process, with the same environment, half a second later; at once where there is no `sleep`."""
    monkeypatch.setattr(launch, "_LATER", launch._LATER.replace("/bin/sleep", sleep))
    command = [sys.executable, "-S", "-c", "import os; print(os.getpid(), *os.environ)"]
    before_s = time.monotonic()
    process = subprocess.Popen(
        launch.later(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"LC_ALL": "C.UTF-8"}
    )
    printed, _ = process.communicate()
    pid, *variables = printed.decode().split()

    assert int(pid) == process.pid
    assert set(variables) - {"SHLVL"} == {"LC_ALL"}  # the other where `sh` is bash
    assert time.monotonic() - before_s >= (0.5 if os.path.exists(sleep) else 0)


@posix
def test_sender_begins_at_once_without_a_shell(monkeypatch, tmp_path):
    """Where there is no shell, or no interpreter that it could tell us is missing, nothing stands in between."""
    command = [sys.executable, "-S"]
    assert launch.later(command)[-2:] == command != launch.later(command)
    assert launch.later(["/nowhere/python", "-S"]) == ["/nowhere/python", "-S"]
    monkeypatch.setattr(system, "SHELL", str(tmp_path / "sh"))
    assert launch.later(command) == command


@linux
def test_sender_is_detached(consented, held):
    """The sender has a session, a working directory and null stdio of its own."""
    pid = held()

    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
    assert os.readlink(f"/proc/{pid}/cwd") == os.path.realpath(support.only_spool().folder)


@linux
def test_sender_survives_its_hosts_group(consented, senders):
    """A closed terminal or Ctrl-C ends the host and its group, not the sender."""
    code = HELD + "import sys, time\nsys.stdout.flush()\ntime.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.killpg(host.pid, number)
        host.wait()

    go_on(pid)
    support.wake_senders()
    assert_delivered_once(1)


@linux
def test_descriptors_are_closed(consented, senders):
    """A descriptor that the host's children would inherit is not in the sender."""
    code = "import os\nends = os.pipe()\nfor end in ends:\n    os.set_inheritable(end, True)\n" + HELD
    code += "print(os.readlink(f'/proc/self/fd/{ends[1]}'))\n"
    ended = support.run_python(code)

    pid, pipe = ended.stdout.split()
    links = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    go_on(int(pid))
    assert pipe.startswith("pipe:")
    assert pipe not in links
    assert not {link for link in links if link.startswith(("pipe:", "socket:"))}


@linux
def test_lowest_priority(telemetry, senders):
    """The sender lowers itself to the last place in the queue for a processor."""
    record(telemetry)
    pid = launch._children[-1].pid

    support.wait_until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 19)


@linux
def test_command_line_and_environment(consented, held):
    """Nothing of the event and nothing of the user is on the sender's command line or in its environment."""
    script = Path.cwd() / "program_under_test.py"
    passed_on = {
        "HOME": os.environ["HOME"],
        "PATH": os.environ["PATH"],
        "LD_LIBRARY_PATH": "/nowhere/lib",
        "DO_NOT_TRACK": "0",
        "FRANKLINWH_TELEMETRY": "on",
        "SSL_CERT_FILE": "/nowhere/ca.pem",
        "SSL_CERT_DIR": "/nowhere/certs",
        "REQUESTS_CA_BUNDLE": "/nowhere/bundle.pem",
        "CURL_CA_BUNDLE": "/nowhere/curl.pem",
        "http_proxy": "http://127.0.0.1:9/lower",
        "HTTPS_PROXY": "http://127.0.0.1:9/upper",
        "ALL_PROXY": "http://127.0.0.1:9/all",
        "no_proxy": "localhost",
    }
    surprise = {
        "OTEL_EXPORTER_OTLP_HEADERS": f"x={CANARY}",
        "OTEL_RESOURCE_ATTRIBUTES": f"user={CANARY}",
        "OTEL_SDK_DISABLED": "true",
        "FRANKLIN_PASSWORD": CANARY,
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "PYTHONSTARTUP": CANARY,
        "PYTHONWARNINGS": "ignore",
        "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
    }
    pid = held(env={**os.environ, **passed_on, **surprise})
    go_on(pid)
    support.wait_until(lambda: words_of(pid)[0] == sys.executable)
    os.kill(pid, signal.SIGSTOP)

    raw = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    pairs = Path(f"/proc/{pid}/environ").read_text().removesuffix("\0").split("\0")
    found = dict(pair.split("=", 1) for pair in pairs)
    path = found.pop("PYTHONPATH").split(os.pathsep)
    (event,) = support.waiting()
    found.pop("SHLVL", None)  # where `sh` is bash
    assert found == {**passed_on, launch.SENDER_MARK: "1"}
    assert all(os.path.isabs(entry) for entry in path)
    assert str(script.parent) not in path
    program = os.path.join(os.path.dirname(launch.__file__), "sender", "__main__.py")
    assert words_of(pid) == [sys.executable, "-S", program, support.only_spool().folder]
    for secret in (CANARY, VERSION_4, "canary-command", event["span_id"], event["trace_id"]):
        assert str(secret).encode() not in raw


@linux
def test_arguments_of_the_host_stay_there(consented, senders):
    """What the user typed is not passed on."""
    ended = support.run_python(HELD, "--password", CANARY)

    pid = int(ended.stdout)
    raw = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    go_on(pid)
    assert CANARY.encode() not in raw


@posix
def test_environment_is_listed_by_name():
    """Of an environment with everything in it, only the listed names are passed on."""
    listed = ["HOME", "PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DO_NOT_TRACK"]
    listed += ["FRANKLINWH_TELEMETRY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        listed += [name, name.upper()]
    surprise = ["OTEL_SERVICE_NAME", "otel_x", "USER", "LOGNAME", "HOSTNAME", "PWD", "OLDPWD", "SSH_AUTH_SOCK", "NETRC"]
    surprise += ["SYSTEMROOT", "USERPROFILE"]  # the others' system
    surprise += ["FRANKLIN_PASSWORD", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT", "PYTHONPATH", "Http_Proxy"]

    made = launch.environment({name: f"value of {name}" for name in listed + surprise}, [os.path.abspath("/lib")])

    assert made.pop("PYTHONPATH") == os.pathsep.join(launch.module_path([os.path.abspath("/lib")]))
    assert made == {**{name: f"value of {name}" for name in listed}, "FRANKLINWH_TELEMETRY_SENDER": "1"}


def test_empty_environment():
    """Where a host has no variable at all, only ours are set."""
    assert set(launch.environment({}, [])) == {"PYTHONPATH", "FRANKLINWH_TELEMETRY_SENDER"}


# Where the sender finds its modules

LIBRARY = os.path.dirname(os.__file__)
DYNLOAD = os.path.join(LIBRARY, "lib-dynload")
OURS = os.path.abspath("/site")
PACKAGE_FILE = os.path.join(OURS, "franklinwh_telemetry", "launch.py")


SCRIPT = "/script/program.py"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(["/script", "/zip", LIBRARY, "/more"], [LIBRARY, OURS, "/zip", "/more"], id="script"),
        pytest.param(["", "/more", LIBRARY], [LIBRARY, OURS, "/more"], id="empty-first"),
        pytest.param(["/script", "", "/more"], [OURS, "/more"], id="empty-later"),
        pytest.param(["/vendored", "/script", "/more"], [OURS, "/vendored", "/more"], id="inserted"),
        pytest.param(["/script", "/bad:entry", "/more"], [OURS, "/more"], id="separator"),
        pytest.param(["/script", "/null\0", "/more"], [OURS, "/more"], id="null"),
        pytest.param(["/script", Path("/object"), b"/bytes", None, "/more"], [OURS, "/more"], id="no-text"),
        pytest.param(["/script", "/more", "/more", "/script"], [OURS, "/more"], id="repeated"),
        pytest.param(["/script", "/more", OURS], [OURS, "/more"], id="ours-last"),
        pytest.param(["/script", "/more", DYNLOAD], [DYNLOAD, OURS, "/more"], id="dynload"),
        pytest.param(["/script", f"{LIBRARY}-other"], [OURS, f"{LIBRARY}-other"], id="like-the-library"),
        pytest.param([], [OURS], id="nothing"),
    ],
)
@posix
def test_module_path(path, expected):
    """The standard library, the place of our package, the rest in its order, and nothing of the script's folder."""
    assert launch.module_path(path, PACKAGE_FILE, SCRIPT) == expected


@posix
def test_package_beside_the_script():
    """The script's folder is named where our package itself lies in it, and so is the standard library's."""
    assert launch.module_path([OURS, "/more"], PACKAGE_FILE, f"{OURS}/program.py") == [OURS, "/more"]
    assert launch.module_path([LIBRARY, "/more"], PACKAGE_FILE, f"{LIBRARY}/program.py") == [LIBRARY, OURS, "/more"]


@posix
def test_folder_started_in_is_left_out(monkeypatch):
    """What `python -m` puts in front, the working directory of the start, is not passed on."""
    monkeypatch.setattr(system, "STARTED_IN", "/started")

    assert launch.module_path(["/started", "/more"], PACKAGE_FILE, "/more/host/__main__.py") == [OURS, "/more"]


@posix
def test_linked_script(tmp_path):
    """Of a script behind a link, neither folder is passed on: Python puts the real one in front."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").mkdir()
    (tmp_path / "real" / "program.py").touch()
    (tmp_path / "link" / "program").symlink_to(tmp_path / "real" / "program.py")
    path = [str(tmp_path / "real"), str(tmp_path / "link"), "/more"]

    assert launch.module_path(path, PACKAGE_FILE, str(tmp_path / "link" / "program")) == [OURS, "/more"]


def test_program_without_a_script(monkeypatch):
    """An interactive interpreter has no script; only the working directory is left out then."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)

    path = [system.STARTED_IN, os.path.abspath("/more")]
    assert launch.module_path(path, PACKAGE_FILE) == [OURS, os.path.abspath("/more")]


def test_relative_entries(monkeypatch):
    """Relative entries are meant from where the program was started, wherever it has gone since."""
    started_in = os.path.abspath("/started")
    monkeypatch.setattr(system, "STARTED_IN", started_in)

    package_file = os.path.join("rel/app.pyz", "franklinwh_telemetry", "launch.py")
    path = launch.module_path(["rel/app.pyz", "lib"], package_file, "rel/app.pyz/__main__.py")

    assert path == [os.path.join(started_in, "rel/app.pyz"), os.path.join(started_in, "lib")]


def test_relative_entries_from_nowhere(monkeypatch):
    """Where the working directory was gone at the start, a relative entry means nothing and is left out."""
    monkeypatch.setattr(system, "STARTED_IN", "")

    assert launch.module_path(["rel", os.path.abspath("/a")], PACKAGE_FILE, SCRIPT) == [OURS, os.path.abspath("/a")]


@posix
def test_our_place_with_a_separator_is_left_out():
    """A folder that a `PYTHONPATH` would split in two is never half named."""
    assert launch.module_path(["/a"], "/odd:/tmp/franklinwh_telemetry/launch.py", SCRIPT) == ["/a"]


def test_sender_of_a_host_with_odd_entries(consented, senders):
    """Objects in `sys.path` that Python itself passes over do not keep a sender from starting."""
    code = "import sys\nfrom pathlib import Path\nsys.path[:0] = [Path('/nowhere'), '', 'relative', '/a:b']\n" + HOST
    ended = support.run_python(code)

    support.wake_senders()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert_delivered_once(1)


# What the host's user notices: nothing


@posix
@pytest.mark.parametrize("line", ["{} | cat", 'value=$({}); echo "$value"', "{} & wait"])
def test_shell_does_not_wait(consented, senders, line):
    """A pipe or a substitution ends with the command, while its sender still waits."""
    Path("host.py").write_text(HELD)
    ended = support.run(["sh", "-c", line.format(f"'{sys.executable}' host.py")])

    pid = int(ended.stdout)
    assert ended.returncode == 0
    assert count("senders_launched") == 1
    assert count("senders_completed") == 0
    os.kill(pid, 0)
    go_on(pid)
    support.wake_senders()
    assert_delivered_once(1)


def test_no_resource_warning(consented, senders):
    """Under `-X dev -W error` the host says nothing, although it never waits for its sender."""
    Path("host.py").write_text(HOST + "import gc\nlaunch._children.clear()\ngc.collect()\n")
    ended = support.run([sys.executable, "-X", "dev", "-W", "error", "host.py"])

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert count("senders_launched") == 1


def test_host_loads_no_sender(consented, senders):
    """Recording and launching load neither OpenTelemetry nor what sends, and start no thread."""
    code = HOST + "import sys, threading\nprint(threading.active_count(), *sorted(sys.modules))\n"
    ended = support.run_python(code)

    threads, *modules = ended.stdout.split()
    assert threads == "1"
    assert not NETWORKING & {name.partition(".")[0] for name in modules}
    assert not [name for name in modules if name.startswith("franklinwh_telemetry.sender")]


def test_a_later_host_loads_nothing_that_it_does_not_call(consented, senders):
    """Where the spool is there with a manifest like ours, neither its readers nor what would write it are loaded."""
    code = HOST + "import sys\nprint(*sorted(sys.modules))\n"
    loaded = [
        {name.removeprefix("franklinwh_telemetry.") for name in support.run_python(code).stdout.split()}
        for _ in range(2)
    ]

    first, later = ({"backlog", "lock", "manifestfile", "room", "status"} & modules for modules in loaded)
    assert (first, later) == ({"manifestfile"}, set())
    assert {"permission", "spool"} <= loaded[1]


@linux
def test_no_zombie_in_a_host_that_lives_on(telemetry, senders):
    """A sender that has ended is collected with the host's next record."""
    record(telemetry)
    first = launch._children[-1].pid
    support.wake_senders()
    support.wait_until(lambda: process_state(first) == "Z")

    record(telemetry)

    assert not os.path.exists(f"/proc/{first}")
    assert first not in [child.pid for child in launch._children]


@posix
def test_reap_leaves_others_alone(telemetry, senders):
    """Children of the host that are not ours keep their status for the host."""
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]) as child:
        support.wait_until(lambda: os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG))
        record(telemetry)
        support.wake_senders()
        record(telemetry)

        assert child.wait() == 7


@posix
def test_reap_forgets_what_another_has_collected(spool, senders):
    """A host that collects every child itself takes nothing from us but the entry."""
    launch.launch(spool, time.time())
    pid = launch._children[-1].pid
    assert launch.reap() is True
    support.wake_senders()
    os.waitpid(pid, 0)

    assert launch.reap() is False

    assert pid not in [child.pid for child in launch._children]


# Bursts, ends and deaths: nothing is stranded


@posix
def test_burst_costs_one_sender(consented, held):
    """Ten commands in quick succession start one sender, and each of the ten arrives exactly once."""
    pid = held()
    for _number in range(9):
        assert support.run_python(HOST).returncode == 0

    assert len(support.waiting()) == 10
    go_on(pid)
    support.wake_senders()
    assert count("senders_launched") == 1
    assert_delivered_once(10)


def test_commands_at_the_same_moment(consented, senders):
    """Ten commands at once start one sender, and each of the ten arrives exactly once."""
    Path("host.py").write_text("import sys\nsys.stdin.read()\n" + HOST)
    hosts = [subprocess.Popen([sys.executable, "host.py"], stdin=subprocess.PIPE) for _number in range(10)]
    for host in hosts:
        assert host.stdin is not None
        host.stdin.close()
    assert [host.wait() for host in hosts] == [0] * 10

    support.wake_senders()
    support.wait_until(lambda: not support.waiting())
    assert_delivered_once(10)
    assert count("senders_launched") == count("senders_completed")


def test_nothing_is_stranded_at_the_end_of_a_run(telemetry, senders):
    """What is recorded while a sender ends is delivered, by it or by the next, without another command."""
    choose = random.Random(4)  # noqa: S311 - the same delays every time
    for _round in range(6):
        record(telemetry)
        spool = support.only_spool()
        Path(spool.path("wake")).touch()
        support.wait_until(functools.partial(is_gone, spool.path("alive")))
        time.sleep(choose.uniform(0.0, 0.2))
        record(telemetry)
        support.wake_senders()
        support.wait_until(lambda: not support.waiting())

    assert_delivered_once(12)


LAST_MOMENT = """
import os, subprocess, sys, time
from pathlib import Path
from franklinwh_telemetry.sender import __main__, send
def has_come_to_the_lock(pid, path):
    try:
        return path in [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return not os.path.exists(f"/proc/{pid}/fd/0")
real = send._tidy_siblings
def tidy(spool):
    host = subprocess.run([sys.executable, "host.py"], check=True, stdout=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 20.0
    while not has_come_to_the_lock(host.stdout.strip(), spool.path("lock")):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    real(spool)
send._tidy_siblings = tidy
sys.exit(__main__.main(sys.argv[1:]))
"""
"""A sender during whose last steps, after its last look, a host records and the next sender comes to the lock."""


@linux
def test_nothing_is_stranded_after_the_last_look(spool, senders):
    """A sender that is started while another one ends does not give up: what it was started for is delivered."""
    Path("host.py").write_text(HOST + "(sender,) = launch._children\nprint(sender.pid)\n")
    Path(spool.path("wake")).touch()
    spool.tally.add("senders_launched")
    ended = support.run_python(LAST_MOMENT, os.path.realpath(spool.folder))
    assert (ended.returncode, ended.stderr) == (0, "")

    support.wait_until(support.senders_done)
    assert_delivered_once(2)


KILLED = """
import os, signal, subprocess
from franklinwh_telemetry import launch
def die(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)
{seam} = die
"""


@posix
@pytest.mark.parametrize("seam", ["launch.reap", "launch._mark_first", "subprocess.Popen", "launch.environment"])
def test_host_killed_at_any_step(consented, senders, seam):
    """A host that is killed between its record and its sender costs nothing: the next one brings both along."""
    ended = support.run_python(KILLED.format(seam=seam) + HOST)
    assert ended.returncode == -signal.SIGKILL
    (spool,) = support.spools()
    assert len(support.waiting()) == 1
    if os.path.exists(spool.path("alive")):
        fade(spool)

    assert support.run_python(HOST).returncode == 0

    support.wake_senders()
    assert_delivered_once(2)


@linux
def test_killed_sender_is_counted_and_followed(consented, held):
    """A sender that is killed is counted as dead, and the next one takes over what it left."""
    os.kill(held(), signal.SIGKILL)
    (spool,) = support.spools()
    fade(spool)
    status = Telemetry(support.APPLICATION, Vocabulary(["canary-command"])).status()
    assert (status.senders_died, status.pending) == (1, 1)

    assert support.run_python(HOST).returncode == 0

    support.wait_until(lambda: count("senders_completed") == 1)
    spool.tally.add("senders_completed")
    assert_delivered_once(2)


# What a sender loads, and when


def test_waiting_sender_has_loaded_nothing(spool):
    """While a sender waits it has imported nothing, not even `site`; then it finds what only `.pth` files lead to."""
    Path("waiting.py").write_text(WAITING)
    interpreter, no_site, *rest = launch.command_line(spool.folder)
    ended = support.run([interpreter, no_site, "waiting.py", *rest])

    before, surprise, has_waited, at_the_end, status = json.loads(ended.stdout)
    # `__future__` is no more than a word to the compiler, which the interpreter looks up all the same.
    assert (set(surprise) <= {"__future__"}, has_waited, status) == (True, True, 0)
    assert "site" not in before
    assert "opentelemetry" in at_the_end
    assert_delivered_once(1)


def test_sender_with_nothing_to_send_loads_nothing(spool):
    """A sender that finds nothing never loads OpenTelemetry."""
    for name in spool.names():
        os.unlink(spool.path(f"new/{name}"))
    Path(spool.path("wake")).touch()
    ended = support.run([sys.executable, "-X", "importtime", *launch.command_line(spool.folder)[1:]])

    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert ended.returncode == 0
    assert "franklinwh_telemetry" in loaded
    assert not NETWORKING & loaded


# A process 1 that ends at once


def namespace():
    """The words that start a program as process 1 of a namespace of its own, where this user may do so."""
    for words in (["unshare"], ["unshare", "--map-root-user"]):
        words += ["--pid", "--fork", "--mount-proc"]
        with contextlib.suppress(OSError):
            if support.run([*words, "true"]).returncode == 0:
                return words
    pytest.skip("unshare is not there, or not permitted")


@linux
def test_process_1_that_ends_at_once(consented, senders):
    """Where the sender dies with process 1, the event waits, `status` names the remedy, and `send` delivers."""
    Path("host.py").write_text(HOST + "import os\nprint(os.getpid())\n")
    ended = support.run([*namespace(), sys.executable, "host.py"])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
    (spool,) = support.spools()
    assert len(support.waiting()) == 1
    fade(spool)

    program = [sys.executable, "-m", "franklinwh_telemetry"]
    status = support.run([*program, "status"])
    for words in ("1 sender ended", "franklinwh-telemetry send", "docker run --init", "volume", "KillMode=process"):
        assert words in status.stdout
    sent = support.run([*program, "send"])

    assert (sent.returncode, sent.stderr) == (0, "")
    assert_delivered_once(1)
    assert count("senders_launched") == count("senders_completed") + 1
    spool.tally.add("senders_completed")
