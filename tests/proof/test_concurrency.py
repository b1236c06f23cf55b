"""
Many at once, end to end: real processes that record, are forked, threaded and killed, and the senders that they start.

Every event whose record call returned is at its receiver, once by its ids; there is never more than one sender at work,
and none is left behind. The bound of 1,000 waiting records is raised here, in a copy of the package.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import support
from doubles.home import PATIENCE_S, Home
from doubles.scale import at_scale
from franklinwh_telemetry.launch import SENDER_MARK
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, accept
from franklinwh_telemetry.spool import MAX_AGE_MS, SENDER_LIFETIME_S
from franklinwh_telemetry.statefolder import Tally

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from franklinwh_telemetry.sender.loopback import ReceivedRequest

pytestmark = [pytest.mark.timeout(900), support.linux_only]

PROCESSES = 16
EACH = at_scale(20, 500)
PACE_S = at_scale(150, 10) / 1000
"""Between two commands of a process, so that senders are at work while they run."""

ANSWER_S = 0.05
"""How long a receiver takes for an answer, so that two senders would meet there."""

RAISED = 100_000
MANY = 100_000

HOST = """
import json, os, sys, time
from franklinwh_telemetry import Telemetry, Vocabulary, system
application, config, names, count, pace_s, halts = json.loads(sys.argv[1])
drawn = []
def random_bytes(size):
    drawn.append(os.urandom(size))
    return drawn[-1]
system.random_bytes = random_bytes
telemetry = Telemetry(application, Vocabulary(names.split()), config=config)
for number in range(count):
    if halts and number == count // 2:
        sys.stdin.readline()
    with telemetry.command(names.split()[0]):
        pass
    os.write(1, b"".join(drawn[-1:]).hex().encode() + b"\\n")
    time.sleep(pace_s)
"""
"""
Runs a command so many times, and says the span id of each as soon as its record call has returned.

Halfway it may wait for a line.
"""


@pytest.fixture(scope="module")
def raised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package lies with its bound raised, and is found by hosts and senders alike."""
    import franklinwh_telemetry

    folder = tmp_path_factory.mktemp("raised")
    copy = folder / "franklinwh_telemetry"
    shutil.copytree(Path(franklinwh_telemetry.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    module = copy / "spool.py"
    text = module.read_text(encoding="utf-8")
    bound = "MAX_RECORDS: Final = 1_000\n"
    assert text.count(bound) == 1
    module.write_text(text.replace(bound, f"MAX_RECORDS: Final = {RAISED}\n"), encoding="utf-8")
    return folder


class Queue:
    """A receiver that notes how many requests it has had at the same time at most, and when each one came."""

    def __init__(self) -> None:
        self.at_once = 0
        self.came_s: list[float] = []
        self._now = 0
        self._lock = threading.Lock()
        self.receiver = LoopbackReceiver(self._answer)

    def __enter__(self) -> Queue:
        self.receiver.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.receiver.__exit__(*exception)

    def ids(self) -> list[str]:
        """The span ids that have arrived, each as often as it came."""
        return [span.span_id.hex() for span in self.receiver.spans]

    def _answer(self, request: ReceivedRequest) -> list[bytes]:
        with self._lock:
            self._now += 1
            self.at_once = max(self.at_once, self._now)
            self.came_s.append(time.monotonic())
        time.sleep(ANSWER_S)
        with self._lock:
            self._now -= 1
        return accept(request)


@pytest.fixture
def queue() -> Iterator[Queue]:
    """A receiver."""
    with Queue() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, raised: Path, queue: Queue) -> Iterator[Home]:
    """A home whose events go to the receiver; when the test is over no sender is left in it."""
    found = Home(
        tmp_path / "home", f"endpoint = {queue.receiver.url}", PYTHONPATH=str(raised), COVERAGE_PROCESS_CONFIG=""
    )
    found.write_program(HOST)
    yield found
    found.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)


