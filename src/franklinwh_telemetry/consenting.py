"""
Giving and withdrawing consent: what `on` shows and writes, what `off` takes back, and what `erase` deletes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import event, iniedit, inifile, process, system
from franklinwh_telemetry.address import BadDestination
from franklinwh_telemetry.consent import ROUTING_KEYS
from franklinwh_telemetry.destination import choose
from franklinwh_telemetry.lock import Lock
from franklinwh_telemetry.lookup import HOME_INI, ini_paths
from franklinwh_telemetry.spool import SENDER_LIFETIME_S, assigned_texts, existing_spools
from franklinwh_telemetry.statefolder import remove_quietly, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.spool import Spool

UPSTREAM_APPLICATION: Final = "franklinwh-cloud"
UPSTREAM_WARNING: Final = (
    "Careful: a plain `franklinwh-cli` up to 0.6.4 reads the same switch in this file and then sends its own event, "
    "with your Python and operating system versions in it. Start it as `franklinwh-telemetry run franklinwh-cli ...`, "
    "which keeps that event back."
)
_LEAVING_S: Final = 5.0
"""How long a sender that has lost its lock may still stand in its folder, which Windows keeps as long."""

LOCK_WAIT_S: Final = SENDER_LIFETIME_S + 5.0
"""A sender ends by itself within its lifetime, so that a lock is free after this long."""


@final
class Plan:
    """What `on` would write, and where; nothing is written before `carry_out`."""

    def __init__(self, telemetry: Telemetry, path: str, destination: Destination, uuid_text: str) -> None:
        self.path = path
        self._telemetry = telemetry
        self._destination = destination
        self._uuid = uuid_text

    def explanation(self) -> list[str]:
        """What a person should know before saying yes, a line each."""
        application = self._telemetry.application
        lines = [
            f"For each command of {application} five facts would be recorded, such as:",
            "  command               status",
            "  executed timestamp    2026-11-24T08:15:30.123Z",
            "  execution latency     412 ms",
            "  success               true",
            f"  execution UUID        {self._uuid}  (random; it stands for this installation, not for you)",
            f"They would go to: {self._destination.describe()}",
            f"Policy version: {self._telemetry.policy_version}. The answer is kept in {self.path}.",
            "See them with `franklinwh-telemetry show`; the receiver also sees the connection's address and time.",
        ]
        if application == UPSTREAM_APPLICATION:
            lines.append(UPSTREAM_WARNING)
        return lines

    def carry_out(self) -> str | None:
        """Write the consent; None, or what refused it with the lines to add by hand."""
        section = inifile.section_name(self._telemetry.application)
        changes = {
            "enabled": "true",
            "uuid": self._uuid,
            "since": datetime.now(timezone.utc).date().isoformat(),
            "policy": str(self._telemetry.policy_version),
            "destination": self._destination.host,
        }
        return _edit(self.path, section, changes)

    def decline(self) -> str | None:
        """Write a no, so that nobody asks again; None, or what refused it."""
        return _edit(self.path, inifile.section_name(self._telemetry.application), {"enabled": "false"})


def plan_on(telemetry: Telemetry) -> Plan | str:
    """What turning *telemetry* on would mean; a one-line text where it cannot be turned on."""
    path = _path_to_write(telemetry)
    if path is None:
        return "there is no home folder to keep the answer in; name a file with --config"
    found = inifile.read(path, explicit=True)
    if isinstance(found, inifile.IniProblem):
        return f"{path}: {found.kind.value}{': ' if found.detail else ''}{found.detail}; mend it and try again"
    section = found.sections.get(inifile.section_name(telemetry.application), {}) if found is not None else {}
    routing = {key: section[key] for key in ROUTING_KEYS if key in section}
    destination = choose(routing, literal=telemetry.literal)
    if isinstance(destination, BadDestination):
        return f"{path}: {destination.message}"
    kept = event.parse_execution_uuid(section.get("uuid", ""))
    return Plan(telemetry, path, destination, str(kept) if kept is not None else _new_uuid())


@final
class Told:
    """What was done, in lines for a person, and whether all of it could be done."""

    def __init__(self, lines: list[str], *, done: bool) -> None:
        self.lines = lines
        self.done = done


_BUSY: Final = Told(["Nothing was changed: a sender is still at work; try again in a minute."], done=False)


def turn_off(telemetry: Telemetry) -> Told:
    """
    Write a no wherever there is a yes, and discard what waits.

    The sender's locks are taken first and held over both, so that nothing leaves after this has answered. Where an
    ini cannot be edited nothing is changed there, and the lines to add are told.
    """
    with _LockedSpools(telemetry) as locked:
        if not locked.all_held:
            return _BUSY
        return _withdraw(telemetry, locked.spools, {"enabled": "false"})


def erase(telemetry: Telemetry) -> Told:
    """
    Turn off, and delete what this machine keeps of *telemetry*'s application: events, journal, counts and UUID.

    The UUID is rotated; the old ones are told, by which a maintainer can be asked to delete their events.
    """
    with _LockedSpools(telemetry) as locked:
        if not locked.all_held:
            return _BUSY
        old = _known_uuids(telemetry)
        told = _withdraw(telemetry, locked.spools, {"enabled": "false", "uuid": _new_uuid()})
        if not told.done:
            return told
        root = telemetry.state_root()
        folder = os.path.join(root, telemetry.application) if isinstance(root, str) else ""
        if folder and not _delete(folder, locked):
            return Told([*told.lines, f"{folder} could not be deleted whole; remove it by hand."], done=False)
        lines = [*told.lines, "The journal, the counts and the UUID kept on this machine are deleted."]
        if old:
            lines.append("To have the events that were sent deleted too, give the maintainer this UUID:")
            lines.extend(f"  {text}" for text in old)
        return Told(lines, done=True)


def _delete(folder: str, locked: _LockedSpools) -> bool:
    """Delete *folder* and all in it; the locks go last where a file that is open cannot be removed."""
    shutil.rmtree(folder, ignore_errors=True)
    if system.OPEN_FILES_STAY:
        locked.release()
        deadline_s = time.monotonic() + _LEAVING_S
        while os.path.lexists(folder) and time.monotonic() < deadline_s:
            time.sleep(0.1)
            shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _withdraw(telemetry: Telemetry, spools: list[Spool], changes: dict[str, str]) -> Told:
    section = inifile.section_name(telemetry.application)
    lines: list[str] = []
    done = True
    for path in looked_up(telemetry):
        said = _said(path, section)
        if "enabled" not in said and "uuid" not in said:
            continue
        refused = _edit(path, section, {key: text for key, text in changes.items() if key == "enabled" or key in said})
        done = done and refused is None
        lines.append(refused or f"Off: {path} says so.")
    discarded = sum(spool.empty() for spool in spools) if done else 0
    if discarded:
        lines.append(f"{discarded} events that waited were thrown away, unsent.")
    return Told(lines or ["Telemetry was not on; nothing was changed."], done=done)


def _said(path: str, section: str) -> Mapping[str, str]:
    """What a file answers; one that cannot be believed today may say yes once it is mended, so a no belongs there."""
    found = inifile.read(path, explicit=True)
    if isinstance(found, inifile.Ini):
        return found.sections.get(section, {})
    may_say_yes = found is not None and found.kind is not inifile.ProblemKind.NOT_REGULAR
    return {"enabled": ""} if may_say_yes else {}


class _LockedSpools:
    """Every spool of an application, with its lock held where it could be had, or where no sender could take it."""

    def __init__(self, telemetry: Telemetry) -> None:
        root = telemetry.state_root()
        self.spools = list(existing_spools(root, telemetry.application)) if isinstance(root, str) else []
        self.all_held = True
        self._locks: list[Lock] = []

    def __enter__(self) -> _LockedSpools:
        for spool in self.spools:
            with contextlib.suppress(OSError):  # a full disk: a sender that waits is then waited for
                replace(spool.path("wake"), b"")
            lock = Lock(spool.path("lock"))
            self._locks.append(lock)
            try:
                self.all_held = self.all_held and lock.acquire(LOCK_WAIT_S)
            except OSError:
                continue  # a lock that cannot be opened holds back every sender, too
        return self

    def __exit__(self, *_error: object) -> None:
        for spool in self.spools:
            remove_quietly(spool.path("wake"))
        self.release()

    def release(self) -> None:
        """Let the locks go; the senders that get them find no yes."""
        for lock in self._locks:
            lock.release()


def _known_uuids(telemetry: Telemetry) -> list[str]:
    """The UUIDs in the inis looked up, and those assigned in the state folder."""
    section = inifile.section_name(telemetry.application)
    texts = []
    for path in looked_up(telemetry):
        found = inifile.read(path, explicit=True)
        if isinstance(found, inifile.Ini):
            texts.append(found.sections.get(section, {}).get("uuid", ""))
    root = telemetry.state_root()
    if isinstance(root, str):
        texts.extend(assigned_texts(root, telemetry.application))
    known = [str(parsed) for text in texts if (parsed := event.parse_execution_uuid(text)) is not None]
    return list(dict.fromkeys(known))


def _new_uuid() -> str:
    return str(event.draw_execution_uuid(os.urandom))


def _edit(path: str, section: str, changes: dict[str, str | None] | dict[str, str]) -> str | None:
    edited = iniedit.edit(path, section, changes)
    if isinstance(edited, iniedit.Edited):
        return None
    lines = "\n".join(edited.lines)
    detail = f" ({edited.detail})" if edited.detail else ""
    return f"{path} was not changed: {edited.reason.value}{detail}. Put these lines into it by hand:\n{lines}"


def looked_up(telemetry: Telemetry) -> list[str]:
    """The inis in which *telemetry*'s user may have answered, absolute, in their order."""
    if process.only_ini is not None:
        return [process.only_ini(telemetry.application)]
    return [os.path.abspath(path) for path, _named in ini_paths(telemetry.config, os.environ)]


def _path_to_write(telemetry: Telemetry) -> str | None:
    """The file named, else the first looked up that speaks of telemetry, else the first there is, else home's."""
    paths = looked_up(telemetry)
    if telemetry.config:
        return paths[0]
    section = inifile.section_name(telemetry.application)
    there = [(path, inifile.read(path, explicit=True)) for path in paths]
    for path, found in there:
        if isinstance(found, inifile.Ini) and section in found.sections:
            return path
    for path, found in there:
        if found is not None:
            return path
    return next((path for path in paths if os.path.basename(path) == HOME_INI), None)
