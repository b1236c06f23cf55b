"""
Hooks for the unmodified franklinwh-cloud: they see its failures and put its own dispatcher out of action.

Stdlib only. Most commands of franklinwh-cloud print an error and exit 0, so that a command counts as failed when it
printed an error, or when a call to its `Client` raised out of it or returned an error; its exit status is watched
elsewhere.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType, TracebackType

PACKAGE: Final = "franklinwh_cloud"
CONSOLE_SCRIPT: Final = "franklinwh-cli"
CONFIG_OPTION: Final = "--config"

_inside_client: ContextVar[bool] = ContextVar("franklinwh_telemetry_inside_client", default=False)

_COROUTINE: Final = 0x80


class Hooks:
    """
    While this context is open, *on_failure* is called for every failure that the running command does not report.

    Everything the package prints, returns and raises stays as it is; leaving the context restores every name.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Hooks:
        with guard:
            self._hook_errors()
            self._hook_dispatcher()
            self._hook_client()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with guard:
            while self._undo:
                self._undo.pop()()

    def _hook_errors(self) -> None:
        import franklinwh_cloud.cli_output as output  # noqa: PLC0415 - the program's own, loaded already

        original, on_failure = output.print_error, self._on_failure

        @functools.wraps(original)
        def print_error(*arguments: Any, **keywords: Any) -> Any:
            on_failure()
            return original(*arguments, **keywords)

        def swap(old: object, new: object) -> None:
            for module in _modules():
                if vars(module).get("print_error") is old:
                    module.print_error = new  # type: ignore[attr-defined]

        swap(original, print_error)
        self._undo.append(lambda: swap(print_error, original))

    def _hook_dispatcher(self) -> None:
        import franklinwh_cloud.telemetry as upstream  # noqa: PLC0415

        original = upstream.dispatch_cli_event

        @functools.wraps(original)
        def dispatch_cli_event(*_arguments: object, **_keywords: object) -> None:
            """Do nothing: the command is recorded around the whole program, and only its five facts."""

        def swap(old: object, new: object) -> None:
            for module in _modules():
                if vars(module).get("dispatch_cli_event") is old:
                    module.dispatch_cli_event = new  # type: ignore[attr-defined]

        swap(original, dispatch_cli_event)
        self._undo.append(lambda: swap(dispatch_cli_event, original))

    def _hook_client(self) -> None:
        from franklinwh_cloud.client import Client  # noqa: PLC0415

        for name in dir(Client):
            function = getattr(Client, name)
            if name.startswith("_") or not _is_coroutine_function(function):
                continue
            inherited = name not in vars(Client)
            setattr(Client, name, _watched(function, self._on_failure))
            self._undo.append(functools.partial(_restore, Client, name, None if inherited else function))


def _watched(function: Callable[..., Any], on_failure: Callable[[], None]) -> Callable[..., Any]:
    """
    The method, which tells of an exception that leaves the client, and of a result that is an error (`get_mode`'s way).

    One call inside another is the client's own affair.
    """

    @functools.wraps(function)
    async def method(*arguments: Any, **keywords: Any) -> Any:
        if _inside_client.get():
            return await function(*arguments, **keywords)
        token = _inside_client.set(True)
        try:
            result = await function(*arguments, **keywords)
        except Exception:
            on_failure()
            raise
        else:
            if isinstance(result, dict) and "error" in result:
                on_failure()
            return result
        finally:
            _inside_client.reset(token)

    return method


def _restore(owner: type, name: str, function: object | None) -> None:
    if function is None:
        delattr(owner, name)
    else:
        setattr(owner, name, function)


def _is_coroutine_function(function: object) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _modules() -> Iterator[ModuleType]:
    """The package's modules that are loaded: each may have imported a name that is replaced."""
    for name, module in tuple(sys.modules.items()):
        if module is not None and (name == PACKAGE or name.startswith(PACKAGE + ".")):
            yield module
