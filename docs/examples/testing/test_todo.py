"""
The telemetry of `todo`: that it tells what it should, and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import todo
from franklinwh_telemetry.testing import EXECUTION_UUID, STARTED_AT_MS, capture_events

if TYPE_CHECKING:
    from franklinwh_telemetry.testing import Captured


def test_each_command_is_reported(captured: Captured) -> None:
    """The command is, and what it is about is not."""
    assert todo.main(["add", "buy milk"]) == 0
    assert todo.main(["list"]) == 0
    assert todo.main(["done", "1"]) == 0

    assert captured.commands == ["add", "list", "done"]
    assert "milk" not in repr(captured.records)


def test_all_five_facts(captured: Captured) -> None:
    """The clock stands still unless it is moved, and the first UUID is always the same."""
    todo.TELEMETRY.run(lambda: captured.advance(1_500), ["list"])

    (event,) = captured.events
    assert str(event.command) == "list"
    assert event.executed_at_ms == STARTED_AT_MS
    assert event.execution_latency_ms == 1_500
    assert event.success
    assert event.execution_uuid == EXECUTION_UUID


def test_failures_are_told(captured: Captured) -> None:
    """By the exit status, however the program comes to it; a line that it cannot read is no command of the list."""
    assert todo.main(["done", "7"]) == 1
    with pytest.raises(SystemExit):
        todo.main(["done", "seven"])

    assert captured.outcomes == [("done", False), ("other", False)]


def test_a_withdrawal_holds_at_once(captured: Captured) -> None:
    """The next command records nothing, and throws away what waits."""
    todo.main(["list"])
    assert captured.commands == ["list"]
    captured.deny("todo")
    todo.main(["list"])

    assert captured.events == []


def test_without_consent_nothing_is_recorded() -> None:
    """A user who was never asked has not said yes."""
    with capture_events(ini="") as captured:
        todo.main(["list"])

    assert captured.events == []


def test_the_real_program(captured: Captured) -> None:
    """In a process of its own, it has the same user."""
    program = [sys.executable, todo.__file__, "add", "buy milk"]
    subprocess.run(program, env=captured.env("todo"), check=True)

    assert captured.outcomes == [("add", True)]
