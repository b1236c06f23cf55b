"""
May anything be recorded: the user's answer, read from the places it may stand in, as a value that must be held.

Only `Granted` carries the execution UUID, and only this module makes one; every doubt is a `Denied` with its reason.
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn, final

from franklinwh_telemetry import inifile
from franklinwh_telemetry.denial import DenialReason, Denied
from franklinwh_telemetry.event import parse_execution_uuid
from franklinwh_telemetry.inifile import Ini, IniProblem, ProblemKind, section_name
from franklinwh_telemetry.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

HOST: Final = "host"
"""The source of a consent that the host program asked for by itself."""

ROUTING_KEYS: Final = ("api_key", "posthog_host", "endpoint", "allow_http")
"""What the application's section may say about where events go."""

MACHINE_INI: Final = "/etc/franklinwh.ini"
"""For a whole machine; only a no counts there."""

_YES: Final = frozenset(("1", "yes", "true", "on"))
_NO: Final = frozenset(("0", "no", "false", "off"))
_HOME_VARIABLE: Final = "USERPROFILE" if os.name == "nt" else "HOME"
_UNASSIGNED: Final = frozenset(("", "anonymous"))
_MAX_APPLICATION: Final = 64
_ALPHANUMERIC: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_NAME_CHARACTERS: Final = _ALPHANUMERIC | frozenset("._-")
_MAX_POLICY_DIGITS: Final = 9
_SEAL: Final = object()
_PROBLEMS: Final = {
    ProblemKind.UNREADABLE: DenialReason.UNREADABLE,
    ProblemKind.NOT_REGULAR: DenialReason.UNREADABLE,
    ProblemKind.TOO_LARGE: DenialReason.UNREADABLE,
    ProblemKind.WORLD_WRITABLE: DenialReason.WORLD_WRITABLE,
    ProblemKind.FOREIGN_OWNER: DenialReason.FOREIGN_OWNER,
    ProblemKind.MALFORMED: DenialReason.MALFORMED,
}


@final
class Granted(Value):
    """
    The user's yes, for one application; whoever records, spools or sends must hold one.

    `execution_uuid` is None while none has been assigned; `source` is the real path of the ini, or `HOST`;
    `ini` the file that `routing` (its keys among `ROUTING_KEYS`) comes from, and `explicit` whether the user named it;
    `consented_host`, `since` and `policy` what `on` wrote down, None where it did not.
    """

    __slots__ = (  # noqa: RUF023 - the order of the fields
        "application",
        "execution_uuid",
        "source",
        "explicit",
        "ini",
        "routing",
        "consented_host",
        "since",
        "policy",
    )
    application: str
    execution_uuid: UUID | None
    source: str
    explicit: bool
    ini: str | None
    routing: Mapping[str, str]
    consented_host: str | None
    since: str | None
    policy: int | None

    def __init__(self, seal: object, /, *fields: object) -> None:
        if seal is not _SEAL:
            msg = "a Granted comes from read_consent or host_consent only"
            raise TypeError(msg)
        super().__init__(*fields)

    def __init_subclass__(cls) -> NoReturn:
        msg = "Granted cannot be extended"
        raise TypeError(msg)

    def __hash__(self) -> int:
        return hash((self.application, self.execution_uuid, self.source))

    def __repr__(self) -> str:
        return f"Granted(application={self.application!r}, source={self.source!r})"


def parse_application(name: str) -> str | None:
    """The name as it may stand in an ini, a path and a span: `[a-z0-9][a-z0-9._-]{0,63}`; None for any other."""
    usable = 0 < len(name) <= _MAX_APPLICATION and name[0] in _ALPHANUMERIC and _NAME_CHARACTERS.issuperset(name)
    return name if usable else None


