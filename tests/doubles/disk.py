"""Disks without room, for a Collector's data: a small file system, or what the kernel lets its process write."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doubles.collector import Collector

SIZE = "16m"
RESERVE = "reserve"
"""A file of the Collector's that grows no further, and is larger than what does."""
BLOCK = bytes(4096)


class Disk(Protocol):
    """Where a Collector keeps its data."""

    def fill(self) -> None:
        """Leave no room."""

    def make_room(self) -> None:
        """Let there be room again."""


class SmallFileSystem:
    """A file system in memory, mounted where the data lie, and a large file of somebody else's on it."""

    def __init__(self, collector: Collector) -> None:
        self._ballast = collector.data / "ballast"

    def fill(self) -> None:
        """Write until there is no room for another byte."""
        with self._ballast.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(BLOCK)

    def make_room(self) -> None:
        """Remove the large file."""
        self._ballast.unlink()


class SizeLimit:
    """A limit, beyond what they are now, to the size of the files that a running Collector writes; needs no root."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def fill(self) -> None:
        """Let none of its files grow by more than the beginning of a line beyond what the largest is."""
        files = [path for path in self._collector.data.rglob("*") if path.is_file() and path.name != RESERVE]
        largest = max(path.stat().st_size for path in files)
        self._limit(largest + 100)

    def make_room(self) -> None:
        """Take the limit away."""
        self._limit(None)

    def _limit(self, size: int | None) -> None:
        import resource

        assert sys.platform == "linux"
        _soft, hard = resource.prlimit(self._collector.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._collector.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


@contextlib.contextmanager
def small_file_system(collector: Collector) -> Iterator[SmallFileSystem]:
    """Mount it before the Collector starts; skip where that is not allowed."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system, and only on Linux")
    collector.data.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(collector.data)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallFileSystem(collector)
    finally:
        subprocess.run(["umount", "--lazy", str(collector.data)], check=True)


@contextlib.contextmanager
def size_limit(collector: Collector) -> Iterator[SizeLimit]:
    """Limit its process once it runs; skip where one process cannot be limited by another."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux can limit a running process")
    yield SizeLimit(collector)
