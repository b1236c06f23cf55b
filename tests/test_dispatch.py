from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

import support
from franklinwh_telemetry import Telemetry, Vocabulary, dispatch_cli_event
from franklinwh_telemetry.testing import capture_events
from support import CONSENT, VERSION_4, WORKED_EXAMPLE, posix_only

NOW_MS = 1_795_525_643_930


def example(work: str, *arguments: str, **keywords):
    return support.run_python(WORKED_EXAMPLE.replace("{work}", work), *arguments, **keywords)


ENDINGS = {
    "return": ("return", 0, True),
    "exit without a status": ("sys.exit()", 0, True),
    "exit 0": ("sys.exit(0)", 0, True),
    "exit 3": ("sys.exit(3)", 3, False),
    "exit with a text": ("sys.exit('text')", 1, False),
    "exit 256, which the system takes for 0": ("sys.exit(256)", 0, True),
    "an uncaught exception": ("raise ValueError('secret')", 1, False),
    "an exception and a hook set later": (
        "sys.excepthook = lambda *_: print('own hook'); raise ValueError('secret')",
        1,
        False,
    ),
    "Ctrl-C": ("import signal; os.kill(os.getpid(), signal.SIGINT)", -2, False),
    "exit inside asyncio.run": (
        "import asyncio\n    async def work():\n        sys.exit(4)\n    asyncio.run(work())",
        4,
        False,
    ),
    "return from asyncio.run": ("import asyncio\n    asyncio.run(asyncio.sleep(0))", 0, True),
    "an argparse error": ("import argparse; argparse.ArgumentParser().parse_args(['--bad'])", 2, False),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_worked_example_reports_five_facts(name):
    """The policy's example, with only its import line changed, reports the true success however it ends."""
    work, status, success = ENDINGS[name]
    Path("franklinwh.ini").write_text(CONSENT)

    ended = example(work, "status")

    (record,) = support.waiting()
    assert ended.returncode == status
    assert record == record | {
        "command": "status",
        "success": success,
        "execution_uuid": VERSION_4,
        "v": 1,
    }
    assert set(record) == {
        "command",
        "executed_at_ms",
        "execution_latency_ms",
        "execution_uuid",
        "span_id",
        "success",
        "trace_id",
        "v",
    }


def test_worked_example_reports_the_true_latency_and_time():
    """The clock runs from the call to the end of the process."""
    Path("franklinwh.ini").write_text(CONSENT)

    example("import time; print(time.time_ns() // 1_000_000); time.sleep(0.3)", "status")

    (record,) = support.waiting()
    assert 300 <= record["execution_latency_ms"] < 20_000


@pytest.mark.parametrize("name", ENDINGS)
def test_program_is_as_without_us(name):
    """Exit status, output and traceback are those of the same program without the call."""
    work = ENDINGS[name][0]
    Path("franklinwh.ini").write_text(CONSENT)
    without = WORKED_EXAMPLE.replace("{work}", work).replace(
        "from franklinwh_telemetry import dispatch_cli_event", "dispatch_cli_event = lambda **_: None"
    )

    plain = support.run_python(without, "status")
    told = example(work, "status")

    assert (told.returncode, told.stdout, told.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_nothing_is_made_without_consent():
    """Consent off records nothing and makes no file or folder anywhere in the home or the working directory."""
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = false\n")
    before = sorted(str(path) for path in Path.cwd().parent.rglob("*"))

    ended = example("return", "status")

    after = sorted(str(path) for path in Path.cwd().parent.rglob("*") if "program_under_test" not in str(path))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [path for path in after if "__pycache__" not in path] == before


def test_hooks_and_modules_stay_as_they_were():
    """No excepthook, no signal handler, no thread, no socket, no OpenTelemetry; `sys.exit` is given back at the end."""
    Path("franklinwh.ini").write_text(CONSENT)
    code = """
import sys, signal, threading, atexit
exit_before, hook_before = sys.exit, sys.excepthook
handlers_before = [signal.getsignal(number) for number in signal.valid_signals()]
def check():
    assert sys.exit is exit_before
    assert sys.excepthook is hook_before
    assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers_before
    assert threading.enumerate() == [threading.main_thread()]
    surprise = [name for name in sys.modules if name.split('.')[0] in ('opentelemetry', 'requests', 'urllib3', 'click')]
    assert not surprise, surprise
    print('checked')
atexit.register(check)
from franklinwh_telemetry import dispatch_cli_event
dispatch_cli_event('status', True, 'anonymous')
sys.exit(0)
"""
    ended = support.run_python(code)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "checked\n", "")
    assert len(support.waiting()) == 1


@posix_only
def test_a_fork_records_once():
    """A child that was forked after the call and exits in its own way adds no event."""
    Path("franklinwh.ini").write_text(CONSENT)

    ended = example("pid = os.fork()\n    if pid: os.waitpid(pid, 0)\n    sys.exit(0 if pid else 3)", "status")

    (record,) = support.waiting()
    assert ended.returncode == 0
    assert record["success"] is True


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["tou"], "tou"),
        (["unknown"], "other"),
        (["hunter2"], "other"),
        ([], "other"),
    ],
)
def test_command_is_in_the_vocabulary_or_other(arguments, command):
    """What the user typed is reported only where it is listed."""
    Path("franklinwh.ini").write_text(CONSENT)

    example("return", *arguments)

    assert [record["command"] for record in support.waiting()] == [command]


