"""
For tests of programs that use this package: what they record, in a world of its own whose clock stands still.

Imports no test framework.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Final, final
from uuid import UUID

from franklinwh_telemetry import dispatch, event, guard, iniedit, system
from franklinwh_telemetry.backlog import existing_applications, existing_spools
from franklinwh_telemetry.decoding import RecordRefusal, decode
from franklinwh_telemetry.inifile import section_name
from franklinwh_telemetry.launch import SENDER_MARK
from franklinwh_telemetry.lookup import HOME_INI, parse_application
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.standin import Clock, Ids, placed, placed_in_environment
from franklinwh_telemetry.statefolder import FOLDER_NAME, Tally, read_small, replace
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from franklinwh_telemetry.event import CommandEvent, Record

EXECUTION_UUID: Final = UUID(int=1, version=4)
"""The execution UUID of the first application that records; the next ones count on from it."""

STARTED_AT_MS: Final = 1_767_225_600_000
"""When the clock stands still unless another time is given: the beginning of 2026, UTC."""

_UNSET: Final = {"DO_NOT_TRACK": None, "FRANKLINWH_TELEMETRY": None}

_open: Final[list[Captured]] = []


class TelemetryError(Exception):
    """What this package passes over in silence outside of tests: a refusal of its own, such as an unsafe folder."""


def errors_raised() -> contextlib.AbstractContextManager[None]:
    """While this context is open, errors of this package are raised instead of swallowed and counted."""
    return placed((guard, "reraising", TelemetryError))


@contextlib.contextmanager
def capture_events(
    *,
    consent: bool | str = True,
    ini: str | None = None,
    now_ms: int = STARTED_AT_MS,
    step_ms: int = 0,
) -> Iterator[Captured]:
    """
    Capture what every `Telemetry` of this process records while this context is open; nothing is ever sent.

    *consent* is the user's answer: True for every application, the name of one for that one alone (ValueError if
    none can have it), False for none. *ini* is the text of the user's `franklinwh.ini` in its place, empty for a user
    who was never asked. A program that asks by itself (`Telemetry(consent=...)`, `dispatch_cli_event`) still has to
    say yes.

    The ini and the state folder lie in a temporary folder, and no others are read or written, whichever ones the
    program or its environment name; `DO_NOT_TRACK` and `FRANKLINWH_TELEMETRY` are unset at the beginning.
    The clock stands at *now_ms* (UTC, since 1970) unless `advance` moves it, or *step_ms*, which is then what each
    command takes. UUIDs and ids are counted instead of drawn. What the package swallows elsewhere is raised, a
    refusal as TelemetryError; one that a child process has swallowed is raised at the end.

    As it is left, what waits for the end of the process is done, and all is as it was before; what was captured can
    still be read. Captures may be nested: the inner one has a world of its own. They hold for the whole process, all
    of its threads included, so that two of them must not overlap otherwise.
    """
    folder = tempfile.mkdtemp(prefix="franklinwh-telemetry-test-")
    pid = os.getpid()
    try:
        captured = Captured(folder, consent=consent, ini=ini, now_ms=now_ms, step_ms=step_ms)
        with captured._in_place():  # noqa: SLF001 - the two are one
            try:
                with captured.process():
                    yield captured
            finally:
                captured._kept = captured._read()  # noqa: SLF001
            captured._raise_what_children_swallowed()  # noqa: SLF001
    finally:
        if os.getpid() == pid:
            shutil.rmtree(folder, ignore_errors=True)


@final
class Captured:
    """
    What was recorded, oldest first, and the world in which it was: its user's answers and its clock.

    Reading it writes down at once what event loops have recorded, as `Telemetry.flush` does. What a withdrawn consent
    has thrown away is not there. `home` is the user's home folder, and `ini` the file with the answers in it.
    """

    def __init__(self, folder: str, *, consent: bool | str, ini: str | None, now_ms: int, step_ms: int) -> None:
        self.home = os.path.join(folder, "home")
        self.ini = os.path.join(self.home, HOME_INI)
        self._state = os.path.join(folder, "state")
        self._environ = {"STATE_DIRECTORY": self._state, SENDER_MARK: "1"}
        self._root = os.path.join(self._state, FOLDER_NAME)
        self._clock = Clock(now_ms, step_ms)
        self._answer = None if ini is not None else consent
        self._asked: set[str] = set()
        self._asking = threading.Lock()
        self._at_exit: list[Callable[[], object]] = []
        self._kept: list[Record] | None = None
        for path in (self.home, self._state):
            os.mkdir(path, 0o700)
        if ini is not None:
            self.write_ini(ini)
        elif isinstance(consent, str):
            self.grant(consent)

    @property
    def records(self) -> list[Record]:
        """The events, each with the ids that the protocols ask for."""
        if self._kept is not None:
            return list(self._kept)
        for hook in tuple(self._at_exit):
            if getattr(hook, "__func__", None) is Telemetry.flush:
                hook()
        return self._read()

    @property
    def events(self) -> list[CommandEvent]:
        """The five facts of each command."""
        return [record.event for record in self.records]

    @property
    def commands(self) -> list[str]:
        """The commands alone."""
        return [str(found.command) for found in self.events]

    @property
    def outcomes(self) -> list[tuple[str, bool]]:
        """Each command with whether it succeeded."""
        return [(str(found.command), found.success) for found in self.events]

    def advance(self, latency_ms: int) -> None:
        """Let time pass, as if what runs at this moment took so long."""
        self._clock.advance(latency_ms)

    def grant(self, application: str) -> None:
        """Let the user of *application* say yes, from now on."""
        self._write_answer(application, "true")

    def deny(self, application: str) -> None:
        """Let the user of *application* say no, from now on; what waits goes as the program next asks."""
        self._write_answer(application, "false")

    def write_ini(self, text: str) -> None:
        """Put *text*, in UTF-8, in place of the user's ini: the answers of all applications."""
        replace(self.ini, text.encode())

    def env(self, application: str) -> dict[str, str]:
        """
        The environment for a child process that runs *application*, so that its records come here too.

        There, the clock and the ids are real ones, errors are swallowed, and a `franklinwh.ini` in its working
        directory, or one that says no in `/etc`, counts as for any user.
        """
        import site  # noqa: PLC0415 - it has been loaded, unless Python was started without it

        self._ini_of(application)
        environ = dict(os.environ)
        # What is installed for the user alone must still be found, though the child has another home.
        environ.setdefault("PYTHONUSERBASE", site.getuserbase())
        return {**environ, **self._environ, "HOME": self.home, "USERPROFILE": self.home}

    @contextlib.contextmanager
    def process(self) -> Iterator[None]:
        """
        One run of a program, from its start to the end of its process, in this process.

        As it is left, what waits for that end is done: the event of `dispatch_cli_event` is completed, with the
        exception that leaves here as the one that ended the program, and `flush` is called.
        """
        try:
            yield
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        before = {name: value for name, value in vars(sys).items() if name == "last_value"}
        if error is not None and not isinstance(error, SystemExit):
            sys.last_value = error
        try:
            while self._at_exit:
                self._at_exit.pop()()
        finally:
            vars(sys).pop("last_value", None)
            vars(sys).update(before)
            dispatch._Pending.current = None  # noqa: SLF001 - the next program in this process is another one

    def _raise_what_children_swallowed(self) -> None:
        for application in existing_applications(self._root):
            folder = os.path.join(self._root, application)
            if Tally(folder).read().get("errors"):
                last = read_small(os.path.join(folder, "last-error"), 4096) or b""
                raise TelemetryError(f"in a child process of {application}: {last.decode('utf-8', 'replace')}")

    def _read(self) -> list[Record]:
        found: list[tuple[str, Record]] = []
        for application in existing_applications(self._root):
            for spool in existing_spools(self._root, application):
                manifest = spool.manifest()
                if manifest is None:
                    continue  # it is being emptied
                vocabulary = Vocabulary(manifest.commands)
                for name in spool.names():
                    data = spool.read(name)
                    record = None if data is None else decode(data, vocabulary)
                    if isinstance(record, RecordRefusal):
                        raise TelemetryError(f"{application}: {record.value}")
                    if record is not None:
                        found.append((name, record))
        return [record for _, record in sorted(found, key=lambda named: named[0])]

    def _ini_of(self, application: str) -> str:
        """The ini, with the answer that *application*'s user has given from the beginning."""
        if self._answer is not None and application not in self._asked:
            self._write_answer(application, "true" if self._answer is True else "false")
        return self.ini

    def _write_answer(self, application: str, said: str) -> None:
        if parse_application(application) is None:
            raise ValueError(f"not an application's name: {application!r}")
        with self._asking:
            edited = iniedit.edit(self.ini, section_name(application), {"enabled": said})
            if isinstance(edited, iniedit.EditRefused):
                raise TelemetryError(f"{edited.path}: {edited.reason.value} {edited.detail}")
            self._asked.add(application)

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        if _open:
            _open[-1].records  # noqa: B018 - reading writes down what its event loops have recorded
        ids = Ids()
        stand_ins = placed(
            (system, "now_ns", self._clock.now_ns),
            (system, "monotonic_ns", self._clock.monotonic_ns),
            (system, "random_bytes", ids.random_bytes),
            (system, "at_exit", self._at_exit.append),
            (system, "only_ini", self._ini_of),
            (system, "state_directory", self._state),
            (event, "draw_execution_uuid", ids.execution_uuid),
            (dispatch._Pending, "current", None),  # noqa: SLF001 - a new process has none
            (guard, "notes", []),
            (guard, "_state_folders", []),
        )
        with errors_raised(), stand_ins, placed_in_environment({**_UNSET, **self._environ}):
            _open.append(self)
            try:
                yield
            finally:
                _open.remove(self)
