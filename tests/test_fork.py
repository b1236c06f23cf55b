"""
Forks: real ones, of processes whose other threads are inside the package at that moment.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import support
from franklinwh_telemetry import guard
from franklinwh_telemetry.guard import Guard
from support import CONSENT, posix_only

if TYPE_CHECKING:
    import pytest

SLOW_IMPORT = """
import importlib.abc, os, sys, threading, time
from franklinwh_telemetry import Telemetry, Vocabulary
is_importing = threading.Event()
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "franklinwh_telemetry.spool":
            is_importing.set()
            time.sleep(0.5)
sys.meta_path.insert(0, Slow())
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["parent", "child"]))
def record(name):
    with telemetry.command(name):
        pass
thread = threading.Thread(target=record, args=("parent",))
thread.start()
is_importing.wait()
child = os.fork()
if not child:
    record("child")
    os._exit(7)
thread.join()
deadline_s = time.monotonic() + 30
while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline_s:
    time.sleep(0.01)
if not ended[0]:
    os.kill(child, 9)
    os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(ended[1]) if ended[0] else "hangs")
"""
"""Forks while a thread is importing, for its first event, what the child needs for its own."""


@posix_only
def test_a_child_forked_during_a_first_event_records_its_own():
    """The child has the parent's modules whole, not one that will never be there; both events wait."""
    Path("franklinwh.ini").write_text(CONSENT)

    done = support.run_python(SLOW_IMPORT)

    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
    assert sorted(record["command"] for record in support.waiting()) == ["child", "parent"]


def test_a_fork_waits_for_who_is_inside():
    """The door closes when the last one has come out, however often it had come in."""
    inside, seen = Guard(), []
    is_in, may_leave = threading.Event(), threading.Event()

    def visit():
        inside.__enter__()
        inside.__enter__()
        is_in.set()
        may_leave.wait(60)
        inside.__exit__(None, None, None)
        seen.append("once")
        time.sleep(0.05)
        seen.append("twice")
        inside.__exit__(None, None, None)

    thread = threading.Thread(target=visit)
    thread.start()
    assert is_in.wait(60)
    threading.Timer(0.05, may_leave.set).start()
    inside.close()
    closed = list(seen)
    inside.open()
    thread.join()

    assert closed == ["once", "twice"]


def test_who_comes_during_a_fork_waits_at_the_door():
    """Nobody comes in between the last look and the fork."""
    inside, seen = Guard(), []

    def visit():
        inside.__enter__()
        seen.append("inside")
        inside.__exit__(None, None, None)

    inside.close()
    thread = threading.Thread(target=visit)
    thread.start()
    thread.join(0.1)
    closed = list(seen)
    inside.open()
    thread.join(60)

    assert (closed, seen) == ([], ["inside"])


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch):
    """Somebody inside who waits for a disk does not keep the process from being forked."""
    monkeypatch.setattr(guard, "PATIENCE_S", 0.1)
    inside = Guard()
    is_in, may_leave = threading.Event(), threading.Event()

    def visit():
        inside.__enter__()
        is_in.set()
        may_leave.wait(60)
        inside.__exit__(None, None, None)

    thread = threading.Thread(target=visit)
    thread.start()
    assert is_in.wait(60)
    inside.close()
    inside.open()
    may_leave.set()
    thread.join()


def test_who_forks_may_be_inside():
    """The thread that forks waits for others only, and its child is as deep inside as it was."""
    inside = Guard()
    inside.__enter__()
    inside.close()
    inside.open()
    inside.begin_anew()
    assert inside._depths == {threading.get_ident(): 1}
    inside.__exit__(None, None, None)
    inside.begin_anew()
    assert inside._depths == {}