@pytest.mark.parametrize("line", ["--help", "--version", "mode --help"])
def test_help_and_version_record_nothing(line):
    """A line that only asks for help or the version is no command."""
    dispatch_cli_event(line, True, VERSION_4, latency_ms=1, success=True)

    assert support.spools() == []


def test_completion_records_nothing(monkeypatch):
    """A run for the shell's completion is no command."""
    monkeypatch.setenv("_ARGCOMPLETE", "1")

    dispatch_cli_event("status", True, VERSION_4, latency_ms=1, success=True)

    assert support.spools() == []


def test_long_lived_programs_pass_latency_and_success():
    """With both facts given the event is recorded at once, as often as asked."""
    with capture_events(now_ms=NOW_MS) as captured:
        dispatch_cli_event("status", True, VERSION_4, latency_ms=12, success=True)
        dispatch_cli_event("mode", True, VERSION_4, latency_ms=10**12, success=False)

    facts = [(e.executed_at_ms, e.execution_latency_ms, str(e.execution_uuid)) for e in captured.events]
    assert facts == [(NOW_MS - 12, 12, VERSION_4), (NOW_MS - 604_800_000, 604_800_000, VERSION_4)]
    assert captured.outcomes == [("status", True), ("mode", False)]


@pytest.mark.parametrize(("success", "recorded"), [(None, True), (True, True), (False, False)])
def test_the_clock_runs_from_the_call_to_the_end(success, recorded):
    """The event is of the moment of the call, took until the process ended, and succeeded unless it was told not to."""
    with capture_events(now_ms=NOW_MS) as captured:
        dispatch_cli_event("status", True, VERSION_4, success=success)
        captured.advance(250)
        assert captured.events == []

    (event,) = captured.events
    assert (event.executed_at_ms, event.execution_latency_ms, event.success) == (NOW_MS, 250, recorded)


@pytest.mark.parametrize("answer", [False, 0, "", "false", "true", 1, None, "yes", object()])
def test_only_true_is_a_yes(answer):
    """The text "false" is truthy, and so is "true": neither is consent."""
    dispatch_cli_event("status", answer, VERSION_4, latency_ms=1, success=True)

    assert support.spools() == []


def test_false_discards_what_waits():
    """A no throws away what was recorded under the program's own yes."""
    dispatch_cli_event("status", True, VERSION_4, latency_ms=1, success=True)
    assert len(support.waiting()) == 1

    dispatch_cli_event("status", False, VERSION_4)

    assert support.waiting() == []
    assert support.only_spool().manifest() is None


@pytest.mark.parametrize(
    "surprise", ["me@example.com", "my-anonymous-user-1234", "5f0c9a54-3a0e-1c3b-9d0a-0123456789ab"]
)
def test_a_uuid_that_is_not_random_is_refused(surprise):
    """An e-mail or a version 1 UUID never becomes an id; the refusal is counted once there is a state folder."""
    dispatch_cli_event("status", True, VERSION_4, latency_ms=1, success=True)

    dispatch_cli_event("status", True, surprise, latency_ms=1, success=True)

    status = Telemetry(support.APPLICATION, Vocabulary(["status"])).status()
    assert len(support.waiting()) == 1
    assert status.counts["dispatch_uuid_not_random"] == 1


