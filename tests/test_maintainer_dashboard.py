"""`dashboard`: PostHog is brought to what the code says, once, whatever goes wrong on the way, and nothing else."""

from __future__ import annotations

import copy
import json
import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import duckdb
import pytest

import support
from conftest import ROOT
from doubles import terminals
from doubles.posthog import Failure
from doubles.posthog_api import KEY, PROJECT, USER, PostHogApi
from franklinwh_telemetry.address import BadDestination
from franklinwh_telemetry.maintainer import insights
from franklinwh_telemetry.maintainer.dashboard import (
    SERVICE,
    PostHog,
    explain,
    includes,
    key_problem,
    parse_host,
    planned,
    project_problem,
    reconcile,
)
from franklinwh_telemetry.maintainer.insights import EVENT
from franklinwh_telemetry.maintainer.remote import Remote, RemoteError
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, reply
from support import posix_only

MAIN = "import sys; from franklinwh_telemetry.cli import main; main()"
PAGE = ROOT / "docs" / "dashboard.md"

THINGS = {
    "dashboards": ["franklinwh-telemetry"],
    "insights": [
        "Runs a day by command",
        "Average latency by command",
        "95th percentile of the latency by command",
        "Error rate by command",
        "Error rate over time",
        "Adoption of each command",
        "Active installations a day",
        "Commands whose error rate changed",
        "Commands whose latency changed",
    ],
    "alerts": ["A command's error rate has more than doubled", "A command's latency has more than doubled"],
}
ALL = sum(map(len, THINGS.values()))
REQUESTS = 18
"""Of a first run: three lists and one for each alert, the user twice, and what is made."""


def posthog(double: PostHogApi, key: str = KEY, project: str = PROJECT) -> PostHog:
    """The project behind the double, asked as the command does."""
    return PostHog(Remote(SERVICE, double.url, key, explain), project)


def run(double: PostHogApi, event: str = EVENT) -> list[str]:
    """What was done about each thing, in order."""
    return [outcome.done for outcome in reconcile(posthog(double), event)]


def names(double: PostHogApi) -> dict[str, list[str]]:
    return {kind: double.named(kind) for kind in double.things}


