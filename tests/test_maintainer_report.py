"""The report's figures against an independent count, its files, and its command line."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import sys
import tempfile
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import support
from doubles import sending, spans
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.records import make_record
from franklinwh_telemetry.destination import FILE
from franklinwh_telemetry.maintainer import queries, source
from franklinwh_telemetry.maintainer.measure import NotMeasuredError, measure
from franklinwh_telemetry.maintainer.page import Section, page
from franklinwh_telemetry.maintainer.report import Asked, write_report

MAIN = "import sys; from franklinwh_telemetry.cli import main; main()"
SINCE, UNTIL = date(2026, 1, 1), date(2027, 1, 1)
DATES = ("--since", "2026-01-01", "--until", "2027-01-01")
COMMANDS = ("status", "tou", "tou --set", "tou --set SELF", "mode --set", "network scan", "other")


def report(*arguments, **keywords):
    return support.run([sys.executable, "-c", MAIN, "report", *arguments], **keywords)


def written(*lines: bytes, name: str = "spans.jsonl") -> str:
    Path(name).write_bytes(b"".join(lines))
    return name


def measured(*names: str, **keywords: Any):
    return measure([os.path.abspath(name) for name in names], since=SINCE, until=UNTIL, **keywords)


def data_of(name: str = "report.html") -> dict[str, Any]:
    (text,) = re.findall(
        r'<script id="data" type="application/json">(.*?)</script>', Path(name).read_text(encoding="utf-8"), re.DOTALL
    )
    found: dict[str, Any] = json.loads(text)
    return found


def left_out(name: str = "report.html") -> dict[str, str]:
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td></tr>', Path(name).read_text(encoding="utf-8"))
    return {unescape(words): number for words, number in rows}


@st.composite
def events(draw):
    latency = st.one_of(
        st.integers(0, 70), st.integers(0, 604_800_000), st.sampled_from([31, 32, 33, 63, 64, 2**29, 604_800_000])
    )
    return spans.event(
        draw(st.sampled_from(COMMANDS)),
        day=draw(st.one_of(st.integers(0, 9), st.integers(0, 99))),
        at_ms=draw(st.sampled_from([0, 1, spans.DAY_MS - 1])),
        latency_ms=draw(latency),
        success=draw(st.booleans()),
        user=draw(st.integers(1, 4)),
        application=draw(st.sampled_from(["franklinwh-cloud", "myapp"])),
    )


@settings(max_examples=40)
@given(st.lists(events(), max_size=30), st.randoms(use_true_random=False))
def test_the_figures_are_those_of_an_independent_count(drawn, chance):
    """Whatever the events, their lines, files and copies: runs, errors, latencies, steps and installations agree."""
    copies = drawn + [one for one in drawn if chance.random() < 0.3]
    chance.shuffle(copies)
    files: dict[str, list[bytes]] = {"a.jsonl": [], "b.jsonl": []}
    while copies:
        size = chance.randint(1, 5)
        files[chance.choice(sorted(files))].append(spans.line(*copies[:size]))
        copies = copies[size:]

    found = measured(*(written(*lines, name=name) for name, lines in files.items()))

    assert spans.told_by(found) == spans.facts_of(drawn)


def test_many_events_are_counted_as_few_are():
    """20,000 events of 100 days, each there twice, are counted in a quarter of the memory that DuckDB is given."""
    chance = random.Random(7)  # noqa: S311 - no secret
    many = [
        spans.event(chance.choice(COMMANDS), day=chance.randrange(100), latency_ms=int(chance.lognormvariate(6, 2)),
                    success=chance.random() < 0.9, user=chance.randrange(300))
        for _ in range(20_000)
    ]  # fmt: skip
    name = written(*(spans.line(*many[at : at + 200]) for at in range(0, len(many), 200)))

    assert spans.told_by(measured(name, name, memory_mb=256)) == spans.facts_of(many)


def test_a_copy_is_the_same_ids_and_the_lesser_of_two_that_differ_stays():
    """One id counts once; the same span id under another trace id, and the other way round, is another event."""
    first = spans.event("tou", latency_ms=5)
    forged = [
        spans.Event("status", latency_ms=900, ids=first.ids),
        spans.Event("tou", latency_ms=4, ids=(first.ids[0] + 1, first.ids[1])),
        spans.Event("tou", latency_ms=3, ids=(first.ids[0], first.ids[1] + 1)),
    ]
    expected = spans.facts_of(forged)

    for order in ([first, *forged], [*forged, first]):
        found = measured(written(spans.line(*order)))
        assert spans.told_by(found) == expected
        assert found.skipped == ((queries.REASONS["duplicate"], 1),)


GOOD = spans.event()
SPAN = GOOD.span()
BAD_IDS: list[tuple[str, Any]] = [
    ("traceId", None),
    ("traceId", "zz"),
    ("spanId", ""),
    ("spanId", "0" * 17),
    ("spanId", []),
]
SPOILED: dict[str, list[Any]] = {
    "application": [("", [SPAN]), (None, [SPAN]), ({"surprise": 1}, [SPAN]), ("A b", [SPAN]), ("a" * 65, [SPAN])],
    "ids": [("app", [GOOD.span(**{key: value})]) for key, value in BAD_IDS],
    "command": [("app", [GOOD.span(**{"franklinwh.command": value})]) for value in (None, {}, {"stringValue": ""})]
    + [("app", [GOOD.span(**{"franklinwh.command": {"stringValue": "x" * 201}})])]
    + [("app", [GOOD.span(attributes=value)]) for value in (None, [], "surprise", [None, 5])],
    "time": [("app", [GOOD.span(startTimeUnixNano=value)]) for value in (None, "", "-1", "soon", str(2**64))],
    "latency": [
        ("app", [GOOD.span(**{"franklinwh.execution_latency_ms": value})])
        for value in (None, {"stringValue": "5"}, {"intValue": "-1"}, {"intValue": "604800001"}, {"intValue": "9" * 30})
    ],
    "success": [
        ("app", [GOOD.span(**{"franklinwh.success": value})]) for value in (None, {"boolValue": "yes"}, {"intValue": 1})
    ],
    "uuid": [
        ("app", [GOOD.span(**{"franklinwh.execution_uuid": {"stringValue": value}})])
        for value in ("", "me@example.com", "00000000-0000-1000-8000-000000000001", "x" * 36)
    ]
    + [("app", [GOOD.span(**{"franklinwh.execution_uuid": None})])],
}


@pytest.mark.parametrize("reason", SPOILED)
def test_what_lacks_a_fact_is_left_out_and_counted_by_reason(reason):
    """Each spoiled span is counted as what it lacks, and the good one between them is not harmed."""
    lines = [spans.request(resource) for resource in SPOILED[reason]]

    found = measured(written(*lines[:2], spans.line(GOOD), *lines[2:]))

    assert spans.told_by(found) == spans.facts_of([GOOD])
    assert found.skipped == ((queries.REASONS[reason], len(lines)),)


DAMAGED = {
    "no JSON": b"surprise\n",
    "torn": spans.line(GOOD)[:99] + b"\n",
    "another object": b"{}\n",
    "a list": b"[1, 2]\n",
    "a number": b"5\n",
    "nothing": b"null\n",
    "not the type": b'{"resourceSpans": "surprise"}\n',
    "no text": b"\xff\xfe\x00\n",
    "zeros": b"\0" * 5000 + b"\n",
    "a list in it": b'{"resourceSpans": [[5]]}\n',
    "a number in it": b'{"resourceSpans": [5]}\n',
    "deep": b'{"resourceSpans":' + b"[" * 5000 + b"]" * 5000 + b"}\n",
    "an end without a newline": spans.line(GOOD)[:50],
}


def test_a_damaged_line_costs_no_other():
    """Whatever a line is instead of a request, the good ones before and after it count, and it is told."""
    before, after = spans.event(user=2), spans.event(user=3)

    for what, bad in DAMAGED.items():
        lines = [spans.line(before), spans.line(after), bad] if what.startswith("an end") else None
        found = measured(written(*(lines or [spans.line(before), bad, spans.line(after)])))
        assert spans.told_by(found) == spans.facts_of([before, after]), what
        assert found.skipped == ((queries.REASONS["line"], 1),), what


def test_what_is_no_damage_is_not_counted_as_such():
    """Blank lines, carriage returns, an empty request, more keys and numbers for texts are what a writer may write."""
    number = GOOD.span(startTimeUnixNano=int(SPAN["startTimeUnixNano"]), extra={"surprise": [1]})
    number["attributes"][1]["value"]["intValue"] = GOOD.latency_ms
    lines = [b"\n", b'{"resourceSpans": []}\n', spans.request(("franklinwh-cloud", [number]))[:-1] + b"\r\n", b" \n"]

    found = measured(written(*lines))

    assert (spans.told_by(found), found.skipped) == (spans.facts_of([GOOD]), ())


def test_a_line_beyond_every_measure_is_named():
    """A line that is longer than any request can be ends in one line that names the file and not its content."""
    huge = b'{"resourceSpans": "' + b"surprise" * (queries.MAX_LINE_BYTES // 4) + b'"}\n'
    name = written(spans.line(GOOD), huge)

    with pytest.raises(NotMeasuredError) as raised:
        measured(name)

    assert name in str(raised.value)
    assert "surprise" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_dates_and_application_choose():
    """Both days are included, others are counted as outside; so are other applications."""
    own = [spans.event(day=day) for day in (0, 1, 2, 3)]
    foreign = spans.event(application="myapp", day=1)
    name = written(spans.line(*own, foreign))

    found = measure([os.path.abspath(name)], since=own[1].date, until=own[2].date, application="franklinwh-cloud")

    assert spans.told_by(found) == spans.facts_of(own[1:3])
    assert dict(found.skipped) == {queries.REASONS["chosen"]: 1, queries.REASONS["dates"]: 2}


def test_there_is_an_end_to_commands_and_applications():
    """Of more commands than a page can show the rare ones are `other`, and of more applications the small are out."""
    names = [f"command-{number:04}" for number in range(queries.MAX_COMMANDS + 20)]
    many = [spans.event(name) for name in names] + [spans.event(name) for name in names[20:]]
    others = [spans.event("zzz", application=f"a{number:02}") for number in range(queries.MAX_APPLICATIONS)]

    found = measured(written(spans.line(*many[:900]), spans.line(*many[900:]), spans.line(*others)))

    assert len(found.applications) == queries.MAX_APPLICATIONS
    commands = [name for _number, kind, name, _group in found.scopes if kind == "command"]
    assert len([name for name in commands if name != "other"]) == queries.MAX_COMMANDS
    assert dict(found.skipped) == {queries.REASONS["beyond"]: 1, queries.REASONS["rare"]: 20 + 49}
    assert sum(cell[2] for cell in found.cells) == found.events == len(many) + 49


def test_a_folder_is_read_with_its_rotated_files():
    """Names as the Collector and the sender rotate them, packed ones and folders below count; other files do not."""
    names = ("spans.jsonl", "spans-2026-05-01T00-00-00.000.jsonl", "telemetry.jsonl.1", "below/old.jsonl.gz")
    kept = [spans.event(user=user) for user in range(len(names))]
    Path("folder/below").mkdir(parents=True)
    for name, one in zip(names, kept, strict=True):
        data = spans.line(one)
        Path("folder", name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    for name in ("notes.txt", "spans.jsonl.tmp", "spool.lock"):
        Path("folder", name).write_bytes(spans.line(spans.event()))

    found = source.find(["folder", "folder/spans.jsonl"])

    assert isinstance(found, source.Source)
    assert [os.path.relpath(path, "folder") for path in found.paths] == sorted(names, key=lambda n: ("/" in n, n))
    assert spans.told_by(measured(*found.paths)) == spans.facts_of(kept)


def test_a_name_is_a_name_and_no_pattern():
    """A file whose name has characters of a pattern is read, and none beside it that the pattern would match."""
    names = ["s*.jsonl", "s?.jsonl", "s[ab].jsonl"]
    kept = [spans.event(user=user) for user in range(3)]
    for name, one in zip(names, kept, strict=True):
        if os.name == "nt" and name != names[2]:
            pytest.skip("such names cannot be on Windows")
        written(spans.line(one), name=name)
    written(spans.line(spans.event(user=9)), name="sa.jsonl")

    assert spans.told_by(measured(*names)) == spans.facts_of(kept)


def test_real_lines_of_the_senders_file_are_read(tmp_path):
    """What the sender's exporter has written for this user is what the report of nothing named is of."""
    records = [make_record(number, success=number % 3 > 0, latency_ms=number) for number in range(1, 41)]
    folder = Path(support.state_root(), "franklinwh-cloud", "spool-0123456789abcdef")
    folder.mkdir(parents=True, mode=0o700)
    for part in (Path(support.state_root()), folder.parent):
        part.chmod(0o700)
    sending.deliver(folder, FILE, records[:25])
    sending.deliver(folder, FILE, records[25:])

    ended = report("--since", "2024-01-01", "--until", "2025-01-01")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-2:] == [
        "40 events of franklinwh-cloud, on 1 day from 2024-11-25.",
        "Report: report.html",
    ]
    data = data_of()
    (cell,) = data["cells"]
    assert cell[2:5] == [40, sum(number % 3 == 0 for number in range(1, 41)), sum(range(1, 41))]
    assert data["applications"][0]["vocabulary"] == list(support_vocabulary())


