"""The report's page in a real browser, opened from disk: what it shows, how it is used, and that nothing leaves it."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from doubles import spans
from doubles.browser import Visit, browser
from franklinwh_telemetry.maintainer.measure import measure
from franklinwh_telemetry.maintainer.page import Section, page
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from pathlib import Path

# The first of them may have to install the browser.
pytestmark = pytest.mark.timeout(900)

DAYS = 40
SURPRISE = '</script><img src=x onerror="document.title=1">' + "x" * 150
VOCABULARIES = {
    "franklinwh-cloud": franklinwh_cloud.vocabulary().commands,
    "myapp": ("sync", "sync --all", "never", "early"),
}
NONE = "\N{EN DASH}"
TIME_CHARTS = ("Runs", "Active installations", "Latency", "Error rate")
BAR_CHARTS = ("Commands", "Error rate by command", "Adoption")


def drawn_events() -> list[spans.Event]:
    chance = random.Random(20)  # noqa: S311 - no secret
    weights = {"status": 9, "tou": 4, "tou --set": 2, "tou --set SELF": 1, "mode --set": 3, "other": 1}
    names = list(weights)
    found = [
        spans.event(
            chance.choices(names, list(weights.values()))[0],
            day=chance.randrange(DAYS),
            # Below 32 ms a percentile is exact.
            latency_ms=chance.randrange(32),
            success=chance.random() < 0.8,
            user=chance.randrange(25),
        )
        for _ in range(600)
    ]
    found += [
        spans.event(chance.choice(["sync", "sync --all"]), application="myapp", day=chance.randrange(DAYS), user=user)
        for user in range(30)
    ]
    found += [spans.event("early", application="myapp", day=0), spans.event(SURPRISE, application="myapp", day=1)]
    return [*found, spans.event("status", day=0), spans.event("status", day=DAYS - 1)]


EVENTS = drawn_events()


def write(folder: Path, *events: spans.Event, **keywords) -> Path:
    (folder / "spans.jsonl").write_bytes(spans.line(*events) if events else b"")
    found = measure([str(folder / "spans.jsonl")], since=spans.FIRST_DAY, until=spans.Event(day=999).date)
    text = page(found, vocabularies=VOCABULARIES, read=["Read: 1 file."], made_at="2026-06-10", **keywords)
    (folder / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    section = Section(title="Installs", note="From elsewhere.", columns=("Version", "Installs"), rows=[("0.1.0", "7")])
    return write(tmp_path_factory.mktemp("report"), *EVENTS, sections=[section])


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def visit(chromium, report):
    visits = []

    def opened(path=report, **keywords):
        visits.append(Visit(chromium, path, **keywords))
        return visits[-1]

    yield opened
    for one in visits:
        one.context.close()


def chosen(application=None, command=None, first=0, last=DAYS - 1):
    return [
        one
        for one in EVENTS
        if first <= one.day <= last
        and application in (None, one.application)
        and (command is None or one.command == command or (command[-1] == "*" and one.command.startswith(command[:-1])))
    ]


def percentile(events, share):
    ordered = sorted(one.latency_ms for one in events)
    return ordered[max(1, -(-int(share * 100) * len(ordered) // 100)) - 1]


def percent(share):
    value = share * 100
    return f"{value:.1f}".removesuffix(".0") + " %" if value < 10 else f"{round(value)} %"


def figures(events, days, *, installations=None):
    mean = sum(one.latency_ms for one in events) / len(events)
    users = len({(one.application, one.user) for one in events})
    return {
        "Runs": f"{len(events):,}",
        **(installations or {"Installations": str(users)}),
        "Error rate": percent(sum(not one.success for one in events) / len(events)),
        "Average latency": f"{int(mean + 0.5)} ms",
        "p50": f"{percentile(events, 0.5)} ms",
        "p95": f"{percentile(events, 0.95)} ms",
    }


def test_every_chart_is_there_and_nothing_is_asked_for(visit):
    """Each section has its chart with marks and a table behind it; the console is empty, the one request the page."""
    opened = visit()

    for title in TIME_CHARTS:
        section = opened.section(title)
        assert section.locator("figure svg").locator(".column, .curve").count() >= 1, title
        assert section.locator("details table tbody tr").count() == DAYS, title
    for title in BAR_CHARTS:
        section = opened.section(title)
        assert section.locator(".bars > li svg .bar").count() >= 3, title
        assert section.locator("details table tbody tr").count() >= 3, title
    assert (opened.complaints, opened.requests) == ([], [opened.url])
    assert opened.section("Installs").locator("td").all_text_contents() == ["7"]


def test_the_page_cannot_reach_anything(visit):
    """Whatever a script in it tries, an image, a request, a style, more script: the policy refuses it, and says so."""
    opened = visit()

    refused = opened.page.evaluate("""async () => {
        const found = [];
        document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
        document.body.append(Object.assign(new Image(), { src: "http://surprise.example/a.png" }));
        const script = document.createElement("script");
        script.textContent = "document.title = 'surprise'";
        document.body.append(script);
        document.body.append(Object.assign(document.createElement("style"), { textContent: "body { color: red }" }));
        await fetch("http://surprise.example/").catch(() => {});
        for (let turn = 0; turn < 200 && found.length < 4; turn += 1) await new Promise((go) => setTimeout(go, 50));
        return [found.sort(), document.title];
    }""")

    assert refused == [["connect-src", "img-src", "script-src-elem", "style-src-elem"], "Command report"]
    assert opened.let_out == [opened.url]


def test_a_hostile_command_is_text(visit):
    """A command that is HTML is shown as it is written, and makes no element."""
    opened = visit()

    opened.page.get_by_label("Application", exact=True).select_option(label="myapp")

    assert SURPRISE in [row[0] for row in opened.rows("Commands")]
    assert opened.page.locator("img").count() == 0
    assert opened.page.title() == "Command report"
    assert opened.complaints == []


def test_the_figures_follow_the_filters(visit):
    """For all, one application, a subcommand, a command, a period and dates of one's own they are those of a count."""
    opened = visit()
    application, command = (
        opened.page.get_by_label("Application", exact=True),
        opened.page.get_by_label("Command", exact=True),
    )
    dates = opened.page.get_by_label("Dates", exact=True)

    assert opened.figures() == figures(chosen(), DAYS)
    application.select_option(label="franklinwh-cloud")
    assert opened.figures() == figures(chosen("franklinwh-cloud"), DAYS)
    command.select_option(label="tou, all of it")
    assert opened.figures() == figures(chosen("franklinwh-cloud", "tou*"), DAYS)
    command.select_option(label="tou --set")
    assert opened.figures() == figures(chosen("franklinwh-cloud", "tou --set"), DAYS)
    dates.select_option(label="Last 30 days")
    last_30 = chosen("franklinwh-cloud", "tou --set", DAYS - 30)
    assert opened.figures() == figures(last_30, 30)
    assert opened.page.get_by_label("From", exact=True).input_value() == str(spans.Event(day=DAYS - 30).date)
    assert opened.rows("Runs") == [
        [str(spans.Event(day=day).date), str(sum(one.day == day for one in last_30))] for day in range(DAYS - 30, DAYS)
    ]
    application.select_option(label="myapp")  # which has no such command
    assert opened.figures() == figures(chosen("myapp", None, DAYS - 30), 30)
    opened.page.get_by_role("button", name="Show all").click()
    assert opened.figures() == figures(chosen(), DAYS)
    assert opened.texts("[role=status]") == [
        f"Shown: all applications, all commands, 2026-05-01 to 2026-06-09; {len(EVENTS)} runs."
    ]