def telemetry(*arguments: str, **keywords: Any) -> Any:
    """The real command line."""
    return support.run([sys.executable, "-c", MAIN, "dashboard", *arguments], **keywords)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a maintainer."""
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", KEY)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", PROJECT)


def test_the_first_run_makes_everything_and_the_next_changes_nothing():
    """A dashboard, its insights and two alerts are made; whoever runs it again writes nothing at all."""
    with PostHogApi() as double:
        first = run(double)
        made, asked = copy.deepcopy(double.things), len(double.asked)
        second = run(double)

        assert first == ["created"] * ALL
        assert (names(double), asked) == (THINGS, REQUESTS)
        assert second == ["unchanged"] * ALL
        assert double.things == made
        assert [method for method, _path in double.asked[asked:]] == ["GET"] * 4


def test_what_is_made_is_what_a_dry_run_prints():
    """Each request is the one that was promised, with the ids that only PostHog knows."""
    with PostHogApi() as double:
        run(double)
        by_key = {"{dashboard}": double.things["dashboards"][0]["id"], "{you}": USER["id"]}
        by_key |= {
            f"{{{each.key}}}": made["id"]
            for each, made in zip(insights.insights(EVENT), double.things["insights"], strict=True)
        }
        written = [
            {"method": method, "path": path.replace(PROJECT, "{project}"), "body": json.loads(request.body)}
            for (method, path), request in zip(double.asked, double.receiver.requests, strict=True)
            if method != "GET"
        ]

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [filled(each) for each in value]
        return by_key.get(value, value) if isinstance(value, str) else value

    assert written == filled(planned(EVENT))


def test_the_policys_questions_are_asked():
    """Each insight asks PostHog for what its name says, of the event and the properties that the sender writes."""
    asked = {each.key: each.query["source"] for each in insights.insights("event")}
    everything = {"kind": "EventsNode", "event": "event", "name": "event"}
    failed = [{"key": "success", "type": "event", "value": ["false"], "operator": "exact"}]
    rate = [{**everything, "math": "total", "properties": failed}, {**everything, "math": "total"}]
    latency = {"math_property": "execution_latency_ms", **everything}
    by_command: dict[str, Any] = {
        "breakdownFilter": {"breakdown": "command", "breakdown_type": "event", "breakdown_limit": 25},
        "kind": "TrendsQuery",
        "dateRange": {"date_from": "-30d"},
    }
    over_time: dict[str, Any] = {"kind": "TrendsQuery", "dateRange": {"date_from": "-30d"}, "interval": "day"}
    of_errors = {"formula": "A / B", "aggregationAxisFormat": "percentage_scaled"}

    assert {key: source for key, source in asked.items() if source["kind"] == "TrendsQuery"} == {
        "daily": {
            **by_command,
            **over_time,
            "series": [{**everything, "math": "total"}],
            "trendsFilter": {"display": "ActionsBar"},
        },
        "latency-average": {
            **by_command,
            "series": [{**latency, "math": "avg"}],
            "trendsFilter": {"display": "ActionsBarValue", "aggregationAxisFormat": "duration_ms"},
        },
        "latency-p95": {
            **by_command,
            "series": [{**latency, "math": "p95"}],
            "trendsFilter": {"display": "ActionsBarValue", "aggregationAxisFormat": "duration_ms"},
        },
        "errors-by-command": {
            **by_command,
            "series": rate,
            "trendsFilter": {"display": "ActionsBarValue", **of_errors},
        },
        "errors-over-time": {
            **over_time,
            "series": rate,
            "trendsFilter": {"display": "ActionsLineGraph", **of_errors},
        },
        "adoption": {
            **by_command,
            "series": [{**everything, "math": "dau"}],
            "trendsFilter": {"display": "ActionsPie"},
        },
        "active": {
            **over_time,
            "series": [{**everything, "math": "dau"}],
            "trendsFilter": {"display": "ActionsLineGraph"},
        },
    }


@pytest.mark.parametrize("page", [1, 2, 7])
def test_ours_are_found_whatever_the_size_of_a_page(page: int):
    """Lists are read to their end, and never where an answer says that they go on: that could be anywhere."""
    with PostHogApi(page=page) as double:
        for number in range(5):
            double.has("dashboards", name=f"somebody's {number}")
            double.has("insights", name=f"somebody's {number}", dashboards=[])
        run(double)
        for number in range(5):
            double.has("insights", name=f"later {number}", dashboards=[])
        before = copy.deepcopy(double.things)

        assert run(double) == ["unchanged"] * ALL
        assert double.things == before


def test_what_nobody_saved_is_not_listed():
    """Each look that somebody took is an insight to PostHog; however many there are, they are not read."""
    with PostHogApi(page=1) as double:
        run(double)
        for _look in range(50):
            double.has("insights", saved=False, dashboards=[])
        asked = len(double.asked)

        assert run(double) == ["unchanged"] * ALL
        assert len(double.asked) - asked == 1 + len(THINGS["insights"]) + len(THINGS["alerts"])


def test_what_is_not_ours_is_never_touched():
    """Others' things of the same name, with our tag, or made for another event, stay as they are."""
    ours = insights.insights(EVENT)[0]
    with PostHogApi() as double:
        double.has("dashboards", name="franklinwh-telemetry", tags=["franklinwh-telemetry"])
        double.has("dashboards", name="x", description=f"About {insights.marker('all', EVENT)} and more")
        mine = double.has("insights", name=ours.name, dashboards=[1], query=ours.query, tags=["franklinwh-telemetry"])
        double.has(
            "alerts",
            name="A command's latency has more than doubled",
            insight=mine["id"],
            subscribed_users=[],
            threshold={"configuration": {"type": "absolute", "bounds": {"upper": 9}}},
        )
        strangers = copy.deepcopy(double.things)
        other = run(double, "another_event")
        before = copy.deepcopy(double.things)

        assert (run(double), other) == (["created"] * ALL, ["created"] * ALL)
        for kind, things in strangers.items():
            assert double.things[kind][: len(things)] == things
        assert {kind: each[: len(before[kind])] for kind, each in double.things.items()} == before


