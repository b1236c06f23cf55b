"""Commands in asyncio: however they end, latency and success are right, and the program sees its own exceptions."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import gc
import inspect
import os
import signal
import sys
import traceback
from pathlib import Path

import pytest

import support
from franklinwh_telemetry import Telemetry, Vocabulary

WORDS = Vocabulary(["status", "mode", "watch"], until_interrupted=["watch"])

EXCEPTION_GROUP = getattr(builtins, "ExceptionGroup", Exception)
groups = pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")


@pytest.fixture
def telemetry(captured):
    """The telemetry of such an application; each event is to be found in `captured`."""
    return Telemetry(support.APPLICATION, WORDS)


def latencies(captured):
    return {str(event.command): event.execution_latency_ms for event in captured.events}


def test_a_timeout_has_failed(telemetry, captured):
    """The caller's own time limit cancels the command, which has not done its work, and the caller sees a timeout."""

    @telemetry.command("status")
    async def work():
        await asyncio.sleep(60)

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(work(), 0.01)

    asyncio.run(main())
    assert captured.outcomes == [("status", False)]


def test_a_cancellation_that_is_handled_is_no_failure(telemetry, captured):
    """A command that ends its work in an orderly way when it is cancelled has succeeded."""

    @telemetry.command("status")
    async def work():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "saved"

    async def main():
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert asyncio.run(main()) == "saved"
    assert captured.outcomes == [("status", True)]


def test_a_cancelled_task_never_started_is_no_execution(telemetry, captured):
    """What was cancelled before its first step has not run."""

    @telemetry.command("status")
    async def work():
        pass

    async def main():
        task = asyncio.create_task(work())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert captured.events == []


@groups
def test_of_a_task_group_each_task_has_its_own_success(telemetry, captured):
    """One task fails, its sibling is cancelled, the third had ended; the group's error holds the original object."""
    original = ValueError("no")

    @telemetry.command("status")
    async def fails():
        await asyncio.sleep(0.01)
        raise original

    @telemetry.command("mode")
    async def waits():
        await asyncio.sleep(60)

    @telemetry.command("watch", until_interrupted=True)
    async def ends():
        pass

    async def main():
        async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined] # newer than 3.10
            for function in (fails, waits, ends):
                group.create_task(function())

    with pytest.raises(EXCEPTION_GROUP) as raised:
        asyncio.run(main())
    assert raised.value.exceptions == (original,)
    assert sorted(captured.outcomes) == [("mode", False), ("status", False), ("watch", True)]


@groups
def test_an_exception_group_passes_unchanged(telemetry, captured):
    """A group that a command raises is the very object that its caller gets, and `except*` takes it apart."""
    group = EXCEPTION_GROUP("several", [ValueError("a"), KeyError("b")])

    @telemetry.command("status")
    def work():
        raise group

    with pytest.raises(EXCEPTION_GROUP) as raised:
        work()
    assert raised.value is group
    assert captured.outcomes == [("status", False)]


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_the_exception_is_the_programs_own(telemetry, captured, kind):
    """Object, cause, context, notes and the program's own frames of the traceback are as they were raised."""
    cause, original = KeyError("cause"), ValueError("original")

    def fail():
        raise original from cause

    @telemetry.command("status")
    def function():
        fail()

    @telemetry.command("status")
    async def coroutine():
        fail()

    @telemetry.command("status")
    def generator():
        yield fail()

    @telemetry.command("status")
    async def async_generator():
        yield fail()

    calls = {
        "function": function,
        "coroutine": lambda: asyncio.run(coroutine()),
        "generator": lambda: next(generator()),
        "async generator": lambda: asyncio.run(anext_of(async_generator())),
    }
    with pytest.raises(ValueError, match="original") as raised:
        calls[kind]()

    assert (raised.value, raised.value.__cause__, raised.value.__context__) == (original, cause, None)
    names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert names[-2:] == [kind.replace(" ", "_"), "fail"]
    assert captured.outcomes == [("status", False)]


async def anext_of(generator):
    return await generator.__anext__()


