"""
A stand-in for PostHog's ingestion: its rules as `/batch/` and `/flags/` enforce them, on a real socket.

One bad event refuses its whole batch; a key that only looks right is answered 200 and its events vanish.
What goes wrong at a real one is scripted: `then`, `is_away`, `refuses`.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from doubles.service import Service
from franklinwh_telemetry.sender.loopback import ReceivedRequest, reply
from franklinwh_telemetry.sender.posthog import canonical_json

MAX_BATCH_BYTES = 20 * 1024 * 1024
MAX_UNFOLDED_BYTES = 5 * MAX_BATCH_BYTES
MAX_EVENT_BYTES = 1_000_000
MAX_KEY_LENGTH = 64
MAX_DISTINCT_ID_LENGTH = 200

KNOWN_KEY = "phc_known"


@dataclass(frozen=True)
class Failure:
    """
    How one request to `/batch/` fails before it is looked at; without a status, the connection ends unanswered.

    One that *keeps* has taken the events first: only its answer is lost.
    """

    status: int | None = None
    retry_after: str = ""
    keeps: bool = False


@dataclass(frozen=True)
class Exchange:
    """A request to `/batch/`: when it had come, by the monotonic clock, and the status that it got."""

    at_s: float
    body: bytes
    status: int | None


class HungUpError(OSError):
    """The receiver closes the connection then, without an answer."""


class PostHogDouble(Service):
    """
    `url` is its base; `events` is what a query would find once duplicates have been merged.

    `exchanges` are the requests to `/batch/`. While `is_away`, none is answered; a batch with an event whose uuid is
    in `refuses` is refused, all of it.
    """

    def __init__(self, *known_keys: str, quota_limited: tuple[str, ...] = ()) -> None:
        self._known_keys = known_keys or (KNOWN_KEY,)
        self._quota_limited = quota_limited
        self._stored: dict[tuple[str, ...], dict[str, Any]] = {}
        self._failures: list[Failure] = []
        self.exchanges: list[Exchange] = []
        self.is_away = False
        self.refuses: set[str] = set()
        super().__init__()

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was kept, in the order in which it first arrived."""
        return list(self._stored.values())

    @property
    def event_bytes(self) -> list[bytes]:
        """The same as they stood in the bodies, in the order of their uuids; every body has to be canonical JSON."""
        for exchange in self.exchanges:
            assert exchange.body == canonical_json(json.loads(exchange.body)), exchange.body
        return [canonical_json(event) for event in sorted(self.events, key=lambda event: str(event["uuid"]))]

    @property
    def paths(self) -> list[str]:
        """Which paths were asked for."""
        return [request.path for request in self.receiver.requests]

    def then(self, *failures: Failure) -> None:
        """Let the next requests to `/batch/` fail so, one each, in this order."""
        self._failures += failures

    def _answer(self, request: ReceivedRequest) -> list[bytes]:
        path, _, query = request.path.partition("?")
        path = path.rstrip("/")
        if not request.request_line.startswith("POST ") or path not in ("/batch", "/flags"):
            return [reply(404, "text/plain", b"not found")]
        if path == "/flags":
            return [self._flags(request.body, query)]
        at_s = time.monotonic()
        failure = Failure() if self.is_away else self._failures.pop(0) if self._failures else None
        answer = None if failure is not None and not failure.keeps else self._batch(request.body)
        if failure is not None:
            headers = [("Retry-After", failure.retry_after)] if failure.retry_after else []
            answer = reply(failure.status, "text/plain", b"", *headers) if failure.status else None
        status = int(answer.split(b" ", 2)[1]) if answer else None
        self.exchanges.append(Exchange(at_s, request.body, status))
        if answer is None:
            raise HungUpError
        return [answer]

    def _flags(self, body: bytes, query: str) -> bytes:
        fields = _decode(body)
        if isinstance(fields, bytes):
            return fields
        if _key_of(fields) not in self._known_keys:
            return reply(401, "application/json", b'{"type":"authentication_error","code":"invalid_api_key"}')
        if query != "v=2" or not fields.get("distinct_id"):
            return reply(400, "text/plain", b"missing distinct_id")
        return reply(200, "application/json", b'{"flags":{},"errorsWhileComputingFlags":false}')

    def _batch(self, body: bytes) -> bytes:
        fields = _decode(body)
        if isinstance(fields, bytes):
            return fields
        key = _key_of(fields)
        if (
            not isinstance(key, str)
            or not key.isascii()
            or key.startswith("phx_")
            or not 0 < len(key) <= MAX_KEY_LENGTH
        ):
            return reply(401, "text/plain", b"API key is not valid")
        batch = fields.get("batch")
        if not isinstance(batch, list) or not batch:
            return reply(400, "text/plain", b"empty batch")
        if any(len(json.dumps(event).encode()) > MAX_EVENT_BYTES for event in batch):
            return reply(413, "text/plain", b"event too big")
        problem = next(filter(None, map(_problem, batch)), None)
        if problem is not None:
            return reply(400, "text/plain", problem.encode())
        if any(event.get("uuid") in self.refuses for event in batch):
            return reply(400, "text/plain", b"failed to decode request")
        if "events" in self._quota_limited:
            return reply(200, "application/json", b'{"status":"Ok","quota_limited":["events"]}')
        if key in self._known_keys:
            for event in batch:
                self._stored.setdefault(_merge_key(key, event), event)
        limited = json.dumps(list(self._quota_limited)).encode()
        return reply(200, "application/json", b'{"status":"Ok","quota_limited":' + limited + b"}")


def _decode(body: bytes) -> dict[str, Any] | bytes:
    """The object in a body, which may be compressed whatever its headers say; or the answer that refuses it."""
    if len(body) > MAX_BATCH_BYTES:
        return reply(413, "text/plain", b"event too big")
    try:
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        if len(body) > MAX_UNFOLDED_BYTES:
            return reply(413, "text/plain", b"event too big")
        fields = json.loads(body)
    except (ValueError, OSError, EOFError, zlib.error):
        fields = None
    return fields if isinstance(fields, dict) else reply(400, "text/plain", b"failed to decode request")


def _key_of(fields: dict[str, Any]) -> object:
    return fields.get("api_key", fields.get("token"))


def _problem(event: Any) -> str | None:
    if not isinstance(event, dict) or not isinstance(event.get("event"), str) or not event["event"]:
        return "event submitted with an empty event name"
    if not event.get("distinct_id"):
        return "event submitted without a distinct_id"
    if "uuid" in event:
        try:
            UUID(event["uuid"])
        except (ValueError, TypeError, AttributeError):
            return "failed to decode request: uuid"
    if not isinstance(event.get("timestamp", ""), str):
        return "failed to decode request: timestamp"
    return None


def _merge_key(key: str, event: dict[str, Any]) -> tuple[str, ...]:
    """What two stored events must share to become one: the day of the timestamp, not the whole of it."""
    distinct_id = str(event["distinct_id"])[:MAX_DISTINCT_ID_LENGTH]
    return (key, str(event.get("timestamp", ""))[:10], str(event["event"]), distinct_id, str(event.get("uuid", "")))