@pytest.mark.parametrize("filters", [True, False], ids=["asked for one insight's", "given all"])
def test_somebodys_alert_on_our_insight_is_not_ours(filters: bool):
    """An older alert of another name on our insight stays, and so does one of our name on another's."""
    with PostHogApi(filters=filters) as double:
        run(double)
        ours = double.things["alerts"][0]
        other = double.has("insights", name="somebody's", dashboards=[])
        theirs = {**copy.deepcopy(ours), "created_at": "2020-01-01T00:00:00Z", "calculation_interval": "weekly"}
        double.things["alerts"][:0] = [
            {**copy.deepcopy(theirs), "id": "a", "name": "somebody's"},
            {**copy.deepcopy(theirs), "id": "b", "insight": other["id"]},
        ]
        before = copy.deepcopy(double.things)

        assert run(double) == ["unchanged"] * ALL
        assert double.things == before


def test_what_differs_is_mended_and_nothing_else_is_sent():
    """A change by hand to what is ours to say is undone by a request that holds this alone; all the rest is kept."""
    with PostHogApi() as double:
        run(double)
        before = copy.deepcopy(double.things)
        other = double.has("dashboards", name="somebody's")
        insight, alert = double.things["insights"][1], double.things["alerts"][0]
        right = insight["query"]
        insight["name"] = "renamed"
        insight["query"] = {**right, "source": {**right["source"], "dateRange": {"date_from": "-7d"}}}
        insight["dashboards"] = [other["id"]]
        insight["favorited"] = True
        alert |= {"enabled": False, "subscribed_users": [], "calculation_interval": "weekly", "snoozed_until": "x"}
        alert["threshold"] = {"configuration": {"type": "absolute", "bounds": {"lower": None, "upper": 3}}}
        written = len(double.writes)
        done = run(double)

        assert [done.index("updated"), done.count("updated"), done.count("unchanged")] == [2, 2, ALL - 2]
        assert [(method, sorted(body)) for method, body in double.writes[written:]] == [
            ("PATCH", ["dashboards", "name", "query"]),
            ("PATCH", ["calculation_interval", "threshold"]),
        ]
        assert insight == {
            **before["insights"][1],
            "dashboards": [other["id"], before["dashboards"][0]["id"]],
            "favorited": True,
        }
        assert alert == {
            **before["alerts"][0],
            "enabled": False,
            "subscribed_users": [],
            "snoozed_until": "x",
        }
        assert run(double) == ["unchanged"] * ALL


def test_what_somebody_deleted_is_made_again():
    """A dashboard or an insight that is marked as deleted is none; its alert comes back with it."""
    with PostHogApi() as double:
        run(double)
        double.things["insights"][-1]["deleted"] = True

        assert run(double) == [*["unchanged"] * 9, "created", "unchanged", "created"]
        assert double.things["insights"][-1]["deleted"] is False
        assert double.things["alerts"][-1]["insight"] == double.things["insights"][-1]["id"]


def test_of_two_the_older_is_kept_up_to_date():
    """Where two runs at once have made the same twice, one of them is looked after, always the same."""
    with PostHogApi() as double:
        run(double)
        twin = copy.deepcopy(double.things["insights"][0]) | {"id": 5, "created_at": "2026-11-25T00:00:00Z"}
        twin["name"] = "the younger"
        double.things["insights"].insert(0, twin)

        assert run(double) == ["unchanged"] * ALL
        assert double.things["insights"][0]["name"] == "the younger"


@pytest.mark.parametrize(
    "failure",
    [Failure(503), Failure(None), Failure(None, keeps=True)],
    ids=["refused", "hung up", "done, but the answer was lost"],
)
def test_a_run_that_broke_off_is_mended_by_the_next(failure: Failure):
    """Whichever request fails, carried out or not: the next run ends where an undisturbed one does."""
    for number in range(REQUESTS):
        with PostHogApi() as double:
            double.failures[number] = failure
            with pytest.raises(RemoteError):
                run(double)
            assert len(double.asked) == number + 1

            done = run(double)

            assert (names(double), len(done)) == (THINGS, ALL)
            assert run(double) == ["unchanged"] * ALL


