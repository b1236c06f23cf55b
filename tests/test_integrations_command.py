from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import click
import pytest
from click.testing import CliRunner

import support
from doubles import terminals
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.integrations.command import OPTIONS, add_telemetry_command, run_action
from franklinwh_telemetry.status import Status

UUID_4 = UUID(support.VERSION_4)

PROGRAM = """
import argparse, sys
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.integrations.command import add_telemetry_command

telemetry = Telemetry("myapp", Vocabulary(["sync"]), destination="https://collector.example")

parser = argparse.ArgumentParser(prog="myapp")
commands = parser.add_subparsers(dest="command")
commands.add_parser("sync")
add_telemetry_command(parser, telemetry)
arguments = parser.parse_args()
telemetry.run(lambda: print("synced", arguments.command))
assert "opentelemetry" not in sys.modules
"""


@pytest.fixture
def telemetry():
    """An application with a Collector of its own."""
    return Telemetry("myapp", Vocabulary(["sync"]), destination="https://collector.example")


def test_a_program_gets_its_own_switch():
    """`myapp telemetry on|status|show|off|erase` works from one added line, and knows the destination."""
    on = support.run_python(PROGRAM, "telemetry", "on", "--yes")
    synced = support.run_python(PROGRAM, "sync")
    status = support.run_python(PROGRAM, "telemetry", "status")
    shown = support.run_python(PROGRAM, "telemetry", "show", "--pending", "--full")
    recorded = support.waiting("myapp")
    off = support.run_python(PROGRAM, "telemetry", "off")
    erased = support.run_python(PROGRAM, "telemetry", "erase")

    assert [ended.returncode for ended in (on, synced, status, shown, off, erased)] == [0] * 6
    assert "collector.example" in on.stdout
    assert "[telemetry myapp]" in Path(os.environ["HOME"], ".franklinwh.ini").read_text()
    assert synced.stdout == "synced sync\n"
    assert [record["command"] for record in recorded] == ["sync"]
    assert status.stdout.startswith("myapp: on\n")
    assert "  waiting       1 event\n" in status.stdout
    assert "POST /v1/traces HTTP/1.1" in shown.stdout
    assert "Thrown away, unsent: 1 event that waited." in off.stdout
    assert recorded[0]["execution_uuid"] in erased.stdout
    assert support.applications() == []


def test_the_program_itself_is_as_before():
    """Other arguments are parsed as without the added command, and help names it."""
    helped = support.run_python(PROGRAM, "--help")
    wrong = support.run_python(PROGRAM, "telemetry", "bogus")
    surplus = support.run_python(PROGRAM, "telemetry", "off", "surprise")

    assert "telemetry" in helped.stdout
    assert (wrong.returncode, surplus.returncode) == (2, 2)
    assert "unrecognized arguments: surprise" in surplus.stderr


def test_on_asks_and_takes_no_terminal_for_a_no(telemetry, capsys, monkeypatch):
    """Without a terminal and without `--yes` nothing is changed."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    parser = argparse.ArgumentParser()
    add_telemetry_command(parser, telemetry)

    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["telemetry", "on"])

    assert ended.value.code == 1
    assert "there is no terminal to ask on" in capsys.readouterr().out


def test_click_programs_get_the_same(telemetry):
    """A click group has the same five actions, with the same answers."""

    @click.group()
    def program():
        pass

    add_telemetry_command(program, telemetry)
    runner = CliRunner()

    on = runner.invoke(program, ["telemetry", "on", "--yes"])
    status = runner.invoke(program, ["telemetry", "status"])
    off = runner.invoke(program, ["telemetry", "off"])

    assert (on.exit_code, status.exit_code, off.exit_code) == (0, 0, 0)
    assert status.output.startswith("myapp: on\n")
    assert "Off: " in off.output


def test_show_knows_the_program(monkeypatch):
    """Before any yes, and after, `show --example` has the program's own destination and vocabulary."""
    before = support.run_python(PROGRAM, "telemetry", "show", "--example")
    support.run_python(PROGRAM, "telemetry", "on", "--yes")
    after = support.run_python(PROGRAM, "telemetry", "show", "--example", "--json")

    assert "OTLP at https://collector.example/v1/traces" in before.stdout
    assert json.loads(after.stdout)["to"] == "OTLP at https://collector.example/v1/traces"
    assert [event["command"] for event in json.loads(after.stdout)["events"]] == ["sync"]


