from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import support
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.records import VOCABULARY, make_record
from franklinwh_telemetry import Telemetry, Vocabulary, event, kernel, statefolder
from franklinwh_telemetry.backlog import Backlog
from franklinwh_telemetry.launch import command_line, environment, mark_alive
from franklinwh_telemetry.lock import Lock
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.permission import open_spool
from franklinwh_telemetry.sender import __main__ as sender_main
from franklinwh_telemetry.sender import send, standing
from franklinwh_telemetry.sender.claim import sweep_leftovers
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, accept, reply
from franklinwh_telemetry.sender.send import Ending, drain
from franklinwh_telemetry.spool import MAX_AGE_MS, MAX_RECORDS, SENDER_LIFETIME_S, Spool
from franklinwh_telemetry.status import read_trouble
from support import APPLICATION, CONSENT

INI = Path("franklinwh.ini")

posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX signals, modes and files")


def now_ms() -> int:
    return int(time.time() * 1000)


def say_yes(url: str, more: str = "") -> None:
    """Consent in the working directory, with a destination of one's own."""
    INI.write_text(f"{CONSENT}endpoint = {url}\n{more}")


def open_as_host(**settings) -> Backlog:
    """The spool of the yes that holds now, made as a host makes it."""
    telemetry = Telemetry(APPLICATION, VOCABULARY, **settings)
    allowed = telemetry.permission()
    assert not isinstance(allowed, Denied)
    spool = open_spool(support.state_root(), allowed.manifest, allowed.granted)
    assert isinstance(spool, Spool)
    return Backlog(spool.folder)


def filled(url: str, count: int = 3, **settings) -> Backlog:
    """A spool in which *count* records wait, whose span ids are 1 to *count*."""
    say_yes(url)
    spool = open_as_host(**settings)
    put(spool, *range(1, count + 1))
    return spool


def put(spool: Backlog, *numbers: int) -> None:
    """Records put into the spool, numbered, in the order of their numbers; without looking for room."""
    for number in numbers:
        name = f"{now_ms() - 100_000 + number:015d}-{number:016x}"
        Path(spool.path(f"new/{name}")).write_bytes(event.encode(make_record(number)))


def numbers(receiver: LoopbackReceiver) -> list[int]:
    """The span ids that have arrived, in their order."""
    return [int.from_bytes(span.span_id, "big") for span in receiver.spans]


def numbers_in(request) -> set[int]:
    (resource,) = LoopbackReceiver.decode(request).resource_spans
    return {int.from_bytes(span.span_id, "big") for span in resource.scope_spans[0].spans}


def waiting(spool: Backlog) -> list[int]:
    return [int(name[16:], 16) for name in spool.names()]


def listing(spool: Backlog) -> list[str]:
    return sorted(str(path.relative_to(spool.folder)) for path in Path(spool.folder).rglob("*"))


def start_sender(spool: Backlog) -> subprocess.Popen[bytes]:
    """A real sender, started as a host starts it, that does not wait for a burst."""
    Path(spool.path("wake")).touch()
    return subprocess.Popen(
        command_line(spool.folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=spool.folder,
        env=environment(os.environ, sys.path),
    )


def run_sender(*arguments: str) -> subprocess.CompletedProcess[str]:
    return support.run([*command_line("")[:-1], *arguments], env=environment(os.environ, sys.path), cwd="/")


class Hanging:
    """An answer that never comes, until the test lets go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self, _request):
        self.let_go.wait(60)
        return []


def failing(status: int, *headers: tuple[str, str]):
    return lambda _request: [reply(status, "", b"", *headers)]


# One run.


@pytest.mark.parametrize("process", [False, True])
def test_delivers_and_leaves_nothing_behind(process):
    """All that waits arrives, in order, with the recorded ids; of the run itself no file remains."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        ended = start_sender(spool).wait(timeout=60) if process else drain(spool.folder, grace_s=0)

        assert ended == Ending.DONE
        assert numbers(receiver) == [1, 2, 3]
        assert [int.from_bytes(span.trace_id, "big") for span in receiver.spans] == [0xA001, 0xA002, 0xA003]
    left = [name for name in listing(spool) if not name.startswith("journal/")]
    assert left == [
        "claimed",
        "counts",
        "counts/delivered",
        "counts/senders_completed",
        "journal",
        "lock",
        "manifest.json",
        "new",
        "tmp",
    ]
    assert spool.tally.read() == {"delivered": 3, "senders_completed": 1}


def test_nothing_waits_nothing_is_sent():
    """An empty spool costs no request and no journal, and ends an old pause."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url, 0)
        Path(spool.path("backoff")).touch()

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert receiver.requests == []
    assert listing(spool) == ["claimed", "counts", "counts/senders_completed", "lock", "manifest.json", "new", "tmp"]


def test_a_thousand_in_one_run():
    """A full spool leaves in one run, each record once."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url, MAX_RECORDS)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == list(range(1, MAX_RECORDS + 1))
    assert spool.tally.read()["delivered"] == MAX_RECORDS


def test_the_file_on_this_machine():
    """Without a destination the run writes the embedded file, and nothing else happens."""
    INI.write_text(CONSENT)
    spool = open_as_host()
    put(spool, 1, 2)

    assert drain(spool.folder, grace_s=0) is Ending.DONE
    (line,) = Path(spool.path("telemetry.jsonl")).read_text().splitlines()
    assert line.count('"spanId"') == 2
    assert spool.tally.read()["delivered"] == 2


def test_what_arrives_during_a_run_is_sent_by_it():
    """A record that comes while the first ones are under way needs no other sender."""

    def answer(request):
        if numbers_in(request) == {1, 2, 3}:
            put(spool, 4)
        return accept(request)

    with LoopbackReceiver(answer) as receiver:
        spool = filled(receiver.url)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3, 4]


