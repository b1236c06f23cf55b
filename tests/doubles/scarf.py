"""
A stand-in for Scarf's API, on a real socket: the aggregates of an owner's packages, a line each.

As its OpenAPI document has it: a range, a rollup and breakdowns are asked for; a refusal is a message and a code.
It says more than was asked for wherever its form has room for it, and more than its form has: all that is a surprise.
"""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from doubles.posthog import HungUpError
from doubles.service import Service
from franklinwh_telemetry.sender.loopback import ReceivedRequest, reply

if TYPE_CHECKING:
    from collections.abc import Iterator


TOKEN = "scarf-token"
OWNER = "alice"
IMAGE = "alice/franklinwh-telemetry-collector"
MAX_DAYS = 366

SURPRISES = {
    "company_name": "Surprise Ltd",
    "company_domain": "surprise.example.com",
    "cloud_provider_name": "Surprise Cloud",
    "cloud_provider_domain": "cloud.surprise.example.com",
    "client": "surprise/1.0",
    "variable": "surprise",
    "value": "surprise@example.com",
    "domain": "surprise.example.com",
    "total_unique": 987_654,
    "origin_id": "surprise",
    "ip": "203.0.113.99",
    "origin": {"latitude": 48.2, "postal": "surprise", "addresses": ["203.0.113.99", "2001:db8::99"]},
}
"""What no field of ours may ever hold; `total_unique` is a number that nothing else here has."""


def aggregate(breakdown: str, total: int, day: str = "2026-11-24", **fields: Any) -> dict[str, Any]:
    """A row as Scarf gives it, with everything in it that its form has room for."""
    return {
        **SURPRISES,
        "breakdown": breakdown,
        "date": day,
        "artifact": IMAGE,
        "total": total,
        "rollup": "daily",
        **fields,
    }


class ScarfApi(Service):
    """`url` is its base; `answers` is what it says instead, one each; if it `hangs_up`, the connection ends with it."""

    def __init__(self, *rows: dict[str, Any] | bytes) -> None:
        self._rows = rows
        self.answers: list[bytes] = []
        self.hangs_up = False
        super().__init__()

    def _answer(self, request: ReceivedRequest) -> Iterator[bytes]:
        yield self.answers.pop(0) if self.answers else self._said(request)
        if self.hangs_up:
            raise HungUpError

    def _said(self, request: ReceivedRequest) -> bytes:
        path, _, query = request.path.partition("?")
        asked = parse_qs(query)
        if request.header("Authorization") != f"Bearer {TOKEN}":
            return refused(403, "not-a-pro-member")
        if path != f"/v2/packages/{OWNER}/aggregates":
            return refused(404, "not-found")
        first, last = (date.fromisoformat(asked[name][0]) for name in ("start_date", "end_date"))
        if (last - first).days > MAX_DAYS:
            return refused(400, "range-too-long")
        lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in self._rows]
        return reply(200, "application/x-ndjson", b"".join(line + b"\n" for line in lines))


def refused(status: int, code: str) -> bytes:
    """A refusal as Scarf's document has it."""
    fields = {"message": f"Sorry, {code}", "code": code}
    return reply(status, "application/json", json.dumps(fields).encode())
