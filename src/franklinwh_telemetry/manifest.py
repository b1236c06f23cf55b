"""
The manifest: what a sender must know about the yes under which a spool was filled.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from franklinwh_telemetry.consent import Granted
    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.vocabulary import Vocabulary

MAX_MANIFEST_BYTES: Final = 256 * 1024
MANIFEST_VERSION: Final = 1

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

    def folder_name(self) -> str:
        """A name for this yes: application, ini and destination together; a hash, used only on this machine."""
        if not self._folder_name:
            grant = json.dumps([self.application, self.source, self.destination.to_fields()], sort_keys=True)
            self._folder_name = f"spool-{short_name(grant)}"
        return self._folder_name