def test_a_command_that_is_named_while_a_run_begins_is_known_to_it(monkeypatch):
    """Another program names its command and records it after the manifest was read: its record is not refused."""
    ask = standing.consent_again

    def asked(manifest):
        monkeypatch.setattr(send, "consent_again", ask)
        other = Telemetry(APPLICATION, Vocabulary(["another"]))
        with other.command("another"):
            pass
        return ask(manifest)

    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url, 1)
        monkeypatch.setattr(send, "consent_again", asked)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert sorted(span.name for span in receiver.spans) == ["another", "status"]
    assert (waiting(spool), spool.tally.read().get("refused_record_unknown_command")) == ([], None)


def test_the_mark_of_life_goes_before_the_last_look(monkeypatch):
    """A record whose host still saw the mark, an instant before it went, is sent by the sender that had set it."""
    remove = statefolder.remove_quietly
    late = [4]

    def remove_after_an_append(path):
        if path.endswith("alive") and late:
            assert os.path.exists(path)
            put(spool, late.pop())
        return remove(path)

    monkeypatch.setattr(send, "remove_quietly", remove_after_an_append)
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3, 4]
    assert not os.path.exists(spool.path("alive"))


def test_a_mark_of_life_while_it_runs_and_none_afterwards():
    """A host sees that a sender lives while it sends, and that none does once it has failed."""
    seen: list[object] = []

    def answer(_request):
        seen.append(spool.sender_is_alive(time.time()))
        return [reply(503)]

    with LoopbackReceiver(answer) as receiver:
        spool = filled(receiver.url)
        assert drain(spool.folder, grace_s=0) is Ending.KEPT
    assert seen == [True]
    assert not os.path.exists(spool.path("alive"))


def test_a_wake_file_ends_the_grace():
    """A sender that waits for a burst goes on when it is woken, at once if that was before, and takes the file away."""
    spool = filled("http://127.0.0.1:9", 0)
    wake = Path(spool.path("wake"))
    wake.touch()
    sender_main.wait_for_more(spool.folder, 3600)
    assert not wake.exists()

    later = threading.Timer(0.3, wake.touch)
    later.start()
    sender_main.wait_for_more(spool.folder, 3600)
    later.join()
    assert not wake.exists()


def test_the_grace_ends_by_itself():
    """Without a wake file the wait is as long as was asked, and no shorter."""
    spool = filled("http://127.0.0.1:9", 0)
    began_s = time.monotonic()
    sender_main.wait_for_more(spool.folder, 0.3)
    assert time.monotonic() - began_s >= 0.3


def test_a_burst_costs_one_sender(senders):
    """Records that follow within the grace leave with the sender that the first one started."""
    with LoopbackReceiver() as receiver:
        say_yes(receiver.url)
        telemetry = Telemetry(APPLICATION, Vocabulary(["status"]))
        for _ in range(5):
            with telemetry.command("status"):
                pass
        support.wake_senders()
        assert len(receiver.spans) == 5
    assert support.only_spool().tally.read() == {"delivered": 5, "senders_completed": 1, "senders_launched": 1}


@pytest.mark.parametrize("age_s", [3600.0, -3600.0, -(10**9)])
def test_a_mark_that_is_not_believed_stops_no_launch(senders, age_s):
    """A mark left by a killed sender, or from the future of a clock that was wrong, lets a new sender start."""
    with LoopbackReceiver() as receiver:
        say_yes(receiver.url)
        spool = open_as_host()
        mark_alive(spool)
        os.utime(spool.path("alive"), (time.time() - age_s,) * 2)
        with Telemetry(APPLICATION, VOCABULARY).command("status"):
            pass
        support.wake_senders()
        assert len(receiver.spans) == 1


# The lock.


def test_a_second_sender_touches_nothing(monkeypatch):
    """While a sender holds the lock another one ends, and nothing but its own end is written down."""
    monkeypatch.setattr(send, "_TURN_S", 0.1)
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        lock = Lock(spool.path("lock"))
        assert lock.acquire()
        before = listing(spool)

        assert drain(spool.folder, grace_s=0) is Ending.ANOTHER_SENDER
        assert start_sender(spool).wait(timeout=60) == Ending.ANOTHER_SENDER

        assert not os.path.exists(spool.path("wake"))
        assert [name for name in listing(spool) if not name.startswith("counts")] == before
        assert spool.tally.read() == {"senders_completed": 2}
        assert receiver.requests == []
        lock.release()


