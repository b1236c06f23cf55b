from __future__ import annotations

import asyncio
import contextlib
import os
import site
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from uuid import UUID

import pytest

import support
from franklinwh_telemetry import (
    Denied,
    Telemetry,
    Vocabulary,
    dispatch,
    dispatch_cli_event,
    event,
    guard,
    inifile,
    system,
)
from franklinwh_telemetry.backlog import existing_spools
from franklinwh_telemetry.consenting import turn_off
from franklinwh_telemetry.event import CommandEvent, Record
from franklinwh_telemetry.launch import SENDER_MARK
from franklinwh_telemetry.plan import plan_on
from franklinwh_telemetry.testing import (
    EXECUTION_UUID,
    STARTED_AT_MS,
    Captured,
    TelemetryError,
    capture_events,
    errors_raised,
)
from support import CONSENT, VERSION_4

WORDS = Vocabulary(["sync", "restore"])
NO = "[telemetry]\nenabled = false\n[telemetry myapp]\nenabled = false\n"
YES = "[telemetry]\nenabled = true\n[telemetry myapp]\nenabled = true\n"


@pytest.fixture
def telemetry():
    """A program's own, made once, as programs do."""
    return Telemetry("myapp", WORDS)


def sync(telemetry):
    with telemetry.command("sync"):
        pass


def end_by(error):
    if error is not None:
        raise error


def tree(folder):
    return sorted(str(path) for path in Path(folder).rglob("*"))


def test_a_whole_record_is_the_same_every_time(telemetry):
    """The clock stands still and ids are counted, so that two captures hold the very same records."""

    def run():
        with capture_events() as captured:
            sync(telemetry)
            with telemetry.command("restore") as command:
                captured.advance(250)
                command.failed()
        return captured

    def fact(name, latency_ms, success):
        return CommandEvent(
            command=WORDS.parse(name),
            executed_at_ms=STARTED_AT_MS,
            execution_latency_ms=latency_ms,
            success=success,
            execution_uuid=EXECUTION_UUID,
        )

    expected = [
        Record(event=fact("sync", 0, True), trace_id=1, span_id=1),
        Record(event=fact("restore", 250, False), trace_id=2, span_id=2),
    ]
    captured, again = run(), run()
    assert captured.records == again.records == expected
    assert EXECUTION_UUID.version == 4
    assert (captured.commands, captured.outcomes) == (["sync", "restore"], [("sync", True), ("restore", False)])
    assert captured.events == [record.event for record in expected]


def test_the_clock_starts_where_it_is_put_and_steps(telemetry):
    """`now_ms` is the first command's time; `step_ms` is what each command takes."""
    with capture_events(now_ms=1_000, step_ms=30) as captured:
        sync(telemetry)
        sync(telemetry)
        captured.advance(5_000)
        sync(telemetry)

    times = [(event.executed_at_ms, event.execution_latency_ms) for event in captured.events]
    assert times == [(1_000, 30), (1_060, 30), (6_120, 30)]


@pytest.mark.parametrize(("consent", "recorded"), [(True, ["one", "two"]), ("two", ["two"]), (False, [])])
def test_consent_in_one_line(consent, recorded):
    """Consent is given for every application, for one of them, or for none."""
    with capture_events(consent=consent) as captured:
        for name in ("one", "two"):
            sync(Telemetry(name, Vocabulary(["sync"])))
        applications = [name for name in ("one", "two") if Telemetry(name, WORDS).status().enabled]

    assert applications == recorded
    assert captured.commands == ["sync"] * len(recorded)


def test_applications_have_uuids_of_their_own():
    """In tests as elsewhere no two applications can be linked; the first that records has `EXECUTION_UUID`."""
    with capture_events() as captured:
        for name in ("one", "two", "one"):
            sync(Telemetry(name, WORDS))

    first, second, third = (event.execution_uuid for event in captured.events)
    assert first == third == EXECUTION_UUID
    assert second == UUID(int=2, version=4)


def test_a_user_may_change_their_mind(telemetry):
    """`grant` and `deny` hold at once, and a withdrawal throws away what waits."""
    with capture_events(consent=False) as captured:
        sync(telemetry)
        assert captured.events == []
        captured.grant("myapp")
        sync(telemetry)
        assert captured.commands == ["sync"]
        captured.deny("myapp")
        sync(telemetry)
        assert captured.events == []
        captured.grant("another")
        assert not telemetry.status().enabled


