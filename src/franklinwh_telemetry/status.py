"""
What a user may ask: on or off and by which rule, where to, what waits, and what has gone wrong.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import guard
from franklinwh_telemetry.backlog import existing_spools
from franklinwh_telemetry.destination import FILE
from franklinwh_telemetry.foresight import foresee
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.spool import PLACES
from franklinwh_telemetry.statefolder import FolderRefusal, Tally, check_folder, read_small

if TYPE_CHECKING:
    from collections.abc import Iterator

    from franklinwh_telemetry.backlog import Backlog
    from franklinwh_telemetry.consent import Granted
    from franklinwh_telemetry.recorder import Telemetry

MAX_TROUBLE_BYTES: Final = 4096
_LONGEST_PAUSE_S: Final = 2 * 24 * 60 * 60.0

DEAD_SENDERS_REMEDY: Final = (
    "run `franklinwh-telemetry send`; in a container start it with `docker run --init` and keep the state folder in a "
    "volume; under systemd set KillMode=process"
)

LAST_ERROR_REMEDY: Final = "the command itself was not affected; report it if that goes on"

LABEL_WIDTH: Final = 12

NOT_SENT: Final = {
    "refused": "not sent",
    "dropped": "not sent",
    "dispatch": "not recorded",
    "discarded": "thrown away",
}
"""How the names of the counts begin that tell of events which were not delivered, and what they are shown as."""

WARNINGS: Final = ("not sent", "not recorded", "last trouble", "senders", "last error")
"""What a fact is about that somebody should look at."""

EXPLAINED: Final = {
    "refused_record_too_large": "larger than an event can be, so not ours; check what else writes there",
    "refused_record_not_json": "damaged, so thrown away; check the disk if that goes on",
    "refused_record_newer_version": "written by a newer version, so thrown away; update this package",
    "refused_record_wrong_keys": "with more or less than the five facts, so thrown away; update this package",
    "refused_record_wrong_value": "with a value that no event can have, so thrown away; update this package",
    "refused_record_unknown_command": "of a command not in the vocabulary, so thrown away; update the program",
    "dropped_too_old": "older than 30 days; check the clock if they were not, and the destination if they were",
    "dropped_spool_full": "more than 1,000 waited; check the destination, or run `franklinwh-telemetry send`",
    "dropped_queue_full": "more than 1,000 waited in memory; the program should call flush() more often",
    "discarded_on_withdrawal": "thrown away, unsent, when the yes was taken back, as it should be",
    "dispatch_uuid_not_random": "the program passed a UUID that is not a random one; report that to its makers",
}
"""What a count means, and what can be done about it."""


@final
class Trouble:
    """Why the last attempt to send ended early, and until when hosts start no other sender."""

    __slots__ = ("failures", "kind", "message", "until_ms")

    def __init__(self, kind: str, message: str, failures: int, until_ms: int) -> None:
        self.kind = kind
        self.message = message
        self.failures = failures
        self.until_ms = until_ms

    def encode(self) -> bytes:
        """The trouble as its file holds it."""
        fields = {
            "failures": self.failures,
            "kind": self.kind,
            "message": self.message,
            "until_ms": self.until_ms,
        }
        return json.dumps(fields, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes | None) -> Trouble | None:
        """Parse what `encode` wrote; None for anything else."""
        try:
            fields = json.loads(data or b"")
            kind, message = fields["kind"], fields["message"]
            failures, until_ms = fields["failures"], fields["until_ms"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not (isinstance(kind, str) and isinstance(message, str) and type(failures) is type(until_ms) is int):
            return None
        return cls(kind, message, failures, until_ms)


def read_trouble(spool: Backlog) -> Trouble | None:
    """The trouble a spool's last sender has left behind, if any."""
    return Trouble.decode(read_small(spool.path("backoff"), MAX_TROUBLE_BYTES))


