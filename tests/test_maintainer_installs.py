"""`installs`: three metrics of Scarf's aggregates, reduced as they arrive; of all the rest no trace is kept."""

from __future__ import annotations

import json
import re
import sys
from datetime import date
from typing import Any

import pytest
from hypothesis import given, strategies

import support
from conftest import ROOT
from doubles import terminals
from doubles.scarf import IMAGE, OWNER, TOKEN, ScarfApi, aggregate, refused
from franklinwh_telemetry.maintainer.installs import (
    Installs,
    Row,
    country_of,
    explain,
    fetch,
    owner_problem,
    parse_line,
    read_saved,
    report_sections,
    system_of,
    version_of,
)
from franklinwh_telemetry.maintainer.remote import Remote
from franklinwh_telemetry.sender.loopback import reply
from support import posix_only

MAIN = "import sys; from franklinwh_telemetry.cli import main; main()"
PAGE = ROOT / "docs" / "installs.md"
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 24)
DAY = date(2026, 11, 24)

ROWS: tuple[dict[str, Any], ...] = (
    aggregate("by-version", 30, version="0.1.0"),
    aggregate("by-version", 12, "2026-11-23", version="0.1.0"),
    aggregate("by-version", 5, version="latest"),
    aggregate("by-version", 1, version="surprise.example.com"),
    aggregate("by-version", 2, version="203.0.113.99"),
    aggregate("by-platform", 40, platform="linux"),
    aggregate("by-platform", 3, platform="Linux/arm64 surprise"),
    aggregate("by-platform", 2, platform="darwin"),
    aggregate("by-platform", 1, platform="surprise"),
    aggregate("by-country", 20, country="US"),
    aggregate("by-country", 11, country="at"),
    aggregate("by-country", 4, country="Surprise Valley"),
)
SKIPPED: tuple[dict[str, Any] | bytes, ...] = (
    b"surprise",
    b'["surprise"]',
    b"\xff\xfe surprise",
    b"[" * 50_000,
    aggregate("by-company", 9, version="0.1.0", country="US"),
    aggregate("by-domain", 9),
    aggregate("by-version", 9, version="0.1.0", rollup="yearly"),
    aggregate("by-version", 9, "surprise", version="0.1.0"),
    {**aggregate("by-version", 9, version="0.1.0"), "total": "surprise"},
    {**aggregate("by-version", 9, version="0.1.0"), "total": True},
    {**aggregate("by-version", 9, version="0.1.0"), "total": -1},
    {**aggregate("by-version", 9, version="0.1.0"), "breakdown": ["by-version"]},
)
REASONS = {"a breakdown that was not asked for": 4, "no JSON": 3, "no count": 3, "no date": 1, "no object": 1}


def ask(double: ScarfApi) -> Installs:
    return fetch(Remote("Scarf", double.url, TOKEN, explain), OWNER, FIRST, LAST)


def telemetry(*arguments: str) -> Any:
    """The real command line."""
    return support.run([sys.executable, "-c", MAIN, "installs", *arguments])


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a maintainer."""
    monkeypatch.setenv("SCARF_API_TOKEN", TOKEN)
    monkeypatch.setenv("SCARF_ENTITY_NAME", OWNER)


def test_what_is_kept_is_the_three_metrics():
    """Of rows full of companies, domains and addresses, what is kept is the day, the artifact, a metric and a count."""
    with ScarfApi(*ROWS, *SKIPPED) as double:
        installs = ask(double)

    assert installs.rows() == [
        Row(date(2026, 11, 23), IMAGE, "version", "0.1.0", 12),
        Row(DAY, IMAGE, "country", "AT", 11),
        Row(DAY, IMAGE, "country", "US", 20),
        Row(DAY, IMAGE, "country", "other", 4),
        Row(DAY, IMAGE, "platform", "Linux", 43),
        Row(DAY, IMAGE, "platform", "macOS", 2),
        Row(DAY, IMAGE, "platform", "other", 1),
        Row(DAY, IMAGE, "version", "0.1.0", 30),
        Row(DAY, IMAGE, "version", "latest", 5),
        Row(DAY, IMAGE, "version", "other", 3),
    ]
    assert installs.skipped == REASONS


def test_no_surprise_is_anywhere():
    """Neither the object that is kept, nor any form in which it is told, holds a word of anybody's."""
    with ScarfApi(*ROWS, *SKIPPED) as double:
        installs = ask(double)

    told = repr(vars(installs)) + json.dumps(installs.to_fields()) + json.dumps(report_sections(installs))

    assert not re.search(r"(?i)surprise|203\.0|2001:db8|example\.com|987", told)