def test_show_knows_what_the_host_has_asked(telemetry, capfd):
    """Where the program asks its user by itself, its answer and its UUID are the ones shown."""
    asking = Telemetry("myapp", telemetry.vocabulary, destination="https://collector.example", consent=lambda: UUID_4)

    assert run_action(asking, "show", ["--example", "--json"]) == 0

    (event,) = json.loads(capfd.readouterr().out)["events"]
    assert event["execution_uuid"] == str(UUID_4)


def test_status_as_json():
    """`telemetry status --json` is one object with every field of the status."""
    fields = json.loads(support.run_python(PROGRAM, "telemetry", "status", "--json").stdout)

    assert (fields["application"], fields["enabled"], fields["pending"]) == ("myapp", False, 0)
    assert fields.keys() == set(Status.__slots__)


@pytest.mark.parametrize("action", ["on", "off", "status", "show", "erase"])
def test_help_has_examples(telemetry, action, capsys):
    """The help of every action ends with examples by the program's own name, in argparse and in click."""
    parser = argparse.ArgumentParser(prog="my%app")
    add_telemetry_command(parser, telemetry)
    program = click.Group("myapp")
    add_telemetry_command(program, telemetry)

    with pytest.raises(SystemExit):
        parser.parse_args(["telemetry", action, "--help"])
    by_argparse = capsys.readouterr().out
    by_click = CliRunner().invoke(program, ["telemetry", action, "--help"], prog_name="myapp").output

    assert f"  my%app telemetry {action}\n" in by_argparse
    assert f"  myapp telemetry {action}\n" in by_click
    for option, meaning in OPTIONS.get(action, {}).items():
        assert option in by_argparse
        assert option in by_click
        assert meaning[1:] in " ".join(by_click.split())
    for helped in (by_argparse, by_click):
        assert helped.endswith("130 stopped by Ctrl-C; 141 nobody reads the output any more.\n")


def test_a_reader_who_has_seen_enough():
    """A closed pipe ends the program's `telemetry status` with 141 and no word."""
    Path("myapp.py").write_text(PROGRAM)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "myapp.py", "telemetry", "status"], stdout=closed, stderr=subprocess.PIPE, check=False
        )

    assert (ended.returncode, ended.stderr) == (141, b"")


def test_ctrl_c_at_the_question():
    """Ctrl-C instead of an answer changes nothing, and has no traceback."""
    Path("myapp.py").write_text(PROGRAM)

    seen = terminals.run([sys.executable, "myapp.py", "telemetry", "on"], interrupt_at="[y/N] ")

    assert seen.status == 130
    assert "Traceback" not in seen.text
    assert not Path(os.environ["HOME"], ".franklinwh.ini").exists()


TYPER_PROGRAM = """
import typer
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.integrations.command import add_telemetry_command
app = typer.Typer()
@app.command()
def sync(): print("synced")
add_telemetry_command(app, Telemetry("myapp", Vocabulary(["sync"]), destination="https://collector.example"))
app()
"""