@pytest.mark.parametrize(
    ("ini", "recorded"),
    [
        ("", 0),
        ("[telemetry myapp]\nenabled = true\n", 1),
        ("[telemetry myapp]\r\nenabled = yes\r\n", 1),
        ("[telemetry myapp]\nenabled = maybe\n", 0),
        (f"[telemetry myapp]\nenabled = true\nuuid = {VERSION_4}\n", 1),
        ("[telemetry another]\nenabled = true\n", 0),
    ],
)
def test_consent_by_a_written_ini(telemetry, ini, recorded):
    """The text of an ini is read as a user's own file is, byte for byte."""
    with capture_events(ini=ini) as captured:
        sync(telemetry)
        kept = Path(captured.ini).read_bytes()

    assert len(captured.events) == recorded
    assert kept == ini.encode()
    if VERSION_4 in ini:
        assert str(captured.events[0].execution_uuid) == VERSION_4


def test_an_ini_written_later_counts_and_a_broken_one_is_not_mended(telemetry):
    """`write_ini` replaces all answers; where an ini cannot be edited, `grant` says so."""
    with capture_events() as captured:
        sync(telemetry)
        captured.write_ini("[telemetry myapp]\nenabled = false\n")
        assert not telemetry.status().enabled
        captured.write_ini("no section\n")
        with pytest.raises(TelemetryError, match=r"franklinwh\.ini"):
            captured.grant("myapp")
        with pytest.raises(ValueError, match="My App"):
            captured.grant("My App")
        assert stat.S_IMODE(os.stat(captured.ini).st_mode) == 0o600


@pytest.mark.parametrize(("real", "consent"), [(NO, True), (YES, False)])
def test_no_real_ini_is_asked(real, consent, monkeypatch, tmp_path):
    """No ini of home, working directory or machine decides, no named one, no variable; and none is made."""
    named = tmp_path / "named.ini"
    for path in (Path("franklinwh.ini"), Path(os.environ["HOME"], ".franklinwh.ini"), named):
        path.write_text(real)
    # The machine's own file cannot be written by a test: it is shown that nothing but the capture's ini is opened.
    opened = []
    real_read = inifile.read

    def reading(path, *, explicit):
        opened.append(path)
        return real_read(path, explicit=explicit)

    monkeypatch.setattr(inifile, "read", reading)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("FRANKLINWH_TELEMETRY", "0")
    telemetry = Telemetry("myapp", WORDS, config=str(named))
    before = tree(Path.cwd().parent)

    with capture_events(consent=consent) as captured:
        sync(telemetry)
        assert telemetry.status().enabled is consent

    assert len(captured.events) == consent
    assert set(opened) == {captured.ini}
    assert tree(Path.cwd().parent) == before
    assert (os.environ["DO_NOT_TRACK"], os.environ["FRANKLINWH_TELEMETRY"]) == ("1", "0")


@pytest.mark.parametrize(("variable", "text"), [("DO_NOT_TRACK", "1"), ("FRANKLINWH_TELEMETRY", "off")])
def test_a_variable_that_the_test_sets_counts(telemetry, monkeypatch, variable, text):
    """A no that a test puts into the environment, for this process and a child, is a no."""
    with capture_events() as captured:
        monkeypatch.setenv(variable, text)
        sync(telemetry)
        support.run_python(PROGRAM, env=captured.env("myapp"))
        assert captured.events == []
        monkeypatch.delenv(variable)
        sync(telemetry)

    assert captured.commands == ["sync"]


@pytest.mark.parametrize("variable", ["STATE_DIRECTORY", "XDG_STATE_HOME", "an argument"])
def test_no_real_state_is_touched(variable, monkeypatch, tmp_path):
    """Wherever the environment or the program puts the state, a capture's is elsewhere and is gone afterwards."""
    if variable != "an argument":
        monkeypatch.setenv(variable, str(tmp_path))
    telemetry = Telemetry("myapp", WORDS, state_directory=str(tmp_path) if variable == "an argument" else None)
    with capture_events() as captured:
        sync(telemetry)
        state = telemetry.status().state_folder
        assert Path(state).is_dir()
        assert stat.S_IMODE(os.stat(captured.home).st_mode) == 0o700

    assert captured.commands == ["sync"]
    assert tree(tmp_path) == []
    assert not Path(captured.home).parent.exists()
    assert not Path(state).exists()


