from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import support
from doubles import terminals
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, reply
from support import APPLICATION, CONSENT, VERSION_4

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a pty is POSIX")

PROGRAM = [sys.executable, "-c", "import sys; from franklinwh_telemetry.cli import main; main()"]
KEY = "phc_9JcW2mXq0Zt7Vb4Ld8Rn1Kf6Hs3Pa5Ye0Gu2Qo7wxyz"
ASCII_ONLY = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ENCODINGS = {
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
    "ascii": ASCII_ONLY,
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
}


def record(*commands: str, application: str = APPLICATION) -> None:
    telemetry = Telemetry(application, Vocabulary(["status", "tou --extended"]))
    for command in commands:
        telemetry.command(command)(lambda: None)()


def consent(more: str = "") -> Path:
    ini = Path("franklinwh.ini")
    ini.write_text(CONSENT + more)
    return ini


def on_a_terminal(*arguments: str, **keywords) -> terminals.Seen:
    seen = terminals.run([*PROGRAM, *arguments], **keywords)
    assert "Traceback" not in seen.text, seen.text
    return seen


def piped(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    ended = support.run([*PROGRAM, *arguments], text=False, env={**os.environ, **environment})
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return ended


def words(text: str) -> str:
    """The text without what only places it."""
    return "".join(text.split())


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_status_says_the_same_everywhere(columns):
    """However narrow the terminal is, it shows every character of the plain lines, and nothing is cut off."""
    consent(f"api_key = {KEY}\nsince = 2026-11-24\npolicy = 1\n")
    record("status")

    drawn = on_a_terminal("status", columns=columns)
    plain = piped("status").stdout.decode()

    assert drawn.unfolded == words(plain)
    assert max(map(len, drawn.text.splitlines())) <= columns
    assert "\x1b[" in drawn.raw
    assert "phc_9JcW...wxyz" in drawn.unfolded
    assert KEY not in drawn.unfolded
    assert "policyversion1,on2026-11-24" in drawn.unfolded


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_show_is_never_cut_off(columns):
    """A table where it has room, else one fact after another: each of the five is whole at any width."""
    with LoopbackReceiver() as receiver:
        consent(f"endpoint = {receiver.url}\n")
        record("status", "tou --extended")
        assert on_a_terminal("send", columns=columns).status == 0

        sent = on_a_terminal("show", columns=columns)

    assert {event["command"] for event in events()} == {"status", "tou --extended"}
    for event in events():
        assert words(str(event["executed_timestamp"])) in sent.unfolded
        assert words(f"{event['execution_latency_ms']} ms") in sent.unfolded
    for whole in ("status", "tou--extended", "true", VERSION_4, "127.0.0.1", "answered200"):
        assert whole in sent.unfolded
    assert "…" not in sent.text
    assert max(map(len, sent.text.splitlines())) <= columns
    assert ("executed timestamp         command" in sent.text) is (columns >= 80)


def events() -> list[dict[str, object]]:
    """The five facts of what was sent, as `show --json` has them."""
    lines = piped("show", "--json").stdout.splitlines()
    return [event for line in lines for event in json.loads(line)["events"]]


@pytest.mark.parametrize("environment", ENCODINGS.values(), ids=ENCODINGS)
def test_every_encoding_will_do(environment):
    """What a terminal's encoding lacks is written in ASCII: lines of a table, and letters of a path."""
    folder = Path("Münze ☀")
    folder.mkdir()
    os.chdir(folder)
    consent()
    record("status")

    for arguments in (("status",), ("show", "--pending"), ("show", "--example"), ("on", "--yes"), ("off",)):
        seen, ended = on_a_terminal(*arguments, **environment), piped(*arguments, **environment)
        assert (seen.status, ended.returncode) == (0, 0)
        if environment is ASCII_ONLY:
            assert seen.data.isascii()
            assert ended.stdout.isascii()

    record_and_show = on_a_terminal("show", "--example", **environment)
    assert ("─" in record_and_show.raw) is (environment["PYTHONIOENCODING"] == "utf-8")


HOSTILE = "\x1b[2J\x1b]0;surprise\x07[bold red]x[/] :smile:\rback\u202eward"


def test_nothing_steers_the_terminal():
    """Control characters of a path are shown as escapes, and neither markup nor emoji codes are read."""
    folder = Path(HOSTILE.replace("/", ""))
    folder.mkdir()
    os.chdir(folder)
    consent()
    record("status")

    for arguments in (("status",), ("show",), ("on", "--yes"), ("off",), ("status", "--application", "\x1b[2Jx")):
        for columns in (40, 80):
            seen = on_a_terminal(*arguments, columns=columns)
            assert not terminals.CONTROL.search(seen.text.replace("\n", "")), ascii(seen.text)
            assert "\u202e" not in seen.text
        assert not terminals.CONTROL.search(piped(*arguments).stdout.decode().replace("\n", ""))
    shown = on_a_terminal("status").unfolded
    assert r"\x1b[2J" in shown
    assert "[boldred]x[]:smile:" in shown
    assert r"\u202e" in shown


@pytest.mark.parametrize(
    ("environment", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"FORCE_COLOR": "1", "TERM": "dumb"}, None)],
)
def test_colour_is_wanted_or_not(environment, colour):
    """`NO_COLOR` takes the colours away; a dumb terminal gets the plain lines of a pipe."""
    consent()

    seen = on_a_terminal("status", **environment)

    assert colour is None or ("\x1b[1;32m" in seen.raw) is colour
    if environment == {"TERM": "dumb"}:
        assert seen.raw == piped("status").stdout.decode()