def test_one_that_is_about_to_end_is_waited_for(monkeypatch):
    """A sender started for a record that the one before has not seen takes over as that one ends."""
    monkeypatch.setattr(send, "_TURN_S", 60)
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        lock = Lock(spool.path("lock"))
        assert lock.acquire()
        ending = threading.Timer(0.2, lock.release)
        ending.start()

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        ending.join()
        assert numbers(receiver) == [1, 2, 3]


@posix_only
def test_what_a_killed_sender_had_claimed_is_taken_over():
    """Killed in the middle of a request, a sender loses nothing: the next sends the same records with the same ids."""
    hanging = Hanging()
    with LoopbackReceiver(hanging) as receiver:
        spool = filled(receiver.url)
        sender = start_sender(spool)
        support.wait_until(lambda: receiver.requests)
        assert len(os.listdir(spool.path("claimed"))) == 3
        sender.kill()
        sender.wait(timeout=60)
        hanging.let_go.set()
        first = numbers_in(receiver.requests[0])

        trouble = read_trouble(spool)
        assert trouble is not None
        assert (trouble.kind, trouble.failures) == ("temporary", 1)
        assert trouble.message == "the sender was ended before 127.0.0.1 answered"
        assert spool.backing_off(time.time())
        assert os.listdir(spool.path("new")) == []

        receiver._answer = accept
        put(spool, 4)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers_in(receiver.requests[1]) == {1, 2, 3, 4} == first | {4}
        ids = {(span.span_id, span.trace_id) for span in receiver.spans}
        assert len(ids) == 4
    assert spool.tally.read()["delivered"] == 4


WATCHED = """
import sys
from franklinwh_telemetry.kernel import start_watchdog
start_watchdog(3.0, 2)
from franklinwh_telemetry.sender.send import drain
drain(sys.argv[1], grace_s=0)
"""

IGNORING = """
import os, signal, sys
signal.signal(signal.SIGALRM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], sys.argv[1]])
"""


@posix_only
def test_the_watchdog_ends_a_hanging_sender():
    """Whatever a sender does then, it ends with its lifetime, even where its parent ignored and blocked the signal."""
    hanging = Hanging()
    with LoopbackReceiver(hanging) as receiver:
        spool = filled(receiver.url)
        ended = support.run([sys.executable, "-c", IGNORING, spool.folder, WATCHED])
        hanging.let_go.set()

        assert ended.returncode == -signal.SIGALRM
        assert sorted(waiting(spool)) == [1, 2, 3]
        lock = Lock(spool.path("lock"))
        assert lock.acquire()
        lock.release()

        receiver._answer = accept
        before = len(receiver.requests)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers_in(receiver.requests[before]) == {1, 2, 3}


def test_the_watchdog_comes_first(monkeypatch):
    """A sender's lifetime, the wait included, is set before the spool is looked at."""
    started: list[float] = []
    monkeypatch.setattr(kernel, "start_watchdog", lambda lifetime_s, _status: started.append(lifetime_s))
    monkeypatch.setattr(sender_main, "GRACE_S", 0.2)
    monkeypatch.setattr(os, "nice", lambda _: 0, raising=False)
    assert sender_main.main([str(Path("nowhere").resolve())]) == Ending.UNUSABLE
    (lifetime_s,) = started
    assert SENDER_LIFETIME_S == 30.0
    assert 25.0 < lifetime_s <= 29.8


# Consent again.


def disable():
    INI.write_text(INI.read_text().replace("enabled = true", "enabled = false"))


def route_elsewhere():
    INI.write_text(INI.read_text().replace("endpoint = http", "endpoint = https"))


def say_yes_at_home_instead():
    INI.unlink()
    Path.home().joinpath(".franklinwh.ini").write_text(CONSENT)


WITHDRAWALS = {
    "disabled": disable,
    "section removed": lambda: INI.write_text("[gateway]\nx = 1\n"),
    "section removed, a yes at home": lambda: (
        INI.write_text("[gateway]\nx = 1\n"),
        Path.home().joinpath(".franklinwh.ini").write_text(CONSENT),
    ),
    "not decided": lambda: INI.write_text(INI.read_text().replace("enabled = true\n", "")),
    "ini deleted": INI.unlink,
    "another destination": route_elsewhere,
    "PostHog now": lambda: INI.write_text(CONSENT + "api_key = phc_key\n"),
    "a no at home": lambda: Path.home().joinpath(".franklinwh.ini").write_text("[telemetry]\nenabled = no\n"),
    "a yes at home": say_yes_at_home_instead,
}