@pytest.mark.parametrize(
    ("key", "project", "said"),
    [
        (
            "phx_another",
            PROJECT,
            (
                "PostHog refused (401): Invalid personal API key: is POSTHOG_PERSONAL_API_KEY whole, still valid, and "
                "of this host (--host us, eu, or your own)?"
            ),
        ),
        (
            KEY,
            "12",
            (
                "PostHog refused (404): Project not found: is POSTHOG_PROJECT_ID the project's number, and the project "
                "on this host (--host us, eu, or your own)?"
            ),
        ),
    ],
)
def test_a_key_or_a_project_that_is_not_there(key: str, project: str, said: str):
    """The line says what PostHog said, and which variable to look at."""
    with PostHogApi() as double, pytest.raises(RemoteError) as caught:
        list(reconcile(posthog(double, key, project), EVENT))

    assert str(caught.value) == said
    assert double.writes == []


def test_a_scope_that_is_missing_is_named():
    """A 403 says which scopes the key has to have."""
    with PostHogApi() as double:
        double.failures[0] = Failure(403)
        with pytest.raises(RemoteError) as caught:
            run(double)

    assert str(caught.value).endswith(
        ": the key needs the scopes dashboard:write, insight:write, alert:write, user:read, and access to the project"
    )


@pytest.mark.parametrize(
    ("double", "said"),
    [
        (PostHogApi(max_alerts=1), "PostHog refused (400): Your team has reached the limit of 1 enabled alerts"),
        (PostHogApi(sql_alerts=False), "PostHog refused (400): Alerts are not supported for this insight"),
    ],
    ids=["too many alerts", "an older PostHog"],
)
def test_an_alert_that_is_refused_leaves_the_dashboard(double: PostHogApi, said: str):
    """What a plan or an older PostHog does not take is told in its own words, after all the rest is there."""
    with double, pytest.raises(RemoteError) as caught:
        run(double)

    assert str(caught.value) == said
    assert {**names(double), "alerts": []} == {**THINGS, "alerts": []}


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b'"surprise"',
        b"{}",
        b'{"results": {}}',
        b'{"results": ["surprise"]}',
        b'{"results": [{"name": "surprise"}]}',
    ],
)
def test_a_foreign_answer_is_told_as_one(answer: bytes):
    """JSON that is not PostHog's is no reason to make anything."""
    with LoopbackReceiver(lambda _request: [reply(200, "application/json", answer)]) as receiver:
        with pytest.raises(RemoteError, match=r"^what answers at http\S+ is not PostHog: .* has not its form$"):
            list(reconcile(PostHog(Remote(SERVICE, receiver.url, KEY, explain), PROJECT), EVENT))
        assert len(receiver.requests) == 1


def test_a_list_without_end_is_left():
    """One that says forever that it goes on is given up."""
    endless = b'{"results": [{"id": 1}], "next": "https://surprise.example.com/"}'
    with LoopbackReceiver(lambda _request: [reply(200, "application/json", endless)]) as receiver:
        with pytest.raises(RemoteError, match="its list of dashboards, which never ends, has not its form"):
            list(reconcile(PostHog(Remote(SERVICE, receiver.url, KEY, explain), PROJECT), EVENT))
        assert len(receiver.requests) == 200


@pytest.mark.parametrize(
    ("there", "ours", "same"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 2}}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [2, 1]}, {"a": [1, 2]}, False),
        ({"a": 2.0}, {"a": 2}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": None}, {"a": {}}, False),
        (None, {}, False),
    ],
)
def test_more_than_ours_is_no_difference(there: Any, ours: Any, same: bool):
    """Defaults that PostHog fills in are no difference; anything of ours that is missing or not the same is one."""
    assert includes(there, ours) is same


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("us", "https://us.posthog.com"),
        ("eu", "https://eu.posthog.com"),
        ("posthog.example.com", "https://posthog.example.com"),
        ("https://posthog.example.com:8443/", "https://posthog.example.com:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("us.i.posthog.com", "that host takes events; the API is at `us`, at `eu`, or at your own PostHog's address"),
        ("https://app.posthog.com/", "that host takes events; the API is at `us`, at `eu`, or at your own PostHog's "),
        ("http://posthog.example.com", "a key is sent to https:// only; http:// is for this machine"),
    ],
)
def test_a_host(text: str, base: str):
    """The two clouds have short names; hosts that take events are told from those that have the API."""
    found = parse_host(text)

    assert (found.message if isinstance(found, BadDestination) else found).startswith(base)