def read_consent(
    application: str,
    *,
    policy_version: int = 1,
    config: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: str | None = None,
    home: str | None = None,
    machine_ini: str = MACHINE_INI,
) -> Granted | Denied:
    """
    The user's answer for *application*, from the environment and the ini files.

    A no, or a file that cannot be believed, in any of the places denies; otherwise the first file with a yes decides.
    *config* is a file the user named, looked up instead of those in *cwd*; *cwd*, *home* and *environ* are the
    process's own by default. Raises ValueError for an application name that `parse_application` does not know.
    """
    lookup = _Lookup(application, config=config, environ=environ, cwd=cwd, home=home, machine_ini=machine_ini)
    if lookup.refusal is not None:
        return lookup.refusal
    undecided: Denied | None = None
    for ini, explicit in lookup.found:
        section = ini.sections.get(lookup.section)
        if section is None:
            undecided = undecided or Denied(DenialReason.NO_SECTION, ini.path, f"[{lookup.section}]")
        elif "enabled" not in section:
            if undecided is None or undecided.reason is DenialReason.NO_SECTION:
                undecided = Denied(DenialReason.NOT_DECIDED, ini.path, f"[{lookup.section}]")
        else:
            return _grant_by_ini(application, ini, section, policy_version, explicit=explicit)
    return undecided or Denied(DenialReason.NO_INI, lookup.first or "franklinwh.ini")


def _grant_by_ini(
    application: str,
    ini: Ini,
    section: Mapping[str, str],
    policy_version: int,
    *,
    explicit: bool,
) -> Granted | Denied:
    text = section.get("uuid", "")
    execution_uuid = None
    if text.lower() not in _UNASSIGNED:
        execution_uuid = parse_execution_uuid(text)
        if execution_uuid is None:
            return Denied(DenialReason.UUID_NOT_RANDOM, ini.path)
    outdated = _outdated(ini, section, policy_version)
    if outdated is not None:
        return outdated
    return Granted(
        _SEAL,
        application,
        execution_uuid,
        ini.path,
        explicit,
        ini.path,
        _routing(section),
        _consented_host(section),
        section.get("since"),
        _policy(section),
    )


def host_consent(
    application: str,
    answer: object,
    execution_uuid: UUID | None,
    *,
    policy_version: int = 1,
    config: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: str | None = None,
    home: str | None = None,
    machine_ini: str = MACHINE_INI,
) -> Granted | Denied:
    """
    The answer that a host program asked for by itself; it counts only as the bool True.

    A no, a file that cannot be believed, an outdated policy or another destination in the user's ini files still win,
    and the first file with a section for *application* routes; none of them needs to exist.
    The keywords are those of `read_consent`.
    """
    if answer is not True:
        return Denied(DenialReason.HOST_DECLINED, HOST)
    lookup = _Lookup(application, config=config, environ=environ, cwd=cwd, home=home, machine_ini=machine_ini)
    if lookup.refusal is not None:
        return lookup.refusal
    if execution_uuid is not None:
        execution_uuid = parse_execution_uuid(str(execution_uuid))
        if execution_uuid is None:
            return Denied(DenialReason.UUID_NOT_RANDOM, HOST)
    said = [found for found in lookup.found if lookup.section in found[0].sections]
    hosts: list[str] = []
    for ini, _ in said:
        section = ini.sections[lookup.section]
        outdated = _outdated(ini, section, policy_version)
        if outdated is not None:
            return outdated
        host = _consented_host(section)
        if host is not None and host not in hosts:
            hosts.append(host)
            if len(hosts) > 1:
                return Denied(DenialReason.DESTINATION_CHANGED, ini.path, "two files name different ones")
    router, explicit = said[0] if said else (None, False)
    routing: Mapping[str, str] = {} if router is None else router.sections[lookup.section]
    return Granted(
        _SEAL,
        application,
        execution_uuid,
        HOST,
        explicit,
        None if router is None else router.path,
        _routing(routing),
        hosts[0] if hosts else None,
        routing.get("since"),
        _policy(routing),
    )