def start(
    home: Home,
    count: int,
    *,
    names: str = "status",
    application: str = support.APPLICATION,
    config: str = "franklinwh.ini",
    pace_s: float = PACE_S,
    halts: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a process that runs so many commands."""
    return home.start("host.py", json.dumps([application, config, names, count, pace_s, halts]))


def go_on(host: subprocess.Popen[bytes]) -> None:
    """Let a process that halts go on."""
    assert host.stdin is not None
    host.stdin.write(b"\n")
    host.stdin.flush()


def recorded(host: subprocess.Popen[bytes], *, status: int = 0) -> list[str]:
    """The span ids of what a process has recorded, at its end; it has said nothing else."""
    said, complaints = host.communicate(timeout=10 * PATIENCE_S)
    assert (host.returncode, complaints) == (status, b"")
    return said.decode().split("\n")[:-1]


def send_all(home: Home) -> None:
    """Run the sender by hand until nothing waits: one may have to end by its deadline, where very many do."""
    support.wait_until(lambda: home.telemetry("send")[0] == 0, 10 * PATIENCE_S)


def errors(home: Home, application: str = support.APPLICATION) -> dict[str, int]:
    """What was refused, dropped, thrown away or went wrong."""
    harmless = ("delivered", "senders_launched", "senders_completed")
    counts = home.counts(application)
    counts |= Tally(os.path.join(home.root, application)).read()
    return {name: count for name, count in counts.items() if name not in harmless}


def test_a_crowd_of_processes_loses_nothing(home: Home, queue: Queue) -> None:
    """Each event of 16 processes is at the receiver exactly once, by one sender at a time, while they are recording."""
    hosts = [start(home, EACH, halts=True) for _number in range(PROCESSES)]
    support.wait_until(lambda: queue.came_s, PATIENCE_S)
    for host in hosts:
        go_on(host)
    expected = [span_id for host in hosts for span_id in recorded(host)]
    home.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)
    send_all(home)

    assert len(set(expected)) == PROCESSES * EACH
    assert sorted(set(queue.ids())) == sorted(expected)
    assert (home.waiting(), errors(home), queue.at_once) == (0, {}, 1)


def test_a_crowd_that_is_shot_at_loses_nothing_that_was_recorded(home: Home, queue: Queue) -> None:
    """Hosts and senders are killed at random: what a record call had returned for arrives all the same."""
    chance = random.Random(7)  # noqa: S311 - the same order of victims every time
    hosts = [start(home, EACH) for _number in range(PROCESSES)]
    victims = chance.sample(hosts, PROCESSES // 2)
    killed_senders = 0
    while any(host.poll() is None for host in hosts):
        time.sleep(chance.uniform(0.1, 0.4))
        if victims:
            victims.pop().kill()
        for pid in home.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed_senders += 1
        home.let_pauses_end()
    expected = set()
    for host in hosts:
        said, complaints = host.communicate()
        assert complaints == b""
        assert host.returncode in (0, -signal.SIGKILL)
        expected |= set(said.decode().split("\n")[:-1])
    home.wait_for_senders()
    send_all(home)

    arrived = set(queue.ids())
    assert killed_senders > 0
    assert expected <= arrived
    # A host that was killed between its record and its word has recorded one event more.
    assert len(arrived - expected) <= PROCESSES // 2
    assert (home.waiting(), errors(home), queue.at_once) == (0, {}, 1)


def test_senders_that_come_at_the_same_moment_take_turns(home: Home, queue: Queue) -> None:
    """Many senders are started at once, by hand and by hosts: one is at work, and each event arrives exactly once."""
    home.variables[SENDER_MARK] = "1"
    expected = recorded(start(home, 10 * EACH, pace_s=0))
    del home.variables[SENDER_MARK]
    senders = [home.start("-m", "franklinwh_telemetry", "send") for _number in range(PROCESSES // 2)]
    expected += recorded(start(home, EACH))
    assert [sender.communicate(timeout=PATIENCE_S)[1] for sender in senders] == [b""] * len(senders)
    home.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)
    send_all(home)

    assert sorted(set(queue.ids())) == sorted(expected)
    assert (home.waiting(), errors(home), queue.at_once) == (0, {}, 1)


FORKS = """
import json, os, sys, threading
from franklinwh_telemetry import Telemetry, Vocabulary
count, = json.loads(sys.argv[1])
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["parent", "child", "grandchild"]), config="franklinwh.ini")
def work(name):
    for _number in range(count):
        with telemetry.command(name):
            pass
def in_threads(name, meanwhile=lambda: None):
    threads = [threading.Thread(target=work, args=(name,)) for _number in range(4)]
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join()
def fork(name, meanwhile=lambda: None):
    child = os.fork()
    if not child:
        in_threads(name, meanwhile)
        os._exit(0)
    children.append(child)
def collect():
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
children = []
def have_grandchildren():
    children.clear()
    fork("grandchild")
    collect()
def have_children():
    fork("child", have_grandchildren)
    fork("child", have_grandchildren)
