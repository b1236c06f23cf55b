"""
Withdrawing consent: what `off` takes back, and what `erase` deletes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import event, inifile, system
from franklinwh_telemetry.backlog import assigned_texts, existing_spools
from franklinwh_telemetry.lock import Lock
from franklinwh_telemetry.plain import counted, printable
from franklinwh_telemetry.plan import Told, edit, looked_up
from franklinwh_telemetry.spool import SENDER_LIFETIME_S
from franklinwh_telemetry.statefolder import remove_quietly, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from franklinwh_telemetry.backlog import Backlog
    from franklinwh_telemetry.recorder import Telemetry

_LEAVING_S: Final = 5.0
"""How long a sender that has lost its lock may still stand in its folder, which Windows keeps as long."""

LOCK_WAIT_S: Final = SENDER_LIFETIME_S + 5.0
"""A sender ends by itself within its lifetime, so that a lock is free after this long."""

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
            return Told(
                [*told.lines, f"{printable(folder)} could not be deleted whole; remove it by hand."], done=False
            )
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


def _withdraw(telemetry: Telemetry, spools: list[Backlog], changes: dict[str, str]) -> Told:
    section = inifile.section_name(telemetry.application)
    lines: list[str] = []
    done = True
    for path in looked_up(telemetry):
        said = _said(path, section)
        if "enabled" not in said and "uuid" not in said:
            continue
        refused = edit(path, section, {key: text for key, text in changes.items() if key == "enabled" or key in said})
        done = done and refused is None
        lines.extend(refused.split("\n") if refused is not None else [f"Off: {printable(path)} says so."])
    discarded = sum(spool.empty() for spool in spools) if done else 0
    if discarded:
        lines.append(f"Thrown away, unsent: {counted(discarded, 'event')} that waited.")
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