def support_vocabulary():
    from franklinwh_telemetry.vocabularies import franklinwh_cloud

    return franklinwh_cloud.vocabulary().commands


@pytest.mark.timeout(900)
def test_real_lines_of_the_collector_are_read(collector, tmp_path):
    """What the Collector's backend `file` has written, and rotated away, comes out of its folder."""
    records = sending.recent(1, 30)
    told = sending.send(collector.url, tmp_path / "first", records[:10])
    told_more = sending.send(collector.url, tmp_path / "second", records[10:])
    assert sorted(told.accepted_ids + told_more.accepted_ids) == sending.ids(records)
    support.wait_until(lambda: sum(line.count('"spanId"') for line in collector.lines()) == len(records))

    ended = report(str(collector.data / "spans"))

    assert (ended.returncode, ended.stderr) == (0, "")
    data = data_of()
    assert sum(cell[2] for cell in data["cells"]) == 30
    assert sum(cell[3] for cell in data["cells"]) == sum(not record.event.success for record in records)
    assert sum(cell[4] for cell in data["cells"]) == sum(record.event.execution_latency_ms for record in records)
    assert left_out() == {}


def test_no_uuid_reaches_the_page_and_no_command_becomes_html():
    """Neither UUIDs nor ids are in the page, and a command that is HTML stands in it as data alone."""
    surprise = '</script><img src=x onerror="alert(1)"><!-- \u2028 &amp;'
    hostile = [spans.event(surprise, user=0xABCDEF, application="app"), spans.event("tou", user=0xFEDCBA)]
    written(spans.line(*hostile))

    ended = report("spans.jsonl", *DATES)

    text = Path("report.html").read_text(encoding="utf-8")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "000000abcdef" not in text
    assert f"{hostile[0].ids[0]:032x}" not in text
    assert "surprise" not in surprise
    assert text.count("</script>") == 2
    assert "<img" not in text
    assert surprise in [scope[2] for scope in data_of()["scopes"]]