@pytest.mark.parametrize("withdraw", WITHDRAWALS.values(), ids=WITHDRAWALS)
def test_a_withdrawn_yes_discards(withdraw):
    """What waits under a yes that was taken back is thrown away, counted, and no request is made."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        withdraw()

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert receiver.requests == []
    assert spool.names() == []
    assert spool.manifest() is None
    assert read_trouble(spool) is None
    assert spool.tally.read() == {"discarded_on_withdrawal": 3, "senders_completed": 1}


def append(text):
    INI.write_text(INI.read_text() + text)


def put_a_folder_there(_environment):
    INI.unlink()
    INI.mkdir()


DOUBTS = {
    "world-writable": (lambda _env: INI.chmod(0o666), "chmod o-w"),
    "malformed": (lambda _env: append("[telemetry\n"), "well-formed"),
    "twice": (lambda _env: append("[telemetry]\nenabled = true\n"), "well-formed"),
    "not boolean": (lambda _env: INI.write_text(INI.read_text().replace("true", "perhaps")), "neither true nor false"),
    "a folder": (put_a_folder_there, "cannot be read"),
    "outdated policy": (lambda _env: append("policy = 0\n"), "policy"),
    "a typed e-mail": (
        lambda _env: INI.write_text(INI.read_text().replace("uuid = ", "uuid = me@x.org ")),
        "version 4",
    ),
    "agreed to another host": (lambda _env: append("destination = collector.example.com\n"), "another destination"),
    "unusable": (lambda _env: INI.write_text(CONSENT + "endpoint = ftp://x\n"), "not usable"),
    "DO_NOT_TRACK": (lambda env: env.setenv("DO_NOT_TRACK", "1"), "DO_NOT_TRACK"),
    "FRANKLINWH_TELEMETRY": (lambda env: env.setenv("FRANKLINWH_TELEMETRY", "off"), "FRANKLINWH_TELEMETRY"),
}


@posix_only
@pytest.mark.parametrize(("doubt", "reason"), DOUBTS.values(), ids=DOUBTS)
def test_a_doubtful_yes_keeps(monkeypatch, doubt, reason):
    """Where the yes cannot be believed for now, all is kept, nothing is sent, and the pause names the reason."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        doubt(monkeypatch)

        assert drain(spool.folder, grace_s=0) is Ending.KEPT
        assert receiver.requests == []
    trouble = read_trouble(spool)
    assert trouble is not None
    assert trouble.kind == "consent"
    assert reason in trouble.message
    assert waiting(spool) == [1, 2, 3]
    assert spool.backing_off(time.time())
    assert "delivered" not in spool.tally.read()


def test_a_doubt_that_is_cleared_delivers():
    """What was kept leaves once the yes can be believed again."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        text = INI.read_text()
        append("[telemetry\n")
        assert drain(spool.folder, grace_s=0) is Ending.KEPT
        INI.write_text(text)

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]
    assert read_trouble(spool) is None


@pytest.mark.parametrize("withdraw", [disable, lambda: os.unlink(support.only_spool().path("manifest.json"))])
def test_a_no_between_two_requests_stops_the_second(withdraw):
    """Consent is asked before each request: after a no in the middle of a run nothing more leaves."""

    def answer(_request):
        withdraw()
        return [reply(400)]

    with LoopbackReceiver(answer) as receiver:
        spool = filled(receiver.url, 4)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert len(receiver.requests) == 1
    assert spool.names() == []
    assert read_trouble(spool) is None
    assert spool.tally.read() == {"discarded_on_withdrawal": 4, "senders_completed": 1}


def host_spool(url: str) -> Backlog:
    INI.unlink(missing_ok=True)
    spool = open_as_host(consent=lambda: True, destination=url)
    put(spool, 1, 2, 3)
    return spool


def test_a_hosts_own_yes_stands_in_the_manifest():
    """Where the host asked by itself the manifest is the yes: with it records leave, without it they are discarded."""
    with LoopbackReceiver() as receiver:
        spool = host_spool(receiver.url)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]

        put(spool, 4)
        os.unlink(spool.path("manifest.json"))
        Path(spool.path("backoff")).touch()
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]
    assert spool.names() == []
    assert not os.path.exists(spool.path("backoff"))
    assert spool.tally.read()["discarded_on_withdrawal"] == 1


def test_a_hosts_yes_gives_way_to_the_users_no(monkeypatch):
    """A variable that says no keeps what a host's yes allowed, and an ini at home that says no discards it."""
    with LoopbackReceiver() as receiver:
        spool = host_spool(receiver.url)
        with monkeypatch.context() as environment:
            environment.setenv("DO_NOT_TRACK", "1")
            assert drain(spool.folder, grace_s=0) is Ending.KEPT
        assert waiting(spool) == [1, 2, 3]
        Path.home().joinpath(".franklinwh.ini").write_text("[telemetry]\nenabled = no\n")

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert receiver.requests == []
    assert spool.names() == []


def newer(manifest):
    manifest.write_text(manifest.read_text().replace('"v": 1', '"v": 2'))


def folder(manifest):
    manifest.unlink()
    manifest.mkdir()


