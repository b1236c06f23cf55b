"""
A stand-in for PostHog's private API, on a real socket: dashboards, insights, alerts and the user of a key.

As its sources have it: tags are dropped without a word where the plan has none; a saved query comes back with a default
filled in; an alert is given with its insight and its users whole, and refused where its configuration does not fit;
a list has pages, and what is deleted is marked, not gone.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from doubles.posthog import Failure, HungUpError
from doubles.service import Service
from franklinwh_telemetry.sender.loopback import ReceivedRequest, reply

KEY = "phx_surprise"
PROJECT = "4711"
USER = {"id": 42, "first_name": "surprise", "email": "surprise@example.com"}
KINDS = ("dashboards", "insights", "alerts")


class PostHogApi(Service):
    """
    `url` is its base; `things` is what there is, by kind; `asked` the requests so far, as method and path.

    *page* is how many of a list it gives at once, whatever is asked for; without *filters* it gives all of a list. What
    goes wrong is scripted: `failures` maps the number of a request, from 0, to how it fails, where a failure that keeps
    has done what was asked for first; the request numbered `silent_at` is never answered.
    """

    def __init__(self, *, page: int = 100, max_alerts: int = 10, sql_alerts: bool = True, filters: bool = True) -> None:
        self.things: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        self.failures: dict[int, Failure] = {}
        self.silent_at = -1
        self._page = page
        self._max_alerts = max_alerts
        self._sql_alerts = sql_alerts
        self._filters = filters
        super().__init__()

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Method and path of each request, without the query."""
        words = [request.request_line.split(" ") for request in self.receiver.requests]
        return [(method, target.partition("?")[0]) for method, target, _version in words]

    @property
    def writes(self) -> list[tuple[str, dict[str, Any]]]:
        """What was to be made or changed: method and body."""
        requests = zip(self.asked, self.receiver.requests, strict=True)
        return [(method, json.loads(request.body)) for (method, _path), request in requests if method != "GET"]

    def has(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Put something there, as if somebody had made it by hand."""
        number = sum(map(len, self.things.values())) + 1
        made = {
            "id": number if kind != "alerts" else f"00000000-0000-4000-8000-{number:012}",
            "name": "",
            "description": "",
            "deleted": False,
            "tags": [],
            "created_at": f"2026-11-24T00:00:{number % 60:02}Z",
            **fields,
        }
        self.things[kind].append(made)
        return made

    def named(self, kind: str) -> list[str]:
        """The names of what there is of a kind, in the order of its making."""
        return [each["name"] for each in self.things[kind]]

    def _answer(self, request: ReceivedRequest) -> list[bytes]:
        number = len(self.receiver.requests) - 1
        if number == self.silent_at:
            self.receiver.closing.wait()
            raise HungUpError
        failure = self.failures.get(number)
        answer = self._handle(request) if failure is None or failure.keeps else b""
        if failure is None:
            return [answer]
        if failure.status is None:
            raise HungUpError
        headers = [("Retry-After", failure.retry_after)] if failure.retry_after else []
        detail = {"type": "server_error", "detail": "It went wrong.", "attr": None}
        return [reply(failure.status, "application/json", json.dumps(detail).encode(), *headers)]

    def _handle(self, request: ReceivedRequest) -> bytes:
        method, target, _version = request.request_line.split(" ")
        path, _, query = target.partition("?")
        if request.header("Authorization") != f"Bearer {KEY}":
            return _refused(401, "Invalid personal API key.")
        if (method, path) == ("GET", "/api/users/@me/"):
            return _json(200, USER)
        parts = path.strip("/").split("/")
        if parts[:3] != ["api", "projects", PROJECT] or parts[3] not in KINDS or not path.endswith("/"):
            return _refused(404, "Project not found.")
        kind = parts[3]
        if method == "GET":
            return self._list(kind, path, dict(parse_qsl(query)))
        body = json.loads(request.body)
        found = None
        if method == "PATCH":
            found = next((each for each in self.things[kind] if str(each["id"]) == parts[4]), None)
            if found is None:
                return _refused(404, "Not found.")
        problem = self._problem(kind, body, found)
        if problem is not None:
            return _refused(400, problem)
        if found is None:
            found = self.has(kind)
        found.update({name: value for name, value in body.items() if name != "tags"})
        if "query" in body:
            source = body["query"]["source"]
            found["query"] = {**body["query"], "source": {**source, "version": 2}, "full": True}
        return _json(201 if method == "POST" else 200, self._shown(kind, found))

    def _list(self, kind: str, path: str, query: dict[str, str]) -> bytes:
        there = self.things[kind]
        if "insight" in query and self._filters:
            there = [each for each in there if str(each["insight"]) == query["insight"]]
        if query.get("saved") == "true":
            there = [each for each in there if each.get("saved") or each.get("dashboards")]
        offset, limit = int(query.get("offset", "0")), min(int(query.get("limit", "100")), self._page)
        more = offset + limit < len(there)
        # As behind a proxy that is set up wrongly; whoever follows it brings the key to a stranger.
        following = f"http://surprise.example.com{path}?offset={offset + limit}" if more else None
        results = [self._shown(kind, each) for each in there[offset : offset + limit]]
        return _json(200, {"count": len(there), "next": following, "previous": None, "results": results})

    def _shown(self, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
        if kind != "alerts":
            return thing
        return {
            **thing,
            "insight": next(each for each in self.things["insights"] if each["id"] == thing["insight"]),
            "subscribed_users": [{"id": number} for number in thing["subscribed_users"]],
            "threshold": {"id": "t", "name": "", **thing["threshold"]},
        }

    def _problem(self, kind: str, body: dict[str, Any], found: dict[str, Any] | None) -> str | None:
        """What is wrong with it in PostHog's words, if anything."""
        numbers = {each["id"] for each in self.things["dashboards"]}
        if kind == "insights" and not set(body.get("dashboards", ())) <= numbers:
            return "Dashboard not found"
        if kind != "alerts":
            return None
        alert = {**(found or {}), **body}
        insight = next((each for each in self.things["insights"] if each["id"] == alert.get("insight")), None)
        if insight is None:
            return "This insight does not belong to your team."
        if "subscribed_users" not in alert:
            return "subscribed_users: This field is required."
        if not set(alert["subscribed_users"]) <= {USER["id"]}:
            return "User does not belong to the same organization as the alert's team."
        if found is None and len(self.things["alerts"]) >= self._max_alerts:
            return f"Your team has reached the limit of {self._max_alerts} enabled alerts."
        if not self._sql_alerts:
            return "Alerts are not supported for this insight."
        return _alert_problem(alert, insight["query"]["source"]["kind"])


def _alert_problem(alert: dict[str, Any], query_kind: str) -> str | None:
    config, threshold = alert["config"], alert["threshold"]["configuration"]
    if config["type"] != "HogQLAlertConfig" or query_kind != "HogQLQuery":
        return f"SQL alert config requires a HogQLQuery insight, got '{query_kind}'"
    if config.get("evaluation") != "any_row" or not {"column", "label_column"} <= set(config):
        return "Alert has invalid HogQLAlertConfig"
    if alert["condition"] != {"type": "absolute_value"}:
        return "Any-row SQL alerts only support absolute value conditions"
    if threshold["type"] != "absolute" or threshold["bounds"].get("upper") is None:
        return "At least one threshold bound (lower or upper) must be provided."
    return None if alert["calculation_interval"] in ("hourly", "daily", "weekly", "monthly") else "not a valid choice."


def _json(status: int, fields: object) -> bytes:
    return reply(status, "application/json", json.dumps(fields).encode())


def _refused(status: int, detail: str) -> bytes:
    return _json(status, {"type": "invalid_request", "code": "refused", "detail": detail, "attr": None})
