from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import support
from support import CONSENT

MAIN = "import sys; from franklinwh_telemetry.cli import main; main()"

LOGGED_IN = """
import sys
import franklinwh_cloud.cli as cli
class Auth:
    info = {}
    def __init__(self, *arguments, **keywords): pass
    async def get_token(self): return "token"
    def __getattr__(self, name): return None
cli.PasswordAuth = Auth
account = ["-e", "me@example.com", "-p", "hunter2", "-g", "SN"]
sys.argv = ["franklinwh-telemetry", "run", "franklinwh-cli", *account, *sys.argv[1:]]
from franklinwh_telemetry.cli import main
main()
"""
"""The real CLI and its real client behind a login that always succeeds; every call then meets a refusing proxy."""

PLAIN = LOGGED_IN.replace('"franklinwh-telemetry", "run", "franklinwh-cli"', '"franklinwh-cli"').replace(
    "from franklinwh_telemetry.cli import main", "from franklinwh_cloud.cli import main"
)


def telemetry(*arguments, **keywords):
    return support.run([sys.executable, "-c", MAIN, *arguments], **keywords)


def franklinwh_cli(*arguments, **keywords):
    return telemetry("run", "franklinwh-cli", *arguments, **keywords)


def plain_cli(*arguments, **keywords):
    code = "import sys; sys.argv[0] = 'franklinwh-cli'; from franklinwh_cloud.cli import main; sys.exit(main())"
    return support.run([sys.executable, "-c", code, *arguments], **keywords)


@pytest.fixture
def refusing_proxy(monkeypatch):
    """Whatever the client asks for is refused on loopback at once."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")


def facts():
    return [(record["command"], record["success"]) for record in support.waiting()]


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["energy", "--describe"], 0, [("energy --describe", True)]),
        (["--no-color", "energy", "--describe"], 0, [("energy --describe", True)]),
        (["status"], 1, [("status", False)]),
        (["st", "--json"], 1, [("status --json", False)]),
        (["-p", "mode", "disc", "-v"], 1, [("discover --verbose", False)]),
        (["bogus"], 2, [("other", False)]),
        (["mode", "--bogus"], 2, [("other", False)]),
        (["--help"], 0, []),
        (["mode", "--help"], 0, []),
        (["--version"], 0, []),
        ([], 0, []),
    ],
)
def test_the_real_cli_is_recorded_and_unchanged(arguments, status, expected):
    """The unmodified CLI ends as it does alone, byte for byte, and leaves one event or none."""
    Path("franklinwh.ini").write_text(CONSENT)

    alone = plain_cli(*arguments, env={**os.environ, "DO_NOT_TRACK": "1"})
    ended = franklinwh_cli(*arguments)

    assert (ended.returncode, ended.stdout, ended.stderr) == (status, alone.stdout, alone.stderr)
    assert alone.returncode == status
    assert facts() == expected


def test_no_secret_of_the_line_is_recorded():
    """Values of options, words of the vocabulary among them, leave no trace."""
    Path("franklinwh.ini").write_text(CONSENT)

    franklinwh_cli("-e", "me@example.com", "-p", "tou", "-g", "1005SURPRISE", "mode", "--soc", "37")

    (record,) = support.waiting()
    assert record["command"] == "mode"
    assert not [word for word in ("example", "SURPRISE", "37", "tou") if word in str(record["command"])]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mode"], ("mode", False)),
        (["tou", "--set", "BOGUS"], ("tou --set", False)),
        (["tou", "--set", "SELF"], ("tou --set SELF", False)),
        (["raw", "get_mode"], ("raw", False)),
        (["accessories"], ("accessories", False)),
        (["bms"], ("bms", False)),
        (["metrics"], ("metrics", False)),
    ],
)
def test_a_printed_error_counts_although_upstream_exits_0(arguments, expected, refusing_proxy):
    """Most commands of upstream print an error, or swallow one of the client's, and exit 0: they have failed."""
    Path("franklinwh.ini").write_text(CONSENT)

    alone = support.run_python(PLAIN, *arguments, env={**os.environ, "DO_NOT_TRACK": "1"})
    ended = support.run_python(LOGGED_IN, *arguments)

    assert (ended.returncode, alone.returncode) == (0, 0)
    assert facts() == [expected]


