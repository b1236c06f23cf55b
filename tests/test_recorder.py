from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest

import support
from franklinwh_telemetry import Telemetry, Vocabulary, guard, loopqueue
from franklinwh_telemetry.testing import errors_raised
from support import CONSENT, VERSION_4, posix_only

WORDS = Vocabulary(["status", "mode", "tou --set", "set-mode", "watch"])


@pytest.fixture
def telemetry(captured):
    """The telemetry of such an application; each event is to be found in `captured`."""
    return Telemetry(support.APPLICATION, WORDS)


@pytest.fixture
def installed():
    """The telemetry of an application whose user has said yes in the working directory's ini."""
    Path("franklinwh.ini").write_text(CONSENT)
    with errors_raised():
        yield Telemetry(support.APPLICATION, WORDS)


def facts():
    return [(record["command"], record["success"]) for record in support.waiting()]


def test_function_keeps_result_and_metadata(telemetry, captured):
    """A decorated function returns what it returned, and looks as it looked."""

    def add(left: int, right: int = 2) -> int:
        """Add."""
        return left + right

    wrapped = telemetry.command("status")(add)

    assert wrapped(1, right=4) == 5
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__) == ("add", "Add.", add)
    assert captured.outcomes == [("status", True)]


def test_exception_passes_unchanged(telemetry, captured):
    """The very exception object leaves the wrapper, and the command has failed."""
    error = ValueError("secret")

    @telemetry.command("status")
    def fail():
        raise error

    with pytest.raises(ValueError, match="secret") as raised:
        fail()

    assert raised.value is error
    assert error.__cause__ is error.__context__ is None
    assert captured.outcomes == [("status", False)]
    assert "secret" not in str(captured.records)