def test_no_sender_is_started(monkeypatch, telemetry):
    """Not even where senders may be started, and whatever the destination is."""
    monkeypatch.delenv(SENDER_MARK)
    remote = Telemetry("myapp", WORDS, destination="https://collector.example")
    with capture_events() as captured:
        sync(telemetry)
        sync(remote)
        assert telemetry.status().counts == {}
        assert telemetry.status().pending == 2

    assert captured.commands == ["sync", "sync"]
    assert SENDER_MARK not in os.environ


REPLACED = ("now_ns", "monotonic_ns", "random_bytes", "at_exit", "only_ini", "state_directory")


def seams():
    return (
        {name: value for name, value in vars(system).items() if name[0] != "_"},
        guard.reraising,
        guard.notes,
        list(guard._state_folders),
        dispatch._Pending.current,
        event.draw_execution_uuid,
        dict(os.environ),
        sys.exit,
        vars(sys).get("last_value"),
    )


@pytest.mark.parametrize("error", [None, ValueError("surprise"), KeyboardInterrupt(), SystemExit(3)])
def test_everything_is_restored(error, telemetry, monkeypatch):
    """However a capture ends, all that it replaced is as it was, and what it holds can still be read."""
    monkeypatch.setenv("STATE_DIRECTORY", str(Path.cwd()))
    monkeypatch.setattr(guard, "notes", ["from before"])
    monkeypatch.setattr(sys, "last_value", KeyError("from before"), raising=False)
    before = seams()
    ending = contextlib.nullcontext() if error is None else pytest.raises(type(error))
    with ending as raised, capture_events() as captured:
        assert not [name for name in REPLACED if getattr(system, name) is before[0][name]]
        assert (guard.reraising, guard.notes) == (TelemetryError, [])
        dispatch_cli_event("sync", True, VERSION_4, telemetry=telemetry)
        end_by(error)

    assert raised is None or raised.value is error
    assert seams() == before
    assert captured.outcomes == [("sync", error is None or isinstance(error, SystemExit))]


def test_captures_nest(telemetry):
    """An inner capture has a world of its own; the outer one goes on as if nothing had been."""
    with capture_events(now_ms=1_000) as outer:
        sync(telemetry)
        with capture_events(now_ms=2_000, consent=False) as inner:
            sync(telemetry)
            inner.grant("myapp")
            inner.advance(500)
            sync(telemetry)
        sync(telemetry)

    assert [record.span_id for record in outer.records] == [1, 2]
    assert [event.executed_at_ms for event in outer.events] == [1_000, 1_000]
    assert [(event.executed_at_ms, event.execution_uuid) for event in inner.events] == [(2_500, EXECUTION_UUID)]


def test_a_program_under_way_is_left_alone_by_an_inner_capture(telemetry):
    """What the policy's hook has begun outside is completed outside, and inside it can be called anew."""
    with capture_events() as outer:
        dispatch_cli_event("sync", True, VERSION_4, telemetry=telemetry)
        outer.advance(30)
        with capture_events() as inner:
            dispatch_cli_event("restore", True, VERSION_4, telemetry=telemetry)
        assert outer.events == []

    assert (outer.commands, inner.commands) == (["sync"], ["restore"])
    assert outer.events[0].execution_latency_ms == 30


def test_captures_nest_in_a_loop(telemetry):
    """What waits in memory as an inner capture begins, or is recorded in it, is found where it was recorded."""
    work = telemetry.command("sync")(asyncio.sleep)

    async def main():
        with capture_events() as outer:
            await work(0)
            with capture_events() as inner:
                assert outer.commands == ["sync"]
                await work(0)
                await work(0)
                assert outer.commands == ["sync"]
            await work(0)
        return outer.commands, inner.commands

    assert asyncio.run(main()) == (["sync"] * 2, ["sync"] * 2)