@pytest.mark.parametrize("spoil", [lambda manifest: manifest.write_text("surprise"), newer, folder])
def test_a_damaged_manifest_is_no_yes_and_no_withdrawal(spoil):
    """A manifest that is there but cannot be read lets nothing leave, names the mend, and keeps what waits."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        manifest = Path(spool.path("manifest.json"))
        good = manifest.read_bytes()
        spoil(manifest)

        assert drain(spool.folder, grace_s=0) is Ending.KEPT
        assert receiver.requests == []
        trouble = read_trouble(spool)
        assert trouble is not None
        assert trouble.kind == "manifest"
        assert str(manifest) in trouble.message
        assert waiting(spool) == [1, 2, 3]

        statefolder.discard(str(manifest))
        manifest.write_bytes(good)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]


# Records.


def as_file(data: bytes):
    return lambda path: path.write_bytes(data)


def as_folder(path):
    (path / "below").mkdir(parents=True)
    (path / "below" / "file").touch()


GOOD = event.encode(make_record(9))

BAD_RECORDS = {
    "truncated": (as_file(GOOD[:100]), "refused_record_not_json"),
    "empty": (as_file(b""), "refused_record_not_json"),
    "binary": (as_file(b"\x00\xff\xfe" * 50), "refused_record_not_json"),
    "too large": (as_file(GOOD.ljust(5000)), "refused_record_too_large"),
    "wrong type": (as_file(GOOD.replace(b'"success":true', b'"success":1')), "refused_record_wrong_value"),
    "extra key": (as_file(GOOD.replace(b'{"c', b'{"argv":"surprise","c')), "refused_record_wrong_keys"),
    "newer": (as_file(GOOD.replace(b'"v":1', b'"v":2')), "refused_record_newer_version"),
    "unknown command": (as_file(GOOD.replace(b'"status"', b'"surprise"')), "refused_record_unknown_command"),
    "symlink": (lambda path: path.symlink_to("/etc/hostname"), "refused_record_not_json"),
    "symlink to a good one": (
        lambda path: (Path("good").write_bytes(GOOD), path.symlink_to(Path("good").resolve())),
        "refused_record_not_json",
    ),
    "directory": (as_folder, "refused_record_not_json"),
    "empty directory": (lambda path: path.mkdir(), "refused_record_not_json"),
    "FIFO": (support.make_fifo, "refused_record_not_json"),
}


@posix_only
@pytest.mark.parametrize("place", ["new", "claimed"])
@pytest.mark.parametrize(("spoil", "count"), BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_bad_record_blocks_nothing(place, spoil, count):
    """What is not a record of ours is discarded and counted once, wherever it lies, and the rest is delivered."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        spoil(Path(spool.path(f"{place}/{now_ms() - 50_000:015d}-0000000000000009")))

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert len(receiver.requests) == 1
    assert spool.names() == []
    assert spool.tally.read() == {"delivered": 3, count: 1, "senders_completed": 2}
    assert Path("/etc/hostname").exists()


def test_only_bad_records():
    """A spool of nothing but bad records is emptied without a request."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url, 0)
        for number in range(5):
            Path(spool.path(f"new/surprise{number}")).write_text("surprise")
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert receiver.requests == []
    assert spool.tally.read() == {"refused_record_not_json": 5, "senders_completed": 1}


def test_a_record_that_lies_there_twice_is_sent_once():
    """The same ids, in two files, are one event."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url, 1)
        Path(spool.path(f"claimed/{now_ms():015d}-0000000000000001")).write_bytes(event.encode(make_record(1)))
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1]
    assert spool.names() == []


@pytest.mark.parametrize("place", ["new", "claimed"])
def test_what_is_older_than_thirty_days_is_not_sent(place):
    """Too old is too old, also for what a sender that was killed had claimed."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        old = f"{now_ms() - MAX_AGE_MS - 60_000:015d}-0000000000000009"
        Path(spool.path(f"{place}/{old}")).write_bytes(GOOD)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]
    assert spool.tally.read() == {"delivered": 3, "dropped_too_old": 1, "senders_completed": 1}


def test_claimed_and_new_together_keep_the_bound():
    """A thousand at most are sent, what was claimed included; the oldest go, counted."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url, MAX_RECORDS)
        for name in spool.names()[:10]:
            os.rename(spool.path(f"new/{name}"), spool.path(f"claimed/{name}"))
        put(spool, *range(MAX_RECORDS + 1, MAX_RECORDS + 6))
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == list(range(6, MAX_RECORDS + 6))
    assert spool.tally.read()["dropped_spool_full"] == 5


def test_a_host_that_drops_a_record_meanwhile_costs_nothing(monkeypatch):
    """A record that goes, to make room, in the moment it is claimed does not stop the run."""
    replace = os.replace

    def overtaken(source, target):
        if source.endswith("0002") and "/claimed/" in target:
            os.unlink(source)
        replace(source, target)

    monkeypatch.setattr(os, "replace", overtaken)
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 3]