def test_anonymous_gets_a_random_uuid_that_stays():
    """The policy's `anonymous` means that none is assigned yet; one is drawn, and kept."""
    for _ in range(2):
        dispatch_cli_event("status", True, "anonymous", latency_ms=1, success=True)

    first, second = (record["execution_uuid"] for record in support.waiting())
    assert first == second
    assert first[14] == "4"


def test_second_call_and_other_threads_and_loops_are_counted():
    """One untimed call a process: the others record nothing, and `status` counts them."""
    code = f"""
import asyncio, threading
from franklinwh_telemetry import dispatch_cli_event
def call(): dispatch_cli_event('status', True, '{VERSION_4}')
dispatch_cli_event('mode', True, '{VERSION_4}', latency_ms=1, success=True)
call()
call()
thread = threading.Thread(target=call); thread.start(); thread.join()
async def work(): call()
asyncio.run(work())
"""
    ended = support.run_python(code)

    counts = Telemetry(support.APPLICATION, Vocabulary(["status"])).status().counts
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(record["command"] for record in support.waiting()) == ["mode", "status"]
    assert (counts["dispatch_called_again"], counts["dispatch_outside_main_thread"]) == (1, 2)


def test_another_thread_exiting_says_nothing_of_the_program():
    """A `sys.exit` in another thread ends that thread, not the command."""
    Path("franklinwh.ini").write_text(CONSENT)

    example("import threading; t = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join()", "status")

    assert [record["success"] for record in support.waiting()] == [True]


@posix_only
@pytest.mark.parametrize(
    ("work", "seen"),
    [
        ("raise SystemExit(3)", True),
        ("exit(3)", True),
        ("os._exit(3)", None),
        ("import signal; os.kill(os.getpid(), signal.SIGTERM)", None),
        ("os.execv(sys.executable, [sys.executable, '-c', 'pass'])", None),
    ],
)
def test_what_it_cannot_see_is_as_documented(work, seen):
    """The docstring's list of what it cannot see is true: success is assumed, or nothing is recorded."""
    Path("franklinwh.ini").write_text(CONSENT)

    example(work, "status")

    assert [record["success"] for record in support.waiting()] == ([] if seen is None else [seen])
    for word in ("os._exit", "SIGTERM", "exec", "raise SystemExit(n)", "exit()"):
        assert word in (dispatch_cli_event.__doc__ or "")


def test_an_ini_that_says_no_wins_over_the_program():
    """A program that says yes cannot overrule a no in the user's ini."""
    Path(os.environ["HOME"], ".franklinwh.ini").write_text("[telemetry]\nenabled = no\n")

    dispatch_cli_event("status", True, VERSION_4, latency_ms=1, success=True)

    assert support.spools() == []


def test_another_application_keeps_its_own_spool():
    """`telemetry=` brings another application, vocabulary and destination."""
    other = Telemetry("myapp", Vocabulary(["sync"]), destination="http://127.0.0.1:9")

    dispatch_cli_event("sync", True, VERSION_4, latency_ms=1, success=True, telemetry=other)

    assert support.spools() == []
    assert [record["command"] for record in support.waiting("myapp")] == ["sync"]


def test_an_own_key_routes_to_posthog():
    """`api_key` names the developer's own PostHog project."""
    dispatch_cli_event("status", True, VERSION_4, "phc_mine", latency_ms=1, success=True)

    manifest = support.only_spool().manifest()
    assert manifest is not None
    assert (manifest.destination.kind, manifest.destination.api_key) == ("posthog", "phc_mine")


def test_called_in_a_thread_of_this_process_it_records_nothing():
    """The untimed call belongs to the main thread."""
    thread = threading.Thread(target=dispatch_cli_event, args=("status", True, VERSION_4))
    thread.start()
    thread.join()

    assert support.spools() == []
    assert sys.exit.__module__ == "sys"
