"""
What the policy wants to see, as PostHog's API takes it: one dashboard, its insights, and two alerts.

Whatever is made carries a marker in its description: tags, which PostHog has for this, are dropped without a word
where an organization's plan has none. An alert has no description; it is known by its name, on an insight of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

EVENT: Final = "franklinwh_cloud_execution"
"""What the sender and the Collector call an event unless they are told otherwise."""

MAX_EVENT_LENGTH: Final = 200
MOST_COMMANDS: Final = 25
MIN_RUNS: Final = 10
"""Fewer runs of a command than this, now or before, say nothing about a change."""

LEAST_ERROR_RATE: Final = 0.01
LEAST_LATENCY_MS: Final = 100
"""What was less before is taken for so much: twice of next to nothing is no reason to wake anybody."""

MOST_ALERTED: Final = 50
"""PostHog looks at no more rows for an alert."""

_LATENCY: Final = "execution_latency_ms"
_LAST_30_DAYS: Final = {"date_from": "-30d"}
_FAILED: Final = [{"key": "success", "type": "event", "value": ["false"], "operator": "exact"}]


@dataclass(frozen=True)
class Insight:
    """An insight of ours: the *key* that its marker names, and what it shows."""

    key: str
    name: str
    description: str
    query: dict[str, Any]


@dataclass(frozen=True)
class Alert:
    """An alert on the insight whose key is *on*: it fires for each command whose `times` is more than 2."""

    name: str
    on: str


def dashboard_body(event: str) -> dict[str, Any]:
    """The dashboard itself."""
    return {
        "name": "franklinwh-telemetry",
        "description": described("Which commands are used, how long they take, and how often they fail.", "all", event),
    }


def insights(event: str) -> list[Insight]:
    """What stands on the dashboard, in this order."""
    return [
        Insight(
            "daily",
            "Runs a day by command",
            "Each day's runs, stacked by command.",
            _trends([_series(event)], "ActionsBar", by_command=True, interval="day"),
        ),
        Insight(
            "latency-average",
            "Average latency by command",
            "Milliseconds from start to end, the average of 30 days.",
            _trends([_series(event, "avg", _LATENCY)], "ActionsBarValue", by_command=True, shown_as="duration_ms"),
        ),
        Insight(
            "latency-p95",
            "95th percentile of the latency by command",
            "All but one run in twenty of 30 days were faster than this.",
            _trends([_series(event, "p95", _LATENCY)], "ActionsBarValue", by_command=True, shown_as="duration_ms"),
        ),
        Insight(
            "errors-by-command",
            "Error rate by command",
            "The share of a command's runs in 30 days that failed.",
            _trends(_rate(event), "ActionsBarValue", by_command=True, shown_as="percentage_scaled", formula="A / B"),
        ),
        Insight(
            "errors-over-time",
            "Error rate over time",
            "The share of each day's runs that failed.",
            _trends(_rate(event), "ActionsLineGraph", interval="day", shown_as="percentage_scaled", formula="A / B"),
        ),
        Insight(
            "adoption",
            "Adoption of each command",
            "How many installations ran a command in 30 days.",
            _trends([_series(event, "dau")], "ActionsPie", by_command=True),
        ),
        Insight(
            "active",
            "Active installations a day",
            "How many execution UUIDs sent anything on a day.",
            _trends([_series(event, "dau")], "ActionsLineGraph", interval="day"),
        ),
        Insight(
            "errors-doubled",
            "Commands whose error rate changed",
            f"The last day beside the week before, of commands with {MIN_RUNS} runs in each; an alert reads `times`.",
            _sql(_changes(event, _ERROR_RATE, str(LEAST_ERROR_RATE))),
        ),
        Insight(
            "latency-doubled",
            "Commands whose latency changed",
            f"The last day beside the week before, of commands with {MIN_RUNS} runs in each; an alert reads `times`.",
            _sql(_changes(event, _AVERAGE_LATENCY, str(LEAST_LATENCY_MS))),
        ),
    ]


ALERTS: Final = (
    Alert("A command's error rate has more than doubled", "errors-doubled"),
    Alert("A command's latency has more than doubled", "latency-doubled"),
)


def insight_body(insight: Insight, event: str) -> dict[str, Any]:
    """What is sent to make an insight, its dashboard aside."""
    return {
        "name": insight.name,
        "description": described(insight.description, insight.key, event),
        "query": insight.query,
        "saved": True,
    }


def alert_body(alert: Alert) -> dict[str, Any]:
    """What of an alert is ours to say; whether it is on, snoozed, and whom it tells is its subscribers' affair."""
    return {
        "name": alert.name,
        "condition": {"type": "absolute_value"},
        "config": {
            "type": "HogQLAlertConfig",
            "evaluation": "any_row",
            "column": "times",
            "label_column": "command",
        },
        "threshold": {"configuration": {"type": "absolute", "bounds": {"upper": 2}}},
        "calculation_interval": "hourly",
    }