def test_what_is_asked_for():
    """One request for the aggregates of three breakdowns by day; no event, no company is ever asked for."""
    with ScarfApi(*ROWS) as double:
        ask(double)
    (request,) = double.receiver.requests

    assert request.request_line == (
        f"GET /v2/packages/{OWNER}/aggregates?start_date=2026-11-01&end_date=2026-11-24&rollup=daily"
        "&breakdown=by-version&breakdown=by-platform&breakdown=by-country HTTP/1.1"
    )


HOSTILE = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.floats() | strategies.text() | strategies.integers(),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("breakdown", "date", "artifact", "total", "rollup", "version", "platform", "country")


@given(
    breakdown=strategies.sampled_from(["by-version", "by-platform", "by-country", "by-company"]),
    changed=strategies.dictionaries(strategies.sampled_from(FIELDS), HOSTILE, max_size=4),
    more=strategies.dictionaries(strategies.text(), HOSTILE, max_size=3),
)
def test_no_row_holds_a_text_that_is_not_on_a_list(breakdown: str, changed: dict[str, Any], more: dict[str, Any]):
    """Whatever a row holds: it is refused by a reason from a list, or reduced to a version, a system, a country."""
    row = aggregate(breakdown, 3, version="0.1.0", platform="linux", country="US")

    found = parse_line(json.dumps({**row, **more, **changed}).encode())

    if isinstance(found, str):
        assert found in REASONS
    else:
        assert found.artifact in (IMAGE, "other") or re.fullmatch(r"[A-Za-z0-9_./-]+", found.artifact)
        reduced = {"version": version_of, "platform": system_of, "country": country_of}[found.metric]
        assert found.value in ("0.1.0", "Linux", "US", "other") or found.value == reduced(found.value)


@given(strategies.binary() | strategies.text().map(str.encode))
def test_a_line_of_anything_is_a_reason(line: bytes):
    """A line that is no row is one of a few reasons, never an error."""
    assert parse_line(line) in REASONS


@pytest.mark.parametrize(
    ("text", "version"),
    [
        *[
            (text, text)
            for text in ("0.1.0", "v1.2", "1", "2026.11.24", "latest", "1.0.0rc1", "1.0.post2", "2.0-beta.3")
        ],
        *[
            (text, "other")
            for text in (
                "",
                "1.2.3.4",
                "surprise",
                "1.0-surprise",
                "1.0+surprise",
                "sha256:ab",
                "1.0\n",
                "\u0661.\u0662",
                " 1.0",
            )
        ],
    ],
)
def test_a_version(text: str, version: str):
    """A number of up to three parts, and what may follow it; an address has four, and is none."""
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("linux", "Linux"),
        ("Darwin 24.1", "macOS"),
        ("windows/amd64", "Windows"),
        ("freebsd", "FreeBSD"),
        ("unknownplatform", "unknown"),
        ("linuxsurprise", "other"),
        ("10.0", "other"),
        ("", "other"),
    ],
)
def test_an_operating_system(text: str, system: str):
    """Its family alone: neither a version nor a processor."""
    assert system_of(text) == system


def test_a_country():
    """Two letters of ISO 3166-1, 249 of them; nothing else is one."""
    letters = [chr(first) + chr(second) for first in range(65, 91) for second in range(65, 91)]

    assert len([code for code in letters if country_of(code) == code]) == 249
    assert [country_of(text) for text in ("de", "XX", "Austria", "", "A", "AUT", "\u0131")] == ["DE", *["other"] * 6]


def test_sections_for_the_report():
    """Plain texts: for each metric a title, the days and what a reader has to know, and a table, the most first."""
    installs = Installs(FIRST, LAST)
    for row in (*ROWS, b"surprise"):
        installs.add(row if isinstance(row, bytes) else json.dumps(row).encode())
    note = (
        "2026-11-01 to 2026-11-24. Fetches through Scarf's gateway alone: CI and repeated pulls count, mirrors, caches "
        "and HACS do not. 1 of Scarf's lines was not understood and is left out (no JSON: 1)."
    )

    assert report_sections(installs) == [
        {
            "title": "Installations by package version",
            "note": note,
            "columns": ["artifact", "package version", "fetched"],
            "rows": [[IMAGE, "0.1.0", "42"], [IMAGE, "latest", "5"], [IMAGE, "other", "3"]],
        },
        {
            "title": "Installations by operating system",
            "note": note,
            "columns": ["artifact", "operating system", "fetched"],
            "rows": [[IMAGE, "Linux", "43"], [IMAGE, "macOS", "2"], [IMAGE, "other", "1"]],
        },
        {
            "title": "Installations by country",
            "note": note,
            "columns": ["artifact", "country", "fetched"],
            "rows": [[IMAGE, "US", "20"], [IMAGE, "AT", "11"], [IMAGE, "other", "4"]],
        },
    ]