def test_keys_that_are_none():
    """A key that can only send events, and no key, are refused before anything is asked."""
    assert key_problem("phx_mine") is None
    assert str(key_problem(None)).startswith("set POSTHOG_PERSONAL_API_KEY to a personal API key (phx_...) with the")
    assert str(key_problem("phc_surprise")).startswith(
        "POSTHOG_PERSONAL_API_KEY holds a project's key (phc_...), which"
    )
    assert "surprise" not in str(key_problem("phc_surprise"))
    assert project_problem("4711") is None
    assert str(project_problem("")).startswith("set POSTHOG_PROJECT_ID to the number of the project")
    assert str(project_problem("../surprise")).startswith("POSTHOG_PROJECT_ID is the project's number, such as 12345")


Run = tuple[str, bool, int, float]


@pytest.fixture
def events() -> Any:
    """Runs the query of an insight on events in DuckDB, which gives ClickHouse's functions other names."""
    database = duckdb.connect()
    database.execute("CREATE MACRO countIf(x) AS count_if(x)")
    database.execute("CREATE MACRO avgIf(x, y) AS avg(x) FILTER (WHERE y)")
    database.execute("CREATE MACRO toString(x) AS x::VARCHAR")
    database.execute("CREATE MACRO toFloat(x) AS x::DOUBLE")
    database.execute(
        "CREATE TABLE events (event VARCHAR, timestamp TIMESTAMPTZ, properties STRUCT(command VARCHAR, "
        "execution_latency_ms BIGINT, success VARCHAR))"
    )

    def rows(key: str, runs: list[Run], event: str = EVENT) -> list[tuple[Any, ...]]:
        now = datetime.now(timezone.utc)
        database.execute("DELETE FROM events")
        database.executemany(
            "INSERT INTO events VALUES (?, ?, {'command': ?, 'execution_latency_ms': ?, 'success': ?})",
            [
                (event, now - timedelta(hours=hours), command, latency_ms, str(success).lower())
                for command, success, latency_ms, hours in runs
            ],
        )
        query = next(each.query["source"]["query"] for each in insights.insights(event) if each.key == key)
        return database.execute(query).fetchall()

    yield rows
    database.close()


def runs_of(command: str, failed: int, of: int, hours: float, latency_ms: int = 100) -> list[Run]:
    return [(command, number >= failed, latency_ms, hours) for number in range(of)]


def test_the_alert_sees_an_error_rate_that_doubled(events):
    """It fires for more than twice the week before, and for no command with few runs, none before, or none now."""
    runs = [
        *runs_of("tripled", 3, 10, 2), *runs_of("tripled", 1, 10, 30),
        *runs_of("doubled", 2, 10, 2), *runs_of("doubled", 10, 100, 30),
        *runs_of("the same", 5, 10, 2), *runs_of("the same", 5, 10, 100),
        *runs_of("first failure", 1, 100, 2), *runs_of("first failure", 0, 100, 30),
        *runs_of("broke", 3, 100, 2), *runs_of("broke", 0, 100, 30),
        *runs_of("rare", 9, 9, 2), *runs_of("rare", 0, 100, 30),
        *runs_of("new", 100, 100, 2),
        *runs_of("gone", 0, 100, 30),
        *runs_of("long ago", 100, 100, 2), *runs_of("long ago", 0, 100, 24 * 9),
    ]  # fmt: skip

    found = events("errors-doubled", runs)

    assert found == [
        ("broke", 0.03, 0.0, 100, 100, 3.0),
        ("tripled", 0.3, 0.1, 10, 10, 3.0),
        ("doubled", 0.2, 0.1, 10, 100, 2.0),
        ("first failure", 0.01, 0.0, 100, 100, 1.0),
        ("the same", 0.5, 0.5, 10, 10, 1.0),
    ]


