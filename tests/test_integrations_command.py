from __future__ import annotations

import argparse
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import support
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.integrations.command import add_telemetry_command

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


def test_anything_else_is_the_developers_error(telemetry):
    """What is neither a parser nor a group is refused by name."""
    with pytest.raises(TypeError, match=r"takes an argparse\.ArgumentParser or a click\.Group, not dict"):
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


def test_ask_once_asks_no_pipe():
    """Without a terminal on all three streams there is no question."""
    ended = support.run_python(ASKING)

    assert (ended.stdout, ended.stderr) == ("the program\n", "")