def test_typer_programs_get_the_same():
    """A typer application has the same five actions, with the same answers and exit statuses."""
    pytest.importorskip("typer")
    helped = support.run_python(TYPER_PROGRAM, "telemetry", "show", "--help", env={**os.environ, "COLUMNS": "200"})
    no_terminal = support.run_python(TYPER_PROGRAM, "telemetry", "on")
    on = support.run_python(TYPER_PROGRAM, "telemetry", "on", "--yes")
    synced = support.run_python(TYPER_PROGRAM, "sync")
    status = support.run_python(TYPER_PROGRAM, "telemetry", "status")
    off = support.run_python(TYPER_PROGRAM, "telemetry", "off")

    assert all(option in helped.stdout for option in OPTIONS["show"])
    assert "telemetry show --example" in helped.stdout
    assert [ended.returncode for ended in (no_terminal, on, synced, status, off)] == [1, 0, 0, 0, 0]
    assert synced.stdout == "synced\n"
    assert status.stdout.startswith("myapp: on\n")
    assert "Off: " in off.stdout


def test_anything_else_is_the_developers_error(telemetry):
    """What is neither a parser nor a group is refused by name."""
    with pytest.raises(
        TypeError, match=r"takes an argparse\.ArgumentParser, a click\.Group or a typer\.Typer, not dict"
    ):
        add_telemetry_command({}, telemetry)


ASKING = """
import sys
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.asking import ask_once
telemetry = Telemetry("myapp", Vocabulary(["sync"]))
ask_once(telemetry)
print("the program")
"""


def on_a_terminal(typed: bytes, *arguments: str, **environment: str) -> str:
    Path("asking.py").write_text(ASKING)
    import pty

    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "asking.py", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, **environment},
    ) as process:
        os.close(follower)
        os.write(leader, typed)
        said = b""
        while True:
            try:
                block = os.read(leader, 4096)
            except OSError:
                break
            if not block:
                break
            said += block
        process.wait(timeout=60)
    os.close(leader)
    assert "the program" in said.decode()
    return said.decode()


@pytest.mark.parametrize(("typed", "enabled"), [(b"y\n", "true"), (b"\n", "false"), (b"no\n", "false")])
def test_ask_once_asks_once_with_default_no(typed, enabled):
    """The question comes once; Enter is a no; either answer is remembered."""
    first = on_a_terminal(typed)
    second = on_a_terminal(b"y\n")

    assert "[y/N]" in first
    assert "[y/N]" not in second
    assert f"enabled = {enabled}" in Path(os.environ["HOME"], ".franklinwh.ini").read_text()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--help",), {}),
        ((), {"CI": "true"}),
        ((), {"DO_NOT_TRACK": "1"}),
        ((), {"FRANKLINWH_TELEMETRY": "0"}),
        ((), {"_MYAPP_COMPLETE": "bash_complete"}),
    ],
)
def test_ask_once_stays_silent(arguments, environment):
    """No question for help, in CI, under a variable that says no, or for completion."""
    said = on_a_terminal(b"", *arguments, **environment)

    assert "[y/N]" not in said
    assert not Path(os.environ["HOME"], ".franklinwh.ini").exists()


def test_ask_once_leaves_the_background_alone():
    """A program that a shell has put into the background would be stopped by a question; it is not asked."""
    Path("asking.py").write_text(ASKING)
    shell = f"set -m; {sys.executable} asking.py & wait; test $(jobs -s | wc -l) = 0; echo status $?"

    seen = terminals.run(["bash", "-c", shell])

    assert "the program" in seen.text
    assert "status 0" in seen.text
    assert "[y/N]" not in seen.text


@pytest.mark.parametrize("interrupted", [True, False])
def test_ask_once_comes_again_without_an_answer(interrupted):
    """Ctrl-C is the program's, and neither it nor the end of the input is remembered as an answer."""
    Path("asking.py").write_text(ASKING)
    keys = {"interrupt_at": "[y/N] "} if interrupted else {"typed": b"\x04"}

    first = terminals.run([sys.executable, "asking.py"], **keys)
    second = terminals.run([sys.executable, "asking.py"], typed=b"n\n")

    assert (first.status == 0) is not interrupted
    assert ("the program" in first.text) is not interrupted
    assert "[y/N]" in second.text


def test_ask_once_asks_no_pipe():
    """Without a terminal on all three streams there is no question."""
    ended = support.run_python(ASKING)

    assert (ended.stdout, ended.stderr) == ("the program\n", "")
