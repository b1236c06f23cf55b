"""
Calls of franklinwh-cloud's `Client` from outside of it: whether they failed and, where asked for, an event of each.

One call inside another is the client's own affair: neither its failure nor its use is the program's.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry import system
from franklinwh_telemetry.vocabularies.franklinwh_cloud_api import CHANGING, PREFIX, READING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from franklinwh_telemetry.integrations.replacement import Replacements
    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.scope import Run

    Watch = Callable[[str], "AbstractContextManager[Call | Run]"]

READING_PAUSE_S: Final = 60
"""A method that only reads is recorded at most once in this time, in seconds, by one process: programs poll it."""

_REQUESTS: Final = ("_get", "_post")
"""The methods by which the others ask the cloud, each once for a request and its repetitions."""

_COROUTINE: Final = 0x80

_ANSWERS_OF_SUCCESS: Final = (200, 176)
"""What the cloud answers where it has done it, or queued it for a gateway that is offline."""


class Call:
    """One call whose failure is passed on, and of which nothing else is kept."""

    __slots__ = ("failed",)

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self.failed = on_failure

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self.failed()


class CallEvents:
    """For each method that is enabled a command `api METHOD`; those that only read pause after each event."""

    def __init__(self, telemetry: Callable[[], Telemetry], methods: Iterable[str]) -> None:
        self._telemetry = telemetry
        self._methods = frozenset(methods)
        self._due_ns: dict[str, int] = {}

    def __call__(self, name: str) -> AbstractContextManager[Call | Run]:
        """The context of one call of the method *name*."""
        if name not in self._methods or not self._is_due(name):
            return _UNWATCHED
        return self._telemetry().command(PREFIX + name)

    def _is_due(self, name: str) -> bool:
        if name not in _READING:
            return True
        now_ns = system.monotonic_ns()
        if now_ns < self._due_ns.get(name, now_ns):
            return False
        self._due_ns[name] = now_ns + READING_PAUSE_S * 1_000_000_000
        return True


class Answers:
    """How the cloud has answered the requests of one call."""

    __slots__ = ("badly", "well")

    def __init__(self) -> None:
        self.well = 0
        self.badly = 0

    def note(self, *, well: bool) -> None:
        """Count one more."""
        self.well += well
        self.badly += not well

    def are_all_bad(self) -> bool:
        """Whether it was asked, and never to any avail."""
        return self.badly > 0 and self.well == 0


def watch_calls(client: type, watch: Watch, replacements: Replacements) -> None:
    """
    Let every public coroutine method of *client* run in the context that *watch* gives for its name.

    A call has failed when it raises, when what it returns tells so, or when every request that it made did, which some
    methods keep to themselves.
    """
    outermost: ContextVar[Answers | None] = ContextVar("franklinwh_telemetry_call", default=None)
    for name in dir(client):
        function = getattr(client, name)
        if not is_coroutine_function(function):
            continue
        if name in _REQUESTS:
            replacements.attribute(client, name, _counted(function, outermost))
        elif not name.startswith("_"):
            replacements.attribute(client, name, _watched(function, name, watch, outermost))


def is_coroutine_function(function: object) -> bool:
    """Whether a call of it is to be awaited, without importing inspect."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def tells_of_failure(name: str, result: object) -> bool:
    """
    Whether a method that raised nothing returned its failure, in one of franklinwh-cloud's ways.

    A dict with an `error`, the cloud's own answer with another code than success, readings marked as stale because
    none could be had, or False from a method that was to change something.
    """
    if isinstance(result, dict):
        return "error" in result or (("result" in result or "message" in result) and _is_refusal(result))
    if result is False:
        return name in _CHANGING
    return getattr(result, "is_stale", False) is True


def _is_refusal(answer: object) -> bool:
    """Whether an answer of the cloud, or of the server in front of it, says that it has not done what was asked."""
    if not isinstance(answer, dict):
        return False
    code = answer.get("code")
    return code not in _ANSWERS_OF_SUCCESS if type(code) is int else "error" in answer


def _watched(
    function: Callable[..., Any],
    name: str,
    watch: Watch,
    outermost: ContextVar[Answers | None],
) -> Callable[..., Any]:
    @functools.wraps(function)
    async def method(*arguments: Any, **keywords: Any) -> Any:
        if outermost.get() is not None:
            return await function(*arguments, **keywords)
        answers = Answers()
        outermost.set(answers)
        try:
            with watch(name) as call:
                result = await function(*arguments, **keywords)
                if answers.are_all_bad() or tells_of_failure(name, result):
                    call.failed()
                return result
        finally:
            outermost.set(None)

    return method


def _counted(function: Callable[..., Any], outermost: ContextVar[Answers | None]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def request(*arguments: Any, **keywords: Any) -> Any:
        answers = outermost.get() or Answers()
        try:
            answer = await function(*arguments, **keywords)
        except Exception:
            answers.note(well=False)
            raise
        answers.note(well=not _is_refusal(answer))
        return answer

    return request


_READING: Final = frozenset(READING)
_CHANGING: Final = frozenset(CHANGING)
_UNWATCHED: Final = Call(lambda: None)
