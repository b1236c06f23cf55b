"""
One look at everything that can say no, the environment and each ini that may hold an answer; and the no that it gives.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import inifile, system
from franklinwh_telemetry.inifile import Ini, IniProblem, ProblemKind, section_name
from franklinwh_telemetry.value import Choice, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOME_INI: Final = ".franklinwh.ini"
"""The one in the user's home, which the program itself does not read."""

MACHINE_INI: Final = os.path.join(system.MACHINE_FOLDER, "franklinwh.ini")
"""For a whole machine; only a no counts there."""

YES: Final = frozenset(("1", "yes", "true", "on"))
NO: Final = frozenset(("0", "no", "false", "off"))
"""The words for true and false, as configparser and the program read them."""


class DenialReason(Choice):
    """What decided that nothing may be recorded, and how that can be mended."""

    NO_INI = "there is no such file, and no other franklinwh.ini that says yes; `on` writes one"
    NO_SECTION = "it has no section for this application; `on` adds it"
    NOT_DECIDED = "its section does not say `enabled`; `on` or `off` decides"
    DISABLED = "it says no; `on` changes that"
    NOT_BOOLEAN = "its `enabled` is neither true nor false; write one of the two"
    UNREADABLE = "it cannot be read; make it a regular file that this user may read"
    MALFORMED = "it is not a well-formed ini file; correct it"
    WORLD_WRITABLE = "everybody on this machine may write to it; take that away with chmod o-w"
    FOREIGN_OWNER = "it belongs to another user; give it to this one, or name it explicitly"
    UUID_NOT_RANDOM = "the execution UUID is not a random one (version 4); take the `uuid` out and one is made"
    POLICY_OUTDATED = "what was agreed to is not the policy of today; read it and answer with `on` or `off`"
    DESTINATION_CHANGED = "what was agreed to is another destination; answer again with `on` or `off`"
    BAD_DESTINATION = "the destination is not usable; correct it"
    DO_NOT_TRACK = "this environment variable asks not to be tracked; unset it if that is not meant"
    SWITCHED_OFF = "this environment variable switches telemetry off; unset it if that is not meant"
    HOST_DECLINED = "the program's own setting does not say yes; switch it on there"


@final
class Denied(Value):
    """Nothing may be recorded or sent: `where` is the file or variable that decided, `detail` never a secret."""

    __slots__ = ("reason", "where", "detail")  # noqa: RUF023 - the order of the fields
    reason: DenialReason
    where: str
    detail: str

    def __init__(self, reason: DenialReason, where: str, detail: str = "") -> None:
        super().__init__(reason, where, detail)

    @property
    def explanation(self) -> str:
        """One line for people: what decided, why, and how to mend it."""
        detail = f" ({self.detail})" if self.detail else ""
        from franklinwh_telemetry.plain import printable  # noqa: PLC0415 - only for people

        return printable(f"{self.where}: {self.reason.value}{detail}")

    @property
    def is_withdrawal(self) -> bool:
        """Whether this takes the yes back, so that what waits is discarded; otherwise it is kept but not sent."""
        return self.reason in (
            DenialReason.NO_INI,
            DenialReason.NO_SECTION,
            DenialReason.NOT_DECIDED,
            DenialReason.DISABLED,
            DenialReason.HOST_DECLINED,
        )


_MAX_APPLICATION: Final = 64
_ALPHANUMERIC: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_NAME_CHARACTERS: Final = _ALPHANUMERIC | frozenset("._-")
_DEVICES: Final = ("con", "prn", "aux", "nul")
_PORTS: Final = ("com", "lpt")


def parse_application(name: str) -> str | None:
    """
    The name as it may stand in an ini, a path and a span: `[a-z0-9][a-z0-9._-]{0,63}`; None for any other.

    None as well, on every system alike, for what can be no folder's name on Windows: one that ends in a dot, which
    would be another's name there, or that is a device's (`con`, `aux.app`).
    """
    usable = 0 < len(name) <= _MAX_APPLICATION and name[0] in _ALPHANUMERIC and _NAME_CHARACTERS.issuperset(name)
    return name if usable and name[-1] != "." and not _is_device(name.partition(".")[0]) else None


def _is_device(word: str) -> bool:
    return word in _DEVICES or (word[:3] in _PORTS and word[3:].isdigit() and len(word) == len("com1"))