def test_the_alert_sees_a_latency_that_doubled(events):
    """It fires for more than twice the average of the week before; what was below 100 ms counts as 100 ms."""
    runs = [
        *runs_of("slower", 0, 20, 2, 2_500), *runs_of("slower", 0, 20, 30, 1_000),
        *runs_of("quick", 0, 20, 2, 90), *runs_of("quick", 0, 20, 30, 9),
        *runs_of("faster", 0, 20, 2, 500), *runs_of("faster", 0, 20, 30, 1_000),
    ]  # fmt: skip

    assert events("latency-doubled", runs) == [
        ("slower", 2500.0, 1000.0, 20, 20, 2.5),
        ("quick", 90.0, 9.0, 20, 20, 0.9),
        ("faster", 500.0, 1000.0, 20, 20, 0.5),
    ]


def test_no_more_rows_than_an_alert_looks_at(events):
    """The greatest changes come first, and 50 of them are all."""
    runs = [run for number in range(60) for hours in (2, 30) for run in runs_of(f"c{number}", 0, 10, hours)]

    assert len(events("latency-doubled", runs)) == 50


def test_the_name_of_an_event_cannot_leave_its_quotes():
    """A quote or a backslash in a name stays in the text of the query."""
    query = insights.insights("it's\\")[-1].query["source"]["query"]

    assert "WHERE event = 'it\\'s\\\\' AND" in query
    for bad in ("", " a", "a\n", "\x1b", "a" * 201):
        assert str(insights.event_problem(bad)).startswith("an event's name has 1 to 200 visible characters")
    assert insights.event_problem("my event") is None


@pytest.mark.usefixtures("keys")
def test_the_command_makes_it_says_so_and_changes_nothing_again():
    """The table has each thing and what was done, then where to look; the key is nowhere in it."""
    with PostHogApi() as double:
        first, second = telemetry("--host", double.url), telemetry("--host", double.url, "--json")

        assert (first.returncode, first.stderr, second.returncode, second.stderr) == (0, "", 0, "")
        assert [line.split()[-1] for line in first.stdout.splitlines()[1:-1]] == ["created"] * ALL
        assert first.stdout.splitlines()[-1] == f"See {double.url}/project/{PROJECT}/dashboard/1"
        said = json.loads(second.stdout)
        assert [said["dashboard"], said["error"]] == [f"{double.url}/project/{PROJECT}/dashboard/1", None]
        assert said["done"][0] == {"kind": "dashboard", "name": "franklinwh-telemetry", "id": 1, "done": "unchanged"}
        assert [each["done"] for each in said["done"]] == ["unchanged"] * ALL
        assert KEY not in first.stdout + second.stdout


@pytest.mark.usefixtures("keys")
def test_the_command_says_how_far_it_came():
    """Where it stops, what was done stands in the table, the reason on standard error, and the exit status is 1."""
    with PostHogApi() as double:
        double.failures[4] = Failure(429, retry_after="30")
        ended = telemetry("--host", double.url)
        double.failures[len(double.asked)] = Failure(500)
        again = telemetry("--host", double.url, "--json")

    assert (ended.returncode, again.returncode) == (1, 1)
    assert [line.split()[-1] for line in ended.stdout.splitlines()[1:-1]] == ["created"] * 2
    assert ended.stderr == (
        "Error: PostHog was asked too much (429): try again in 30 s; what is done is done: run it again for the rest\n"
    )
    assert again.stderr == "Error: PostHog has a fault of its own (500); try again later\n"
    assert json.loads(again.stdout) == {
        "dashboard": None,
        "done": [],
        "error": "PostHog has a fault of its own (500); try again later",
    }


