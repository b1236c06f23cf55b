"""
Running an installed console script, unmodified and in this process, as one recorded command.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, final

from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.integrations import franklinwh_cloud as hooks
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.vocabularies import franklinwh_cloud
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

_PACKAGE_FOLDER: Final = os.path.dirname(os.path.abspath(__file__))


@final
class Program:
    """A console script with what it takes to record it; calling it runs it and never returns."""

    def __init__(self, name: str, main: Callable[[], object], arguments: Sequence[str], telemetry: Telemetry) -> None:
        self._name = name
        self._main = main
        self._arguments = tuple(arguments)
        self._telemetry = telemetry

    def __call__(self) -> NoReturn:
        """Run the program as its own script would: same arguments, output, exit status and traceback."""
        sys.argv = [self._name, *self._arguments]
        try:
            if self._name == hooks.CONSOLE_SCRIPT:
                result = hooks.run_cli(self._main, self._arguments, self._telemetry)
            else:
                result = self._telemetry.run(self._main, self._arguments)
        except BaseException:
            _hide_our_frames()
            raise
        sys.exit(result)  # type: ignore[arg-type]


def find_program(
    name: str,
    arguments: Sequence[str],
    *,
    vocabulary: str | None = None,
    application: str | None = None,
) -> Program | str:
    """
    The installed console script *name*, ready to run; a one-line text where it cannot be run.

    Its vocabulary is the one given as `module:object`, or our own for `franklinwh-cli`.
    """
    known = name == hooks.CONSOLE_SCRIPT
    if vocabulary is None and not known:
        return (
            f"{name} has no vocabulary here, so that nothing of it could be recorded; "
            "name one with --vocabulary module:object"
        )
    listed = None if vocabulary is None else load_vocabulary(vocabulary)
    if isinstance(listed, str):
        return listed
    words = franklinwh_cloud.vocabulary() if listed is None else listed.vocabulary
    main = _load_console_script(name)
    if isinstance(main, str):
        return main
    called = application or (franklinwh_cloud.APPLICATION if known else name)
    config = words.option_value(tuple(arguments), hooks.CONFIG_OPTION) if known else None
    try:
        telemetry = Telemetry(called, words, config=config)
    except ValueError as error:
        return str(error)
    return Program(name, main, arguments, telemetry)


class Listed(NamedTuple):
    """An application, and the commands that it may report."""

    application: str
    vocabulary: Vocabulary


def load_vocabulary(spec: str) -> Listed | str:
    """
    The vocabulary at `module:object`, or what is wrong with it.

    The object is a `Telemetry`, which says what its application is called, or a `Vocabulary`, or a callable that makes
    one of the two; a vocabulary alone belongs to an application that is called as the module's top package.
    """
    module_name, _colon, attribute = spec.partition(":")
    if not module_name or not attribute:
        return f"--vocabulary takes module:object, such as myapp.telemetry:VOCABULARY, not {spec!r}"
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), attribute)
        made = found() if callable(found) else found
        words = made.vocabulary if isinstance(made, Telemetry) else made
        if isinstance(words, Vocabulary):
            words.check_texts()
    except Exception as error:  # noqa: BLE001 - a module of the user's may raise anything
        return f"the vocabulary {spec} cannot be loaded: {type(error).__name__}: {error}"
    finally:
        if added:
            with contextlib.suppress(ValueError):
                sys.path.remove(here)
    if isinstance(made, Telemetry):
        return Listed(made.application, made.vocabulary)
    if isinstance(words, Vocabulary):
        return Listed(module_name.partition(".")[0].lower().replace("_", "-"), words)
    return f"{spec} is no Vocabulary but {type(found).__name__}"


def _load_console_script(name: str) -> Callable[[], object] | str:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and only needed here

    scripts = {script.value: script for script in entry_points(group="console_scripts", name=name)}
    if not scripts:
        return f"no installed program is called {name}; install it into the environment of {sys.executable}"
    script = next(iter(scripts.values()))
    try:
        loaded = script.load()
    except Exception as error:  # noqa: BLE001 - the program's own import may raise anything
        return f"{name} cannot be loaded: {type(error).__name__}: {error}"
    return loaded if callable(loaded) else f"{name} points at {script.value}, which cannot be called"


def _hide_our_frames() -> None:
    """Let the hook that shows an uncaught exception see the program's frames only."""
    with guard:
        shown_by = sys.excepthook

        def excepthook(
            kind: type[BaseException],
            error: BaseException,
            traceback: TracebackType | None,
        ) -> None:
            kept = _after_ours(traceback) or traceback
            shown_by(kind, error.with_traceback(kept), kept)

        sys.excepthook = excepthook


def _after_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The frames that follow the first run of frames of this package: the program's."""
    while traceback is not None and not _is_ours(traceback):
        traceback = traceback.tb_next
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    return traceback


def _is_ours(frame: TracebackType) -> bool:
    return os.path.abspath(frame.tb_frame.f_code.co_filename).startswith(_PACKAGE_FOLDER + os.sep)