class _Lookup:
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
        self.refusal = _environment_denial(environ)
        if self.refusal is not None:
            return
        refusals: list[Denied] = []
        for path, explicit in _paths(config, environ, cwd, home):
            self.first = self.first or path
            ini = inifile.read(path, explicit=explicit)
            if ini is None:
                continue
            refusal = _refusal(ini, self.section)
            if refusal is not None:
                refusals.append(refusal)
            elif isinstance(ini, Ini):
                self.found.append((ini, explicit))
        machine = inifile.read(machine_ini, explicit=False)
        if machine is not None:
            refusal = _refusal(machine, self.section) or _refusal(machine, section_name("franklinwh-cloud"))
            if refusal is not None:
                refusals.append(refusal)
        # A clear no is a withdrawal, and is not to be hidden by a file that merely cannot be believed.
        clear = (refusal for refusal in refusals if refusal.reason is DenialReason.DISABLED)
        self.refusal = next(clear, refusals[0] if refusals else None)


def _environment_denial(environ: Mapping[str, str]) -> Denied | None:
    do_not_track = environ.get("DO_NOT_TRACK")
    if do_not_track and do_not_track.strip().lower() not in _NO | {""}:
        return Denied(DenialReason.DO_NOT_TRACK, "DO_NOT_TRACK")
    switch = environ.get("FRANKLINWH_TELEMETRY")
    if switch and switch.strip().lower() in _NO:
        return Denied(DenialReason.SWITCHED_OFF, "FRANKLINWH_TELEMETRY")
    return None


def _paths(
    config: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    cwd: str | None,
    home: str | None,
) -> Iterator[tuple[str, bool]]:
    """The files that may say yes, in order, each with whether the user named it."""
    if cwd is None:
        try:
            cwd = os.getcwd()
        except OSError:
            cwd = None  # the folder was removed under the process: nothing is found in it
    if config:
        named = os.fspath(config)
        yield named if cwd is None else os.path.join(cwd, named), True
    elif cwd is not None:
        yield f"{cwd}{os.sep}franklinwh.ini", False
        yield f"{cwd}{os.sep}franklinwh{os.sep}franklinwh.ini", False
    folder = _home(environ) if home is None else home
    if folder is not None:
        yield f"{folder}{os.sep}.franklinwh.ini", False


def _home(environ: Mapping[str, str]) -> str | None:
    named = environ.get(_HOME_VARIABLE, "")
    if _is_home(named):
        return named
    try:
        import pwd  # noqa: PLC0415 - only where the variable is of no use; Windows has none

        entry = pwd.getpwuid(os.geteuid()).pw_dir
    except (ImportError, KeyError):
        return None
    return entry if _is_home(entry) else None


def _is_home(path: str) -> bool:
    return os.path.isabs(path) and path.strip("/") != "" and os.path.isdir(path)


def _refusal(ini: Ini | IniProblem, name: str) -> Denied | None:
    """What in one file denies by itself: a no, or a reason not to believe it."""
    if isinstance(ini, IniProblem):
        return Denied(_PROBLEMS[ini.kind], ini.path, ini.detail)
    section = ini.sections.get(name)
    if section is None:
        return None
    answer = section.get("enabled")
    if answer is None:
        answer = ini.inherited_enabled
        if answer is None or answer.lower() in _YES:
            return None  # a yes that was lent to every section is nobody's yes
    said = answer.lower()
    if said in _YES:
        return None
    if said in _NO:
        return Denied(DenialReason.DISABLED, ini.path, f"[{name}]")
    return Denied(DenialReason.NOT_BOOLEAN, ini.path, f"[{name}]")


def _outdated(ini: Ini, section: Mapping[str, str], policy_version: int) -> Denied | None:
    if "policy" not in section:
        return None
    policy = _policy(section)
    if policy is None:
        return Denied(DenialReason.POLICY_OUTDATED, ini.path, "its `policy` is not a version number")
    if policy < policy_version:
        return Denied(DenialReason.POLICY_OUTDATED, ini.path, f"version {policy}, today's is {policy_version}")
    return None


def _policy(section: Mapping[str, str]) -> int | None:
    text = section.get("policy", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_POLICY_DIGITS else None


def _routing(section: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({key: section[key] for key in ROUTING_KEYS if key in section})


def _consented_host(section: Mapping[str, str]) -> str | None:
    host = section.get("destination")
    return None if host is None else host.lower()
