"""
What faults leave behind: one user's state before a run, what later runs make of it, and what still lies there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid5

import pytest

import support
from doubles.posthog import KNOWN_KEY, PostHogDouble
from doubles.records import make_record
from franklinwh_telemetry import Telemetry, Vocabulary, event, testing
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.permission import open_spool
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from franklinwh_telemetry.sender.posthog import NAMESPACE
from franklinwh_telemetry.sender.send import Ending, drain
from franklinwh_telemetry.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable

HOUR_S = 60 * 60
SETTLED_NS = 200_000_000

LASTING = re.compile(
    r"counts/\w+|last-error|uuid-[0-9a-f]{16}|"
    r"spool-[0-9a-f]{16}/(lock|manifest\.(json|lock)|key-is-good|telemetry\.jsonl|counts/\w+|journal/\d{12}\.request|crowd/\d+)"
)
"""Every file that may lie in an application's folder while no run is under way and nothing waits."""


def event_name(trace_id: int, span_id: int) -> str:
    """One name for an event wherever it arrives: the one that PostHog knows it by."""
    return str(uuid5(NAMESPACE, f"{trace_id:032x}{span_id:016x}"))


class Otlp:
    """An OTLP receiver."""

    def __init__(self) -> None:
        self._receiver = LoopbackReceiver()
        self._seen = 0

    def __enter__(self) -> Otlp:
        self._receiver.__enter__()
        self.route = f"endpoint = {self._receiver.url}\n"
        return self

    def __exit__(self, *exception: object) -> None:
        self._receiver.__exit__(*exception)

    def arrived(self) -> list[str]:
        """The events that have arrived since it was last asked, or looked past."""
        requests = self._receiver.requests[self._seen :]
        self._seen += len(requests)
        return [
            event_name(int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big"))
            for request in requests
            for resource in LoopbackReceiver.decode(request).resource_spans
            for span in resource.scope_spans[0].spans
        ]


class PostHog:
    """A PostHog."""

    def __init__(self) -> None:
        self._posthog = PostHogDouble()
        self._seen = 0

    def __enter__(self) -> PostHog:
        self._posthog.__enter__()
        self.route = f"api_key = {KNOWN_KEY}\nposthog_host = {self._posthog.url}\n"
        return self

    def __exit__(self, *exception: object) -> None:
        self._posthog.__exit__(*exception)

    def arrived(self) -> list[str]:
        """The same."""
        exchanges = self._posthog.exchanges[self._seen :]
        self._seen += len(exchanges)
        taken = [json.loads(exchange.body) for exchange in exchanges if exchange.status == 200]
        return [str(found["uuid"]) for body in taken for found in body["batch"]]


class LocalFile:
    """The file that events stay in where no destination is named; it is cleared away with the state."""

    route = ""

    def __enter__(self) -> LocalFile:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Nothing is open."""

    def arrived(self) -> list[str]:
        """Those that lie there."""
        return [event_name(int(span["traceId"], 16), int(span["spanId"], 16)) for span in support.kept_spans()]


Place = Otlp | PostHog | LocalFile


class User:
    """Somebody with an ini in the working directory and one at home, and a place where their events go."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.folder = Path.cwd()
        self.ini = self.folder / "franklinwh.ini"
        self.lower_ini = self.folder / "franklinwh" / "franklinwh.ini"
        self.home_ini = Path(os.environ["HOME"], ".franklinwh.ini")
        self.state = Path(os.environ["XDG_STATE_HOME"])
        self.kept = self.state.with_name("kept")

    def begin(self) -> None:
        """Have no state, and nothing under way."""
        shutil.rmtree(self.state)
        self.state.mkdir(mode=0o700)
        self.place.arrived()

    def say(self, answer: str, *, path: Path | None = None) -> None:
        """Answer in an ini that looks as if it had been written long ago."""
        path = path or self.ini
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(f"[telemetry]\nenabled = {answer}\n{self.place.route}")
        os.utime(path, (1_700_000_000.5,) * 2)

    def settle(self) -> None:
        """Wait until the answers have stood long enough to be remembered: no run of the same reads them more often."""
        changed_ns = max(path.stat().st_ctime_ns for path in (self.ini, self.home_ini, self.lower_ini) if path.exists())
        while time.time_ns() - changed_ns < SETTLED_NS:
            time.sleep(0.01)

    def keep_state(self) -> None:
        """Remember what lies there now."""
        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(self.state, self.kept)

    def restore_state(self) -> None:
        """Have just that lie there, and nothing under way."""
        shutil.rmtree(self.state)
        shutil.copytree(self.kept, self.state)
        self.place.arrived()

    def put(self, numbers: Iterable[int], place: str = "new") -> Spool:
        """Let records wait whose ids follow from their numbers."""
        allowed = self._telemetry().permission()
        assert not isinstance(allowed, Denied)
        spool = open_spool(support.state_root(), allowed.manifest, allowed.granted)
        assert isinstance(spool, Spool)
        for number in numbers:
            name = f"{time.time_ns() // 1_000_000 - 100_000 + number:015d}-{number:016x}"
            Path(spool.path(f"{place}/{name}")).write_bytes(event.encode(make_record(number)))
        return spool

    def run_later(self) -> set[str]:
        """
        Run a command and a sender, and another sender an hour later; what has arrived since the user's beginning.

        Those runs have no trouble of any kind.
        """
        with testing.errors_raised(), self._telemetry().command("mode"):
            pass
        self.send()
        self.send(HOUR_S + 60)
        return set(self.place.arrived())

    def send(self, later_s: float = 0.0) -> None:
        """Let a sender look at every spool, *later_s* from now."""
        now_s = time.time
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(time, "time", lambda: now_s() + later_s)
            for spool in support.spools():
                assert drain(spool.folder, grace_s=0) is Ending.DONE

    def left_behind(self) -> list[str]:
        """Whatever still lies there and should not."""
        root = Path(support.state_root())
        folder = root / support.APPLICATION
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()]
        strays = [name for name in names if not LASTING.fullmatch(name)]
        strays += [path.name for path in root.iterdir() if path != folder]
        for spool in support.spools():
            journal = Journal(spool.path("journal"))
            assert list(journal.entries()) is not None
            strays += [f"{journal.skipped} unreadable requests"] if journal.skipped else []
        return sorted(strays)

    def is_named_in(self, words: str) -> bool:
        """Whether a call was about one of this user's files, and not merely made in their folder."""
        return str(self.folder.parent) in re.sub(r"AT_FDCWD<[^>]*>", "", words)

    def waiting(self) -> list[dict[str, Any]]:
        """What waits."""
        return support.waiting()

    def _telemetry(self) -> Telemetry:
        return Telemetry(support.APPLICATION, Vocabulary(["status", "mode"]))
