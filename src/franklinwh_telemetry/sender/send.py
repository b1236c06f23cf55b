"""
One run of a sender: lock, consent again, claim, deliver, acknowledge, and a last look before it ends.
"""

from __future__ import annotations

import os
import random
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry import event
from franklinwh_telemetry.backlog import Backlog, existing_spools
from franklinwh_telemetry.decoding import decode
from franklinwh_telemetry.launch import mark_alive
from franklinwh_telemetry.lock import Lock
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.sender.__main__ import GRACE_S, wait_for_more
from franklinwh_telemetry.sender.claim import claim, put_back, something_waits, sweep_leftovers, unread
from franklinwh_telemetry.sender.standing import consent_again, still_granted
from franklinwh_telemetry.statefolder import is_missing, remove_quietly, replace
from franklinwh_telemetry.status import Trouble, read_trouble
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from franklinwh_telemetry.sender.acknowledge import Trouble as DeliveryTrouble
    from franklinwh_telemetry.sender.delivery import Delivery
    from franklinwh_telemetry.spool import Manifest

FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 6 * 60 * 60.0
LONGEST_ASKED_PAUSE_S: Final = 24 * 60 * 60.0
"""A destination may ask for a longer pause by `Retry-After`, up to a day."""

_TURN_S: Final = 5.0
"""How long a new sender waits for one that has had its last look and is about to end, so that nothing is stranded."""


class Ending(IntEnum):
    """How a run ended; also the exit status of a sender."""

    DONE = 0
    KEPT = 1
    UNUSABLE = 2
    ANOTHER_SENDER = 3


def drain(folder: str, *, grace_s: float = GRACE_S) -> Ending:
    """Send what the spool at *folder* holds, if its yes still stands."""
    spool = Backlog(folder)
    lock = Lock(spool.path("lock"))
    if not lock.acquire(_TURN_S):
        spool.tally.add("senders_completed")
        return Ending.ANOTHER_SENDER
    rounds = _Rounds(spool)
    try:
        mark_alive(spool)
        wait_for_more(spool.folder, grace_s)
        ending = rounds.until_nothing_waits()
    except BaseException:
        remove_quietly(spool.path("alive"))
        raise
    finally:
        lock.release()
    rounds.close()
    _tidy_siblings(spool)
    spool.tally.add("senders_completed")
    return ending


class _Rounds:
    """The rounds of one sender; they share one OpenTelemetry provider, which is made when the first needs it."""

    def __init__(self, spool: Backlog) -> None:
        self._spool = spool
        self._outcome = _Outcome(spool)
        self._delivery: Delivery | None = None

    def until_nothing_waits(self) -> Ending:
        """
        Round after round, and the lock is free right after the last.

        The mark of life goes before the last look: a host appends first and looks at the mark second, so that either
        it starts a new sender or this one sees the record.
        """
        while True:
            ending = self.run()
            remove_quietly(self._spool.path("alive"))
            if ending is not Ending.DONE or not something_waits(self._spool):
                return ending
            mark_alive(self._spool)

    def run(self) -> Ending:
        spool = self._spool
        manifest = spool.manifest()
        if manifest is None:
            if is_missing(spool.path("manifest.json")):
                return self._discard()
            # It may be mended, or belong to a newer version: no yes to send by, but no withdrawal either.
            leave_trouble(spool, "manifest", spool.manifest_trouble() or _unreadable(spool, "manifest.json"), None)
            return Ending.KEPT
        denied = consent_again(manifest)
        if isinstance(denied, Denied):
            return self._refuse(denied)
        records = claim(spool, manifest, int(time.time() * 1000))
        if records:
            return self._deliver(manifest, records)
        if unread(spool):
            leave_trouble(spool, "local", _unreadable(spool, "claimed"), None)
            return Ending.KEPT
        remove_quietly(spool.path("backoff"))
        return Ending.DONE

    def close(self) -> None:
        """Shut the provider down, if there is one."""
        if self._delivery is not None:
            self._delivery.close()

    def _refuse(self, denied: Denied) -> Ending:
        if denied.is_withdrawal:
            return self._discard()
        leave_trouble(self._spool, "consent", denied.explanation, None)
        return Ending.KEPT

    def _discard(self) -> Ending:
        self._spool.empty()
        sweep_leftovers(self._spool, int(time.time() * 1000))
        remove_quietly(self._spool.path("backoff"))
        return Ending.DONE

    def _deliver(self, manifest: Manifest, records: dict[int, tuple[str, event.Record]]) -> Ending:
        spool, outcome = self._spool, self._outcome
        before = read_trouble(spool)
        failures = before.failures if before is not None else 0
        # Written before the attempt, so that one which never ends pauses the next just the same.
        unanswered = f"the sender was ended before {manifest.destination.host} answered"
        leave_trouble(spool, "temporary", unanswered, None, failures=failures)
        outcome.expect({span_id: name for span_id, (name, _record) in records.items()})
        try:
            self._open(manifest).deliver([record for _name, record in records.values()])
        finally:
            put_back(spool)
        if outcome.trouble is None:
            remove_quietly(spool.path("backoff"))
            return Ending.DONE
        if outcome.trouble.kind == "withdrawn":
            return self.run()
        leave_trouble(
            spool,
            outcome.trouble.kind,
            outcome.trouble.message,
            outcome.trouble.retry_after_s,
            failures=failures,
        )
        return Ending.KEPT

    def _open(self, manifest: Manifest) -> Delivery:
        if self._delivery is None:
            from franklinwh_telemetry.sender.delivery import Delivery  # noqa: PLC0415 - imports OpenTelemetry

            self._delivery = Delivery(
                application=manifest.application,
                destination=manifest.destination,
                folder=self._spool.folder,
                may_send=lambda: still_granted(self._spool),
                outcome=self._outcome,
            )
        return self._delivery