in_threads("parent", have_children)
collect()
"""
"""Two children are forked while four threads record, and fork one themselves while theirs do."""


def test_forks_and_threads_lose_nothing(home: Home, queue: Queue) -> None:
    """Whoever records, a thread, a child, a thread of a child forked in between: each event arrives, once."""
    home.write_program(FORKS, "forks.py")
    assert home.run("-W", "ignore::DeprecationWarning", "forks.py", json.dumps([EACH])) == (0, "", "")
    send_all(home)
    home.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)

    spans = {span.span_id: span.name for span in queue.receiver.spans}
    assert Counter(spans.values()) == {"parent": 4 * EACH, "child": 8 * EACH, "grandchild": 8 * EACH}
    assert (home.waiting(), errors(home), queue.at_once) == (0, {}, 1)


def test_two_applications_and_two_inis_stay_apart(home: Home) -> None:
    """Four grants are used at once: each event arrives where its own leads, under its own UUID, and nowhere else."""
    applications = (support.APPLICATION, "another")
    uuids = [f"5f0c9a54-3a0e-4c3b-9d0a-00000000000{number}" for number in range(4)]
    queues = [Queue() for _uuid in uuids]
    for each in queues:
        each.__enter__()
    try:
        for number in range(2):
            sections = [
                f"[{section}]\nenabled = true\nuuid = {uuids[2 * number + place]}\n"
                f"endpoint = {queues[2 * number + place].receiver.url}\n"
                for place, section in enumerate(("telemetry", "telemetry another"))
            ]
            home.write_ini("\n".join(sections), f"{number}.ini")
        grants = [(application, f"{number}.ini") for number in range(2) for application in applications]
        hosts = [
            [start(home, EACH, application=application, config=config) for _number in range(PROCESSES // 4)]
            for application, config in grants
        ]
        expected = [sorted(span_id for host in each for span_id in recorded(host)) for each in hosts]
        home.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)
        assert [sorted(set(each.ids())) for each in queues] == expected
        assert [len(found) for found in expected] == [EACH * PROCESSES // 4] * 4
        assert [origins(each) for each in queues] == [
            {(application, uuid)} for (application, _config), uuid in zip(grants, uuids, strict=True)
        ]
        assert [each.at_once for each in queues] == [1] * 4
        assert [(errors(home, name), home.waiting(name)) for name in applications] == [({}, 0)] * 2
    finally:
        for each in queues:
            each.__exit__()


def origins(queue: Queue) -> set[tuple[str, str]]:
    """The applications and UUIDs that a receiver has heard of."""
    found = set()
    for request in queue.receiver.requests:
        for resource_spans in queue.receiver.decode(request).resource_spans:
            (name,) = (each.value.string_value for each in resource_spans.resource.attributes)
            for span in resource_spans.scope_spans[0].spans:
                values = {each.key: each.value.string_value for each in span.attributes}
                found.add((name, values["franklinwh.execution_uuid"]))
    return found


def test_programs_with_different_vocabularies_lose_nothing(home: Home, queue: Queue) -> None:
    """Programs of one application that list different commands start at the same moment: none refuses another's."""
    hosts = [start(home, 1, names=f"command{number}", pace_s=0) for number in range(PROCESSES)]
    expected = [span_id for host in hosts for span_id in recorded(host)]
    send_all(home)
    home.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)

    assert sorted(set(queue.ids())) == sorted(expected)
    assert {span.name for span in queue.receiver.spans} == {f"command{number}" for number in range(PROCESSES)}
    assert errors(home) == {}


