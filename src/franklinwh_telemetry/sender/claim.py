"""
Claiming: what a sender takes over before it sends, what it gives back, and what it clears away that was left behind.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import system
from franklinwh_telemetry.decoding import RecordRefusal, decode
from franklinwh_telemetry.spool import CROWD, MAX_RECORDS
from franklinwh_telemetry.statefolder import discard
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from franklinwh_telemetry.backlog import Backlog
    from franklinwh_telemetry.event import Record
    from franklinwh_telemetry.spool import Manifest

LEFTOVER_MS: Final = 60 * 60 * 1000
"""After an hour nobody is at work any more on a file that was to be renamed at once."""

_TEMPORARY: Final = re.compile(r".+\.\d+\.[0-9a-f]{8}")
"""How `statefolder` names what it is about to rename: with the number of the process, and four random bytes."""


def claim(spool: Backlog, manifest: Manifest, now_ms: int) -> dict[int, tuple[str, Record]]:
    """
    Take over what waits, what a killed sender had claimed too: by span id, its file and the record, oldest first.

    What does not parse is discarded and counted, and never blocks the rest; what is there but cannot be read at this
    moment stays claimed, for a later run.
    """
    put_back(spool)
    spool.room.make(now_ms, room=0)
    sweep_leftovers(spool, now_ms)
    _move_all(spool, "new", "claimed")
    # Read after the records: a program that lists other commands names them before it records the first.
    vocabulary = Vocabulary((spool.manifest() or manifest).commands)
    records: dict[int, tuple[str, Record]] = {}
    for name in sorted(_names(spool, "claimed"), reverse=True):
        path = spool.path(f"claimed/{name}")
        data = spool.read(name)
        if data is None and _is_there(path):
            continue
        parsed = RecordRefusal.NOT_JSON if data is None else decode(data, vocabulary)
        if isinstance(parsed, RecordRefusal):
            spool.tally.add(f"refused_record_{parsed.name.lower()}")
        elif len(records) >= MAX_RECORDS:
            spool.tally.add("dropped_spool_full")
        elif parsed.span_id not in records:
            records[parsed.span_id] = (name, parsed)
            continue
        discard(path)
    return dict(reversed(records.items()))


def put_back(spool: Backlog) -> None:
    """Let what is claimed wait again."""
    _move_all(spool, "claimed", "new")


def something_waits(spool: Backlog) -> bool:
    """Whether a record has come that nobody has claimed."""
    return bool(_names(spool, "new"))


def unread(spool: Backlog) -> int:
    """How many records are still claimed, because they could not be read."""
    return len(_names(spool, "claimed"))


def sweep_leftovers(spool: Backlog, now_ms: int) -> None:
    """Remove what killed hosts and senders have left half written, an hour after they were."""
    youngest = f"{max(0, now_ms - LEFTOVER_MS):015d}"
    for name in _names(spool, "tmp"):
        # A record has its time in its name; anything else there is not ours.
        if name < youngest or not name[:15].isdigit():
            discard(spool.path(f"tmp/{name}"))
    for path in _temporaries(os.path.dirname(spool.folder), spool.folder, spool.path(CROWD)):
        modified_ms = _modified_ms(path)
        if modified_ms is not None and modified_ms < now_ms - LEFTOVER_MS:
            discard(path)


def _temporaries(*folders: str) -> Iterator[str]:
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue  # there is no count, say; or the next run looks
        yield from (os.path.join(folder, name) for name in names if _TEMPORARY.fullmatch(name))


def _modified_ms(path: str) -> int | None:
    try:
        return os.lstat(path).st_mtime_ns // 1_000_000
    except OSError:
        return None


def _is_there(path: str) -> bool:
    """Whether a regular file is at *path*, as far as can be told."""
    try:
        return stat.S_ISREG(system.uninterrupted(os.lstat, path).st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _names(spool: Backlog, place: str) -> list[str]:
    """What lies there: nothing where a host was killed before it made the folder."""
    try:
        return system.uninterrupted(os.listdir, spool.path(place))
    except FileNotFoundError:
        return []


def _move_all(spool: Backlog, source: str, target: str) -> None:
    """Move every record from one place to another; one that a host drops meanwhile is passed over."""
    for name in _names(spool, source):
        old, new = spool.path(f"{source}/{name}"), spool.path(f"{target}/{name}")
        try:
            system.patiently(os.replace, old, new)
        except FileNotFoundError:
            continue  # dropped to make room, or because consent has gone
        except OSError:
            # A folder is no record, and may not keep one of the same name from its place.
            in_the_way = next((path for path in (old, new) if os.path.isdir(path)), None)
            if in_the_way is None or not discard(in_the_way):
                raise
            if in_the_way is new:
                os.replace(old, new)
