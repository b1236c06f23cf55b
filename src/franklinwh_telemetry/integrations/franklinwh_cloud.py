"""
The unmodified franklinwh-cloud: one run of its CLI is one event, calls of its `Client` are events on request.

Stdlib only. Most commands of franklinwh-cloud print an error and exit 0, so that a command counts as failed when its
exit status says so, when it printed an error, or when a call to its `Client` raised out of it or returned a failure.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry import dispatch
from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.integrations.franklinwh_cloud_calls import Call, CallEvents, watch_calls
from franklinwh_telemetry.integrations.replacement import Replacements
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.scope import current_run
from franklinwh_telemetry.vocabularies import franklinwh_cloud, franklinwh_cloud_api

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from franklinwh_telemetry.vocabularies.franklinwh_cloud_api import Methods
    from franklinwh_telemetry.vocabulary import Vocabulary

PACKAGE: Final = "franklinwh_cloud"
CONSOLE_SCRIPT: Final = "franklinwh-cli"
CONFIG_OPTION: Final = "--config"

REFUSALS: Final = ("Unknown mode:", "Unknown resume mode:", " argument(s), got ", "--set-schedule needs at least one")
"""What a warning says with which a command ends without having done anything; its other warnings are no failures."""

_reporter: ContextVar[Telemetry | None] = ContextVar("franklinwh_telemetry_cli", default=None)
"""By whom the run of the CLI that is under way here is recorded."""


def run_cli(
    main: Callable[[], object],
    arguments: Sequence[str] | None = None,
    telemetry: Telemetry | None = None,
) -> object:
    """
    Run *main*, the CLI of franklinwh-cloud, as one recorded command; inside of such a run it is just run.

    *arguments* are those that follow the program's name (default: `sys.argv[1:]`). Without *telemetry* it is
    franklinwh-cloud's own, by the ini that `--config` names. Returns what *main* returns and raises what it raises.
    """
    if _reporter.get() is not None:
        return main()
    line = tuple(sys.argv[1:] if arguments is None else arguments)
    reporter = telemetry
    with guard:
        reporter = reporter or telemetry_of(line)
    if reporter is None:
        return main()
    _reporter.set(reporter)
    try:
        return reporter.run(lambda: _hooked(main), line)
    finally:
        _reporter.set(None)


def telemetry_of(arguments: Sequence[str], vocabulary: Vocabulary | None = None) -> Telemetry:
    """franklinwh-cloud's telemetry for a line of its CLI: its consent is looked up where `--config` says."""
    words = vocabulary or franklinwh_cloud.vocabulary()
    config = words.option_value(tuple(arguments), CONFIG_OPTION)
    return Telemetry(franklinwh_cloud.APPLICATION, words, config=config)


def instrument(telemetry: Telemetry | None = None, *, methods: Methods = ()) -> Telemetry:
    """
    Record the CLI of the installed franklinwh-cloud in this process, and those methods of its `Client` that are chosen.

    Call it before the CLI's `main` is imported by name. *methods* is a list of names, or a predicate that is asked of
    each; none by default. A chosen method is the command `api METHOD`; those of `franklinwh_cloud_api.READING` are
    recorded at most once a minute each. Without *telemetry* it is franklinwh-cloud's own; one that is given needs
    these commands in its vocabulary (`franklinwh_cloud_api.vocabulary(methods)`). The package's own dispatcher is
    replaced by ours, so that nothing is sent twice or with more facts. Consent is asked at each command.

    Returns the telemetry: in an event loop records wait in memory for its `flush()`, which the end of the process
    calls too. A second call replaces the first. Raises ValueError for methods that are not in the vocabulary, and
    ImportError where franklinwh-cloud is not installed.
    """
    names = franklinwh_cloud_api.enabled(methods)
    words = telemetry.vocabulary if telemetry is not None else franklinwh_cloud_api.vocabulary(names)
    missing = [name for name in names if words.member(franklinwh_cloud_api.PREFIX + name) is None]
    if missing:
        raise ValueError(f"'{franklinwh_cloud_api.PREFIX}{missing[0]}' is not in the vocabulary of the telemetry given")
    from franklinwh_cloud import cli  # noqa: PLC0415 - only what is installed can be imported

    uninstrument()
    own = Telemetry(franklinwh_cloud.APPLICATION, words) if telemetry is None else telemetry
    with guard:
        original = cli.main

        @functools.wraps(original)
        def main() -> object:
            reporter = telemetry
            with guard:
                reporter = reporter or telemetry_of(sys.argv[1:], words)
            return run_cli(original, telemetry=reporter) if main in _active else original()

        _active.append(main)
        _replaced.attribute(cli, "main", main)
    with guard:
        _replace_dispatcher(_replaced, functools.partial(dispatch.dispatch_cli_event, telemetry=telemetry))
    if names:
        with guard:
            from franklinwh_cloud.client import Client  # noqa: PLC0415

            watch_calls(Client, CallEvents(lambda: _reporter.get() or own, names), _replaced)
    return own


def uninstrument() -> None:
    """Take everything back that `instrument` has replaced; does nothing where nothing is."""
    _active.clear()
    with guard:
        _replaced.undo()


class Hooks:
    """
    While this context is open, *on_failure* is called for every failure that the running command does not report.

    Everything the package prints, returns and raises stays as it is; leaving the context restores every name.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._replaced = Replacements()

    def __enter__(self) -> Hooks:
        with guard:
            self._hook_output()
        with guard:
            _replace_dispatcher(self._replaced, lambda *_arguments, **_keywords: None)
        with guard:
            self._hook_client()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with guard:
            self._replaced.undo()

    def _hook_output(self) -> None:
        import franklinwh_cloud.cli_output as output  # noqa: PLC0415 - the program's own, loaded already

        self._hook_printing("print_error", output.print_error, lambda _text: True)
        self._hook_printing("print_warning", output.print_warning, _refuses)
        self._hook_printing("print_json_output", output.print_json_output, _holds_error)

    def _hook_printing(self, name: str, original: Callable[..., Any], is_failure: Callable[[object], bool]) -> None:
        on_failure = self._on_failure

        @functools.wraps(original)
        def printing(*arguments: Any, **keywords: Any) -> Any:
            with guard:
                if is_failure(arguments[0] if arguments else None):
                    on_failure()
            return original(*arguments, **keywords)

        self._replaced.everywhere(PACKAGE, name, original, printing)

    def _hook_client(self) -> None:
        from franklinwh_cloud.client import Client  # noqa: PLC0415

        call = Call(self._on_failure)
        watch_calls(Client, lambda _name: call, self._replaced)


def _hooked(main: Callable[[], object]) -> object:
    run = current_run()
    with Hooks(run.failed if run is not None else lambda: None):
        return main()


def _refuses(text: object) -> bool:
    return isinstance(text, str) and any(words in text for words in REFUSALS)


def _holds_error(data: object) -> bool:
    """What a command prints with `--json` in place of an error."""
    return isinstance(data, dict) and bool(data.get("error"))


def _replace_dispatcher(replacements: Replacements, by: Callable[..., None]) -> None:
    """Put the package's own dispatcher out of action: while its CLI is recorded, it has nothing to say."""
    import franklinwh_cloud.telemetry as upstream  # noqa: PLC0415

    original = upstream.dispatch_cli_event
    replacements.everywhere(PACKAGE, "dispatch_cli_event", original, functools.update_wrapper(by, original))


_replaced: Final = Replacements()
_active: Final[list[object]] = []
"""The `main` that is in place: one that a program has imported by name falls silent with `uninstrument`."""