def test_leftovers_of_killed_hosts_are_swept():
    """Half-written files go after an hour, and what has no name of ours; a young one may still be completed."""
    spool = filled("http://127.0.0.1:9", 0)
    young = f"{now_ms() - 60_000:015d}-0000000000000001"
    for name in (young, f"{now_ms() - 3_700_000:015d}-0000000000000002", "surprise", "zzz"):
        Path(spool.path(f"tmp/{name}")).touch()
    Path(spool.path("tmp/folder")).mkdir()

    assert drain(spool.folder, grace_s=0) is Ending.DONE
    assert os.listdir(spool.path("tmp")) == [young]


def test_leftovers_of_what_was_to_be_renamed_are_swept():
    """So do those of every file that is written beside its place and renamed, and nothing else that lies there."""
    spool = filled("http://127.0.0.1:9", 0)
    application = os.path.dirname(spool.folder)
    Path(spool.path("crowd")).mkdir()
    folders = (spool.folder, spool.path("crowd"), application)
    kept = ("last-error", "manifest.json.x", "surprise.4711.0123", "young.4711.0123abcd")
    for folder in folders:
        for name in (*kept, "manifest.json.4711.0123abcd", "backoff.1.ffffffff"):
            Path(folder, name).touch()
            os.utime(Path(folder, name), (time.time() - (3_500 if name.startswith("young") else 3_700),) * 2)

    sweep_leftovers(spool, now_ms())

    left = [name for folder in folders for name in os.listdir(folder) if "." in name or "-" in name]
    assert sorted(left) == sorted([*kept * 2, *kept, "manifest.json", os.path.basename(spool.folder)])


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.EACCES])
def test_a_record_that_cannot_be_read_is_kept(monkeypatch, error):
    """It is there, and may be read another time: the others leave without it, and `status` is told."""
    first, opened = "-0000000000000001", os.open

    def failing_open(path, *arguments):
        if str(path).endswith(first):
            raise OSError(error, os.strerror(error))
        return opened(path, *arguments)

    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", failing_open)
            assert drain(spool.folder, grace_s=0) is Ending.KEPT
        trouble = read_trouble(spool)
        assert trouble is not None
        assert (trouble.kind, numbers(receiver), waiting(spool)) == ("local", [2, 3], [1])
        assert f"{spool.path('claimed')} could not be read; check" in trouble.message

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [2, 3, 1]
    assert spool.tally.read() == {"delivered": 3, "senders_completed": 2}


@pytest.mark.parametrize("times", [{"open": 1}, {"open": 99}, {"open": 99, "lstat": 99}], ids=["once", "open", "look"])
def test_a_manifest_that_cannot_be_read_is_no_withdrawal(monkeypatch, times):
    """Nothing leaves and nothing is thrown away, be it that it was opened or looked for in vain; later all leaves."""
    real = {name: getattr(os, name) for name in ("open", "lstat")}
    left = dict(times)

    def refuse(name):
        def refusing(path, *arguments, **keywords):
            if str(path).endswith("manifest.json") and left.get(name, 0):
                left[name] -= 1
                raise OSError(errno.EIO, "an error")
            return real[name](path, *arguments, **keywords)

        return refusing

    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        with monkeypatch.context() as patched:
            for name in real:
                patched.setattr(os, name, refuse(name))
            assert drain(spool.folder, grace_s=0) is Ending.KEPT
        trouble = read_trouble(spool)
        assert trouble is not None
        assert (trouble.kind, waiting(spool)) == ("manifest", [1, 2, 3])
        assert "manifest.json" in trouble.message

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]


def test_a_spool_that_a_killed_host_has_half_made_is_no_trouble(isolated):
    """A folder without any other in it: a sender has nothing to do there, and ends well."""
    folder = isolated / "state" / "spool-half"
    folder.mkdir(mode=0o700)
    (folder / "manifest.json.4711.0123abcd").touch()
    os.utime(folder / "manifest.json.4711.0123abcd", (time.time() - 3_700,) * 2)

    assert drain(str(folder), grace_s=0) is Ending.DONE
    assert sorted(path.name for path in folder.iterdir()) == ["counts", "lock"]


def test_records_of_siblings_expire():
    """In a spool that nobody fills any more, old records go when a neighbour's sender runs; young ones stay, unsent."""
    with LoopbackReceiver() as receiver:
        sibling = filled("http://127.0.0.1:9", 2)
        old = f"{now_ms() - MAX_AGE_MS - 60_000:015d}-0000000000000009"
        older = f"{now_ms() - MAX_AGE_MS - 90_000:015d}-0000000000000008"
        Path(sibling.path(f"new/{old}")).write_bytes(GOOD)
        Path(sibling.path(f"claimed/{older}")).write_bytes(GOOD)
        Path(Path(sibling.folder).parent, "spool-surprise").touch()
        spool = filled(receiver.url)

        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers(receiver) == [1, 2, 3]
    assert waiting(sibling) == [1, 2]
    assert sibling.tally.read() == {"dropped_too_old": 2}


