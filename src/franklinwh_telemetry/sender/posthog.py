"""PostHog's `/batch/`: each span as one event in canonical JSON, the project key checked first."""

from __future__ import annotations

import hashlib
import json
import os
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from franklinwh_telemetry.sender.acknowledge import (
    UNWRITABLE,
    Accepted,
    AcknowledgingSpanExporter,
    Outcome,
    Refused,
    Trouble,
    Verdict,
    judge,
    withdrawn,
)
from franklinwh_telemetry.statefolder import read_small, remove_quietly, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.event import Record
    from franklinwh_telemetry.sender.answer import Answer
    from franklinwh_telemetry.sender.wire import Wire

DEFAULT_EVENT_NAME: Final = "franklinwh_cloud_execution"
NAMESPACE: Final = UUID("af72cd49-440a-500d-8cde-475dbf99c7a0")
"""UUIDv5 of `https://franklinwh-telemetry.invalid/posthog-event` in the namespace for URLs; never to be changed."""

MAX_BODY_BYTES: Final = 2 * 1024 * 1024
"""A tenth of what PostHog takes in one request, and half of what the journal keeps."""

KEY_BELIEVED_S: Final = 24 * 60 * 60.0
CHECK_DISTINCT_ID: Final = "franklinwh-telemetry-key-check"
"""The `/flags` endpoint wants somebody to ask for; this is nobody, and the same for everybody."""

_JSON: Final = "application/json"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def canonical_json(value: Any) -> bytes:
    """
    RFC 8785 for what we write: objects, arrays, strings, whole numbers below 2**53, true and false.

    Our keys are ASCII, where the order of code points is that of UTF-16; ValueError for text that is not Unicode.
    """
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def event_of(record: Record, event_name: str) -> dict[str, Any]:
    """The one event that PostHog gets for a record: the five facts, and constants."""
    event = record.event
    return {
        "distinct_id": str(event.execution_uuid),
        "event": event_name,
        "properties": {
            "$geoip_disable": True,
            "$ip": "127.0.0.1",
            "$process_person_profile": False,
            "command": event.command.text,
            "execution_latency_ms": event.execution_latency_ms,
            "success": event.success,
        },
        "timestamp": timestamp(event.executed_at_ms),
        "uuid": str(event_uuid(record)),
    }


def event_uuid(record: Record) -> UUID:
    """By which PostHog drops duplicates: UUIDv5 of both ids in hex, the same for every retry."""
    return uuid5(NAMESPACE, f"{record.trace_id:032x}{record.span_id:016x}")


def timestamp(executed_at_ms: int) -> str:
    """RFC 3339 in UTC with exactly three digits of a second."""
    moment = _EPOCH + timedelta(milliseconds=executed_at_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{executed_at_ms % 1000:03d}Z"


def batch_body(api_key: str, records: Iterable[Record], event_name: str = DEFAULT_EVENT_NAME) -> bytes:
    """The body of one request to `/batch/`."""
    return canonical_json({"api_key": api_key, "batch": [event_of(record, event_name) for record in records]})


class KeyMemory:
    """A file that remembers for a day, by its time, that the key of a destination was good."""

    def __init__(self, path: str, destination: Destination, *, wall_clock_s: Callable[[], float] = time.time) -> None:
        self._path = path
        self._fingerprint = hashlib.sha256(f"{destination.url} {destination.api_key}".encode()).hexdigest().encode()
        self._wall_clock_s = wall_clock_s

    def is_good(self) -> bool:
        """Whether this very key was good there within a day."""
        try:
            age_s = self._wall_clock_s() - os.stat(self._path).st_mtime
        except OSError:
            return False
        return 0 <= age_s < KEY_BELIEVED_S and read_small(self._path, 64) == self._fingerprint

    def remember(self) -> None:
        """Note that the key is good now; what cannot be noted is asked again."""
        now_s = self._wall_clock_s()
        try:
            replace(self._path, self._fingerprint)
            os.utime(self._path, (now_s, now_s))
        except OSError:
            return

    def forget(self) -> None:
        """Note that the key is not good after all."""
        remove_quietly(self._path)


class PassingKeyMemory:
    """Remembers for one process only, and leaves no file."""

    def __init__(self, *, good: bool = False) -> None:
        self._good = good

    def is_good(self) -> bool:
        """Whether the key was good in this process."""
        return self._good

    def remember(self) -> None:
        """Note that the key is good."""
        self._good = True

    def forget(self) -> None:
        """Note that it is not."""
        self._good = False


class PostHogSpanExporter(AcknowledgingSpanExporter):
    """
    Posts batches to PostHog.

    PostHog answers 200 to a wrong key and drops the data, so the key is checked at `/flags/` before the first
    batch, unless *key_memory* knows it for good.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        application: str,
        may_send: Callable[[], bool],
        outcome: Outcome,
        key_memory: KeyMemory | PassingKeyMemory,
        event_name: str = DEFAULT_EVENT_NAME,
    ) -> None:
        super().__init__(application=application, host=wire.destination.host, may_send=may_send, outcome=outcome)
        self._wire = wire
        self._api_key = wire.destination.api_key
        self._base = wire.destination.url.rstrip("/")
        self._event_name = event_name
        self._key_memory = key_memory

    def post(self, batch: Sequence[tuple[ReadableSpan, Record]]) -> Verdict:
        """One request to `/batch/`, after one to `/flags/` if the key has not been checked today."""
        try:
            body = batch_body(self._api_key, (record for _span, record in batch), self._event_name)
        except ValueError:
            return Refused(UNWRITABLE)
        if len(body) > MAX_BODY_BYTES:
            return Refused("larger than a request may be")
        trouble = None if self._key_memory.is_good() else self._check_key()
        if trouble is not None:
            return trouble
        answer = self._wire.post(f"{self._base}/batch/", body, _JSON)
        if answer.status == 401:  # noqa: PLR2004 - the status that means exactly this
            return self._unknown_key()
        return judge(answer, self._host, lambda answer: read_answer(answer, len(batch)))

    def shutdown(self) -> None:
        """Close the wire."""
        self._wire.close()

    def _check_key(self) -> Trouble | None:
        body = canonical_json({"api_key": self._api_key, "distinct_id": CHECK_DISTINCT_ID})
        answer = self._wire.post(f"{self._base}/flags/?v=2", body, _JSON)
        if answer.status == 401:  # noqa: PLR2004 - as above
            return self._unknown_key()
        verdict = judge(answer, self._host, _read_flags)
        if isinstance(verdict, Trouble):
            return verdict
        if isinstance(verdict, Refused):
            return Trouble("destination", f"{self._host} {verdict.why} to check the project key; check the destination")
        self._key_memory.remember()
        return None if self._may_send() else withdrawn(self._host)

    def _unknown_key(self) -> Trouble:
        self._key_memory.forget()
        return Trouble("destination", f"{self._host}: the project key is unknown there; check api_key and posthog_host")


def read_answer(answer: Answer, sent: int) -> Accepted | None:
    """PostHog's answer to a batch of *sent* events; over the quota for events it says so, and drops them all."""
    fields = _object(answer)
    status = None if fields is None else fields.get("status")
    if fields is None or not ((type(status) is int and status == 1) or str(status).lower() == "ok"):
        return None
    limited = fields.get("quota_limited")
    return Accepted(rejected=sent if isinstance(limited, list) and "events" in limited else 0)


def _read_flags(answer: Answer) -> Accepted | None:
    return None if _object(answer) is None else Accepted()


def _object(answer: Answer) -> dict[str, Any] | None:
    if answer.content_type != _JSON:
        return None
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
