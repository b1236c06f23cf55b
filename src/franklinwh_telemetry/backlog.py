"""
The backlog: a spool as its readers see it, what waits in it and under which yes; to record does not load it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, final

from franklinwh_telemetry import event
from franklinwh_telemetry.spool import MAX_MANIFEST_BYTES, MAX_RECORDS, Spool, listing, oldest_allowed
from franklinwh_telemetry.statefolder import discard, read_small

if TYPE_CHECKING:
    from collections.abc import Iterator

    from franklinwh_telemetry.spool import Manifest


@final
class Backlog(Spool):
    """A spool that is there already, with what its readers ask of it."""

    __slots__ = ()

    def names(self) -> list[str]:
        """The names of the records that wait, oldest first."""
        return sorted(listing(self.path("claimed")) + listing(self.path("new")))

    def names_within_bounds(self, now_ms: int) -> list[str]:
        """Those of them that are within the bounds of `room`."""
        oldest = oldest_allowed(now_ms)
        return [name for name in self.names()[-MAX_RECORDS:] if name >= oldest]

    def read(self, name: str) -> bytes | None:
        """The bytes of a record that waits, claimed or new."""
        for place in ("claimed", "new"):
            data = read_small(self.path(f"{place}/{name}"), event.MAX_RECORD_BYTES)
            if data is not None:
                return data
        return None

    def manifest(self) -> Manifest | None:
        """The manifest, or None when it is missing or not ours to read: then nothing may be sent."""
        data = read_small(self.path("manifest.json"), MAX_MANIFEST_BYTES)
        if data is None or len(data) > MAX_MANIFEST_BYTES:
            return None
        from franklinwh_telemetry.manifestfile import parse_manifest  # noqa: PLC0415 - a no looks here, mostly in vain

        return parse_manifest(data)

    def manifest_trouble(self) -> str:
        """What is wrong with a manifest that is there, and how to mend it; empty if nothing is, or if it is gone."""
        path = self.path("manifest.json")
        if not os.path.lexists(path) or self.manifest() is not None:
            return ""
        if os.path.isdir(path):
            return f"{path} is a folder: remove it"
        return (
            f"{path} is unreadable, damaged or from a newer version: run a command of the program, which writes it "
            "anew, or update this package"
        )

    def empty(self) -> int:
        """Throw away every record, unsent, and say how many; the grant goes first, so that a sender stops."""
        discard(self.path("manifest.json"))
        discarded = 0
        for place in ("new", "claimed", "tmp"):
            for name in listing(self.path(place)):
                removed = discard(self.path(f"{place}/{name}"))
                discarded += removed and place != "tmp"
        if discarded:
            self.tally.add("discarded_on_withdrawal", discarded)
        return discarded


def assigned_texts(root: str, application: str) -> list[str]:
    """What the UUID files of an application hold."""
    folder = os.path.join(root, application)
    names = [name for name in listing(folder) if name.startswith("uuid-")]
    return [(read_small(os.path.join(folder, name), 64) or b"").decode("ascii", "replace") for name in sorted(names)]


def existing_spools(root: str, application: str) -> Iterator[Backlog]:
    """Every spool of an application that this user may read."""
    folder = os.path.join(root, application)
    for name in sorted(listing(folder)):
        if name.startswith("spool-"):
            yield Backlog(os.path.join(folder, name))


def existing_applications(root: str) -> list[str]:
    """Every application that has state here."""
    return sorted(name for name in listing(root) if os.path.isdir(os.path.join(root, name)))