def test_a_sibling_with_a_sender_is_left_alone():
    """What another sender holds is not touched."""
    with LoopbackReceiver() as receiver:
        sibling = filled("http://127.0.0.1:9", 0)
        old = f"{now_ms() - MAX_AGE_MS - 60_000:015d}-0000000000000009"
        Path(sibling.path(f"claimed/{old}")).write_bytes(GOOD)
        lock = Lock(sibling.path("lock"))
        assert lock.acquire()
        assert drain(filled(receiver.url).folder, grace_s=0) is Ending.DONE
        lock.release()
    assert sibling.names() == [old]


def test_pending_is_what_a_run_would_send():
    """What `show --pending` says is what the run sends; asking claims nothing, and without a yes it is nothing."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
        Path(spool.path("new/surprise")).write_text("surprise")
        before = listing(spool)
        pending = send.pending_records(spool)
        assert listing(spool) == before

        drain(spool.folder, grace_s=0)
        assert [record.span_id for record in pending] == numbers(receiver) == [1, 2, 3]
        put(spool, 4)
        disable()
        assert send.pending_records(spool) == []


# Answers.


def test_only_the_culprit_of_a_refusal_goes():
    """A refused batch is halved until the one record to blame is alone; it is dropped and counted, the rest arrives."""
    waiting_at_each_request = []

    def answer(request):
        waiting_at_each_request.append(set(waiting(spool)))
        return [reply(400)] if 6 in numbers_in(request) else accept(request)

    with LoopbackReceiver(answer) as receiver:
        spool = filled(receiver.url, 8)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        asked = [numbers_in(request) for request in receiver.requests]

    everyone = set(range(1, 9))
    assert asked == [everyone, {1, 2, 3, 4}, {5, 6, 7, 8}, {5, 6}, {5}, {6}, {7, 8}]
    assert waiting_at_each_request == [everyone, everyone, {5, 6, 7, 8}, {5, 6, 7, 8}, {5, 6, 7, 8}, {6, 7, 8}, {7, 8}]
    assert spool.names() == []
    assert spool.tally.read() == {"delivered": 7, "refused_refused_with_status_400": 1, "senders_completed": 1}


def test_what_was_accepted_before_a_trouble_has_left():
    """The first half was taken, the second met an error: only the second is kept, and is sent again."""

    def answer(request):
        if len(numbers_in(request)) == 4:
            return [reply(413)]
        return accept(request) if 1 in numbers_in(request) else [reply(503)]

    with LoopbackReceiver(answer) as receiver:
        spool = filled(receiver.url, 4)
        assert drain(spool.folder, grace_s=0) is Ending.KEPT
        assert waiting(spool) == [3, 4]
        assert os.listdir(spool.path("claimed")) == []
        receiver._answer = accept
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert numbers_in(receiver.requests[-1]) == {3, 4}
    assert spool.tally.read()["delivered"] == 4


def pause_s(spool: Backlog, began_s: float) -> tuple[float, float]:
    """The least and the most that the pause in the spool can have been drawn as."""
    trouble = read_trouble(spool)
    assert trouble is not None
    assert os.stat(spool.path("backoff")).st_mtime == pytest.approx(trouble.until_ms / 1000, abs=0.01)
    return trouble.until_ms / 1000 - time.time(), trouble.until_ms / 1000 - began_s


def between(spool: Backlog, began_s: float, least_s: float, most_s: float) -> bool:
    low_s, high_s = pause_s(spool, began_s)
    return low_s <= most_s and high_s >= least_s - 0.01


def test_pauses_double_from_run_to_run(monkeypatch):
    """Each run that fails keeps all and pauses twice as long as the one before, up to six hours; success ends it."""
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    with LoopbackReceiver(failing(503)) as receiver:
        spool = filled(receiver.url, 2)
        for run in range(12):
            began_s = time.time()
            assert drain(spool.folder, grace_s=0) is Ending.KEPT
            expected_s = min(60.0 * 2**run, 6 * 3600.0)
            assert between(spool, began_s, expected_s, expected_s)
            trouble = read_trouble(spool)
            assert trouble is not None
            assert (trouble.kind, trouble.failures) == ("temporary", run + 1)
            assert trouble.message == "127.0.0.1 answered 503; it is asked again later"
            assert spool.backing_off(time.time())
        assert waiting(spool) == [1, 2]

        receiver._answer = accept
        assert drain(spool.folder, grace_s=0) is Ending.DONE
        assert not os.path.exists(spool.path("backoff"))

        put(spool, 3)
        receiver._answer = failing(503)
        began_s = time.time()
        assert drain(spool.folder, grace_s=0) is Ending.KEPT
        assert between(spool, began_s, 60.0, 60.0)


def test_pauses_have_jitter():
    """A pause is between half and all of its length, and not always the same, so that senders do not come together."""
    spool = filled("http://127.0.0.1:9", 0)
    drawn = set()
    for _ in range(50):
        began_s = time.time()
        send.leave_trouble(spool, "temporary", "surprise", None, failures=3)
        assert between(spool, began_s, 240.0, 480.0)
        trouble = read_trouble(spool)
        assert trouble is not None
        drawn.add(trouble.until_ms // 1000)
    assert len(drawn) > 10


@pytest.mark.parametrize(
    ("asked", "least_s", "most_s"),
    [("3600", 3600, 3600), ("1", 30, 60), ("999999999", 86_400, 86_400), ("surprise", 30, 60)],
)
def test_retry_after_is_honoured_and_bounded(asked, least_s, most_s):
    """A destination may ask for a longer pause, up to a day, and not for a shorter one."""
    with LoopbackReceiver(failing(429, ("Retry-After", asked))) as receiver:
        spool = filled(receiver.url)
        began_s = time.time()
        assert drain(spool.folder, grace_s=0) is Ending.KEPT
        assert between(spool, began_s, least_s, most_s)
    assert waiting(spool) == [1, 2, 3]


def test_a_pause_is_written_before_the_attempt():
    """While the request is under way the pause stands already, so that an attempt which never ends counts as well."""
    seen: list[object] = []

    def answer(request):
        trouble = read_trouble(spool)
        seen.append((trouble and (trouble.kind, trouble.failures), spool.backing_off(time.time())))
        return accept(request)

    with LoopbackReceiver(answer) as receiver:
        spool = filled(receiver.url)
        assert drain(spool.folder, grace_s=0) is Ending.DONE
    assert seen == [(("temporary", 1), True)]
    assert not os.path.exists(spool.path("backoff"))


@pytest.mark.parametrize("damaged", [b"", b"surprise", b'{"failures":"surprise"}', b"[" * 5000])
def test_a_damaged_pause_is_a_first_one(damaged):
    """What cannot be read of earlier failures counts as none, and stops nothing."""
    with LoopbackReceiver(failing(503)) as receiver:
        spool = filled(receiver.url)
        Path(spool.path("backoff")).write_bytes(damaged)
        assert drain(spool.folder, grace_s=0) is Ending.KEPT
    trouble = read_trouble(spool)
    assert trouble is not None
    assert trouble.failures == 1


def test_a_wrong_destination_keeps_all_and_says_so():
    """An answer that no receiver of events gives keeps every record, and `status` has the remedy."""
    with LoopbackReceiver(failing(404)) as receiver:
        spool = filled(receiver.url)
        assert drain(spool.folder, grace_s=0) is Ending.KEPT
        assert len(receiver.requests) == 1
        status = Telemetry(APPLICATION, VOCABULARY).status()
    trouble = read_trouble(spool)
    assert trouble is not None
    assert trouble.kind == "destination"
    assert trouble.message in status.trouble
    assert "check the destination" in status.trouble
    assert status.pending == 3
    assert status.senders_died == 0


def test_nobody_listens():
    """A destination that is not there keeps all, for now."""
    with LoopbackReceiver() as receiver:
        spool = filled(receiver.url)
    assert drain(spool.folder, grace_s=0) is Ending.KEPT
    trouble = read_trouble(spool)
    assert trouble is not None
    assert trouble.kind == "temporary"
    assert waiting(spool) == [1, 2, 3]


# The process.


@posix_only
def test_wrong_usage_touches_nothing(tmp_path):
    """Without exactly one absolute, safe folder a sender ends with status 2 and leaves everything as it was."""
    spool = filled("http://127.0.0.1:9")
    folder = Path(spool.folder)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "file").touch()
    before = listing(spool)

    for arguments in (
        [],
        [""],
        [spool.folder, spool.folder],
        ["--help"],
        [os.path.relpath(spool.folder, "/")],
        [f"{tmp_path}/missing"],
        [f"{tmp_path}/link"],
        [f"{tmp_path}/file"],
    ):
        ended = run_sender(*arguments)
        assert (ended.returncode, ended.stdout, ended.stderr) == (Ending.UNUSABLE, "", "")
    folder.chmod(0o755)
    assert run_sender(spool.folder).returncode == Ending.UNUSABLE

    assert listing(spool) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_folder_that_is_no_spool_is_nothing_to_send(tmp_path):
    """In a safe folder a sender without a spool, which a killed host may leave, ends well; no mark of life stays."""
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "folder" / "wake").touch()
    INI.write_text(CONSENT)
    assert run_sender(f"{tmp_path}/folder").returncode == Ending.DONE
    assert "alive" not in os.listdir(tmp_path / "folder")


@posix_only
def test_a_sender_gives_way_and_keeps_its_files_to_itself():
    """It runs at the lowest priority, and what it writes is 0600 although its umask was open."""
    priority = []

    def answer(request):
        priority.append(os.getpriority(os.PRIO_PROCESS, sender.pid))
        return accept(request)

    with LoopbackReceiver(answer) as receiver:
        spool = filled(receiver.url)
        before = os.umask(0)
        try:
            sender = start_sender(spool)
        finally:
            os.umask(before)
        assert sender.wait(timeout=60) == Ending.DONE
    assert priority == [19]
    made = [
        path for path in Path(spool.folder).rglob("*") if path.is_file() and path.parent.name in ("journal", "counts")
    ]
    assert made
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
