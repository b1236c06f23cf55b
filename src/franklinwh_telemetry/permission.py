"""
A permission: a yes of this moment, where its events go, and the way into its spool.

Imported only once somebody has said yes, so that a program whose user has not pays nothing for what is behind it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, final

from franklinwh_telemetry import event
from franklinwh_telemetry.consent import Granted
from franklinwh_telemetry.destination import route
from franklinwh_telemetry.guard import guard, note_refusal, remember_state_folder
from franklinwh_telemetry.launch import launch
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.spool import MAX_MANIFEST_BYTES, PLACES, Manifest, Spool, listing, short_name
from franklinwh_telemetry.statefolder import (
    FolderRefusal,
    discard,
    is_missing,
    make_folder,
    make_folder_below,
    read_small,
    write_once,
)

if TYPE_CHECKING:
    from uuid import UUID

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.vocabulary import Vocabulary


@final
class Permission:
    """A yes, checked a moment ago, with the destination and the manifest that belong to it."""

    __slots__ = ("destination", "granted", "manifest")

    def __init__(self, granted: Granted, destination: Destination, manifest: Manifest) -> None:
        self.granted = granted
        self.destination = destination
        self.manifest = manifest

    def execution_uuid(self, root: str | FolderRefusal) -> UUID | None:
        """The user's UUID, drawn at its first use; None when the state folder cannot hold it, which is noted."""
        if self.granted.execution_uuid is not None:
            return self.granted.execution_uuid
        assigned = assigned_uuid(root, self.granted) if isinstance(root, str) else root
        if isinstance(assigned, FolderRefusal):
            note_refusal(f"no state folder: {assigned.value}")
            return None
        return assigned

    def write(self, root: str | FolderRefusal, records: list[event.Record], *, dropped: int = 0) -> bool:
        """
        Append *records* to the spool of this yes and start a sender if one is due; False if nothing was written.

        One that cannot be written keeps none of the others from being so, nor does a sender that cannot be started.
        *dropped* is how many more there were before them, which a full queue has lost; they are counted with those.
        """
        spool = open_spool(root, self.manifest, self.granted) if isinstance(root, str) else root
        if not isinstance(spool, Spool):
            note_refusal(f"no state folder: {spool.value}")
            return False
        if not records:
            return False
        remember_state_folder(os.path.dirname(spool.folder))
        now_s = time.time()
        written = False
        for record in records:
            with guard:
                spool.append(record, int(now_s * 1000))
                written = True
        if dropped and written:
            spool.tally.add("dropped_queue_full", dropped)
        with guard:
            launch(spool, now_s)
        return written


def permit(
    granted: Granted,
    vocabulary: Vocabulary,
    policy_version: int,
    *,
    argument: str | None,
    literal: str | None,
) -> Permission | Denied:
    """What follows from *granted*: where its events go by the rules of `destination.route`, or why they may not."""
    destination = route(granted, argument=argument, literal=literal)
    if isinstance(destination, Denied):
        return destination
    by_argument = argument is not None
    manifest = Manifest.of(granted, destination, vocabulary, policy_version, by_argument=by_argument)
    return Permission(granted, destination, manifest)


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