def test_the_page_of_nothing_says_so_and_why():
    """Files without one event give a page, status 0, and in both places what was left out."""
    for lines in ([], [b"surprise\n", b"{}\n"]):
        written(*lines)

        ended = report("spans.jsonl", *DATES)

        assert (ended.returncode, ended.stderr) == (0, "")
        assert "No event was found; the page says so, too." in ended.stdout
        assert left_out() == ({queries.REASONS["line"]: "2"} if lines else {})
        assert data_of()["cells"] == []


def test_what_cannot_be_read_is_one_line():
    """A name that is not there, a folder without files, a pipe, and nothing kept here: status 1 and a remedy."""
    Path("empty").mkdir()
    told = {
        "missing.jsonl": "missing.jsonl cannot be read: No such file or directory; name a file of OTLP JSON lines",
        "empty": "empty holds no file called *.jsonl, *.jsonl.N or *.jsonl.gz; name the files themselves",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
        told["pipe"] = "pipe is neither a file nor a folder"
    for name, said in told.items():
        ended = report(name)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith(f"Error: {said}")
        assert ended.stderr.count("\n") == 1

    ended = report()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no event is kept in a file below" in ended.stderr
    assert not Path("report.html").exists()


AS_NOBODY = """
import os, sys
from franklinwh_telemetry.maintainer import source
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(source.find([sys.argv[1]]))
"""


@support.posix_only
def test_an_unreadable_file_is_told_and_the_others_are_read():
    """A file that may not be read is named with the reason, and does not hide the rest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name, mode in (("a.jsonl", 0o644), ("b.jsonl", 0o000)):
            Path(folder, name).write_bytes(spans.line(GOOD))
            Path(folder, name).chmod(mode)
        said = support.run_python(AS_NOBODY, folder).stdout

    assert f"paths=('{folder}/a.jsonl',)" in said
    assert f"unreadable=(('{folder}/b.jsonl', 'Permission denied'),)" in said


def test_only_a_report_is_overwritten(tmp_path):
    """A file that is no report stays as it is unless --force is given; an older report gives way; the rest is told."""
    written(spans.line(GOOD))
    Path("report.html").write_text("surprise")

    refused = report("spans.jsonl", *DATES)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "report.html is there, and is no report of ours; name another with --output, or give --force" in (
        refused.stderr
    )
    assert Path("report.html").read_text() == "surprise"

    assert report("spans.jsonl", *DATES, "--force").returncode == 0
    first = data_of()
    written(spans.line(GOOD, spans.event()))
    assert report("spans.jsonl", *DATES).returncode == 0
    assert (first["cells"][0][2], data_of()["cells"][0][2]) == (1, 2)

    for output in (".", "no/such/folder/report.html"):
        refused = report("spans.jsonl", *DATES, "--output", output)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"{output} cannot be written" in refused.stderr
    assert sorted(os.listdir()) == ["report.html", "spans.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "--since yesterday is no day; write it as 2026-11-24"),
        (("--until", "20260630"), "--until 20260630 is no day; write it as 2026-11-24"),
        (("--since", "2026-02-02", "--until", "2026-02-01"), "--since 2026-02-02 is after --until 2026-02-01"),
        (("--since", "2001-01-01", "--until", "2026-02-01"), "are more than 3660 days"),
        (("--application", "No such"), "no application can be called 'No such'"),
        (("--colour",), "No such option"),
    ],
)
def test_wrong_usage_is_status_2(arguments, said):
    """What cannot be meant is refused with the usage, before anything is read."""
    ended = report("spans.jsonl", *arguments)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_a_vocabulary_comes_from_a_file_a_module_or_the_application():
    """JSON as `vocabulary` prints it, module:object, and else what is known of the application, or that nothing is."""
    written(spans.line(spans.event("status", application="myapp")))
    Path("words.json").write_text(json.dumps({"myapp": ["status", "sync"], "another": []}))
    Path("mywords.py").write_text(
        "from franklinwh_telemetry import Vocabulary\nWORDS = Vocabulary(['status', 'push'])\n"
    )
    expected = {
        ("--vocabulary", "words.json"): ["status", "sync"],
        ("--vocabulary", "mywords:WORDS", "--application", "myapp"): ["status", "push"],
        (): None,
    }

    for arguments, commands in expected.items():
        ended = report("spans.jsonl", *DATES, *arguments)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert data_of()["applications"] == [{"name": "myapp", "vocabulary": commands}]

    Path("words.json").write_text('["status"]')
    for spec, said in {"words.json": "is no vocabulary", "nothing:HERE": "cannot be loaded"}.items():
        ended = report("spans.jsonl", *DATES, "--vocabulary", spec)
        assert (ended.returncode, said in ended.stderr) == (1, True)


def test_without_duckdb_one_line_says_what_to_install():
    """Nothing is written, the status is 1, and the line can be copied."""
    written(spans.line(GOOD))
    code = f"import sys; sys.modules['duckdb'] = None; {MAIN}"

    ended = support.run([sys.executable, "-c", code, "report", "spans.jsonl"])

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == 'Error: this needs DuckDB: pip install "franklinwh-telemetry[maintainer]"\n'


def test_the_help_shows_how_and_nothing_else_loads_it():
    """`report --help` has examples; the list of commands names it; the other commands load neither it nor DuckDB."""
    ended = report("--help")
    listed = support.run([sys.executable, "-c", MAIN, "--help"])
    loaded = support.run_python(
        "import sys\nfrom franklinwh_telemetry import cli\n"
        "sys.argv = ['franklinwh-telemetry', 'vocabulary', '--capacity']\n"
        "try:\n    cli.main()\nfinally:\n"
        "    print([name for name in sys.modules if name.startswith(('franklinwh_telemetry.maintainer', 'duckdb'))])\n"
    )

    assert (ended.returncode, "Examples:" in ended.stdout, "--until" in ended.stdout) == (0, True, True)
    assert re.search(r"^  report +For maintainers: write a page", listed.stdout, re.MULTILINE)
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_a_section_of_others_is_escaped_and_placed():
    """What another source of figures hands over stands on the page as a table, its texts as texts."""
    section = Section(
        title="Installs <by> version", note="a & b", columns=("Version", "Installs"), rows=[("<0.1>", "5")]
    )

    text = page(measured(written(spans.line(GOOD))), vocabularies={}, read=["Read."], made_at="now", sections=[section])

    assert '<h2 id="more-0">Installs &lt;by&gt; version</h2>\n<p class="note">a &amp; b</p>' in text
    assert '<tr><th scope="row">&lt;0.1&gt;</th><td>5</td></tr>' in text


def test_the_installations_stand_on_the_page():
    """`--installs` takes what `installs --json` printed; what is something else, or not there, is one line."""
    row = {"date": "2026-11-02", "artifact": "alice/image", "country": "AT", "total": 11}
    saved = {"since": "2026-11-01", "until": "2026-11-24", "rows": [row], "skipped": {}}
    Path("installs.json").write_text(json.dumps(saved))
    name = written(spans.line(GOOD))

    done = report(name, *DATES, "--installs", "installs.json")
    refused = [report(name, *DATES, "--installs", other) for other in (name, "nowhere.json")]

    assert done.returncode == 0, done.stderr
    assert '<tr><th scope="row">alice/image</th><td>AT</td><td>11</td></tr>' in Path("report.html").read_text()
    assert [(one.returncode, one.stderr) for one in refused] == [
        (1, f"Error: {name} is not what `franklinwh-telemetry installs --json` prints; write it anew\n"),
        (1, "Error: nowhere.json cannot be read: No such file or directory\n"),
    ]


def test_the_temporary_events_are_gone(monkeypatch, tmp_path):
    """While it counts, events lie in a folder of this user's alone; after it, also after a failure, there is none."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    name = written(spans.line(GOOD))
    lines = write_report(
        source.Source(paths=(os.path.abspath(name),), size_bytes=1),
        Asked(since=SINCE, until=UNTIL),
        "report.html",
        vocabulary_of=lambda _name: (),
        now_ms=0,
    )
    assert lines == ["1 event of franklinwh-cloud, on 1 day from 2026-05-01.", "Report: report.html"]
    with pytest.raises(NotMeasuredError):
        measured("missing.jsonl")

    assert list(tmp_path.iterdir()) == []
