"""
Every test runs in a home, a state folder and a working directory of its own, and starts no sender unless it asks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import support

from franklinwh_telemetry import dispatch, guard
from franklinwh_telemetry.launch import SENDER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OUTSIDE = ("DO_NOT_TRACK", "FRANKLINWH_TELEMETRY", "STATE_DIRECTORY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A world of the test's own: nothing of this machine's user is read or written."""
    for name in tuple(os.environ):
        if name in _OUTSIDE or name.startswith(("OTEL_", "FRANKLIN_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, folder in (("HOME", "home"), ("XDG_STATE_HOME", "state")):
        (tmp_path / folder).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv(SENDER_MARK, "1")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    yield tmp_path
    guard.notes.clear()
    dispatch.default_telemetry.cache_clear()


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let hosts start real senders; those that live at the end of the test are waited for."""
    monkeypatch.delenv(SENDER_MARK)
    yield
    for application in support.applications():
        support.wake_senders(application)