def test_nothing_passes_from_one_capture_to_the_next():
    """A program's one Telemetry, used in a loop, brings nothing along from a test before, or from outside of any."""
    telemetry = Telemetry("myapp", WORDS, consent=lambda: True)
    work = telemetry.command("sync")(asyncio.sleep)
    asyncio.run(work(0))
    seen = []
    for _ in range(2):
        with capture_events() as captured:
            asyncio.run(work(0))
        seen.append(captured.commands)
    telemetry.flush()

    assert seen == [["sync"], ["sync"]]
    assert support.waiting("myapp") == []


def test_what_a_loop_has_recorded_is_read_at_once(telemetry):
    """Async functions, read in the loop and after it, without a `flush()` of the test's own."""

    @telemetry.command("sync")
    async def work(captured, fail):
        captured.advance(40)
        if fail:
            raise ValueError

    async def main(captured):
        await work(captured, False)
        inside.extend(captured.outcomes)
        with pytest.raises(ValueError):  # noqa: PT011 - any
            await work(captured, True)

    inside: list[tuple[str, bool]] = []
    with capture_events() as captured:
        asyncio.run(main(captured))
        assert len(captured.events) == 2

    assert inside == [("sync", True)]
    assert captured.outcomes == [("sync", True), ("sync", False)]
    assert [event.execution_latency_ms for event in captured.events] == [40, 40]


def test_generators_and_whole_programs(telemetry):
    """Generators, async generators and `Telemetry.run` are captured as functions are."""

    @telemetry.command("sync")
    def items():
        yield 1

    @telemetry.command("restore")
    async def more():
        yield 1

    async def main():
        return [item async for item in more()]

    with capture_events() as captured:
        assert list(items()) == asyncio.run(main()) == [1]
        assert telemetry.run(lambda: 3, ["sync"]) == 3

    assert sorted(captured.outcomes) == [("restore", True), ("sync", False), ("sync", True)]


def test_threads_are_captured(telemetry):
    """All threads of the process record here, each record with an id of its own."""
    threads = [threading.Thread(target=lambda: [sync(telemetry) for _ in range(10)]) for _ in range(4)]
    with capture_events(step_ms=1) as captured:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(record.span_id for record in captured.records) == list(range(1, 41))


@pytest.mark.parametrize(
    ("ending", "error", "success"),
    [
        (lambda: None, None, True),
        (lambda: sys.exit(0), SystemExit, True),
        (lambda: sys.exit("text"), SystemExit, False),
        (lambda: end_by(ValueError()), ValueError, False),
    ],
)
def test_a_process_ends_in_this_process(ending, error, success, telemetry):
    """The policy's hook is completed as `process()` is left, by how the program ended, as often as asked."""
    with capture_events() as captured:
        for _ in range(2):
            with contextlib.nullcontext() if error is None else pytest.raises(error), captured.process():
                dispatch_cli_event("sync", True, "anonymous", telemetry=telemetry)
                captured.advance(70)
                ending()
        completed = list(captured.outcomes)

    assert completed == captured.outcomes == [("sync", success)] * 2
    assert [event.execution_latency_ms for event in captured.events] == [70, 70]
    assert "last_value" not in vars(sys) or vars(sys)["last_value"] is None


@pytest.mark.parametrize(("answer", "consent", "recorded"), [(True, True, 1), (False, True, 0), (True, False, 0)])
def test_a_program_that_asks_by_itself_still_has_to(answer, consent, recorded):
    """A consent of the capture is the ini's: a program's own switch counts beside it, and a no wins."""
    telemetry = Telemetry("myapp", WORDS, consent=lambda: answer)
    with capture_events(consent=consent) as captured:
        sync(telemetry)
        dispatch_cli_event("sync", answer, "anonymous", telemetry=telemetry, latency_ms=9, success=True)

    assert captured.commands == ["sync"] * 2 * recorded
    assert {event.execution_uuid for event in captured.events} <= {EXECUTION_UUID}


