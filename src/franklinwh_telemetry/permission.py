"""
A permission: a yes of this moment, where its events go, and the way into its spool.

Imported only once somebody has said yes, so that a program whose user has not pays nothing for what is behind it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, final

from franklinwh_telemetry.destination import route
from franklinwh_telemetry.guard import guard, note_refusal, remember_state_folder
from franklinwh_telemetry.launch import launch
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.manifest import Manifest
from franklinwh_telemetry.spool import Spool, assigned_uuid, open_spool
from franklinwh_telemetry.statefolder import FolderRefusal

if TYPE_CHECKING:
    from uuid import UUID

    from franklinwh_telemetry import event
    from franklinwh_telemetry.consent import Granted
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