@pytest.mark.parametrize(
    ("ending", "success"),
    [
        (SystemExit(), True),
        (SystemExit(0), True),
        (SystemExit(256), True),
        (SystemExit(1), False),
        (SystemExit("text"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_exits_and_interrupts(telemetry, captured, ending, success):
    """An exit status other than 0 is a failure, and so is Ctrl-C."""

    @telemetry.command("status")
    def end():
        raise ending

    with pytest.raises(type(ending)):
        end()

    assert captured.outcomes == [("status", success)]


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(130)])
def test_until_interrupted(telemetry, captured, ending):
    """A command that is meant to run until Ctrl-C has succeeded when it ends so."""

    @telemetry.command("watch", until_interrupted=True)
    def watch():
        raise ending

    with pytest.raises(type(ending)):
        watch()

    assert captured.outcomes == [("watch", True)]


def test_coroutine_function_stays_one(telemetry, captured):
    """An async function is awaited as before; in a loop the event waits in memory until `flush()`."""

    @telemetry.command("status")
    async def work(value):
        await asyncio.sleep(0)
        captured.advance(20)
        return value

    async def main():
        assert await work(7) == 7

    assert asyncio.iscoroutinefunction(work)
    asyncio.run(main())
    assert telemetry.status().pending == 0
    telemetry.flush()
    assert telemetry.status().pending == 1
    assert captured.outcomes == [("status", True)]
    assert captured.events[0].execution_latency_ms == 20


def test_cancelled_task_has_failed(telemetry, captured):
    """Cancelling a task ends its command without success, and the cancellation goes on."""

    @telemetry.command("status")
    async def work():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert captured.outcomes == [("status", False)]


def test_queue_reaches_the_spool_at_exit():
    """A program that records in its loop and never flushes loses nothing when it ends."""
    Path("franklinwh.ini").write_text(CONSENT)
    code = """
import asyncio
from franklinwh_telemetry import Telemetry, Vocabulary
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
@telemetry.command("status")
async def main(): pass
asyncio.run(main())
"""
    ended = support.run_python(code)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert facts() == [("status", True)]


def test_queue_is_bounded_and_forgets_when_consent_goes(installed):
    """At most 1,000 events wait in memory, and none is written after a no."""

    @installed.command("status")
    async def work():
        pass

    async def main():
        for _ in range(1_005):
            await work()

    asyncio.run(main())
    installed.flush()
    assert (len(support.waiting()), installed.status().counts["dropped_queue_full"]) == (1_000, 5)
    asyncio.run(main())
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = false\n")
    installed.flush()
    assert support.waiting() == []


def test_threads_that_are_first_at_once_share_a_queue(installed, monkeypatch):
    """An event that another thread's loop records while this one's queue is being made is not lost with it."""
    make = loopqueue.LoopQueue
    others: list[threading.Thread] = []

    async def record():
        with installed.command("status"):
            await asyncio.sleep(0)

    def make_late():
        if not others:
            others.append(threading.Thread(target=asyncio.run, args=(record(),)))
            others[0].start()
            others[0].join()
        return make()

    monkeypatch.setattr(loopqueue, "LoopQueue", make_late)
    asyncio.run(record())
    installed.flush()

    assert len(support.waiting()) == 2


@pytest.mark.parametrize("trouble", ["in_the_way", "full"])
def test_queue_waits_where_it_cannot_be_written(monkeypatch, trouble):
    """What one `flush()` cannot write the next one does, and what the queue has lost meanwhile is counted once."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("franklinwh.ini").write_text(CONSENT)
    telemetry = Telemetry(support.APPLICATION, WORDS)

    @telemetry.command("status")
    async def work():
        pass

    async def main(times):
        for _ in range(times):
            await work()

    state = Path(os.environ["XDG_STATE_HOME"])
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(mode=0o700)
    in_the_way = state / "franklinwh-telemetry"
    asyncio.run(main(1_002))
    with monkeypatch.context() as patch:
        if trouble == "full":
            patch.setattr(os, "mkdir", full)
        else:
            in_the_way.touch()
        telemetry.flush()
        asyncio.run(main(3))
        telemetry.flush()
    in_the_way.unlink(missing_ok=True)
    assert support.waiting() == []
    telemetry.flush()
    assert (len(support.waiting()), telemetry.status().counts["dropped_queue_full"]) == (1_000, 5)


def test_generator_passes_everything_through(telemetry, captured):
    """Values sent, exceptions thrown and the returned value reach the same place as without the wrapper."""
    seen = []

    @telemetry.command("status")
    def work():
        seen.append((yield 1))
        try:
            yield 2
        except ValueError as error:
            seen.append(error)
        return 3

    generator = work()
    error = ValueError()
    assert next(generator) == 1
    assert generator.send("sent") == 2
    with pytest.raises(StopIteration) as stopped:
        generator.throw(error)
    assert (stopped.value.value, seen) == (3, ["sent", error])
    assert captured.outcomes == [("status", True)]


def test_generator_closed_early_has_succeeded(telemetry, captured):
    """A consumer that has seen enough ends the command well, and `finally` blocks run at once."""
    closed = []

    @telemetry.command("status")
    def work():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    generator = work()
    next(generator)
    generator.close()

    assert closed == [True]
    assert captured.outcomes == [("status", True)]


def test_async_generator_passes_everything_through(telemetry, captured):
    """The same for async generators, closing early included."""
    seen = []

    @telemetry.command("status")
    async def work():
        try:
            seen.append((yield 1))
            yield 2
        finally:
            seen.append("closed")

    async def main():
        generator = work()
        assert await generator.__anext__() == 1
        assert await generator.asend("sent") == 2
        await generator.aclose()
        failing = work()
        await failing.__anext__()
        with pytest.raises(ValueError, match="thrown"):
            await failing.athrow(ValueError("thrown"))
        assert [item async for item in work()] == [1, 2]

    asyncio.run(main())
    assert seen == ["sent", "closed", "closed", None, "closed"]
    assert captured.outcomes == [("status", True), ("status", False), ("status", True)]


def test_methods_of_every_kind(telemetry, captured):
    """Methods, class methods and static methods keep their binding."""

    class Device:
        @telemetry.command("status")
        def own(self):
            return self

        @telemetry.command("status")
        @classmethod
        def shared(cls):
            return cls

        @staticmethod
        @telemetry.command("status")
        def free():
            return "free"

    device = Device()
    assert (device.own(), device.shared(), Device.free()) == (device, Device, "free")
    assert captured.outcomes == [("status", True)] * 3


def test_context_manager_and_failed(telemetry, captured):
    """`failed()` makes a failure of what ends without an exception, for the run it is called in alone."""
    with telemetry.command("status") as command:
        command.failed()
    scope = telemetry.command("mode")

    @scope
    def told():
        scope.failed()

    @scope
    def nested(depth):
        if depth:
            nested(0)
            scope.failed()

    told()
    nested(1)
    assert captured.outcomes == [("status", False), ("mode", False), ("mode", True), ("mode", False)]


def test_failed_finds_the_run_of_its_own_generator(telemetry, captured):
    """Inside a generator `failed()` marks that generator's run, and not its consumer's."""
    inner, outer = telemetry.command("mode"), telemetry.command("status")

    @inner
    def items():
        yield 1
        inner.failed()
        yield 2

    @outer
    def consume():
        return list(items())

    assert consume() == [1, 2]
    assert captured.outcomes == [("mode", False), ("status", True)]


def test_concurrent_runs_do_not_mix(telemetry, captured):
    """Two tasks of one decorated function each have their own success."""
    scope = telemetry.command("status")

    @scope
    async def work(fail):
        await asyncio.sleep(0.01)
        if fail:
            scope.failed()
        await asyncio.sleep(0.01)

    async def main():
        await asyncio.gather(work(True), work(False))

    asyncio.run(main())
    assert sorted(captured.outcomes) == [("status", False), ("status", True)]


@pytest.mark.parametrize(
    ("name", "function_name", "expected"),
    [
        (None, "status", "status"),
        (None, "set_mode", "set-mode"),
        (None, "surprise", "other"),
        ("tou --set", "x", "tou --set"),
        ("hunter2", "status", "other"),
    ],
)
def test_names_come_from_the_vocabulary_or_are_other(telemetry, captured, name, function_name, expected):
    """A decorator's name, or the function's own, is reported only where it is listed."""

    def function():
        pass

    function.__name__ = function_name
    telemetry.command(name)(function)()

    assert captured.outcomes == [(expected, True)]


@pytest.mark.parametrize(
    ("result", "success"), [(None, True), (0, True), (3, False), (True, False), ("text", True), (256, True)]
)
def test_run_reads_what_main_returns(telemetry, captured, result, success):
    """A whole number other than 0, as `sys.exit(main())` takes it, is a failure; the result is handed back."""
    assert telemetry.run(lambda: result, ["status"]) == result
    assert captured.outcomes == [("status", success)]


def test_run_raises_what_main_raises(telemetry, captured):
    """An exit inside `main` leaves `run` as it came."""
    with pytest.raises(SystemExit) as raised:
        telemetry.run(lambda: sys.exit(5), ["status"])

    assert raised.value.code == 5
    assert captured.outcomes == [("status", False)]


@posix_only
def test_a_fork_inside_a_command_records_once(installed):
    """Only the process that began a command records its end."""
    with installed.command("status"):
        pid = os.fork()
        if pid == 0:
            try:
                with installed.command("mode"):
                    pass
            finally:
                os._exit(0) if len(support.waiting()) == 1 else os._exit(1)
        _pid, status = os.waitpid(pid, 0)

    assert status == 0
    assert sorted(facts()) == [("mode", True), ("status", True)]


def test_threads_record_each_their_own(installed):
    """Eight threads of one program lose nothing."""
    work = installed.command("status")(lambda: None)
    threads = [threading.Thread(target=lambda: [work() for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    records = support.waiting()
    assert len(records) == len({record["span_id"] for record in records}) == 160


def test_clocks_and_ids_are_real_ones(installed):
    """Outside of tests the time is the machine's, the latency what it took, and no two events share an id."""
    before_ms = time.time_ns() // 1_000_000
    for _ in range(2):
        with installed.command("status"):
            time.sleep(0.02)

    first, second = support.waiting()
    assert before_ms <= first["executed_at_ms"] <= second["executed_at_ms"] - 20
    assert all(20 <= record["execution_latency_ms"] < 10_000 for record in (first, second))
    assert min(int(record["trace_id"], 16) for record in (first, second)) > 2**64
    assert first["trace_id"] != second["trace_id"]


def test_no_consent_makes_nothing(installed):
    """Without an ini nothing is recorded and nothing is made."""
    Path("franklinwh.ini").unlink()

    installed.command("status")(lambda: None)()

    assert not Path(support.state_root()).exists()


def test_consent_is_read_live(installed):
    """A no written while the program runs holds for the next command, and discards what waits."""
    work = installed.command("status")(lambda: None)
    work()
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = false\n")
    work()

    assert support.waiting() == []


@pytest.mark.parametrize(
    ("answer", "recorded"), [(True, True), (UUID(VERSION_4), True), (False, False), ("true", False), (None, False)]
)
def test_host_consent(answer, recorded):
    """A host that keeps the switch itself answers True or the user's UUID; anything else is a no."""
    telemetry = Telemetry("myapp", WORDS, consent=lambda: answer)

    telemetry.command("status")(lambda: None)()

    records = support.waiting("myapp")
    assert bool(records) is recorded
    if isinstance(answer, UUID):
        assert records[0]["execution_uuid"] == VERSION_4


def test_discard_withdraws_a_hosts_consent():
    """`discard()` empties the spool and takes the grant away, so that no sender finds a yes."""
    telemetry = Telemetry("myapp", WORDS, consent=lambda: True)
    telemetry.command("status")(lambda: None)()

    telemetry.discard()

    assert support.waiting("myapp") == []
    assert support.only_spool("myapp").manifest() is None


def test_two_applications_cannot_be_linked():
    """Each application has its own UUID, and a yes to one is none to the other."""
    for name in ("one", "two"):
        Telemetry(name, WORDS, consent=lambda: True).command("status")(lambda: None)()
    Path("franklinwh.ini").write_text(CONSENT)
    Telemetry("three", WORDS).command("status")(lambda: None)()

    (one,), (two,) = support.waiting("one"), support.waiting("two")
    assert one["execution_uuid"] != two["execution_uuid"]
    assert support.waiting("three") == []


def test_a_bad_application_name_is_the_developers_error():
    """A name that could not stand in a path, an ini and a span is refused where it is written."""
    with pytest.raises(ValueError, match="application must match"):
        Telemetry("../surprise", WORDS)


def test_internal_errors_are_swallowed_and_counted():
    """Our own error never reaches the program; `status` tells of it, without its text."""
    Path("franklinwh.ini").write_text(CONSENT)
    telemetry = Telemetry(support.APPLICATION, WORDS)
    work = telemetry.command("status")(lambda: "result")
    work()
    spool = support.only_spool()
    for name in ("new", "tmp"):
        for left in os.listdir(spool.path(name)):
            os.unlink(spool.path(f"{name}/{left}"))
        os.rmdir(spool.path(name))
        Path(spool.path(name)).write_text("a file in the way")

    assert work() == "result"

    status = telemetry.status()
    assert status.counts["errors"] == 1
    assert "secret" not in status.last_error
    assert guard.notes[0] in status.last_error


def test_errors_are_raised_while_testing_is_active(telemetry):
    """Our own tests and a developer's see our errors."""
    telemetry.state_root = None

    with pytest.raises(TypeError):
        telemetry.command("status")(lambda: None)()


def test_status_says_which_rule_decided(installed):
    """On or off, and the file or variable that decided."""
    on = installed.status()
    os.environ["DO_NOT_TRACK"] = "1"
    try:
        off = installed.status()
    finally:
        del os.environ["DO_NOT_TRACK"]

    assert (on.enabled, off.enabled) == (True, False)
    assert str(Path("franklinwh.ini").resolve()) in on.decision
    assert "DO_NOT_TRACK" in off.decision


def test_a_listed_line_is_recorded_without_what_reads_lines_and_records():
    """For a line that is listed word for word, neither what reads it by a grammar nor what reads records is loaded."""
    Path("franklinwh.ini").write_text(CONSENT)
    code = """
import sys
from franklinwh_telemetry import Telemetry
from franklinwh_telemetry.vocabularies import franklinwh_cloud
Telemetry("franklinwh-cloud", franklinwh_cloud.vocabulary()).run(lambda: None, ["energy", "--describe"])
print(*sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith("franklinwh_telemetry.")))
"""
    ended = support.run_python(code)

    assert ended.stderr == ""
    assert facts() == [("energy --describe", True)]
    loaded = set(ended.stdout.split())
    assert {"event", "vocabulary"} <= loaded
    assert loaded.isdisjoint({"clickreading", "decoding", "entry", "grammar", "lines", "reading"})


def test_importing_and_recording_loads_no_opentelemetry():
    """Neither import nor record nor flush loads OpenTelemetry, requests or click, or starts a thread."""
    Path("franklinwh.ini").write_text(CONSENT)
    code = """
import sys, threading
from franklinwh_telemetry import Telemetry, Vocabulary
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
telemetry.command("status")(lambda: None)()
telemetry.flush(); telemetry.status()
assert threading.enumerate() == [threading.main_thread()]
def is_third_party(module): return "site-packages" in (getattr(module, "__file__", None) or "")
third_party = [name for name, module in sys.modules.items() if is_third_party(module) and "." not in name]
print(sorted(set(third_party) - {"franklinwh_telemetry"}))
"""
    ended = support.run_python(code, env={**os.environ, "PYTHONNOUSERSITE": "1"})

    loaded = ended.stdout.strip()
    assert ended.stderr == ""
    assert not [name for name in ("opentelemetry", "requests", "urllib3", "click", "google") if f"'{name}'" in loaded]