def test_what_was_saved_is_read_back():
    """The JSON of `installs` gives the report's tables again; of a row more than it prints nothing is taken over."""
    installs = Installs(FIRST, LAST)
    for row in (*ROWS, b"surprise"):
        installs.add(row if isinstance(row, bytes) else json.dumps(row).encode())
    saved = installs.to_fields()
    surprise = {
        "date": "2026-11-02",
        "artifact": IMAGE,
        "version": "surprise.example",
        "total": 1,
        "company": "surprise",
    }

    read = read_saved(json.dumps(saved).encode())
    more = read_saved(json.dumps({**saved, "rows": [surprise], "skipped": {"surprise": 2}}).encode())

    assert read is not None
    assert read.rows() == installs.rows()
    assert read.skipped.total() == installs.skipped.total()
    assert more is not None
    assert "surprise" not in json.dumps([more.to_fields(), report_sections(more)])
    assert [row.value for row in more.rows()] == ["other"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[]", b"{}", b'{"since": "x", "until": "x", "rows": [], "skipped": {}}', b"[" * 100_000],
)
def test_what_was_not_saved_by_it_is_refused(data):
    """Nothing but the JSON of `installs` is read as such, a row without a metric or a count neither."""
    whole = {"since": "2026-11-01", "until": "2026-11-02", "rows": [{"date": "2026-11-01", "total": 1}], "skipped": {}}
    no_count = {**whole, "rows": [{"date": "2026-11-01", "artifact": IMAGE, "version": "1", "total": "1"}]}

    assert read_saved(data) is None
    assert [read_saved(json.dumps(each).encode()) for each in (whole, no_count)] == [None, None]


@pytest.mark.usefixtures("token")
def test_the_table_and_the_json():
    """People get three tables, programs a row for each day; the token is in neither."""
    with ScarfApi(*ROWS, *SKIPPED) as double:
        dates = ("--since", "2026-11-01", "--until", "2026-11-24", "--host", double.url)
        table, as_json = telemetry(*dates), telemetry(*dates, "--json")

    assert (table.returncode, table.stderr, as_json.returncode, as_json.stderr) == (0, "", 0, "")
    assert [line.split() for line in table.stdout.splitlines()[:6]] == [
        ["Fetched", "through", "Scarf", "from", "2026-11-01", "to", "2026-11-24."],
        ["Installations", "by", "package", "version:"],
        ["artifact", "package", "version", "fetched"],
        [IMAGE, "0.1.0", "42"],
        [IMAGE, "latest", "5"],
        [IMAGE, "other", "3"],
    ]
    assert table.stdout.splitlines()[-1] == (
        "12 of Scarf's lines were not understood and are left out (a breakdown that was not asked for: 4, "
        "no JSON: 3, no count: 3, no date: 1, no object: 1)."
    )
    said = json.loads(as_json.stdout)
    assert {name: said[name] for name in ("since", "until", "skipped")} == {
        "since": "2026-11-01",
        "until": "2026-11-24",
        "skipped": REASONS,
    }
    assert said["rows"][0] == {"date": "2026-11-23", "artifact": IMAGE, "version": "0.1.0", "total": 12}
    assert len(said["rows"]) == 10
    assert not re.search(f"(?i)surprise|{TOKEN}", table.stdout + as_json.stdout)


@pytest.mark.usefixtures("token")
def test_nothing_was_fetched():
    """An answer without a line is told as what it may mean."""
    with ScarfApi() as double:
        ended = telemetry("--host", double.url)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[1] == "Nothing was fetched in these days, or nothing is routed through Scarf."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            refused(403, "not-a-pro-member"),
            "Scarf refused (403): Sorry, not-a-pro-member: the export needs one of Scarf's paid plans",
        ),
        (
            refused(400, "range-too-long"),
            "Scarf refused (400): Sorry, range-too-long: give a later --since or an earlier --until",
        ),
        (
            refused(404, "not-found"),
            (
                "Scarf refused (404): Sorry, not-found: is --owner the name of a user or an organization at Scarf, "
                "and may this token read it?"
            ),
        ),
        (refused(400, "invalid-package-query"), "Scarf refused (400): Sorry, invalid-package-query: is --owner right?"),
        (reply(401), "Scarf refused (401): is SCARF_API_TOKEN whole and valid, and --owner right?"),
        (reply(429, "", b"", ("Retry-After", "9")), "Scarf was asked too much (429): try again in 9 s"),
        (reply(502), "Scarf has a fault of its own (502); try again later"),
        (reply(200, "text/csv", b"id,surprise\n"), "Scarf answered with text/csv, not application/x-ndjson"),
        (reply(200, "text/html", b"<html>"), "Scarf answered with text/html, not application/x-ndjson"),
        (
            b"HTTP/1.1 200 -\r\nContent-Type: application/x-ndjson\r\nContent-Length: 9\r\n\r\n{}\n",
            "the answer of Scarf broke off: no connection, or it was closed before the end; try again",
        ),
    ],
    ids=["403", "400 range", "404", "400 query", "401", "429", "502", "persons", "a page", "cut off"],
)
@pytest.mark.usefixtures("token")
def test_what_goes_wrong_is_one_line(answer: bytes, said: str):
    """Each refusal is told with its remedy, and nothing of a half answer is shown as a whole one."""
    with ScarfApi() as double:
        double.answers.append(answer)
        double.hangs_up = answer.endswith(b"{}\n")
        ended = telemetry("--host", double.url)

    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"Error: {said}\n")