def test_upstreams_own_event_never_leaves(monkeypatch, refusing_proxy):
    """While the CLI runs under us its own dispatcher is out of action: it would have met a trap here."""
    Path("franklinwh.ini").write_text(CONSENT)
    trap = LOGGED_IN.replace(
        "cli.PasswordAuth = Auth",
        "cli.PasswordAuth = Auth\n"
        "import urllib.request\n"
        "def trap(*arguments, **keywords):\n"
        "    open('surprise', 'a').write('left')\n"
        "urllib.request.urlopen = trap",
    )
    without_us = trap.replace('"franklinwh-telemetry", "run", "franklinwh-cli"', '"franklinwh-cli"').replace(
        "from franklinwh_telemetry.cli import main", "from franklinwh_cloud.cli import main"
    )

    support.run_python(trap, "metrics")
    assert not Path("surprise").exists()
    support.run_python(without_us + "\nimport time; time.sleep(0.5)", "metrics")
    assert Path("surprise").exists()


def test_config_option_names_the_ini():
    """The program's own `--config` is where its consent is looked up."""
    Path("elsewhere.ini").write_text(CONSENT)

    franklinwh_cli("energy", "--describe")
    assert support.applications() == []
    franklinwh_cli("--config", "elsewhere.ini", "energy", "--describe")

    manifest = support.only_spool().manifest()
    assert manifest is not None
    assert manifest.source == str(Path("elsewhere.ini").resolve())


def test_uncaught_exceptions_look_as_without_us():
    """The traceback has the program's frames only."""
    Path("franklinwh.ini").write_text(CONSENT)
    Path("words.py").write_text("from franklinwh_telemetry import Vocabulary\nWORDS = Vocabulary(['x'])\n")
    code = """
import sys, franklinwh_cloud.cli
def main():
    raise RuntimeError("boom")
franklinwh_cloud.cli.main = main
sys.argv = ["t", "run", "franklinwh-cli", "status"]
from franklinwh_telemetry.cli import main as ours
ours()
"""
    ended = support.run_python(code)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert [line for line in ended.stderr.splitlines() if "franklinwh_telemetry" in line] == []
    assert ended.stderr.splitlines()[-1] == "RuntimeError: boom"
    assert facts() == [("status", False)]


def test_ctrl_c_ends_the_program_as_without_us(tmp_path):
    """SIGINT reaches the program, the process ends by the signal, and the command has failed."""
    Path("franklinwh.ini").write_text(CONSENT)
    code = """
import sys, time, franklinwh_cloud.cli
def main():
    print("ready", flush=True)
    time.sleep(60)
franklinwh_cloud.cli.main = main
sys.argv = ["t", "run", "franklinwh-cli", *sys.argv[1:]]
from franklinwh_telemetry.cli import main as ours
ours()
"""
    Path("slow.py").write_text(code)
    for command in ("status", "monitor"):
        with subprocess.Popen(
            [sys.executable, "slow.py", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            _out, error = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGINT
        assert error.splitlines()[-1] == "KeyboardInterrupt"
        assert "franklinwh_telemetry" not in error
    assert sorted(facts()) == [("monitor", True), ("status", False)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "pytest"], "pytest has no vocabulary here"),
        (["run", "--vocabulary", "nothing", "pytest"], "--vocabulary takes module:object"),
        (["run", "--vocabulary", "missing:WORDS", "pytest"], "cannot be loaded: ModuleNotFoundError"),
        (["run", "--vocabulary", "words:NUMBER", "pytest"], "words:NUMBER is no Vocabulary but int"),
        (["run", "--vocabulary", "words:WORDS", "no-such-program"], "no installed program is called no-such-program"),
        (["run"], "Missing argument 'PROGRAM'"),
    ],
)
def test_what_cannot_be_run_is_refused_before_it_starts(arguments, says):
    """Without a vocabulary or a program there is one clear line, and nothing has started."""
    Path("words.py").write_text("from franklinwh_telemetry import Vocabulary\nWORDS = Vocabulary(['x'])\nNUMBER = 3\n")

    ended = telemetry(*arguments)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert says in ended.stderr.splitlines()[-1]


def test_any_program_runs_with_a_vocabulary_given():
    """`--vocabulary module:object` is enough to record another console script, under its own name."""
    Path("words.py").write_text("from franklinwh_telemetry import Vocabulary\nWORDS = Vocabulary(['--version'])\n")
    Path("franklinwh.ini").write_text("[telemetry coverage]\nenabled = true\n")

    ended = telemetry("run", "--vocabulary", "words:WORDS", "coverage", "--version")

    assert ended.returncode == 0
    assert "Coverage.py" in ended.stdout
    assert [record["command"] for record in support.waiting("coverage")] == ["--version"]
