"""
The wrapper around a command: it reads two clocks and changes nothing else.
"""

from __future__ import annotations

import functools
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from franklinwh_telemetry import process
from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.outcome import succeeded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType

    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.vocabulary import Command

Wrapped = TypeVar("Wrapped")

_running: ContextVar[tuple[Run, ...]] = ContextVar("franklinwh_telemetry_running", default=())

_GENERATOR: Final = 0x20
_COROUTINE: Final = 0x80
_ITERABLE_COROUTINE: Final = 0x100
_ASYNC_GENERATOR: Final = 0x200
"""Code flags of `inspect`, which is not imported on the user's path."""


class Run:
    """One run of a command: its beginning by both clocks, and whether it has said that it failed."""

    __slots__ = ("command", "executed_at_ms", "has_failed", "pid", "scope", "started_ns", "was_interrupted")

    def __init__(self, scope: CommandScope, command: Command) -> None:
        self.scope = scope
        self.command = command
        self.pid = os.getpid()
        self.has_failed = False
        self.was_interrupted = False
        self.executed_at_ms = process.now_ns() // 1_000_000
        self.started_ns = process.monotonic_ns()

    def failed(self) -> None:
        """Say that this run has failed, although it may end without an exception."""
        self.has_failed = True

    def noting_interrupt(self, main: Any) -> Any:
        """
        *main*, called so that a Ctrl-C in it is noted where it is a click command.

        click from 8.5 on turns a Ctrl-C into status 1 and lets nobody outside know why.
        """
        if not hasattr(main, "make_context"):
            return main()
        given, of_class = vars(main).get("invoke"), main.invoke

        def invoke(context: Any) -> Any:
            try:
                return of_class(context)
            except KeyboardInterrupt:
                self.was_interrupted = True
                raise

        main.invoke = invoke
        try:
            return main()
        finally:
            if given is None:
                del main.invoke
            else:
                main.invoke = given

    def end(self, error: BaseException | None) -> None:
        """Record this run; in a process forked since its beginning, nothing is recorded."""
        if os.getpid() == self.pid:
            until_interrupted = self.scope.until_interrupted
            ended_well = succeeded(error, until_interrupted=until_interrupted)
            ended_well |= until_interrupted and self.was_interrupted
            success = ended_well and not self.has_failed
            self.scope.telemetry.finish(self, success=success)


class CommandScope:
    """What `Telemetry.command()` returns: a decorator and a context manager; reusable, reentrant, thread-safe."""

    __slots__ = ("_known", "_name", "telemetry", "until_interrupted")

    def __init__(self, telemetry: Telemetry, name: str | None, *, until_interrupted: bool) -> None:
        self.telemetry = telemetry
        self.until_interrupted = until_interrupted
        self._name = name
        self._known: dict[str, Command] = {}

    def failed(self) -> None:
        """Say that the run of this command under way here (task or thread) has failed."""
        for run in reversed(_running.get()):
            if run.scope is self:
                run.failed()
                return

    def begin(self, function_name: str = "") -> Run:
        """Start the clocks of one run."""
        vocabulary = self.telemetry.vocabulary
        command = vocabulary.other
        with guard:
            command = self._look_up(function_name)
        return Run(self, command)

    def _look_up(self, function_name: str) -> Command:
        known = self._known.get(function_name)
        if known is None:
            vocabulary = self.telemetry.vocabulary
            name = self._name if self._name is not None else function_name
            known = vocabulary.member(name) or vocabulary.parse(name)
            if self._name is None and known == vocabulary.other:
                known = vocabulary.parse(function_name.replace("_", "-"))
            self._known[function_name] = known
        return known

    def __enter__(self) -> Run:
        run = self.begin()
        _running.set((*_running.get(), run))
        return run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runs = _running.get()
        for index in range(len(runs) - 1, -1, -1):
            if runs[index].scope is self:
                _running.set(runs[:index] + runs[index + 1 :])
                runs[index].end(error)
                return

    def __call__(self, function: Wrapped) -> Wrapped:
        """Wrap *function*, of whatever kind; the wrapper is of the same kind and keeps its metadata."""
        if isinstance(function, (classmethod, staticmethod)):
            return cast("Wrapped", type(function)(self(function.__func__)))
        flags = _flags(function)
        if flags & _ASYNC_GENERATOR:
            wrapper = self._wrap_async_generator(cast("Any", function))
        elif flags & (_COROUTINE | _ITERABLE_COROUTINE):
            wrapper = self._wrap_coroutine(cast("Any", function))
        elif flags & _GENERATOR:
            wrapper = self._wrap_generator(cast("Any", function))
        else:
            wrapper = self._wrap_function(cast("Any", function))
        return cast("Wrapped", functools.update_wrapper(wrapper, cast("Any", function)))

    def _wrap_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = _name(function)

        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            with _Running(self, name):
                return function(*arguments, **keywords)

        return wrapper

    def _wrap_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = _name(function)

        async def wrapper(*arguments: Any, **keywords: Any) -> Any:
            with _Running(self, name):
                return await function(*arguments, **keywords)

        return wrapper

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = _name(function)

        def wrapper(*arguments: Any, **keywords: Any) -> Generator[Any, Any, Any]:
            inner = function(*arguments, **keywords)
            resume, value = inner.send, None
            with _Running(self, name, visible=False) as running:
                while True:
                    try:
                        with running.shown():
                            item = resume(value)
                    except StopIteration as stop:
                        return stop.value
                    try:
                        resume, value = inner.send, (yield item)
                    except GeneratorExit:
                        inner.close()
                        raise
                    except BaseException as error:  # noqa: BLE001 - handed on to the wrapped generator
                        resume, value = inner.throw, error

        return wrapper

    def _wrap_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = _name(function)

        async def wrapper(*arguments: Any, **keywords: Any) -> AsyncGenerator[Any, Any]:
            inner = function(*arguments, **keywords)
            resume, value = inner.asend, None
            with _Running(self, name, visible=False) as running:
                while True:
                    try:
                        with running.shown():
                            item = await resume(value)
                    except StopAsyncIteration:
                        return
                    try:
                        resume, value = inner.asend, (yield item)
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001 - handed on to the wrapped generator
                        resume, value = inner.athrow, error

        return wrapper


def current_run() -> Run | None:
    """The innermost run of a command under way in this task or thread."""
    runs = _running.get()
    return runs[-1] if runs else None


class _Running:
    """One run as a context; while it is shown, its scope's `failed()` finds it."""

    __slots__ = ("_run", "_visible")

    def __init__(self, scope: CommandScope, name: str, *, visible: bool = True) -> None:
        self._visible = visible
        self._run = scope.begin(name)

    def __enter__(self) -> _Running:
        if self._visible:
            _running.set((*_running.get(), self._run))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._visible:
            _hide(self._run)
        self._run.end(error)

    def shown(self) -> _Shown:
        """A context in which the run is visible: one step of a generator, which shares its caller's context."""
        return _Shown(self._run)


class _Shown:
    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        _running.set((*_running.get(), self._run))

    def __exit__(self, *_error: object) -> None:
        _hide(self._run)


def _hide(run: Run) -> None:
    _running.set(tuple(other for other in _running.get() if other is not run))


def _flags(function: object) -> int:
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    flags = getattr(code, "co_flags", 0)
    # Marked by inspect.markcoroutinefunction (3.12) or asyncio's own marker: a plain def that returns an awaitable.
    marked = getattr(function, "_is_coroutine_mark", None) or getattr(function, "_is_coroutine", None)
    return int(flags) | (_COROUTINE if marked else 0)


def _name(function: object) -> str:
    return str(getattr(function, "__name__", ""))
