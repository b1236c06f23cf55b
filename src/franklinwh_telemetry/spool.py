"""
The spool: one small file an event, in a folder that belongs to exactly one yes, which its manifest names.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import event, system
from franklinwh_telemetry.statefolder import Tally, remove_quietly, write_new

if TYPE_CHECKING:
    from franklinwh_telemetry.consent import Granted
    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.room import Room
    from franklinwh_telemetry.vocabulary import Vocabulary

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

MAX_MANIFEST_BYTES: Final = 256 * 1024
MANIFEST_VERSION: Final = 1

ARGUMENT: Final = "argument"
INI: Final = "ini"
APPLICATION: Final = "application"
"""Who named the destination: a call of the program, the user's ini, or the application's own literal (or nobody)."""

_MARK_BELIEVED_S: Final = SENDER_LIFETIME_S + 5.0
_BACKOFF_BELIEVED_S: Final = 2 * 24 * 60 * 60.0


class Spool:
    """
    The records of one yes, and the marks by which hosts and senders see each other.

    Whoever appends needs a `Granted` (`permission.open_spool`); who reads opens one that is there (`backlog.Backlog`).
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


@final
class Manifest:
    """Application, source of the consent, destination and vocabulary of one spool; it never leaves the machine."""

    __slots__ = (
        "_encoded",
        "_folder_name",
        "application",
        "commands",
        "destination",
        "explicit",
        "policy_version",
        "routed_by",
        "source",
    )

    def __init__(
        self,
        *,
        application: str,
        source: str,
        explicit: bool,
        policy_version: int,
        destination: Destination,
        routed_by: str,
        commands: tuple[str, ...],
    ) -> None:
        self.application = application
        self.source = source
        self.explicit = explicit
        self.policy_version = policy_version
        self.destination = destination
        self.routed_by = routed_by
        self.commands = commands
        self._encoded = b""
        self._folder_name = ""

    @classmethod
    def of(
        cls,
        granted: Granted,
        destination: Destination,
        vocabulary: Vocabulary,
        policy_version: int,
        *,
        by_argument: bool = False,
    ) -> Manifest:
        """The manifest of what is recorded under *granted*; *by_argument*: the program named the destination."""
        return cls(
            application=granted.application,
            source=granted.source,
            explicit=granted.explicit,
            policy_version=policy_version,
            destination=destination,
            routed_by=ARGUMENT if by_argument else routed_by(granted),
            commands=vocabulary.commands,
        )

    def encode(self) -> bytes:
        """The manifest as its file holds it."""
        if self._encoded:
            return self._encoded
        fields = {
            "application": self.application,
            "routed_by": self.routed_by,
            "commands": self.commands,
            "destination": self.destination.to_fields(),
            "explicit": self.explicit,
            "policy_version": self.policy_version,
            "source": self.source,
            "v": MANIFEST_VERSION,
        }
        self._encoded = json.dumps(fields, sort_keys=True).encode("utf-8", "surrogateescape")
        return self._encoded

    def folder_name(self) -> str:
        """A name for this yes: application, ini and destination together; a hash, used only on this machine."""
        if not self._folder_name:
            grant = json.dumps([self.application, self.source, self.destination.to_fields()], sort_keys=True)
            self._folder_name = f"spool-{short_name(grant)}"
        return self._folder_name


def routed_by(granted: Granted) -> str:
    """`INI` where the user's ini names a destination, else `APPLICATION`."""
    return APPLICATION if granted.routing.keys().isdisjoint(("endpoint", "api_key", "posthog_host")) else INI


def short_name(text: str) -> str:
    """Sixteen hexadecimal digits that stand for *text* alone, for a folder's name; used only on this machine."""
    # Loaded while no file can be opened, `hashlib` would set up the program's logging, to print that this one is
    # missing: so it comes first, and its error is ours. A Python may be built without it.
    with contextlib.suppress(ModuleNotFoundError):
        import _blake2  # noqa: F401, PLC0415
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


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