@posix_only
@pytest.mark.usefixtures("keys")
def test_ctrl_c_tells_what_was_done():
    """Stopped while it waits for an answer, it says how far it came, and ends as shells expect."""
    with PostHogApi() as double:
        double.silent_at = 4
        arguments = [sys.executable, "-c", MAIN, "dashboard", "--host", double.url]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        support.wait_until(lambda: len(double.asked) == 5)
        process.send_signal(signal.SIGINT)
        told, error = process.communicate(timeout=60)

    assert [line.split()[-1] for line in told.splitlines()[1:-1]] == ["created"] * 2
    assert error == "Error: stopped by Ctrl-C; what is done is done: run it again for the rest\n"
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("environment", "arguments", "status", "said"),
    [
        ({}, (), 1, "Error: set POSTHOG_PERSONAL_API_KEY to a personal API key (phx_...) with the scopes"),
        ({"POSTHOG_PERSONAL_API_KEY": "phc_surprise"}, (), 1, "Error: POSTHOG_PERSONAL_API_KEY holds a project's key"),
        ({"POSTHOG_PERSONAL_API_KEY": "phx_a b"}, (), 1, "Error: POSTHOG_PERSONAL_API_KEY holds a space or something"),
        ({"POSTHOG_PERSONAL_API_KEY": "phx_surprise"}, (), 1, "Error: set POSTHOG_PROJECT_ID to the number of the"),
        ({}, ("--host", "http://example.com"), 2, "Error: --host: a key is sent to https:// only; http:// is for this"),
        ({}, ("--event", ""), 2, "Error: an event's name has 1 to 200 visible characters"),
        ({}, ("--key", "phx_surprise"), 2, "Error: No such option"),
    ],
)
def test_bad_input_is_one_line(environment, arguments, status, said, monkeypatch):
    """What is missing or wrong is named with its remedy, and no key is repeated."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    ended = telemetry(*arguments)

    assert (ended.returncode, ended.stdout) == (status, "")
    assert ended.stderr.splitlines()[-1].startswith(said)
    assert "surprise" not in ended.stderr


def test_a_dry_run_needs_nothing_and_asks_nobody():
    """Without a key, and without loading what could ask, it prints the JSON of every request."""
    look = "print('requests' in sys.modules, file=sys.stderr)"
    code = f"{MAIN.removesuffix('main()')}\ntry:\n    main()\nfinally:\n    {look}"
    ended = support.run([sys.executable, "-c", code, "dashboard", "--dry-run", "--event", "mine"])

    assert (ended.returncode, ended.stderr) == (0, "False\n")
    assert json.loads(ended.stdout) == {"requests": planned("mine")}
    assert len(planned("mine")) == ALL


def test_other_commands_load_none_of_it():
    """The command line is loaded without the maintainer's modules, and without what asks."""
    code = (
        "import sys, franklinwh_telemetry.cli; print([n for n in sys.modules if 'maintainer' in n or n == 'requests'])"
    )

    assert support.run([sys.executable, "-c", code]).stdout == "[]\n"


@posix_only
@pytest.mark.usefixtures("keys")
def test_on_a_narrow_terminal_nothing_is_cut_off():
    """Drawn by rich in 40 columns, every name is still there whole."""
    with PostHogApi() as double:
        seen = terminals.run([sys.executable, "-c", MAIN, "dashboard", "--host", double.url], columns=40)

    assert seen.status == 0
    assert all(re.sub(r"\s", "", name) in seen.unfolded for each in THINGS.values() for name in each)


@pytest.mark.usefixtures("keys")
def test_the_page_shows_what_is_printed():
    """The sessions in docs/dashboard.md are what the command says against the double, but for its port."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    with PostHogApi() as double:
        for block in blocks:
            command, _, shown = block.partition("\n")
            arguments = command.removeprefix("$ franklinwh-telemetry dashboard").split()
            host = [] if "--dry-run" in arguments else ["--host", double.url]
            printed = telemetry(*arguments, *host).stdout.replace(double.url, "https://us.posthog.com")
            position = 0
            for part in shown.split("...\n"):
                assert part in printed[position:], part
                position = printed.index(part, position) + len(part)
            assert "...\n" in shown or shown == printed

    assert len(blocks) == 3
