"""
The spool: one small file an event, in a folder that belongs to exactly one yes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import event, system
from franklinwh_telemetry.consent import Granted
from franklinwh_telemetry.manifest import MAX_MANIFEST_BYTES, short_name
from franklinwh_telemetry.statefolder import (
    FolderRefusal,
    Tally,
    discard,
    is_missing,
    make_folder,
    make_folder_below,
    read_small,
    remove_quietly,
    write_new,
    write_once,
)

if TYPE_CHECKING:
    from uuid import UUID

    from franklinwh_telemetry.manifest import Manifest
    from franklinwh_telemetry.room import Room

MAX_RECORDS: Final = 1_000
MAX_AGE_MS: Final = 30 * 24 * 60 * 60 * 1000
"""Thirty days; older records are dropped, unsent."""

FEW: Final = 50
"""Up to so many the folder is listed at each append, which costs less than importing what counts them."""

CROWD: Final = "crowd"
"""The folder of the count and of the oldest names; there is none while few wait."""

SENDER_LIFETIME_S: Final = 30.0
"""A sender ends by itself after this long, whatever happens; its mark of life is believed a little longer."""

PLACES: Final = ("tmp", "new", "claimed")
"""The folders of a spool: a record is made in the first, waits in the second, and is under way in the third."""

_MARK_BELIEVED_S: Final = SENDER_LIFETIME_S + 5.0
_BACKOFF_BELIEVED_S: Final = 2 * 24 * 60 * 60.0


class Spool:
    """
    The records of one yes, and the marks by which hosts and senders see each other.

    Whoever appends needs a `Granted` (`open_spool`); who reads opens a folder that is there, as a `backlog.Backlog`.
    """

    __slots__ = ("_room", "folder", "tally")

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.tally = Tally(folder)
        self._room: Room | None = None

    @property
    def room(self) -> Room:
        """What keeps this spool within its bounds."""
        if self._room is None:
            from franklinwh_telemetry.room import Room  # noqa: PLC0415 - seldom needed where few records wait

            self._room = Room(
                self.folder,
                self.path(CROWD),
                self.tally,
                few=FEW,
                max_records=MAX_RECORDS,
                max_age_ms=MAX_AGE_MS,
            )
        return self._room

    def path(self, name: str) -> str:
        """The path of a file or folder of this spool."""
        return os.path.join(self.folder, name)

    def append(self, record: event.Record, now_ms: int) -> None:
        """
        Keep *record*: made in `tmp`, renamed into `new`, so that a reader never sees half of it.

        Beyond `MAX_RECORDS` the oldest go, as do those older than `MAX_AGE_MS`; both are counted.
        No fsync: a power loss may cost the last records.
        """
        if not self._has_room(now_ms):
            self.room.make_for_one(now_ms)
        name = f"{max(0, now_ms):015d}-{record.span_id:016x}"
        temporary = self.path(f"tmp/{name}")
        write_new(temporary, event.encode(record))
        try:
            system.patiently(os.rename, temporary, self.path(f"new/{name}"))
        except BaseException:
            remove_quietly(temporary)
            raise

    def _has_room(self, now_ms: int) -> bool:
        """Whether so little waits, and nothing too old, that one look tells."""
        if os.path.exists(self.path(CROWD)):
            return False
        names = system.uninterrupted(os.listdir, self.path("new"))
        return len(names) <= FEW and min(names, default="~") >= oldest_allowed(now_ms)

    def sender_is_alive(self, now_s: float) -> bool:
        """Whether a sender said so within its lifetime (one `stat`)."""
        age_s = now_s - _modified_s(self.path("alive"))
        return -_MARK_BELIEVED_S < age_s < _MARK_BELIEVED_S

    def backing_off(self, now_s: float) -> bool:
        """Whether the last attempt asked for a pause that has not ended yet (one `stat`)."""
        return now_s < _modified_s(self.path("backoff")) < now_s + _BACKOFF_BELIEVED_S


def open_spool(root: str, manifest: Manifest, granted: Granted) -> Spool | FolderRefusal:
    """
    The spool of this yes, made if need be, with its manifest; what makes the folder unsafe is named.

    *granted* is asked for so that nothing can be spooled without it.
    """
    assert_granted(granted, manifest)
    application_folder = os.path.join(root, manifest.application)
    spool = Spool(os.path.join(application_folder, manifest.folder_name()))
    refusal = (
        make_folder(root)
        or make_folder_below(root, manifest.application)
        or make_folder_below(application_folder, manifest.folder_name())
    )
    if refusal is not None:
        return refusal
    whole = all(os.path.isdir(spool.path(name)) for name in PLACES)
    if not whole:
        for name in PLACES:
            refusal = make_folder_below(spool.folder, name)
            if refusal is not None:
                return refusal
    found = read_small(spool.path("manifest.json"), MAX_MANIFEST_BYTES)
    if found is None:
        _finish_withdrawal(spool)
    if found != manifest.encode():
        from franklinwh_telemetry.manifestfile import write_manifest  # noqa: PLC0415 - the first time, or not ours

        write_manifest(manifest, spool.folder, found)
    return spool


def _finish_withdrawal(spool: Spool) -> None:
    """
    Throw away what lies there without a manifest: a withdrawal that was killed had not come to it, nor may a new yes.

    Looked for before the manifest is, which another host may be writing at this moment, and its first record after.
    """
    left = [spool.path(f"{place}/{name}") for place in PLACES for name in listing(spool.path(place))]
    if left and is_missing(spool.path("manifest.json")):
        for path in left:
            discard(path)


def assert_granted(granted: Granted, manifest: Manifest) -> None:
    """Raise TypeError unless *granted* is a real yes to what *manifest* says."""
    if type(granted) is not Granted or granted.application != manifest.application or granted.source != manifest.source:
        message = f"recording needs the Granted of {manifest.application} that its manifest names"
        raise TypeError(message)


def assigned_uuid(root: str, granted: Granted) -> UUID | FolderRefusal:
    """
    The execution UUID kept in the state folder for this application and ini, drawn at its first use.

    It is made in one step, so that two first runs agree.
    """
    refusal = make_folder(root) or make_folder_below(root, granted.application)
    if refusal is not None:
        return refusal
    path = uuid_path(root, granted.application, granted.source)
    for attempt in range(3):
        kept = event.parse_execution_uuid((read_small(path, 64) or b"").decode("ascii", "replace"))
        if kept is not None:
            return kept
        # Not at the first look: what was missing then may be there by now, from another first run.
        if attempt:
            discard(path)
        write_once(path, str(event.draw_execution_uuid(os.urandom)).encode())
    return FolderRefusal.NOT_WRITABLE


def uuid_path(root: str, application: str, source: str) -> str:
    """Where the UUID of an application and ini is kept."""
    return os.path.join(root, application, f"uuid-{short_name(source)}")


def oldest_allowed(now_ms: int) -> str:
    """What the name of a record that may still wait is not less than."""
    return f"{max(0, now_ms - MAX_AGE_MS):015d}"


def listing(path: str) -> list[str]:
    """The names in a folder; none where it cannot be listed."""
    try:
        return os.listdir(path)
    except OSError:
        return []


def _modified_s(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return float("-inf")
