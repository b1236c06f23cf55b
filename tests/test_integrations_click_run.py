"""click's and typer's programs, run as a whole by one call: their own exit status tells whether a command succeeded."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path

import click
import pytest
import typer

import support
from franklinwh_telemetry import Telemetry
from franklinwh_telemetry.testing import capture_events
from franklinwh_telemetry.vocabulary import OTHER, Vocabulary


def _click_program():
    @click.group()
    def program():
        pass

    @program.command()
    @click.argument("how")
    def end(how):
        _end(how, click.get_current_context())

    @program.command()
    @click.argument("how")
    def watch(how):
        _end(how, click.get_current_context())

    return program


def _typer_program():
    program = typer.Typer(pretty_exceptions_enable=False)

    @program.command()
    def end(context: typer.Context, how: str):
        _end(how, context)

    @program.command()
    def watch(context: typer.Context, how: str):
        _end(how, context)

    return program


def _end(how, context):
    if how.startswith("exit"):
        context.exit(int(how[4:]))
    if how == "system":
        sys.exit(2)
    if how == "error":
        raise RuntimeError(how)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "usage":
        context.fail("wrong use")


@pytest.mark.parametrize("make", [_click_program, _typer_program])
@pytest.mark.parametrize(
    ("line", "command", "status"),
    [
        (["end", "return"], "end", 0),
        (["end", "exit0"], "end", 0),
        (["end", "exit3"], "end", 3),
        (["end", "system"], "end", 2),
        (["end", "usage"], "end", 2),
        (["end", "error"], "end", "RuntimeError"),
        (["end", "interrupt"], "end", (1, 130)),
        (["end", "return", "--bogus"], OTHER, 2),
        (["gone"], OTHER, 2),
        (["watch", "interrupt"], "watch", (1, 130)),
        (["watch", "exit1"], "watch", 1),
    ],
)
def test_success_follows_the_real_exit_status(make, line, command, status, monkeypatch):
    """One call wraps the whole program: its status stays what it is, and tells whether the command has succeeded."""
    program = make()
    vocabulary = Vocabulary.from_parser(program, until_interrupted=["watch"])
    telemetry = Telemetry("myapp", vocabulary)
    monkeypatch.setattr(sys, "argv", ["myapp", *line])

    with (
        capture_events() as captured,
        contextlib.redirect_stderr(io.StringIO()),
        pytest.raises((SystemExit, RuntimeError)) as ended,
    ):
        telemetry.run(program)

    seen = ended.value.code if isinstance(ended.value, SystemExit) else type(ended.value).__name__
    assert seen in (status if isinstance(status, tuple) else (status,))
    assert captured.outcomes == [(command, status == 0 or line == ["watch", "interrupt"])]


@pytest.mark.parametrize("line", [[], ["--help"], ["end", "--help"]])
def test_help_is_not_recorded(line, monkeypatch):
    """Asking for help, and giving no command at all, is not an execution."""
    program = _click_program()
    monkeypatch.setattr(sys, "argv", ["myapp", *line])
    silent = io.StringIO()

    with (
        capture_events() as captured,
        contextlib.redirect_stdout(silent),
        contextlib.redirect_stderr(silent),
        pytest.raises(SystemExit),
    ):
        Telemetry("myapp", Vocabulary.from_parser(program)).run(program)

    assert captured.events == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("kind", ["click", "typer"])
def test_ctrl_c_ends_what_runs_until_then(kind):
    """A real Ctrl-C ends the program as without us, and is the success of a command that is marked so."""
    code = (
        f"import {kind}, signal, sys, os\n"
        "from franklinwh_telemetry import Telemetry, Vocabulary\n"
        "def watch():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    signal.pause()\n"
        + (
            "program = click.Group('p', commands=[click.Command('watch', callback=watch)])\n"
            if kind == "click"
            else "program = typer.Typer()\nprogram.callback()(lambda: None)\nprogram.command()(watch)\n"
        )
        + "vocabulary = Vocabulary.from_parser(program, until_interrupted=['watch'])\n"
        f"Telemetry({support.APPLICATION!r}, vocabulary).run(program)\n"
    )
    plain = support.run_python(code, "watch")  # nobody has consented yet
    Path("franklinwh.ini").write_text(support.CONSENT, encoding="utf-8")
    Path("franklinwh.ini").chmod(0o600)

    done = support.run_python(code, "watch")

    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert done.returncode in (1, 130)
    assert [(fields["command"], fields["success"]) for fields in support.waiting()] == [("watch", True)]
