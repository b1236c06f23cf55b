from __future__ import annotations

import asyncio

import pytest

import support
from franklinwh_telemetry.scope import exit_status, result_succeeded, status_succeeded, succeeded

CODES = [
    "None",
    "0",
    "1",
    "3",
    "255",
    "256",
    "257",
    "-1",
    "-256",
    "2**32",
    "2**63",
    "True",
    "False",
    "''",
    "'text'",
    "1.0",
    "[]",
]


@pytest.mark.parametrize("code", CODES)
def test_exit_status_is_the_processs_own(code):
    """The status said of `sys.exit(...)` is the one that a real process ends with."""
    ended = support.run_python(f"import sys; sys.exit({code})")
    assert exit_status(eval(code)) == ended.returncode  # noqa: S307 - a literal of this module


@pytest.mark.parametrize("code", CODES)
def test_success_is_status_zero(code):
    """A command has succeeded exactly if its status is 0, whether it was raised or returned by `main`."""
    value = eval(code)  # noqa: S307 - a literal of this module
    assert succeeded(SystemExit(value)) == (exit_status(value) == 0)
    if isinstance(value, int):
        assert result_succeeded(value) == (exit_status(value) == 0)


@pytest.mark.parametrize("result", [None, "", "text", (), [1], {}, 1.0, object()])
def test_only_a_whole_number_returned_is_a_status(result):
    """What else `main` returns is its own affair."""
    assert result_succeeded(result)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, (True, True)),
        (GeneratorExit(), (True, True)),
        (ValueError("surprise"), (False, False)),
        (asyncio.CancelledError(), (False, True)),
        (StopIteration(), (False, False)),
        (BaseException(), (False, False)),
        (KeyboardInterrupt(), (False, True)),
        (SystemExit(130), (False, True)),
        (SystemExit(2), (False, False)),
        (SystemExit("130"), (False, False)),
    ],
)
def test_endings(error, expected):
    """Returning and being closed is success, an exception is not; Ctrl-C is where a command runs until then."""
    assert (succeeded(error), succeeded(error, until_interrupted=True)) == expected


@pytest.mark.parametrize(("status", "expected"), [(0, (True, True)), (1, (False, False)), (130, (False, True))])
def test_statuses(status, expected):
    """0 is success, and 130 is for a command that runs until it is interrupted."""
    assert (status_succeeded(status), status_succeeded(status, until_interrupted=True)) == expected