def test_nothing_leaves_after_off_has_answered(home: Home, queue: Queue) -> None:
    """`off` comes while a sender is sending and programs are recording: its answer is the end."""
    hosts = [start(home, MANY, pace_s=0.15) for _number in range(PROCESSES // 2)]
    support.wait_until(lambda: queue.came_s, PATIENCE_S)
    status, told, complaints = home.telemetry("off", "--config", str(home.ini))
    answered_s = time.monotonic()
    assert (status, complaints) == (0, "")
    assert "Off: " in told
    assert [host.poll() for host in hosts] == [None] * len(hosts)
    home.let_pauses_end()
    late = start(home, 3, pace_s=0)
    assert late.communicate() == (b"\n" * 3, b"")
    for host in hosts:
        host.terminate()
    expected = {span_id for host in hosts for span_id in host.communicate()[0].decode().split()}
    home.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)

    assert home.telemetry("send")[0] == 0
    assert home.waiting() == 0
    assert set(queue.ids()) <= expected
    assert max(queue.came_s) < answered_s


INIT = """
import json, os, subprocess, sys, time
from pathlib import Path
def states():
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                yield (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
zombies = []
for _run in range(int(sys.argv[1])):
    for _command in range(3):
        subprocess.run([sys.executable, "host.py", sys.argv[2]], check=True, stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 100
    while set(states()) != {"Z"}:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    zombies.append(len(list(states())))
print(json.dumps([os.getpid(), zombies]))
"""
"""A process 1 that runs commands and collects nobody else's children."""


def namespace() -> list[str]:
    """The words that start a program as process 1 of a namespace of its own, where this user may do so."""
    for words in (["unshare"], ["unshare", "--map-root-user"]):
        words += ["--pid", "--fork", "--mount-proc"]
        with suppress(OSError):
            if support.run([*words, "true"]).returncode == 0:
                return words
    pytest.skip("unshare is not there, or not permitted")


def test_a_process_1_that_does_not_reap_is_left_one_zombie_a_run(home: Home, queue: Queue) -> None:
    """In a container without an init, a burst of commands leaves one zombie, its sender; a second burst another."""
    home.write_program(INIT, "init.py")
    asked = json.dumps([support.APPLICATION, "franklinwh.ini", "status", 1, 0, False])
    words = [*namespace(), sys.executable, "init.py", "2", asked]
    ended = support.run(words, cwd=home.work, env=home.environment())

    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == [1, [1, 2]]
    assert (len(queue.ids()), home.waiting(), home.counts()["senders_completed"]) == (6, 0, 2)


JUMPING = """
import json, os, sys, time
from franklinwh_telemetry import Telemetry, Vocabulary, system
offset_ms, count = json.loads(sys.argv[1])
wall_s, wall_ns = time.time, time.time_ns
time.time = lambda: wall_s() + offset_ms / 1000
time.time_ns = system.now_ns = lambda: wall_ns() + offset_ms * 1_000_000
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]), config="franklinwh.ini")
for _number in range(count):
    with telemetry.command("status"):
        pass
"""
"""A program that runs while the clock is off by so much."""

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize(
    "jumps_ms",
    [
        [0, -HOUR_MS, HOUR_MS, 0],
        [-29 * DAY_MS, 0, -20 * DAY_MS],
        [0, 29 * DAY_MS, -DAY_MS, 28 * DAY_MS, 0],
        [10 * 365 * DAY_MS, 10 * 365 * DAY_MS],
    ],
    ids=["an hour", "back", "forward", "ahead"],
)
def test_a_clock_that_jumps_loses_nothing(home: Home, queue: Queue, jumps_ms: list[int]) -> None:
    """While all that waits is within thirty days of the clock, everything arrives, once, with the time it was told."""
    home.write_program(JUMPING, "jumping.py")
    began_ms = time.time_ns() // 1_000_000
    for jump_ms in jumps_ms:
        assert home.run("jumping.py", json.dumps([jump_ms, 3])) == (0, "", "")
    home.let_pauses_end()
    send_all(home)
    home.wait_for_senders(SENDER_LIFETIME_S + PATIENCE_S)

    assert (len(queue.ids()), len(set(queue.ids()))) == (3 * len(jumps_ms),) * 2
    assert (home.waiting(), errors(home), queue.at_once) == (0, {}, 1)
    told_ms = Counter(
        round((span.start_time_unix_nano // 1_000_000 - began_ms) / DAY_MS) for span in queue.receiver.spans
    )
    assert told_ms == Counter(round(jump_ms / DAY_MS) for jump_ms in jumps_ms for _command in range(3))


def test_a_clock_that_was_off_by_more_is_told_of(home: Home, queue: Queue) -> None:
    """What is older than thirty days by the clock of today is dropped, and `status` says that the clock may be it."""
    home.write_program(JUMPING, "jumping.py")
    home.variables[SENDER_MARK] = "1"
    assert home.run("jumping.py", json.dumps([-MAX_AGE_MS - HOUR_MS, 2])) == (0, "", "")
    assert home.run("jumping.py", json.dumps([0, 1])) == (0, "", "")
    del home.variables[SENDER_MARK]
    send_all(home)

    assert (len(queue.ids()), home.waiting(), errors(home)) == (1, 0, {"dropped_too_old": 2})
    assert "check the clock if they were not" in home.telemetry("status")[1]