def test_a_file_gets_no_escape_sequences():
    """Into a pipe everything is plain lines, unless colours are forced."""
    consent()
    record("status")

    for arguments in (("status",), ("show", "--pending"), ("show", "--example"), ("on", "--yes"), ("--help",)):
        assert b"\x1b" not in piped(*arguments).stdout
    assert b"\x1b[1;32m" in piped("status", FORCE_COLOR="1").stdout


@pytest.mark.parametrize("columns", ["0", "1", "-5", "many"])
def test_a_width_that_is_none(columns):
    """Whatever COLUMNS says, everything is told."""
    consent()

    assert on_a_terminal("status", COLUMNS=columns).unfolded == words(piped("status").stdout.decode())


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("status", "--json"), ("show", "--pending"), ("show", "--pending", "--raw"), ("vocabulary",)],
)
def test_output_that_leads_nowhere(arguments, monkeypatch):
    """A closed pipe ends with 141 and no word; a closed output or a full disk with 1 and one."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # what is left in a buffer is written again at the end
    consent()
    record("status")
    reading, writing = os.pipe()
    os.close(reading)

    with open(writing, "wb") as closed, open("/dev/full", "wb") as full:
        pipe = subprocess.run([*PROGRAM, *arguments], stdout=closed, stderr=subprocess.PIPE, check=False)
        disk = subprocess.run([*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
    none = support.run(["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, *arguments])

    assert (pipe.returncode, pipe.stderr) == (141, b"")
    assert (disk.returncode, disk.stderr.decode()) == (
        1,
        "Error: standard output cannot be written: No space left on device\n",
    )
    assert (none.returncode, none.stderr) == (1, "Error: standard output cannot be written: Bad file descriptor\n")


def test_off_is_done_even_if_nobody_reads():
    """What changes something does it for every application, whoever has stopped reading; `on` changes nothing then."""
    ini = consent("[telemetry other]\nenabled = true\n")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:
        off = subprocess.run([*PROGRAM, "off"], stdout=closed, stderr=subprocess.PIPE, check=False)
        was_off = ini.read_text()
        on = subprocess.run(
            [*PROGRAM, "on", "--yes", "--application", APPLICATION], stdout=closed, stderr=subprocess.PIPE, check=False
        )

    assert (off.returncode, was_off.count("enabled = false")) == (141, 2)
    assert (on.returncode, ini.read_text()) == (1, was_off)
    assert b"could not be shown" in on.stderr


def test_several_applications_have_headings():
    """`on` asks for one after the other, under its name, and `off` tells of each under its own."""
    ini = consent("[telemetry other]\n")

    asked = on_a_terminal("on", typed=b"n\ny\n")
    off = piped("off").stdout.decode()

    assert [line for line in asked.text.splitlines() if line.endswith(":") and " " not in line] == [
        "franklinwh-cloud:",
        "other:",
    ]
    assert asked.text.count("[y/N]") == 2
    assert asked.status == 0
    assert off.startswith(f"franklinwh-cloud:\nOff: {ini.resolve()} says so.\nother:\nOff: ")


def test_on_asks_no_second_time():
    """A yes to this policy and destination is not asked for again; it is asked for again once either has changed."""
    assert on_a_terminal("on", typed=b"y\n").status == 0
    ini = Path(os.environ["HOME"], ".franklinwh.ini")
    before = ini.read_text()

    again = on_a_terminal("on")
    assert (again.status, ini.read_text()) == (0, before)
    assert "On already:" in again.text
    assert "[y/N]" not in again.text

    ini.write_text(before + "endpoint = https://collector.example\n")
    changed = on_a_terminal("on", typed=b"\n")
    assert "collector.example" in changed.unfolded
    assert "[y/N]" in changed.text


def test_on_dates_a_yes_written_by_hand():
    """A yes that names neither policy nor destination is asked for, and then dated."""
    ini = consent()

    seen = on_a_terminal("on", typed=b"y\n")

    assert "[y/N]" in seen.text
    assert "policy = 1\n" in ini.read_text()


def test_on_keeps_the_uuid_that_was_assigned():
    """A yes written by hand has a UUID in the state folder: `on` shows and keeps that one."""
    Path("franklinwh.ini").write_text("[telemetry]\nenabled = true\n")
    record("status")
    (event,) = support.waiting()

    shown = piped("on", "--yes").stdout.decode()

    assert event["execution_uuid"] in shown
    assert f"uuid = {event['execution_uuid']}\n" in Path("franklinwh.ini").read_text()


def test_on_tells_what_keeps_it_off():
    """Where a variable says no all the same, that is told at once."""
    ended = piped("on", "--yes", DO_NOT_TRACK="1").stdout.decode()

    assert "It stays off all the same: DO_NOT_TRACK: " in ended


def test_ctrl_c_at_the_question():
    """Ctrl-C instead of an answer changes nothing."""
    seen = on_a_terminal("on", interrupt_at="[y/N] ")

    assert seen.status == 130
    assert "was not done" in seen.text
    assert not Path(os.environ["HOME"], ".franklinwh.ini").exists()


def test_send_shows_how_far_it_has_come():
    """On a terminal a line is kept up to date and gone at the end; a pipe gets the closing lines alone."""
    with LoopbackReceiver() as receiver:
        consent(f"endpoint = {receiver.url}\n")
        record("status", "status")
        seen = on_a_terminal("send", columns=100)
        record("status")
        plain = piped("send")

    assert "of 2 delivered to 127.0.0.1, 0 s; Ctrl-C stops" in seen.text
    assert seen.raw.rstrip().splitlines()[-1].endswith("\x1b[2KSent 2 events.")
    assert plain.stdout == b"Sent 1 event.\n"


def test_ctrl_c_while_sending_loses_nothing():
    """The sender ends with it, what is left is told, and the next `send` delivers it."""
    stuck = []

    def slow(_request):
        stuck.append(1)
        if len(stuck) == 1:
            support.wait_until(lambda: ended)
        return [reply(200, "application/x-protobuf")]

    ended: list[bool] = []
    with LoopbackReceiver(slow) as receiver:
        consent(f"endpoint = {receiver.url}\n")
        record("status", "tou --extended")
        seen = on_a_terminal("send", interrupt_at=", 2 s;")
        ended.append(True)
        spool = support.only_spool()
        counts = spool.tally.read()
        kept = len(support.waiting())
        again = piped("send")

    assert seen.status == 130
    assert "Stopped; 0 events had been sent." in seen.text
    assert "Kept:2events;nothingislost" in seen.unfolded
    assert (kept, counts["senders_launched"], counts["senders_completed"]) == (2, 1, 1)
    assert os.listdir(spool.path("claimed")) == []
    assert again.stdout == b"Sent 2 events.\n"


def test_kept_has_its_reason():
    """A destination that refuses is named with what can be done, and so is the pause that follows."""
    with LoopbackReceiver(lambda _request: [reply(401)]) as receiver:
        consent(f"endpoint = {receiver.url}\n")
        record("status")
        sent = piped("send").stdout.decode()
        status = piped("status").stdout.decode()

    assert sent.startswith("Nothing was sent.\n1 event kept: 127.0.0.1 answered 401: ")
    assert "  waiting       1 event; the next attempt is not before 20" in status
    assert "`franklinwh-telemetry send` makes one now" in status


def test_help_has_examples_and_statuses():
    """Every command's help ends with an example of it, and the program's with the exit statuses."""
    users = ("on", "off", "erase", "status", "send", "show", "vocabulary", "run", "demo")
    commands = (*users, "dashboard", "installs")
    for command in commands:
        helped = piped(command, "--help").stdout.decode()
        assert f"Examples:\n    franklinwh-telemetry {command}" in helped
    helped = piped("--help").stdout.decode()
    assert "130 stopped by Ctrl-C; 141 nobody reads" in helped
    assert all(f"  {command} " in helped for command in commands)


def test_an_example_before_any_yes():
    """Who has not said yes sees where events would go, by the ini's own route."""
    Path("franklinwh.ini").write_text(f"[telemetry]\napi_key = {KEY}\nposthog_host = eu.i.posthog.com\n")

    shown = piped("show", "--example").stdout.decode()
    (flags, batch) = [json.loads(line) for line in piped("show", "--example", "--json").stdout.splitlines()]

    assert "PostHog at https://eu.i.posthog.com, project phc_9JcW...wxyz" in shown
    assert '"distinct_id"' in shown
    assert KEY not in shown
    assert (flags["events"], [event["command"] for event in batch["events"]]) == ([], ["status"])
    assert KEY.encode() in piped("show", "--example", "--raw").stdout
    assert not Path(support.state_root()).exists()