def test_the_programs_own_on_and_off(telemetry):
    """What a program's `telemetry on` and `off` write goes into the capture's ini, and holds."""
    before = tree(Path.cwd().parent)
    with capture_events(ini="") as captured:
        plan = plan_on(telemetry)
        assert not isinstance(plan, str)
        assert plan.carry_out() is None
        sync(telemetry)
        on = captured.commands
        turn_off(telemetry)
        assert isinstance(telemetry.permission(), Denied)
        said = Path(captured.ini).read_text()

    assert on == ["sync"]
    assert f"uuid = {EXECUTION_UUID}" in said
    assert captured.events == []
    assert tree(Path.cwd().parent) == before


def test_our_errors_are_raised(telemetry, monkeypatch):
    """An error of ours reaches the test from the very command in which it arose, as an error and as a refusal."""
    with capture_events() as captured:
        sync(telemetry)
        state = Path(telemetry.status().state_folder)
        state.chmod(0o755)
        with pytest.raises(TelemetryError, match="open to others"):
            sync(telemetry)
        state.chmod(0o700)
        monkeypatch.setattr(telemetry, "state_root", None)
        with pytest.raises(TypeError):
            sync(telemetry)

    assert captured.commands == ["sync"]
    assert guard.notes == []


def test_a_refusal_is_raised_only_while_testing():
    """Elsewhere it is noted, as ever."""
    with errors_raised(), pytest.raises(TelemetryError, match="surprise"):
        guard.note_refusal("surprise")
    guard.note_refusal("surprise")
    assert guard.notes == ["surprise"]


PROGRAM = """
import sys
from franklinwh_telemetry import Telemetry, Vocabulary
telemetry = Telemetry("myapp", Vocabulary(["sync", "restore"]))
with telemetry.command("sync"):
    print("synced")
if "break" in sys.argv:
    telemetry.state_root = None
    with telemetry.command("restore"):
        print("unharmed")
"""


@pytest.mark.parametrize(("consent", "commands"), [(True, ["sync"]), ("myapp", ["sync"]), (False, []), ("other", [])])
def test_a_child_process_records_here(consent, commands, monkeypatch):
    """A real program in a process of its own, with the environment that the capture gives, has the same user."""
    Path(os.environ["HOME"], ".franklinwh.ini").write_text(NO)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.delenv(SENDER_MARK)
    with capture_events(consent=consent) as captured:
        ended = support.run_python(PROGRAM, env=captured.env("myapp"))
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "synced\n", "")
        assert captured.commands == commands

    assert captured.commands == commands
    assert Path(support.state_root()).exists() is False


SESSION = """
import sys, time
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.testing import capture_events
with capture_events() as captured:
    print("open", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[1])):
        with Telemetry("myapp", Vocabulary(["sync"])).command("sync"): pass
    print(len(captured.events), captured.records[-1].span_id, captured.events[0].execution_uuid)
"""