@pytest.mark.parametrize(
    ("environment", "arguments", "status", "said"),
    [
        ({}, (), 2, "Error: name the owner of the packages at Scarf: --owner NAME, or SCARF_ENTITY_NAME"),
        ({}, ("--owner", "../surprise"), 2, "Error: an owner at Scarf is a name of letters, digits, - and _"),
        ({}, ("--owner", "a"), 1, "Error: set SCARF_API_TOKEN to the API token that Scarf's user settings show"),
        ({"SCARF_API_TOKEN": "a b"}, ("--owner", "a"), 1, "Error: SCARF_API_TOKEN holds a space or something other"),
        ({}, ("--owner", "a", "--since", "yesterday"), 2, "Error: --since yesterday is no day; write it as 2026-11-24"),
        ({}, ("--owner", "a", "--until", "2026-02-30"), 2, "Error: --until 2026-02-30 is no day; write it as"),
        ({}, ("--owner", "a", "--until", "0001-01-01"), 2, "Error: --until 0001-01-01 is no day; write it as"),
        (
            {},
            ("--owner", "a", "--since", "2026-11-24", "--until", "2026-11-23"),
            2,
            "Error: --since 2026-11-24 is after --until 2026-11-23",
        ),
        ({}, ("--owner", "a", "--host", "http://example.com"), 2, "Error: --host: a key is sent to https:// only"),
        ({}, ("--token", "surprise"), 2, "Error: No such option"),
    ],
)
def test_bad_input_is_one_line(environment, arguments, status, said, monkeypatch):
    """What is missing or wrong is named with its remedy."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    ended = telemetry(*arguments)

    assert (ended.returncode, ended.stdout) == (status, "")
    assert ended.stderr.splitlines()[-1].startswith(said)


def test_an_owner():
    """A name that is part of a path and nothing else."""
    assert owner_problem("alice-1") is None
    assert all(owner_problem(text) for text in (None, "", "a/b", "a?b", "a b", "ä", "-a", "a" * 101))


@posix_only
@pytest.mark.usefixtures("token")
def test_on_a_narrow_terminal_nothing_is_cut_off():
    """Drawn by rich in 30 columns, names and numbers are still there whole."""
    with ScarfApi(*ROWS) as double:
        seen = terminals.run([sys.executable, "-c", MAIN, "installs", "--host", double.url], columns=30)

    assert seen.status == 0
    assert seen.unfolded.count(IMAGE) == 9
    assert "fetched43" in seen.unfolded


@pytest.mark.usefixtures("token")
def test_the_page_shows_what_is_printed():
    """The session in docs/installs.md is what the command says against the double."""
    (block,) = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    command, _, shown = block.partition("\n")
    with ScarfApi(*ROWS) as double:
        ended = telemetry(*command.removeprefix("$ franklinwh-telemetry installs").split(), "--host", double.url)

    assert ended.stdout == shown
