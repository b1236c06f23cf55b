"""
May anything be recorded: the user's answer, read from the places it may stand in, as a value that must be held.

Only `Granted` carries the execution UUID, and only this module makes one; every doubt is a `Denied` with its reason.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn, final

from franklinwh_telemetry.event import parse_execution_uuid
from franklinwh_telemetry.lookup import MACHINE_INI, DenialReason, Denied, Lookup
from franklinwh_telemetry.value import Value

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from uuid import UUID

    from franklinwh_telemetry.inifile import Ini

HOST: Final = "host"
"""The source of a consent that the host program asked for by itself."""

ROUTING_KEYS: Final = ("api_key", "posthog_host", "endpoint", "allow_http")
"""What the application's section may say about where events go."""

_UNASSIGNED: Final = frozenset(("", "anonymous"))
_MAX_POLICY_DIGITS: Final = 9
_SEAL: Final = object()


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
    lookup = Lookup(application, config=config, environ=environ, cwd=cwd, home=home, machine_ini=machine_ini)
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
    lookup = Lookup(application, config=config, environ=environ, cwd=cwd, home=home, machine_ini=machine_ini)
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