def test_the_forms_of_show_exclude_each_other():
    """One form at a time."""
    ended = piped("show", "--raw", "--json")

    assert ended.returncode == 2
    assert b"exclude each other" in ended.stderr


def test_a_vocabulary_of_another_program():
    """Without a name the application is called as the package of the module is."""
    Path("my_app.py").write_text("from franklinwh_telemetry import Vocabulary\nWORDS = Vocabulary(['sync', 'größe'])\n")

    listed = piped("vocabulary", "--vocabulary", "my_app:WORDS", **ASCII_ONLY).stdout
    named = piped("vocabulary", "--vocabulary", "my_app:WORDS", "--application", "other").stdout
    capacity = piped("vocabulary", "--vocabulary", "my_app:WORDS", "--capacity").stdout

    assert json.loads(listed) == {"my-app": ["sync", "größe"]}
    assert json.loads(named) == {"other": ["sync", "größe"]}
    assert capacity == b"2 commands and `other`: 2.58 bits an event\n"


def test_a_vocabulary_that_is_wrong_is_not_printed():
    """What nobody may be recorded by is said in one line, also where the grammar comes late; the gate never sees it."""
    Path("my_app.py").write_text(
        "from franklinwh_telemetry import Vocabulary\nfrom franklinwh_telemetry.grammar import Grammar\n"
        "WORDS = Vocabulary(['sync  --all'], grammar=lambda: Grammar.from_data({}))\n"
    )

    ended = piped("vocabulary", "--vocabulary", "my_app:WORDS")

    assert (ended.returncode, ended.stdout) == (1, b"")
    reason = b"ValueError: 'sync  --all' has surplus spaces"
    assert ended.stderr == b"Error: the vocabulary my_app:WORDS cannot be loaded: " + reason + b"\n"