def test_two_test_sessions_at_once_do_not_see_each_other():
    """Captures of two processes that are open at the same time, as those of `pytest -n`, share nothing."""
    script = Path("session.py")
    script.write_text(SESSION)
    sessions = [
        subprocess.Popen(
            [sys.executable, str(script), str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in (3, 5)
    ]
    assert [session.stdout.readline() for session in sessions if session.stdout] == ["open\n", "open\n"]
    said = [session.communicate("go\n")[0] for session in sessions]

    assert said == [f"3 3 {EXECUTION_UUID}\n", f"5 5 {EXECUTION_UUID}\n"]


@pytest.mark.parametrize("name", ["Not a name", "../surprise", ""])
def test_consent_for_an_impossible_name_is_refused(name, monkeypatch, tmp_path):
    """A name that no application can have is the test's error; no folder is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ValueError, match="not an application's name"), capture_events(consent=name):
        pass
    assert tree(tmp_path) == []


def test_a_record_that_is_none_is_raised(telemetry):
    """What lies in the spool and cannot be read back is a defect, and not passed over."""
    with capture_events() as captured:
        sync(telemetry)
        (spool,) = existing_spools(str(Path(telemetry.status().state_folder).parent), "myapp")
        Path(spool.path("new"), "000000000000001-0000000000000001").write_text("surprise")
        with pytest.raises(TelemetryError, match="not JSON"):
            captured.events  # noqa: B018 - reading it is what raises
        Path(spool.path("new"), "000000000000001-0000000000000001").unlink()

    assert captured.commands == ["sync"]


def test_a_childs_environment_keeps_the_rest(monkeypatch):
    """All else of the environment stays, and so does what is installed for this user alone."""
    monkeypatch.setenv("PYTHONUSERBASE", "/surprise")
    monkeypatch.setenv("MYAPP_SETTING", "1")
    with capture_events() as captured:
        env = captured.env("myapp")
        assert (env["PYTHONUSERBASE"], env["MYAPP_SETTING"], env["HOME"]) == ("/surprise", "1", captured.home)
        monkeypatch.delenv("PYTHONUSERBASE")
        code = "import site; print(site.getuserbase())"
        found = support.run([sys.executable, "-c", code], env=captured.env("myapp"))
        assert found.stdout == f"{site.getuserbase()}\n"
        assert captured.home not in found.stdout


def test_what_a_child_has_swallowed_is_raised_at_the_end():
    """The child is unharmed; its error comes out as the capture is left, unless something else does already."""

    def broken_child(error):
        with capture_events() as captured:
            seen.append(captured)
            ended = support.run_python(PROGRAM, "break", env=captured.env("myapp"))
            assert (ended.returncode, ended.stdout, ended.stderr) == (0, "synced\nunharmed\n", "")
            end_by(error)

    seen: list[Captured] = []
    with pytest.raises(TelemetryError, match=r"myapp: TypeError in recorder\.py"):
        broken_child(None)
    with pytest.raises(ValueError, match="surprise"):
        broken_child(ValueError("surprise"))
    assert [captured.commands for captured in seen] == [["sync"], ["sync"]]


def test_what_would_be_sent_is_shown_by_the_command_line():
    """`show --pending --raw` in a child gives the exact request for what was captured, the same every time."""
    command = [sys.executable, "-m", "franklinwh_telemetry", "show", "--pending", "--raw"]
    remote = Telemetry("myapp", WORDS, destination="https://collector.example")

    def show():
        with capture_events() as captured:
            sync(remote)
            return support.run(command, text=False, env=captured.env("myapp"))

    shown, again = show(), show()
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert shown.stdout == again.stdout
    assert shown.stdout.startswith(b"POST /v1/traces HTTP/1.1\r\nHost: collector.example\r\n")
    assert str(EXECUTION_UUID).encode() in shown.stdout


def test_a_forked_child_shares_the_capture_and_leaves_it_alone(telemetry):
    """What a child forked in a capture records is there too, with ids of its own; its end takes nothing away."""
    with capture_events() as captured:
        manager = capture_events()
        inner = manager.__enter__()
        pid = os.fork()
        if pid == 0:
            try:
                sync(telemetry)
                manager.__exit__(None, None, None)
            finally:
                os._exit(not Path(captured.home).exists())
        _pid, status = os.waitpid(pid, 0)
        sync(telemetry)
        manager.__exit__(None, None, None)

    assert status == 0
    assert captured.commands == []
    spans = [record.span_id for record in inner.records]
    assert len(set(spans)) == 2
    assert 1 in spans


def test_nothing_is_loaded_for_it_and_it_is_loaded_for_nothing():
    """The module loads no test framework and no OpenTelemetry, and no program loads it unasked."""
    code = """
import sys
before = set(sys.modules)
from franklinwh_telemetry import Telemetry, Vocabulary, dispatch_cli_event
with Telemetry("myapp", Vocabulary(["sync"])).command("sync"): pass
dispatch_cli_event("sync", True, "anonymous", latency_ms=1)
print([name for name in ("testing", "standin") if f"franklinwh_telemetry.{name}" in sys.modules])
from franklinwh_telemetry.testing import capture_events
with capture_events() as captured:
    with Telemetry("myapp", Vocabulary(["sync"])).command("sync"): pass
assert captured.commands == ["sync"]
print(sorted({name.split(".")[0] for name in set(sys.modules) - before} & {
    "pytest", "_pytest", "unittest", "opentelemetry", "requests", "urllib3", "click", "socket", "asyncio"}))
"""
    Path("franklinwh.ini").write_text(CONSENT)

    ended = support.run_python(code)

    assert (ended.stdout, ended.stderr) == ("[]\n[]\n", "")
