"""
The wrapper around a command: it reads two clocks, tells success from failure, and changes nothing else.
"""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import system
from franklinwh_telemetry.guard import guard

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, TypeVar

    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.vocabulary import Command

    Wrapped = TypeVar("Wrapped")

_LONG: Final = 2**63
"""Beyond C's long Python gives the system -1."""

_LONGEST_CHAIN: Final = 16
"""How many exceptions back a Ctrl-C is looked for; a chain of a program's own making may be a ring."""

INTERRUPTED_STATUS: Final = 130
"""128 + SIGINT, by which shells and programs report a Ctrl-C."""

_running: ContextVar[tuple[Run, ...]] = ContextVar("franklinwh_telemetry_running", default=())


class Run:
    """One run of a command: its beginning by both clocks, and whether it has said that it failed."""

    __slots__ = ("command", "executed_at_ms", "has_failed", "pid", "scope", "started_ns", "was_interrupted")

    def __init__(self, scope: CommandScope, command: Command) -> None:
        self.scope = scope
        self.command = command
        self.pid = os.getpid()
        self.has_failed = False
        self.was_interrupted = False
        self.executed_at_ms = system.now_ns() // 1_000_000
        self.started_ns = system.monotonic_ns()

    def show(self) -> None:
        """Let `current_run` and the scope's `failed` find this run, in this task or thread."""
        _running.set((*_running.get(), self))

    def hide(self) -> None:
        """Let nobody find it any more."""
        _running.set(tuple(run for run in _running.get() if run is not self))

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
        run.show()
        return run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for run in reversed(_running.get()):
            if run.scope is self:
                run.hide()
                run.end(error)
                return

    def __call__(self, function: Wrapped) -> Wrapped:
        """Wrap *function*, of whatever kind; the wrapper is of the same kind and keeps its metadata."""
        from franklinwh_telemetry.wrapping import wrap  # noqa: PLC0415 - a whole program needs no decorator

        return wrap(self, function)


def current_run() -> Run | None:
    """The innermost run of a command under way in this task or thread."""
    runs = _running.get()
    return runs[-1] if runs else None


def exit_status(code: object) -> int:
    """The process status that `sys.exit(code)` leads to: 0 for None, the low byte of a number, else 1."""
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    return code & 0xFF if -_LONG <= code < _LONG else 0xFF


def succeeded(error: BaseException | None, *, until_interrupted: bool = False) -> bool:
    """
    Whether a command that ended with *error* (None: it returned) has done its work.

    A generator that its consumer closed has; so has one marked *until_interrupted* when Ctrl-C ends it, also where
    the program makes an exit of the Ctrl-C, as click does (`Aborted!`, status 1), or asyncio a cancellation.
    """
    if error is None or isinstance(error, GeneratorExit):
        return True
    if isinstance(error, SystemExit):
        ended_well = status_succeeded(exit_status(error.code), until_interrupted=until_interrupted)
        return ended_well or (until_interrupted and _came_of_interrupt(error))
    return until_interrupted and (isinstance(error, KeyboardInterrupt) or _is_cancellation(error))


def status_succeeded(status: int, *, until_interrupted: bool = False) -> bool:
    """Whether a process status means success."""
    return status == 0 or (until_interrupted and status == INTERRUPTED_STATUS)


def result_succeeded(result: object) -> bool:
    """Whether what `main` returned means success: a whole number other than 0 does not, as in `sys.exit(main())`."""
    return not isinstance(result, int) or exit_status(result) == 0


def _is_cancellation(error: BaseException) -> bool:
    """What asyncio makes of the first Ctrl-C, told without importing it."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def _came_of_interrupt(error: BaseException | None) -> bool:
    """Whether an exception was raised while a Ctrl-C was being handled."""
    for _ in range(_LONGEST_CHAIN):
        if error is None or isinstance(error, KeyboardInterrupt):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)