@pytest.mark.parametrize("name", ["telemetry", "make"])
def test_a_program_that_says_what_it_is_called(name):
    """Of a Telemetry, or what makes one, the list is its own and so is the name, by which the gate will know it."""
    Path("my_app.py").write_text(
        "from franklinwh_telemetry import Telemetry, Vocabulary\n"
        "telemetry = Telemetry('quite-another', Vocabulary(['sync']))\ndef make(): return telemetry\n"
    )

    listed = piped("vocabulary", "--vocabulary", f"my_app:{name}").stdout

    assert json.loads(listed) == {"quite-another": ["sync"]}


RUN = """
import sys
sys.argv[1:] = ["run", "--vocabulary", "program_under_test:WORDS", "program-under-test"]
import atexit
atexit.register(lambda: print(*sorted({name.partition(".")[0] for name in sys.modules})))
atexit.register(lambda: print(*sorted(name for name in sys.modules if name.startswith("franklinwh_telemetry."))))
from franklinwh_telemetry.cli import main
main()
"""


@pytest.mark.parametrize("wanted", ["off", "on"])
def test_run_loads_nothing_to_draw_with(wanted):
    """A program that is run on a terminal finds neither rich nor what other commands need in its process."""
    if wanted == "on":
        Path("franklinwh.ini").write_text(CONSENT.replace("[telemetry]", "[telemetry program-under-test]"))
    Path("program_under_test.py").write_text(
        "from franklinwh_telemetry import Vocabulary\nWORDS = Vocabulary(['sync'])\ndef main(): print('works')\n"
    )
    installed = Path("program_under_test-1.dist-info")
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: program-under-test\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[console_scripts]\nprogram-under-test = program_under_test:main\n")

    seen = terminals.run([sys.executable, "-c", RUN], columns=2000, PYTHONPATH=os.getcwd())

    works, ours, loaded = seen.text.splitlines()
    assert (works, seen.status) == ("works", 0)
    assert {"rich", "markdown_it", "pygments", "opentelemetry"}.isdisjoint(loaded.split())
    for name in ("drawing", "plan", "asking", "consenting", "showing", "applications", "status"):
        assert f"franklinwh_telemetry.{name}" not in ours.split()
    assert ("franklinwh_telemetry.spool" in ours.split()) is (wanted == "on")
