"""
The manifest: what a sender must know about the yes under which a spool was filled.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry.address import BadDestination
from franklinwh_telemetry.destination import Destination
from franklinwh_telemetry.statefolder import read_small, replace, write_once

if TYPE_CHECKING:
    from franklinwh_telemetry.consent import Granted
    from franklinwh_telemetry.vocabulary import Vocabulary

MAX_MANIFEST_BYTES: Final = 256 * 1024
MANIFEST_VERSION: Final = 1

_LOCK_WAIT_S: Final = 1.0
"""Another program holds the lock for less than a millisecond; one that was stopped there is not waited for."""

ARGUMENT: Final = "argument"
INI: Final = "ini"
APPLICATION: Final = "application"
"""Who named the destination: a call of the program, the user's ini, or the application's own literal (or nobody)."""


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

    def with_commands_of(self, other: Manifest) -> Manifest:
        """This one with the other's commands in front, for two programs that record different ones under one yes."""
        known = set(other.commands)
        added = tuple(command for command in self.commands if command not in known)
        return Manifest(
            application=self.application,
            source=self.source,
            explicit=self.explicit,
            policy_version=self.policy_version,
            destination=self.destination,
            routed_by=self.routed_by,
            commands=(*other.commands, *added),
        )

    def kept_with(self, found: bytes | None) -> bytes:
        """
        This one's bytes, with the commands that the one *found* lists besides, unless they are too many.

        Programs of one application may record different commands under one yes, and a record that waits must not be
        refused because another program ran after it.
        """
        encoded = self.encode()
        kept = Manifest.decode(found) if found is not None and found != encoded else None
        merged = encoded if kept is None else self.with_commands_of(kept).encode()
        return merged if len(merged) <= MAX_MANIFEST_BYTES else encoded

    def write_into(self, folder: str) -> None:
        """
        Put it into the folder of a spool, beside the commands of programs that do so at the same moment.

        The first one is made in one step; who finds another one there changes it under a lock, held for as long as a
        small file takes to be read and written.
        """
        path = os.path.join(folder, "manifest.json")
        if not os.path.lexists(path) and write_once(path, self.encode()):
            return
        from franklinwh_telemetry.lock import Lock  # noqa: PLC0415 - only where two programs differ

        lock = Lock(os.path.join(folder, "manifest.lock"))
        lock.acquire(_LOCK_WAIT_S)
        try:
            replace(path, self.kept_with(read_small(path, MAX_MANIFEST_BYTES)))
        finally:
            lock.release()

    def folder_name(self) -> str:
        """A name for this yes: application, ini and destination together; a hash, used only on this machine."""
        if not self._folder_name:
            grant = json.dumps([self.application, self.source, self.destination.to_fields()], sort_keys=True)
            self._folder_name = f"spool-{short_name(grant)}"
        return self._folder_name

    @classmethod
    def decode(cls, data: bytes) -> Manifest | None:
        """Parse what `encode` wrote; None for anything else."""
        try:
            fields = json.loads(data.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, dict) or fields.get("v") != MANIFEST_VERSION:
            return None
        application, source, explicit = fields.get("application"), fields.get("source"), fields.get("explicit")
        policy_version, commands = fields.get("policy_version"), fields.get("commands")
        route, routed = fields.get("destination"), fields.get("routed_by")
        destination = Destination.from_fields(route) if isinstance(route, dict) else None
        if (
            not isinstance(application, str)
            or not isinstance(source, str)
            or not isinstance(explicit, bool)
            or routed not in (ARGUMENT, INI, APPLICATION)
            or type(policy_version) is not int
            or not isinstance(commands, list)
            or not all(isinstance(command, str) for command in commands)
            or destination is None
            or isinstance(destination, BadDestination)
        ):
            return None
        return cls(
            application=application,
            source=source,
            explicit=explicit,
            policy_version=policy_version,
            destination=destination,
            routed_by=routed,
            commands=tuple(commands),
        )
