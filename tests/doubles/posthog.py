"""
A stand-in for PostHog's ingestion: its rules as `/batch/` and `/flags/` enforce them, on a real socket.

One bad event refuses its whole batch; a key that only looks right is answered 200 and its events vanish.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from franklinwh_telemetry.sender.loopback import LoopbackReceiver, ReceivedRequest, reply

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_BATCH_BYTES = 20 * 1024 * 1024
MAX_EVENT_BYTES = 1_000_000
MAX_KEY_LENGTH = 64
MAX_DISTINCT_ID_LENGTH = 200

KNOWN_KEY = "phc_known"


class PostHogDouble:
    """`url` is its base; `events` is what a query would find once duplicates have been merged."""

    def __init__(self, *known_keys: str, quota_limited: tuple[str, ...] = ()) -> None:
        self._known_keys = known_keys or (KNOWN_KEY,)
        self._quota_limited = quota_limited
        self._stored: dict[tuple[str, ...], dict[str, Any]] = {}
        self.receiver = LoopbackReceiver(self._answer)

    def __enter__(self) -> Self:
        self.receiver.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.receiver.__exit__(*exception)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.receiver.url

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was kept, in the order in which it first arrived."""
        return list(self._stored.values())

    @property
    def paths(self) -> list[str]:
        """Which paths were asked for."""
        return [request.path for request in self.receiver.requests]

    def _answer(self, request: ReceivedRequest) -> list[bytes]:
        path, _, query = request.path.partition("?")
        path = path.rstrip("/")
        if not request.request_line.startswith("POST ") or path not in ("/batch", "/flags"):
            return [reply(404, "text/plain", b"not found")]
        if len(request.body) > MAX_BATCH_BYTES:
            return [reply(413, "text/plain", b"event too big")]
        try:
            fields = json.loads(request.body)
            key = fields.get("api_key", fields.get("token"))
        except (ValueError, AttributeError):
            return [reply(400, "text/plain", b"failed to decode request")]
        return [self._flags(fields, key, query) if path == "/flags" else self._batch(fields, key)]

    def _flags(self, fields: dict[str, Any], key: object, query: str) -> bytes:
        if key not in self._known_keys:
            return reply(401, "application/json", b'{"type":"authentication_error","code":"invalid_api_key"}')
        if query != "v=2" or not fields.get("distinct_id"):
            return reply(400, "text/plain", b"missing distinct_id")
        return reply(200, "application/json", b'{"flags":{},"errorsWhileComputingFlags":false}')

    def _batch(self, fields: dict[str, Any], key: object) -> bytes:
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
        if "events" in self._quota_limited:
            return reply(200, "application/json", b'{"status":"Ok","quota_limited":["events"]}')
        if key in self._known_keys:
            for event in batch:
                self._stored.setdefault(_merge_key(key, event), event)
        limited = json.dumps(list(self._quota_limited)).encode()
        return reply(200, "application/json", b'{"status":"Ok","quota_limited":' + limited + b"}")


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
    return (key, str(event["timestamp"])[:10], str(event["event"]), distinct_id, str(event["uuid"]))