class Lookup:
    """One look at everything that can say no: the first thing that does, or the files that were found."""

    __slots__ = ("first", "found", "refusal", "section")

    def __init__(
        self,
        application: str,
        *,
        config: str | os.PathLike[str] | None,
        environ: Mapping[str, str] | None,
        cwd: str | None,
        home: str | None,
        machine_ini: str,
    ) -> None:
        if parse_application(application) is None:
            msg = f"not an application name: {application!r}"
            raise ValueError(msg)
        self.section = section_name(application)
        self.found: list[tuple[Ini, bool]] = []
        self.first = ""
        environ = os.environ if environ is None else environ
        self.refusal = environment_denial(environ)
        if self.refusal is not None:
            return
        refusals: list[Denied] = []
        only_ini = system.only_ini
        paths = ini_paths(config, environ, cwd, home) if only_ini is None else ((only_ini(application), False),)
        for path, explicit in paths:
            self.first = self.first or path
            ini = inifile.read(path, explicit=explicit)
            if ini is None:
                continue
            refusal = _refusal(ini, self.section)
            if refusal is not None:
                refusals.append(refusal)
            elif isinstance(ini, Ini):
                self.found.append((ini, explicit))
        machine = inifile.read(machine_ini, explicit=False) if only_ini is None else None
        if machine is not None:
            refusal = _refusal(machine, self.section) or _refusal(machine, section_name("franklinwh-cloud"))
            if refusal is not None:
                refusals.append(refusal)
        # A clear no is a withdrawal, and is not to be hidden by a file that merely cannot be believed.
        clear = (refusal for refusal in refusals if refusal.reason is DenialReason.DISABLED)
        self.refusal = next(clear, refusals[0] if refusals else None)


def environment_denial(environ: Mapping[str, str]) -> Denied | None:
    """The variable that says no, if one does."""
    do_not_track = environ.get("DO_NOT_TRACK")
    if do_not_track and do_not_track.strip().lower() not in NO | {""}:
        return Denied(DenialReason.DO_NOT_TRACK, "DO_NOT_TRACK")
    switch = environ.get("FRANKLINWH_TELEMETRY")
    if switch and switch.strip().lower() in NO:
        return Denied(DenialReason.SWITCHED_OFF, "FRANKLINWH_TELEMETRY")
    return None


def ini_paths(
    config: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    cwd: str | None = None,
    home: str | None = None,
) -> Iterator[tuple[str, bool]]:
    """The files that may say yes, in order, each with whether the user named it."""
    if cwd is None:
        try:
            cwd = os.getcwd()
        except FileNotFoundError:
            cwd = None  # the folder was removed under the process: nothing is found in it
        except OSError:
            cwd = os.curdir  # only its name cannot be told: a no that stands in it still counts
    if config:
        named = os.fspath(config)
        yield named if cwd is None else os.path.join(cwd, named), True
    elif cwd is not None:
        yield f"{cwd}{os.sep}franklinwh.ini", False
        yield f"{cwd}{os.sep}franklinwh{os.sep}franklinwh.ini", False
    folder = _home(environ) if home is None else home
    if folder is not None:
        yield f"{folder}{os.sep}{HOME_INI}", False


def _home(environ: Mapping[str, str]) -> str | None:
    named = environ.get(system.HOME_VARIABLE)
    if system.is_home(named):
        return named
    entry = system.home_in_database()
    return entry if system.is_home(entry) else None


def _refusal(ini: Ini | IniProblem, name: str) -> Denied | None:
    """What in one file denies by itself: a no, or a reason not to believe it."""
    if isinstance(ini, IniProblem):
        return Denied(_reason_of(ini), ini.path, ini.detail)
    section = ini.sections.get(name)
    if section is None:
        return None
    answer = section.get("enabled", ini.inherited_enabled)
    if answer is None:
        return None
    said = answer.lower()
    if said in YES:
        return None  # whether it is this section's own is for `read_consent` to see: one lent to all is nobody's yes
    if said in NO:
        return Denied(DenialReason.DISABLED, ini.path, f"[{name}]")
    return Denied(DenialReason.NOT_BOOLEAN, ini.path, f"[{name}]")


def _reason_of(problem: IniProblem) -> DenialReason:
    """Why a file that cannot be believed denies."""
    return {
        ProblemKind.UNREADABLE: DenialReason.UNREADABLE,
        ProblemKind.NOT_REGULAR: DenialReason.UNREADABLE,
        ProblemKind.TOO_LARGE: DenialReason.UNREADABLE,
        ProblemKind.WORLD_WRITABLE: DenialReason.WORLD_WRITABLE,
        ProblemKind.FOREIGN_OWNER: DenialReason.FOREIGN_OWNER,
        ProblemKind.MALFORMED: DenialReason.MALFORMED,
    }[problem.kind]