def test_installations_of_other_dates_are_told_a_day(visit):
    """They cannot be added up from days: for dates of one's own the page tells the mean of a day, and says so."""
    opened = visit()
    opened.page.get_by_label("From", exact=True).fill(str(spans.Event(day=3).date))
    opened.page.get_by_label("To", exact=True).fill(str(spans.Event(day=12).date))
    opened.page.get_by_label("To", exact=True).blur()
    found = chosen(None, None, 3, 12)
    active = {(one.application, one.user, one.day) for one in found}
    used = {(one.application, one.user, one.day) for one in found if one.command.startswith("tou")}
    own = {key for key in active if key[0] == "franklinwh-cloud"}

    a_day = f"{len(active) / 10:.2g}"
    assert opened.figures() == figures(found, 10, installations={"Installations a day": a_day})
    assert "days on which an installation was active" in opened.section("Adoption").locator(".note").text_content()
    (row,) = [
        row
        for row in opened.texts("section[aria-labelledby=section-adoption] .bars > li > *:first-child")
        if row.startswith("tou")
    ]
    assert row.endswith(f"{percent(len(used) / len(own))}{len(used)} of {len(own)} days of activity")

    opened.page.get_by_label("From", exact=True).fill(str(spans.Event(day=12).date))
    one_day = chosen(None, None, 12, 12)
    assert opened.figures() == figures(one_day, 1)


def test_adoption_is_the_share_of_the_active(visit):
    """Of the installations that were active, those that ran the command, each counted once."""
    opened = visit()
    own = chosen("franklinwh-cloud")
    active = {one.user for one in own}
    expected = {}
    for name in ("status", "tou --set SELF", "other"):
        used = {one.user for one in own if one.command == name}
        expected[name] = [percent(len(used) / len(active)), str(len(used)), str(len(active))]

    opened.page.get_by_label("Application", exact=True).select_option(label="franklinwh-cloud")

    found = {name: rest for name, *rest in opened.rows("Adoption")}
    assert {name: found[name] for name in expected} == expected