@final
class Status:
    """
    The state of one application on this machine.

    `decision` names the rule and the file or variable that decided; `agreed` the policy's version and the date of the
    yes, and `paused` until when no other attempt is made, each empty where there is none; `anything_kept`
    whether the state folder is there; `counts` has, by name, what
    was delivered, refused, dropped or left unrecorded, since the state folder was made; `senders_died` is how many
    senders were started and never came to their end.
    """

    __slots__ = (
        "agreed",
        "anything_kept",
        "application",
        "counts",
        "decision",
        "destination",
        "enabled",
        "last_error",
        "paused",
        "pending",
        "senders_died",
        "state_folder",
        "trouble",
    )

    def __init__(
        self,
        *,
        application: str,
        enabled: bool,
        decision: str,
        destination: str,
        state_folder: str,
        pending: int,
        counts: dict[str, int],
        senders_died: int,
        trouble: str,
        last_error: str,
        agreed: str,
        paused: str,
        anything_kept: bool,
    ) -> None:
        self.application = application
        self.enabled = enabled
        self.decision = decision
        self.destination = destination
        self.state_folder = state_folder
        self.pending = pending
        self.counts = counts
        self.senders_died = senders_died
        self.trouble = trouble
        self.last_error = last_error
        self.agreed = agreed
        self.paused = paused
        self.anything_kept = anything_kept

    def to_fields(self) -> dict[str, object]:
        """All of it by name, ready for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def facts(self) -> list[tuple[str, str]]:
        """All of it in words: what each is about, and what there is to say."""
        from franklinwh_telemetry.plain import counted  # noqa: PLC0415 - only for people

        counts = self.counts
        facts = [("decided by", self.decision), ("so", self._meaning())]
        if self.destination:
            facts.append(("destination", self.destination))
        if self.agreed:
            facts.append(("agreed to", self.agreed))
        waiting = counted(self.pending, "event")
        facts.append(("waiting", f"{waiting}; {self.paused}" if self.pending and self.paused else waiting))
        facts.append(("delivered", counted(counts.get("delivered", 0), "event")))
        facts.extend(
            (
                NOT_SENT[name.partition("_")[0]],
                f"{name.replace('_', ' ')}: {count}{f' ({EXPLAINED[name]})' if name in EXPLAINED else ''}",
            )
            for name, count in counts.items()
            if name.partition("_")[0] in NOT_SENT and count
        )
        if self.trouble:
            facts.append(("last trouble", self.trouble))
        if self.senders_died:
            facts.append(
                ("senders", f"{counted(self.senders_died, 'sender')} ended before it was done: {DEAD_SENDERS_REMEDY}")
            )
        if self.last_error:
            facts.append(("last error", f"{self.last_error} ({counts.get('errors', 0)} in all); {LAST_ERROR_REMEDY}"))
        if self.state_folder:
            facts.append(("kept in", self.state_folder if self.anything_kept else f"{self.state_folder} (not there)"))
        return facts

    @property
    def heading(self) -> str:
        """The application, and whether telemetry is on."""
        return f"{self.application}: {'on' if self.enabled else 'off'}"

    def lines(self) -> list[str]:
        """All of it in words, a line each."""
        from franklinwh_telemetry.plain import facts_lines  # noqa: PLC0415 - only for people

        return [self.heading, *facts_lines(self.facts(), LABEL_WIDTH)]

    def _meaning(self) -> str:
        if not self.enabled:
            return "nothing is recorded and nothing is sent"
        if self.destination == FILE.describe():
            return "five facts about each command are kept in a file, and nothing leaves this machine"
        return "five facts about each command are sent, and nothing else"


def read_status(telemetry: Telemetry) -> Status:
    """Look at consent, spools and counts of *telemetry*'s application; nothing is made, sent or waited for."""
    allowed = telemetry.permission()
    root = telemetry.state_root()
    folder = os.path.join(root, telemetry.application) if isinstance(root, str) else ""
    spools = list(existing_spools(root, telemetry.application)) if isinstance(root, str) else []
    counted = [spool.tally.read() for spool in spools]
    counts = Tally(folder).read() if folder else {}
    for of_spool in counted:
        for name, count in of_spool.items():
            counts[name] = counts.get(name, 0) + count
    now_s = time.time()
    return Status(
        application=telemetry.application,
        enabled=not isinstance(allowed, Denied),
        decision=allowed.explanation if isinstance(allowed, Denied) else _granted_by(allowed.granted.source),
        destination="" if isinstance(allowed, Denied) else allowed.destination.describe(),
        state_folder=folder,
        pending=sum(len(spool.names()) for spool in spools),
        counts=counts,
        senders_died=sum(
            _died(of_spool, alive=spool.sender_is_alive(now_s)) for spool, of_spool in zip(spools, counted, strict=True)
        ),
        trouble="; ".join(dict.fromkeys(_troubles(root, folder, spools))),
        last_error=_last_error(folder),
        agreed="" if isinstance(allowed, Denied) else _agreed(allowed.granted, telemetry.policy_version),
        paused=_paused(spools, now_s),
        anything_kept=bool(folder) and os.path.lexists(folder),
    )


def _agreed(granted: Granted, today: int) -> str:
    """What the yes was given to, as far as it says so; one written by hand may not."""
    version = f"policy version {today}" if granted.policy is None else f"policy version {granted.policy}"
    return version if granted.since is None else f"{version}, on {granted.since}"


def _paused(spools: list[Backlog], now_s: float) -> str:
    pauses = [trouble.until_ms for spool in spools if spool.backing_off(now_s) and (trouble := read_trouble(spool))]
    if not pauses:
        return ""
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(min(pauses) / 1000, now_s + _LONGEST_PAUSE_S)))
    return f"the next attempt is not before {until}; `franklinwh-telemetry send` makes one now"


def _troubles(root: str | FolderRefusal, folder: str, spools: list[Backlog]) -> Iterator[str]:
    if not isinstance(root, str):
        yield f"there is no state folder: {root.value}"
        return
    for path in (root, folder, *(spool.folder for spool in spools)):
        unsafe = check_folder(path)
        if isinstance(unsafe, FolderRefusal):
            yield f"{path} is not used: {unsafe.value}"
            return
    for path in (folder, *(spool.path(place) for spool in spools for place in PLACES)):
        refusal = foresee(path)
        if refusal is not None:
            yield f"{path} is not used: {refusal.value}"
            break
    for spool in spools:
        if damage := spool.manifest_trouble():
            yield damage
        trouble = read_trouble(spool)
        if trouble is not None:
            yield trouble.message


def _last_error(folder: str) -> str:
    kept = read_small(os.path.join(folder, "last-error"), MAX_TROUBLE_BYTES) if folder else None
    return kept.decode("utf-8", "replace") if kept else "; ".join(guard.notes)


def _died(counts: dict[str, int], *, alive: bool) -> int:
    return max(0, counts.get("senders_launched", 0) - counts.get("senders_completed", 0) - alive)


def _granted_by(source: str) -> str:
    return "the program asked its user, who said yes" if source == "host" else f"enabled in {source}"
