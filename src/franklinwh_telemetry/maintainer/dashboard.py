"""
`dashboard`: what `insights.py` lists is made at PostHog where it is missing, and mended where it differs.

Every step finds again what an earlier run has made, so that a run that broke off is mended by running it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from franklinwh_telemetry.address import BadDestination
from franklinwh_telemetry.maintainer.insights import (
    ALERTS,
    alert_body,
    dashboard_body,
    insight_body,
    insights,
    marker,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from franklinwh_telemetry.maintainer.remote import Remote

KEY_VARIABLE: Final = "POSTHOG_PERSONAL_API_KEY"
PROJECT_VARIABLE: Final = "POSTHOG_PROJECT_ID"
SCOPES: Final = ("dashboard:write", "insight:write", "alert:write", "user:read")
HOSTS: Final = {"us": "https://us.posthog.com", "eu": "https://eu.posthog.com"}
SERVICE: Final = "PostHog"

PAGE: Final = 100
MAX_PAGES: Final = 200
"""As many requests for a list as there may be in a minute, and 20,000 insights."""

_TAKES_EVENTS: Final = ("us.i.posthog.com", "eu.i.posthog.com", "app.posthog.com")
_NOT_FOUND: Final = 404
_UNKNOWN_KEY: Final = 401
_FORBIDDEN: Final = 403


@dataclass(frozen=True)
class Outcome:
    """What was done about one thing of ours: `created`, `updated` or `unchanged`, and where it is to be seen."""

    kind: str
    name: str
    id: int | str
    done: str

    def to_fields(self) -> dict[str, object]:
        """For JSON."""
        return {"kind": self.kind, "name": self.name, "id": self.id, "done": self.done}


@final
class PostHog:
    """The dashboards, insights and alerts of one project."""

    def __init__(self, remote: Remote, project: str) -> None:
        self._remote = remote
        self._project = project

    def listed(self, things: str, *query: tuple[str, str]) -> list[dict[str, Any]]:
        """All of them, whatever the size of a page; what is deleted is left out."""
        found: list[dict[str, Any]] = []
        for _page in range(MAX_PAGES):
            # Counted here, not taken from `next`: the key goes to no address that an answer names.
            asked = [*query, ("limit", str(PAGE)), ("offset", str(len(found)))]
            answer = self._ask("GET", f"{things}/", query=asked)
            page = answer.get("results")
            if not isinstance(page, list) or not all(isinstance(each, dict) and "id" in each for each in page):
                raise self._foreign(f"its list of {things}")
            found += page
            if answer.get("next") is None or not page:
                return [each for each in found if not each.get("deleted")]
        raise self._foreign(f"its list of {things}, which never ends,")

    def create(self, things: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make one, and give it as PostHog does, with its id."""
        return self._with_id(things, self._ask("POST", f"{things}/", body=body))

    def update(self, things: str, which: int | str, body: Mapping[str, Any]) -> None:
        """Change of one what *body* says, and nothing else."""
        self._with_id(things, self._ask("PATCH", f"{things}/{which}/", body=body))

    def own_user(self) -> int:
        """The number of the user whose key this is."""
        answer = self._remote.ask("GET", "/api/users/@me/")
        found = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(found, int):
            raise self._foreign("the user of the key")
        return found

    def address(self, dashboard: int | str) -> str:
        """Where people look at a dashboard."""
        return f"{self._remote.base}/project/{self._project}/dashboard/{dashboard}"

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self._remote.ask(method, f"/api/projects/{self._project}/{path}", **more)
        if not isinstance(answer, dict):
            raise self._foreign(path.strip("/"))
        return answer

    def _with_id(self, things: str, answer: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(answer.get("id"), (int, str)):
            raise self._foreign(f"one of its {things}")
        return answer

    def _foreign(self, what: str) -> Exception:
        from franklinwh_telemetry.maintainer.remote import RemoteError  # noqa: PLC0415 - loads requests

        return RemoteError(f"what answers at {self._remote.base} is not {SERVICE}: {what} has not its form")


def reconcile(posthog: PostHog, event: str) -> Iterator[Outcome]:
    """Make what is missing, change what differs, and say of each thing what was done as soon as it is done."""
    dashboard = yield from _kept(
        posthog, "dashboards", dashboard_body(event), _ours(posthog.listed("dashboards"), "all", event)
    )
    # Without their results, and without those that PostHog keeps of every look that somebody took.
    there = posthog.listed("insights", ("basic", "true"), ("saved", "true"))
    made: dict[str, int | str] = {}
    for insight in insights(event):
        found = _ours(there, insight.key, event)
        body = insight_body(insight, event)
        on = found.get("dashboards") if found else None
        # On which other dashboards it stands is not ours to change.
        others = on if isinstance(on, list) else []
        body["dashboards"] = others if dashboard in others else [*others, dashboard]
        made[insight.key] = yield from _kept(posthog, "insights", body, found)
    for alert in ALERTS:
        insight_id = made[alert.on]
        existing = posthog.listed("alerts", ("insight", str(insight_id)))
        known = [each for each in existing if each.get("name") == alert.name and _insight_of(each) == insight_id]
        body = alert_body(alert)
        if not known:
            body |= {"insight": insight_id, "enabled": True, "subscribed_users": [posthog.own_user()]}
        yield from _kept(posthog, "alerts", body, _oldest(known))


def planned(event: str) -> list[dict[str, Any]]:
    """The requests that would make everything where nothing is there; `{...}` stands for what only PostHog knows."""
    things: list[tuple[str, dict[str, Any]]] = [("dashboards", dashboard_body(event))]
    things += [("insights", insight_body(each, event) | {"dashboards": ["{dashboard}"]}) for each in insights(event)]
    things += [
        ("alerts", alert_body(each) | {"insight": f"{{{each.on}}}", "enabled": True, "subscribed_users": ["{you}"]})
        for each in ALERTS
    ]
    return [{"method": "POST", "path": f"/api/projects/{{project}}/{kind}/", "body": body} for kind, body in things]


def includes(there: Any, ours: Any) -> bool:
    """
    Whether *there* says all that *ours* says.

    PostHog fills in defaults of its own, and a person may have set more: that is no difference.
    """
    if isinstance(ours, dict):
        return isinstance(there, dict) and all(name in there and includes(there[name], ours[name]) for name in ours)
    if isinstance(ours, list):
        return isinstance(there, list) and len(there) == len(ours) and all(map(includes, there, ours))
    return bool(there == ours and isinstance(there, bool) == isinstance(ours, bool))


def parse_host(text: str) -> str | BadDestination:
    """The address of PostHog's API that `us`, `eu` or a URL names."""
    from franklinwh_telemetry.maintainer.remote import parse_base  # noqa: PLC0415 - loads requests

    base = HOSTS.get(text) or parse_base(text if "://" in text else f"https://{text}")
    if not isinstance(base, str):
        return base
    if base.partition("://")[2] in _TAKES_EVENTS:
        return BadDestination("that host takes events; the API is at `us`, at `eu`, or at your own PostHog's address")
    return base


def key_problem(key: str | None) -> str | None:
    """What is wrong with what the environment has as the key, if anything."""
    if key is None:
        return f"set {KEY_VARIABLE} to a personal API key (phx_...) with the scopes {', '.join(SCOPES)}"
    if key.startswith("phc_"):
        return (
            f"{KEY_VARIABLE} holds a project's key (phc_...), which can only send events; "
            "make a personal API key (phx_...) in PostHog's settings"
        )
    return None


def project_problem(project: str) -> str | None:
    """What is wrong with what the environment has as the project, if anything."""
    if not project:
        return f"set {PROJECT_VARIABLE} to the number of the project, which PostHog's settings show"
    if not (project.isascii() and project.isdigit()):
        return f"{PROJECT_VARIABLE} is the project's number, such as 12345, not its name or its key"
    return None


def explain(status: int, _fields: Mapping[str, Any]) -> str | None:
    """What a refusal of PostHog's means, and how to mend it."""
    if status == _UNKNOWN_KEY:
        return f"is {KEY_VARIABLE} whole, still valid, and of this host (--host us, eu, or your own)?"
    if status == _FORBIDDEN:
        return f"the key needs the scopes {', '.join(SCOPES)}, and access to the project"
    if status == _NOT_FOUND:
        return f"is {PROJECT_VARIABLE} the project's number, and the project on this host (--host us, eu, or your own)?"
    return None


def _kept(
    posthog: PostHog, things: str, body: dict[str, Any], found: dict[str, Any] | None
) -> Generator[Outcome, None, int | str]:
    """Make it, change it, or leave it; what it returns is the id."""
    done = "unchanged"
    if found is None:
        found, done = posthog.create(things, body), "created"
    elif different := {name: value for name, value in body.items() if not includes(found.get(name), value)}:
        posthog.update(things, found["id"], different)
        done = "updated"
    which: int | str = found["id"]
    yield Outcome(things.removesuffix("s"), body["name"], which, done)
    return which


def _ours(there: Iterable[dict[str, Any]], key: str, event: str) -> dict[str, Any] | None:
    """The one whose description ends with our marker; the oldest, should two runs at once have made two."""
    end = marker(key, event)
    return _oldest([each for each in there if str(each.get("description") or "").rstrip().endswith(end)])


def _oldest(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    return min(found, key=lambda each: (str(each.get("created_at") or ""), str(each["id"])), default=None)


def _insight_of(alert: Mapping[str, Any]) -> object:
    """The id of an alert's insight, which PostHog gives whole."""
    insight = alert.get("insight")
    return insight.get("id") if isinstance(insight, dict) else insight
