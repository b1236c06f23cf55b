"""
`dispatch_cli_event`: the policy's hook, called before the work and completed as the process ends.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import event, system
from franklinwh_telemetry.consent import HOST
from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.lookup import DenialReason, Denied
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.scope import exit_status, status_succeeded, succeeded

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from franklinwh_telemetry.permission import Permission
    from franklinwh_telemetry.vocabulary import Command

NOT_ASSIGNED: Final = ("", "anonymous")
"""What the policy's example passes where a user has no UUID yet."""


def dispatch_cli_event(
    command: str,
    is_opted_in: bool,  # noqa: FBT001 - the policy's own signature
    execution_uuid: str,
    api_key: str | None = None,
    *,
    latency_ms: int | None = None,
    success: bool | None = None,
    telemetry: Telemetry | None = None,
) -> None:
    """
    Report one command of a program whose user has opted in; drop-in for franklinwh-cloud's own function.

    Called before the work, as in the policy's example, it starts the clock; the event is completed as the process
    ends, with the latency up to then (the joining of threads included) and the success by the exit status or an
    uncaught exception. One such call a process: a second one, or one from a running event loop or from another
    thread than the main one, records nothing and is counted in `franklinwh-telemetry status`. Long-lived programs
    pass *latency_ms* (0 to 7 days, more is 7 days) and *success*, which record at once, or use `Telemetry.command`.

    *is_opted_in* counts only as the bool True; False throws away what waits. *execution_uuid* is a random UUID
    (version 4), or `anonymous`: then one is drawn and kept on this machine. Anything else, such as an e-mail, is
    refused. *api_key* is the key of your own PostHog project. *telemetry* brings another application, vocabulary
    and destination.

    It cannot see the end of a process that is killed (SIGKILL, SIGTERM without a handler), replaced (`exec`) or left
    by `os._exit`: nothing is recorded then. Nor does it see a status given by `raise SystemExit(n)`, by the builtins
    `exit()` and `quit()`, or by a `sys.exit` that was imported by name before the call: these count as success. A
    `sys.exit` that the program catches counts as the end all the same. Use `Telemetry.run` where that matters.

    Returns None, raises nothing, prints nothing, and leaves `sys.excepthook` and the signal handlers alone.
    """
    with guard:
        reporter = telemetry if telemetry is not None else default_telemetry()
        if is_opted_in is not True:
            if is_opted_in is False:
                reporter.discard_from(HOST)
            return
        answer = _Answer(reporter, execution_uuid, api_key)
        if not answer.holds() or system.is_completion(os.environ):
            return
        parsed = reporter.vocabulary.execution(command)
        if parsed is None:
            return
        if latency_ms is not None:
            held_ms = event.clamp_latency_ms(int(latency_ms))
            answer.record(parsed, system.now_ns() // 1_000_000 - held_ms, held_ms, success=success is not False)
        elif system.in_event_loop() or threading.current_thread() is not threading.main_thread():
            _count(reporter, "dispatch_outside_main_thread")
        elif _Pending.current is not None and _Pending.current.pid == os.getpid():
            _count(reporter, "dispatch_called_again")
        else:
            _Pending(answer, parsed, success=success).watch()


@functools.cache
def default_telemetry() -> Telemetry:
    """franklinwh-cloud's own: the application of a call that names no other."""
    from franklinwh_telemetry.vocabularies import franklinwh_cloud  # noqa: PLC0415 - only when it is needed

    return Telemetry(franklinwh_cloud.APPLICATION, franklinwh_cloud.vocabulary())


class _Answer:
    """What the program says its user answered; asked again before anything is recorded under it."""

    __slots__ = ("_argument", "_given", "_is_random", "reporter")

    def __init__(self, reporter: Telemetry, execution_uuid: object, api_key: str | None) -> None:
        text = "" if execution_uuid is None else str(execution_uuid).strip()
        self.reporter = reporter
        self._given = event.parse_execution_uuid(text)
        self._is_random = self._given is not None or text in NOT_ASSIGNED
        self._argument = f"posthog:{api_key}" if api_key else None

    def holds(self) -> bool:
        """Whether it is a yes at this moment: no ini, variable or bad UUID speaks against it."""
        return not isinstance(self._permission(), Denied)

    def record(self, command: Command, executed_at_ms: int, latency_ms: int, *, success: bool) -> None:
        """Write the event down, if the answer still holds."""
        permission = self._permission()
        if not isinstance(permission, Denied):
            self.reporter.record(
                command,
                executed_at_ms=executed_at_ms,
                latency_ms=latency_ms,
                success=success,
                permission=permission,
            )

    def _permission(self) -> Permission | Denied:
        if not self._is_random:
            _count(self.reporter, "dispatch_uuid_not_random")
            return Denied(DenialReason.UUID_NOT_RANDOM, HOST)
        return self.reporter.host_permission(True, self._given, argument=self._argument)  # noqa: FBT003 - the answer


class _Pending:
    """The one event of this process that waits for its end."""

    __slots__ = (
        "_answer",
        "_command",
        "_error_before",
        "_executed_at_ms",
        "_exit",
        "_original_exit",
        "_started_ns",
        "_status",
        "_success",
        "pid",
    )

    current: _Pending | None = None

    def __init__(self, answer: _Answer, command: Command, *, success: bool | None) -> None:
        self.pid = os.getpid()
        self._answer = answer
        self._command = command
        self._success = success
        self._status = 0
        self._error_before = getattr(sys, "last_value", None)
        self._original_exit: Callable[..., NoReturn] = sys.exit
        self._exit: Callable[..., NoReturn] = sys.exit
        self._executed_at_ms = system.now_ns() // 1_000_000
        self._started_ns = system.monotonic_ns()

    def watch(self) -> None:
        """Note the status given to `sys.exit` on the main thread, and wait for the end of the process."""
        _Pending.current = self
        original, main_thread = self._original_exit, threading.main_thread()

        @functools.wraps(original)
        def exit(status: object = None, /) -> NoReturn:  # noqa: A001 - it stands in for sys.exit
            if threading.current_thread() is main_thread:
                self._status = exit_status(status)
            original(status)

        self._exit = exit
        sys.exit = exit
        system.at_exit(self._complete)

    def _complete(self) -> None:
        with guard:
            if sys.exit is self._exit:
                sys.exit = self._original_exit
            if os.getpid() != self.pid or _Pending.current is not self:
                return
            latency_ms = (system.monotonic_ns() - self._started_ns) // 1_000_000
            self._answer.record(self._command, self._executed_at_ms, latency_ms, success=self._has_succeeded())

    def _has_succeeded(self) -> bool:
        if self._success is not None:
            return self._success is True
        until_interrupted = self._answer.reporter.vocabulary.is_until_interrupted(self._command)
        uncaught = getattr(sys, "last_value", None)
        if uncaught is not None and uncaught is not self._error_before:
            return succeeded(uncaught, until_interrupted=until_interrupted)
        return status_succeeded(self._status, until_interrupted=until_interrupted)


def _count(reporter: Telemetry, name: str) -> None:
    """Count a call that recorded nothing, where consent has already made the application's folder."""
    root = reporter.state_root()
    folder = os.path.join(root, reporter.application) if isinstance(root, str) else ""
    if folder and os.path.isdir(folder):
        from franklinwh_telemetry.statefolder import Tally  # noqa: PLC0415 - only where a call is of no use

        Tally(folder).add(name)