class _Outcome:
    """What the destination said of each record, written down at once."""

    def __init__(self, spool: Backlog) -> None:
        self._spool = spool
        self._names: dict[int, str] = {}
        self.trouble: DeliveryTrouble | None = None

    def expect(self, names: dict[int, str]) -> None:
        """Begin a round: the file of each record, by its span id."""
        self._names = names
        self.trouble = None

    def accepted(self, records: Sequence[event.Record]) -> None:
        """These have arrived: they leave the spool."""
        for record in records:
            self._remove(record)
        self._spool.tally.add("delivered", len(records))

    def refused(self, record: event.Record, why: str) -> None:
        """This one will never be taken: it leaves the spool, counted."""
        self._remove(record)
        self._spool.tally.add("refused_" + "".join(letter if letter.isalnum() else "_" for letter in why.lower())[:60])

    def kept(self, trouble: DeliveryTrouble) -> None:
        """The rest stays, for the reason given."""
        self.trouble = trouble

    def _remove(self, record: event.Record) -> None:
        remove_quietly(self._spool.path(f"claimed/{self._names[record.span_id]}"))


def _unreadable(spool: Backlog, name: str) -> str:
    return f"{spool.path(name)} could not be read; check its permissions and the disk if that goes on"


def leave_trouble(spool: Backlog, kind: str, message: str, retry_after_s: float | None, *, failures: int = 0) -> None:
    """Keep the reason, and pause the next launch: exponential, with jitter, at least what the destination asked."""
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 20)) * random.uniform(0.5, 1.0)  # noqa: S311
    pause_s = max(pause_s, min(retry_after_s or 0.0, LONGEST_ASKED_PAUSE_S))
    until_s = time.time() + pause_s
    path = spool.path("backoff")
    replace(path, Trouble(kind, message, failures + 1, int(until_s * 1000)).encode())
    os.utime(path, (until_s, until_s))


def _tidy_siblings(spool: Backlog) -> None:
    """Let records expire in spools that nobody fills any more, such as that of an earlier destination."""
    folder = os.path.dirname(spool.folder)
    for sibling in existing_spools(os.path.dirname(folder), os.path.basename(folder)):
        if sibling.folder == spool.folder:
            continue
        lock = Lock(sibling.path("lock"))
        try:
            if lock.acquire():
                put_back(sibling)
                sibling.room.make(int(time.time() * 1000), room=0)
        except OSError:
            continue
        finally:
            lock.release()


def pending_records(spool: Backlog) -> list[event.Record]:
    """What a run started now would send; nothing is claimed."""
    manifest = spool.manifest()
    if manifest is None or isinstance(consent_again(manifest), Denied):
        return []
    vocabulary = Vocabulary(manifest.commands)
    names = spool.names_within_bounds(int(time.time() * 1000))
    parsed = [decode(spool.read(name) or b"", vocabulary) for name in names]
    return [record for record in parsed if isinstance(record, event.Record)]
