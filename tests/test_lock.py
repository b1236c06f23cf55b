from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from franklinwh_telemetry.lock import Lock
from support import posix_only

HOLDING = """
import sys
from franklinwh_telemetry.lock import Lock
lock = Lock(sys.argv[1])
print(lock.acquire(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


@pytest.fixture
def holder(path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.communicate()


def test_one_holder_at_a_time(path):
    """A lock that is held is not given to another, and is free after its release."""
    first, second = Lock(path), Lock(path)

    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_release_is_harmless(path):
    """Releasing what is not held, or was released, takes nobody else's lock away."""
    first, second = Lock(path), Lock(path)
    first.release()
    assert second.acquire()
    first.release()
    assert not first.acquire()
    second.release()
    second.release()
    assert first.acquire()
    first.release()


def test_another_process_keeps_it_until_it_ends(path, holder):
    """The lock holds between processes and is free once its holder has ended by itself."""
    lock = Lock(path)
    assert not lock.acquire()

    holder.communicate("\n", timeout=60)
    assert lock.acquire()
    lock.release()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_the_kernel_frees_what_a_killed_process_held(path, holder):
    """A holder that was killed leaves a file and no lock."""
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=60)

    lock = Lock(path)
    assert Path(path).exists()
    assert lock.acquire()
    lock.release()


def test_waiting_ends_as_soon_as_it_is_free(path):
    """Who waits gets the lock when it is released."""
    first, second = Lock(path), Lock(path)
    assert first.acquire()
    releasing = threading.Timer(0.2, first.release)
    releasing.start()

    assert second.acquire(wait_s=60)
    releasing.join()
    second.release()


@posix_only
def test_waiting_is_bounded(path, holder):
    """Who waits for a lock that stays held is told so, and has no open file left of it."""
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0

    assert not Lock(path).acquire(wait_s=0.2)
    assert holder.poll() is None
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)


def test_children_do_not_inherit_it(path):
    """A program started while the lock is held does not keep it when its parent lets go."""
    lock, again = Lock(path), Lock(path)
    assert lock.acquire()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    lock.release()

    # The kernel lets the parent go on a moment before it closes the child's descriptors.
    assert again.acquire(wait_s=60)
    again.release()
    assert child.poll() is None
    child.communicate(b"\n", timeout=60)


def test_without_a_file_there_is_no_lock(tmp_path):
    """A lock below a missing folder is an error, not a lock."""
    with pytest.raises(FileNotFoundError):
        Lock(str(tmp_path / "missing" / "lock")).acquire()


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
def test_the_file_is_ones_own(path, tmp_path):
    """The file is 0600, and a link in its place is not followed."""
    lock = Lock(path)
    assert lock.acquire()
    lock.release()
    assert Path(path).stat().st_mode & 0o777 == 0o600

    Path(path).unlink()
    Path(path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="lock"):
        lock.acquire()
    assert not (tmp_path / "elsewhere").exists()