def marker(key: str, event: str) -> str:
    """By which something of ours is known again, whatever it is called by now."""
    return f"[made by franklinwh-telemetry: {key}, {event}]"


def described(text: str, key: str, event: str) -> str:
    """A description that ends with the marker."""
    return f"{text}\n{marker(key, event)}"


def event_problem(event: str) -> str | None:
    """What is wrong with the name of an event, if anything."""
    if not event or event != event.strip() or not event.isprintable() or len(event) > MAX_EVENT_LENGTH:
        return f"an event's name has 1 to {MAX_EVENT_LENGTH} visible characters, such as {EVENT}"
    return None


def _series(event: str, math: str = "total", of: str | None = None, only: list[Any] | None = None) -> dict[str, Any]:
    series: dict[str, Any] = {"kind": "EventsNode", "event": event, "name": event, "math": math}
    if of is not None:
        series["math_property"] = of
    if only is not None:
        series["properties"] = only
    return series


def _rate(event: str) -> list[dict[str, Any]]:
    """A is what failed, B is everything."""
    return [_series(event, only=_FAILED), _series(event)]


def _trends(
    series: list[dict[str, Any]],
    display: str,
    *,
    by_command: bool = False,
    interval: str | None = None,
    shown_as: str | None = None,
    formula: str | None = None,
) -> dict[str, Any]:
    given = {"display": display, "aggregationAxisFormat": shown_as, "formula": formula}
    source: dict[str, Any] = {
        "kind": "TrendsQuery",
        "series": series,
        "dateRange": _LAST_30_DAYS,
        "trendsFilter": {name: value for name, value in given.items() if value is not None},
    }
    if interval is not None:
        source["interval"] = interval
    if by_command:
        source["breakdownFilter"] = {
            "breakdown": "command",
            "breakdown_type": "event",
            "breakdown_limit": MOST_COMMANDS,
        }
    return {"kind": "InsightVizNode", "source": source}


def _sql(query: str) -> dict[str, Any]:
    return {"kind": "DataVisualizationNode", "source": {"kind": "HogQLQuery", "query": query}}


_ERROR_RATE: Final = "countIf(toString(properties.success) = 'false' AND {during}) / countIf({during})"
_AVERAGE_LATENCY: Final = "avgIf(toFloat(properties.execution_latency_ms), {during})"
# `success` is a boolean or a text there, as PostHog has come to know the property: as a text it is the same in both.


def _changes(event: str, measure: str, least: str) -> str:
    """
    HogQL for the last day beside the seven days before it, the greatest change first.

    Not a trend that is compared with its own day before, which PostHog's alerts can do by themselves: there a day on
    which nobody ran a command counts as 0, and the first run after it as an infinite increase.
    """
    now, before = "timestamp >= now() - INTERVAL 1 DAY", "timestamp < now() - INTERVAL 1 DAY"
    return f"""SELECT
    properties.command AS command,
    round({measure.format(during=now)}, 4) AS last_day,
    round({measure.format(during=before)}, 4) AS week_before,
    countIf({now}) AS runs_last_day,
    countIf({before}) AS runs_week_before,
    round(({measure.format(during=now)}) / greatest({measure.format(during=before)}, {least}), 2) AS times
FROM events
WHERE event = '{_escaped(event)}' AND timestamp >= now() - INTERVAL 8 DAY AND timestamp <= now()
GROUP BY command
HAVING runs_last_day >= {MIN_RUNS} AND runs_week_before >= {MIN_RUNS}
ORDER BY times DESC, command
LIMIT {MOST_ALERTED}"""  # noqa: S608 - PostHog's API takes no parameters in a saved query


def _escaped(text: str) -> str:
    """*text* for between single quotes in HogQL, which reads a backslash as ClickHouse does."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