def test_the_errors_are_those_of_a_count(visit):
    """By day and by command: the failed of all runs, and a gap or a dash where nothing ran."""
    opened = visit()
    opened.page.get_by_label("Command", exact=True).select_option(label="tou --set SELF")
    own = chosen(None, "tou --set SELF")
    by_day = []
    for day in range(DAYS):
        of_day = [one.success for one in own if one.day == day]
        by_day.append([str(spans.Event(day=day).date), percent(of_day.count(False) / len(of_day)) if of_day else NONE])

    assert opened.rows("Error rate") == by_day
    assert [NONE] in [row[1:] for row in by_day]
    failed = sum(not one.success for one in own)
    assert opened.rows("Error rate by command") == [
        ["tou --set SELF · franklinwh-cloud", percent(failed / len(own)), str(failed), str(len(own))]
    ]


def test_a_subcommand_unfolds_by_click_and_by_key(visit):
    """A click, Enter or Space unfolds and folds the options; a change of the filters leaves them unfolded."""
    opened = visit()
    section = opened.section("Commands")
    button = section.get_by_role("button", name=re.compile(r"^tou"))
    part = section.locator(".name").get_by_text("--set", exact=True).first
    assert (button.get_attribute("aria-expanded"), part.is_visible()) == ("false", False)

    for act, is_open in (
        (button.click, True),
        (button.click, False),
        (lambda: button.press("Enter"), True),
        (lambda: button.press(" "), False),
        (lambda: button.press("Enter"), True),
    ):
        act()
        assert (button.get_attribute("aria-expanded"), part.is_visible()) == (str(is_open).lower(), is_open)
    opened.page.get_by_label("Application", exact=True).select_option(label="franklinwh-cloud")

    names = section.locator("li:has(> button[aria-expanded=true]) ul .name").all_text_contents()
    counts = {name: sum(one.command == name for one in EVENTS) for name in ("tou", "tou --set", "tou --set SELF")}
    assert names == sorted(counts, key=lambda name: -counts[name])


