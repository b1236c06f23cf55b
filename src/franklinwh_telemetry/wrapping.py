"""
The decorator around a command: a wrapper of the same kind as what it wraps, whose every run is recorded.

Imported where something is decorated, not by a whole program under `Telemetry.run`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType
    from typing import TypeVar

    from franklinwh_telemetry.scope import CommandScope, Run

    Wrapped = TypeVar("Wrapped")

_GENERATOR: Final = 0x20
_COROUTINE: Final = 0x80
_ITERABLE_COROUTINE: Final = 0x100
_ASYNC_GENERATOR: Final = 0x200
"""Code flags of `inspect`, which is not imported on the user's path."""


def wrap(scope: CommandScope, function: Wrapped) -> Wrapped:
    """Wrap *function*, of whatever kind; the wrapper is of the same kind and keeps its metadata."""
    if isinstance(function, (classmethod, staticmethod)):
        return cast("Wrapped", type(function)(wrap(scope, function.__func__)))
    flags = _flags(function)
    if flags & _ASYNC_GENERATOR:
        wrapper = _wrap_async_generator(scope, cast("Any", function))
    elif flags & (_COROUTINE | _ITERABLE_COROUTINE):
        wrapper = _wrap_coroutine(scope, cast("Any", function))
    elif flags & _GENERATOR:
        wrapper = _wrap_generator(scope, cast("Any", function))
    else:
        wrapper = _wrap_function(scope, cast("Any", function))
    return cast("Wrapped", functools.update_wrapper(wrapper, cast("Any", function)))


def _wrap_function(scope: CommandScope, function: Callable[..., Any]) -> Callable[..., Any]:
    name = _name(function)

    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        with _Running(scope, name):
            return function(*arguments, **keywords)

    return wrapper


def _wrap_coroutine(scope: CommandScope, function: Callable[..., Any]) -> Callable[..., Any]:
    name = _name(function)

    async def wrapper(*arguments: Any, **keywords: Any) -> Any:
        with _Running(scope, name):
            return await function(*arguments, **keywords)

    return wrapper


def _wrap_generator(scope: CommandScope, function: Callable[..., Any]) -> Callable[..., Any]:
    name = _name(function)

    def wrapper(*arguments: Any, **keywords: Any) -> Generator[Any, Any, Any]:
        inner = function(*arguments, **keywords)
        resume, value = inner.send, None
        with _Running(scope, name, visible=False) as running:
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


def _wrap_async_generator(scope: CommandScope, function: Callable[..., Any]) -> Callable[..., Any]:
    name = _name(function)

    async def wrapper(*arguments: Any, **keywords: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*arguments, **keywords)
        resume, value = inner.asend, None
        with _Running(scope, name, visible=False) as running:
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


class _Running:
    """One run as a context; while it is shown, its scope's `failed()` finds it."""

    __slots__ = ("_run", "_visible")

    def __init__(self, scope: CommandScope, name: str, *, visible: bool = True) -> None:
        self._visible = visible
        self._run = scope.begin(name)

    def __enter__(self) -> _Running:
        if self._visible:
            self._run.show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._visible:
            self._run.hide()
        self._run.end(error)

    def shown(self) -> _Shown:
        """A context in which the run is visible: one step of a generator, which shares its caller's context."""
        return _Shown(self._run)


class _Shown:
    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._run.show()

    def __exit__(self, *_error: object) -> None:
        self._run.hide()


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