def test_nested_commands_have_their_own_clocks(telemetry, captured):
    """A command inside another takes its own time, and the outer one all of it; a failure inside stays inside."""

    @telemetry.command("mode")
    async def inner():
        captured.advance(20)
        raise ValueError

    @telemetry.command("status")
    async def outer():
        captured.advance(100)
        with contextlib.suppress(ValueError):
            await inner()
        captured.advance(3)

    asyncio.run(outer())

    assert captured.outcomes == [("mode", False), ("status", True)]
    assert latencies(captured) == {"mode": 20, "status": 123}


def test_what_a_command_starts_does_not_outlive_it(telemetry, captured):
    """A task that a command has started and left behind says nothing about the command any more, nor about others."""
    outer, failing = telemetry.command("status"), []

    async def left_behind():
        await asyncio.sleep(0.02)
        outer.failed()
        failing.append(True)

    @outer
    async def work():
        return asyncio.create_task(left_behind())

    async def main():
        await (await work())

    asyncio.run(main())
    assert failing == [True]
    assert captured.outcomes == [("status", True)]


def test_a_thread_that_a_command_waits_for_can_say_that_it_failed(telemetry, captured):
    """`asyncio.to_thread` carries the context, so that the work in the thread speaks for the command."""
    scope = telemetry.command("status")

    @scope
    async def work():
        await asyncio.to_thread(scope.failed)

    asyncio.run(work())
    assert captured.outcomes == [("status", False)]


@pytest.mark.parametrize("how", ["closed", "left", "collected"])
def test_an_async_generator_ended_early_has_succeeded(telemetry, captured, how):
    """A consumer that has seen enough is no failure; the generator's own cleaning up is part of its time."""
    cleaned = []

    @telemetry.command("status")
    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            captured.advance(7)
            cleaned.append(True)

    async def main():
        stream = numbers()
        if how == "left":
            async for _number in stream:
                break
        else:
            await stream.__anext__()
        if how == "closed":
            await stream.aclose()
        del stream
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert cleaned == [True]
    assert captured.outcomes == [("status", True)]
    assert captured.events[0].execution_latency_ms == 7


def test_a_generator_is_thrown_into_as_without_us(telemetry, captured):
    """What is thrown into a generator arrives inside, and what it makes of it comes out."""

    @telemetry.command("status")
    def numbers():
        try:
            yield 1
        except KeyError:
            yield "handled"
        return "end"

    stream = numbers()
    assert (next(stream), stream.throw(KeyError("x"))) == (1, "handled")
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert stop.value.value == "end"
    assert captured.outcomes == [("status", True)]


def test_every_kind_stays_what_it_is(telemetry):
    """Frameworks ask what a callable is, how it is called and where it comes from: the answers are the function's."""

    def function(a: int, *, b: str = "x") -> bool:
        """Words."""
        return bool(a and b)

    async def coroutine(a: int, *, b: str = "x") -> bool:
        """Words."""
        return bool(a and b)

    def generator(a: int, *, b: str = "x"):
        """Words."""
        yield a, b

    async def async_generator(a: int, *, b: str = "x"):
        """Words."""
        yield a, b

    asks = (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.signature,
        inspect.unwrap,
        inspect.getsource,
        inspect.getdoc,
    )
    for original in (function, coroutine, generator, async_generator):
        wrapped = telemetry.command("status")(original)
        assert wrapped.__wrapped__ is original
        assert [ask(wrapped) for ask in asks] == [ask(original) for ask in asks]
        assert (wrapped.__module__, wrapped.__qualname__) == (original.__module__, original.__qualname__)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize(("command", "success"), [("watch", True), ("status", False)])
def test_ctrl_c_in_an_event_loop(command, success):
    """Asyncio makes a cancellation of Ctrl-C: the end of what runs until then, and the failure of what does not."""
    Path("franklinwh.ini").write_text(support.CONSENT, encoding="utf-8")
    Path("franklinwh.ini").chmod(0o600)
    code = (
        "import asyncio, os, signal\n"
        "from franklinwh_telemetry import Telemetry, Vocabulary\n"
        f"telemetry = Telemetry({support.APPLICATION!r}, Vocabulary(['watch', 'status']))\n"
        f"@telemetry.command({command!r}, until_interrupted={success})\n"
        "async def work():\n"
        "    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)\n"
        "    await asyncio.sleep(30)\n"
        "asyncio.run(work())\n"
    )

    done = support.run_python(code)

    assert done.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert [(fields["command"], fields["success"]) for fields in support.waiting()] == [(command, success)]