def test_a_chart_is_read_by_keys_and_pointer(visit):
    """Arrow keys, Home and End move over the days, the value is told to a screen reader and shown; so by a pointer."""
    opened = visit()
    section = opened.section("Runs")
    plot, readout = section.get_by_role("slider"), section.locator(".readout")
    runs = [f"{spans.Event(day=day).date}: runs {sum(one.day == day for one in EVENTS)}" for day in range(DAYS)]
    assert plot.get_attribute("aria-label") == "Runs in each day"

    plot.focus()
    for key, day in (("End", DAYS - 1), ("ArrowLeft", DAYS - 2), ("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0)):
        plot.press(key)
        assert (plot.get_attribute("aria-valuetext"), readout.text_content()) == (runs[day], runs[day])
    columns = section.locator("rect.column")
    columns.last.hover()
    assert readout.text_content() == runs[-1]


def test_a_table_is_behind_every_chart(visit):
    """It is folded, opens by key, stays open under another filter, and has heads for its rows and columns."""
    opened = visit()
    for title in (*TIME_CHARTS, *BAR_CHARTS):
        details = opened.section(title).locator("details")
        assert details.locator("table").is_visible() is False
        details.locator("summary").press("Enter")
        assert details.locator("table").is_visible() is True
        heads = details.locator("th[scope=col]").count()
        assert (details.locator("th[scope=row]").count(), heads >= 2) == (details.locator("tbody tr").count(), True)

    opened.page.get_by_label("Dates", exact=True).select_option(label="Last 7 days")

    assert opened.page.locator("main details[open]").count() == len(TIME_CHARTS) + len(BAR_CHARTS)
    assert opened.section("Latency").locator("tbody tr").count() == 7


def test_what_nobody_used_is_listed(visit):
    """The vocabulary's commands without a run, and apart those that ran on other dates only."""
    opened = visit()
    opened.page.get_by_label("Application", exact=True).select_option(label="myapp")
    section = opened.section("Used by nobody")
    assert section.locator("li").all_text_contents() == ["never"]

    opened.page.get_by_label("Dates", exact=True).select_option(label="Last 30 days")
    assert section.locator("p").all_text_contents()[1:] == [
        "1 of 4 commands, on no date in this report:",
        "1 of 4 commands, run on other dates only:",
    ]
    assert section.locator("li").all_text_contents() == ["never", "early"]

    opened.page.get_by_label("Application", exact=True).select_option(label="franklinwh-cloud")
    run = {one.command for one in EVENTS}
    expected = [command for command in VOCABULARIES["franklinwh-cloud"] if command not in run]
    assert section.locator("ul").first.locator("li").all_text_contents() == expected


def luminance(color):
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_in_dark(visit, scheme):
    """Each text has a contrast of 4.5 to its ground, each mark one of 3, and dark is dark."""
    opened = visit(scheme=scheme)
    of = "element => getComputedStyle(element)"
    ground = opened.page.locator(".panel").first.evaluate(f"element => ({of})(element).backgroundColor")
    texts = [".row .name", ".row .facts", ".row .value", ".note", "h2", "summary", ".filters button"]
    marks = [
        (".bar", "fill"),
        (".bar.error", "fill"),
        (".column", "fill"),
        (".curve", "stroke"),
        (".curve.second", "stroke"),
    ]

    for selector in texts:
        color = opened.page.locator(selector).first.evaluate(f"element => ({of})(element).color")
        assert contrast(color, ground) >= 4.5, selector
    axis = opened.page.locator(".axis").first.evaluate(f"element => ({of})(element).fill")
    assert contrast(axis, ground) >= 4.5
    for selector, kind in marks:
        color = opened.page.locator(selector).first.evaluate(f"element => ({of})(element).{kind}")
        assert contrast(color, ground) >= 3, selector
    assert (luminance(ground) < 0.05) is (scheme == "dark")


def test_it_fits_a_phone(visit):
    """At 360 pixels nothing scrolls sideways, also with all unfolded and every table open, and the controls fit."""
    opened = visit(width=360)
    assert not opened.is_wider_than_the_window()

    opened.page.evaluate("""() => {
        for (const one of document.querySelectorAll("button.row")) one.click();
        for (const one of document.querySelectorAll("details")) one.open = true;
    }""")

    assert not opened.is_wider_than_the_window()
    outside = opened.page.locator("select, input, .row, .panel").evaluate_all("""found => found.filter((one) => {
        const box = one.getBoundingClientRect();
        return box.left < 0 || box.right > innerWidth;
    }).length""")
    assert outside == 0


def test_labels_do_not_overlap(visit):
    """At no width does a label of an axis reach over another."""
    opened = visit()
    for width in (360, 700, 1100):
        opened.page.set_viewport_size({"width": width, "height": 800})
        opened.page.wait_for_function(
            "() => Math.abs(document.querySelector('.plot svg').viewBox.baseVal.width"
            " - document.querySelector('.plot').clientWidth) < 2"
        )
        overlaps = opened.page.locator(".plot svg").evaluate_all("""charts => charts.flatMap((chart) => {
            const boxes = [...chart.querySelectorAll("text")].map((one) => one.getBoundingClientRect());
            return boxes.flatMap((one, at) => boxes.slice(at + 1).filter((other) =>
                one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom));
        }).length""")
        assert overlaps == 0, width


def test_it_prints(visit):
    """On paper there are no controls and no folded tables, what was chosen is said, and dark is light."""
    opened = visit(scheme="dark")
    opened.page.get_by_label("Application", exact=True).select_option(label="myapp")
    opened.page.emulate_media(media="print", color_scheme="dark")

    assert not opened.page.locator(".filters").is_visible()
    assert not opened.page.locator("details").first.is_visible()
    assert opened.page.locator("[role=status]").is_visible()
    color = opened.page.locator(".panel").first.evaluate("element => getComputedStyle(element).backgroundColor")
    assert luminance(color) == 1
    assert opened.page.pdf().startswith(b"%PDF")


def test_more_days_are_taken_together(visit, tmp_path):
    """Of 300 days each point is a week that ends with the last day, and nothing is lost in it."""
    many = [spans.event("status", day=day, latency_ms=day, user=day % 3) for day in range(300)]
    opened = visit(write(tmp_path, *many))

    rows = opened.rows("Runs")
    assert rows[-1] == [f"{spans.Event(day=293).date} to {spans.Event(day=299).date}", "7"]
    assert sum(int(row[1]) for row in rows) == 300
    assert rows[0][0].startswith("2026-05-01")
    assert opened.rows("Active installations")[-1][1] == "1"
    assert opened.complaints == []


@pytest.mark.parametrize("width", [360, 1100])
def test_a_single_event_and_none_are_pages_too(visit, tmp_path, width):
    """One event is drawn; of none the page says that there is none; neither complains."""
    one = visit(write(tmp_path, spans.event("status", latency_ms=5)), width=width)
    assert one.figures() == figures([spans.Event("status", latency_ms=5)], 1)
    assert one.rows("Latency") == [["2026-05-01", "5 ms", "5 ms"]]
    assert (one.complaints, one.is_wider_than_the_window()) == ([], False)

    none = visit(write(tmp_path), width=width)
    assert none.texts("main .nothing") == [
        "There is no event to show. What was read, and why it was left out, stands below."
    ]
    assert (none.complaints, none.is_wider_than_the_window()) == ([], False)
