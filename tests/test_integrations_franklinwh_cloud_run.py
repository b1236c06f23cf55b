from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import franklinwh_cloud
import pytest

import support
from doubles.franklin_cloud import (
    CANARIES,
    EMAIL,
    PASSWORD,
    RESERVE,
    SERIAL,
    TOKEN,
    FranklinCloud,
    answer_json,
    bad_gateway,
    expired,
    server_error,
)
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from support import CONSENT, VERSION_4

ACCOUNT = f"""
[energy.franklinwh.com]
email = {EMAIL}
password = {PASSWORD}
[gateways.enabled]
serialno = {SERIAL}
"""

MAIN = "import sys; from franklinwh_telemetry.cli import main; main()"

INSTRUMENTED = """
import runpy, sys
from franklinwh_telemetry.integrations.franklinwh_cloud import instrument
instrument()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""What a `sitecustomize` or a launcher of a developer's does: the console script itself is upstream's own."""

LIBRARY = f"""
import asyncio
from franklinwh_telemetry.integrations.franklinwh_cloud import instrument
instrument(methods=lambda name: True)
from franklinwh_cloud.auth import PasswordAuth
from franklinwh_cloud.client import Client
async def work():
    account = PasswordAuth({EMAIL!r}, {PASSWORD!r})
    await account.get_token()
    client = Client(account, {SERIAL!r})
    for _ in range(3):
        await client.get_stats()
        await client.get_tou_info(1)
    await client.set_mode("self_consumption", 37)
    await client.update_soc(requestedSOC=37, workMode=2)
    await client.aclose()
asyncio.run(work())
"""
"""A program of a developer's: it polls, and does two deeds, of which the stand-in refuses one."""

MANY = """
import contextlib, io, json, sys
lines, chosen = json.loads(sys.argv[1]), sys.argv[2]
if chosen == "instrumented":
    from franklinwh_telemetry.integrations.franklinwh_cloud import instrument
    instrument()
from franklinwh_cloud import cli
ended = []
for line in lines:
    sys.argv = ["franklinwh-cli", "--no-color", *line.split()]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as exit:
            status = exit.code
    ended.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(ended))
"""
"""Many lines in one process, each an own run of the CLI, because starting it is what takes time."""

IMPATIENT = """
import httpx
send = httpx.AsyncClient.request
async def request(self, *arguments, timeout=30, **keywords):
    return await send(self, *arguments, timeout=0.2, **keywords)
httpx.AsyncClient.request = request
"""
"""The CLI waits 30 s for an answer, a fixed number; with this, as a `sitecustomize`, a test need not."""

VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?(\.\d+)?)?|\d\d:\d\d(:\d\d)?|\d+(\.\d+)?(e-\d+)? ?m?s\b"
    r'|\d+h \d+m|\d+ hours?|\d+ minutes?|"\w+_s(_ago)?": \d+\.\d+'
)
"""Dates, times of day and how long something took; upstream's JSON names seconds `_s`, with one to four decimals."""


@pytest.fixture(scope="module")
def franklin(tmp_path_factory):
    """The stand-in, for all tests of this module."""
    with FranklinCloud(tmp_path_factory.mktemp("authority")) as started:
        yield started


@pytest.fixture
def cloud(franklin, monkeypatch):
    """The stand-in in good health, the way to it, and a user with an account who has said yes."""
    franklin.reset()
    for name, value in franklin.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Path("franklinwh.ini").write_text(CONSENT + ACCOUNT)
    Path("franklinwh.ini").chmod(0o600)
    return franklin


def console_script():
    found = Path(sys.executable).with_name("franklinwh-cli")
    return str(found if found.exists() else found.with_suffix(".exe"))


@contextlib.contextmanager
def without_us():
    """The user's ini with telemetry off: upstream's own dispatcher would send, and write to the user's terminal."""
    ini = Path("franklinwh.ini")
    text = ini.read_text()
    ini.write_text(text.replace("enabled = true", "enabled = false"))
    yield
    ini.write_text(text)


def alone(*line):
    """Upstream's own console script, and nothing of ours."""
    with without_us():
        return support.run([sys.executable, console_script(), "--no-color", *line])


def by_run(*line):
    return support.run([sys.executable, "-c", MAIN, "run", "franklinwh-cli", "--no-color", *line])


def by_instrument(*line):
    return support.run([sys.executable, "-c", INSTRUMENTED, console_script(), "--no-color", *line])


def many_alone(lines):
    """What `many` returns, without us."""
    with without_us():
        return many(lines, "plain")


def many(lines, how="instrumented"):
    """Each line's status, output and errors, from one process."""
    ended = support.run([sys.executable, "-c", MANY, json.dumps(lines), how])
    assert (ended.returncode, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


def facts():
    """Command and success of what waits, in order of time; each has the user's UUID and no more than five facts."""
    for record in support.waiting():
        assert record["execution_uuid"] == VERSION_4
        assert 0 <= record["execution_latency_ms"] < 60_000
    return [(record["command"], record["success"]) for record in support.waiting()]


def settled(text):
    return VOLATILE.sub("*", text)


def as_seen(ended):
    """What the user sees of a run, the clock's part aside."""
    return ended.returncode, settled(ended.stdout), settled(ended.stderr)


def everything_kept():
    """Every byte below the home and the state folder, and every name of a file."""
    roots = [Path(support.state_root())]
    return b"\n".join(
        os.fsencode(path) + b"\n" + (path.read_bytes() if path.is_file() else b"")
        for root in roots
        for path in sorted(root.rglob("*"))
    )


WELL = [
    ("status", "status"),
    ("st --json", "status --json"),
    ("mode", "mode"),
    (f"mode --set tou --soc {RESERVE}", "mode --set time_of_use --soc"),
    ("mode --set backup --duration 37 --resume-mode self", "mode --set emergency_backup --duration"),
    ("tou", "tou"),
    ("tou --extended", "tou --extended"),
    ("tou --set SELF", "tou --set SELF"),
    ("energy --period week --format csv", "energy --period week --format csv"),
    ("energy --describe", "energy --describe"),
    ("raw get_stats", "raw"),
    ("metrics", "metrics"),
    ("acc", "accessories"),
    ("sc", "sc"),
    ("gen", "gen"),
    ("net status", "network status"),
    ("diag", "diag"),
    ("battery", "bms"),
    ("schema", "schema"),
    ("fetch GET hes-gateway/terminal/getDeviceInfoV2", "fetch GET"),
]
"""What succeeds while the cloud is well; `monitor` and `support` have tests of their own."""

ILL = [
    ("status", "status"),
    ("status --json", "status --json"),
    ("mode", "mode"),
    ("mode --json", "mode --json"),
    (f"mode --set tou --soc {RESERVE}", "mode --set time_of_use --soc"),
    ("tou", "tou"),
    ("tou --set SELF", "tou --set SELF"),
    ("energy", "energy"),
    ("raw get_stats", "raw"),
    ("metrics", "metrics"),
    ("accessories", "accessories"),
    ("sc", "sc"),
    ("gen", "gen"),
    ("network status", "network status"),
    ("diag", "diag"),
    ("bms", "bms"),
    ("bms --json", "bms --json"),
    ("discover", "discover"),
]
"""What cannot succeed while every answer is a failure."""

MISTAKEN = [
    ("mode --set bogus", "mode --set"),
    ("tou --set BOGUS", "tou --set"),
    ("raw get_nothing", "raw"),
    ("raw get_bms_info", "raw"),
    ("sc --set-schedule 1", "sc --set-schedule"),
]
"""What does nothing for reasons of its own, and exits 0 however well the cloud is."""


def test_what_succeeds_is_a_success_and_looks_the_same(cloud):
    """Every subcommand that the stand-in serves is one successful event, and what the user sees is as without us."""
    lines = [line for line, _command in WELL]

    expected = many_alone(lines)
    assert facts() == []
    with_us = many(lines)

    assert [(status, settled(out), settled(err)) for status, out, err in with_us] == [
        (status, settled(out), settled(err)) for status, out, err in expected
    ]
    assert [status for status, _out, _err in with_us] == [0] * len(lines)
    assert facts() == [(command, True) for _line, command in WELL]


@pytest.mark.parametrize("answer", [bad_gateway, server_error, expired])
def test_what_the_cloud_fails_is_a_failure(cloud, answer):
    """A 502 page, an error in JSON, a token that no login renews: each command fails, whatever its exit status."""
    cloud.trouble[""] = answer

    ended = many([line for line, _command in ILL])

    assert facts() == [(command, False) for _line, command in ILL]
    assert len([status for status, _out, _err in ended if status == 0]) >= 9


def test_what_does_nothing_is_a_failure(cloud):
    """A line that the program refuses with a warning or an error, and exit status 0."""
    ended = many([line for line, _command in MISTAKEN])

    assert [status for status, _out, _err in ended] == [0] * len(MISTAKEN)
    assert facts() == [(command, False) for _line, command in MISTAKEN]


def test_a_mode_that_the_cloud_does_not_take_is_a_failure(cloud):
    """`set_mode` returns False then, and the CLI prints `Mode set` and exits 0 all the same."""
    cloud.trouble["updateTouModeV2"] = lambda: answer_json(None, code=400, message="no")

    ((status, out, _err),) = many(["mode --set self"])

    assert (status, "Mode set to" in out) == (0, True)
    assert facts() == [("mode --set self_consumption", False)]


def test_a_token_that_is_renewed_is_no_failure(cloud):
    """The client logs in again and repeats the request: the command has succeeded."""
    cloud.valid_token = TOKEN + "-new"

    ((status, _out, _err),) = many(["status"])

    assert (status, cloud.logins) == (0, 2)
    assert facts() == [("status", True)]


@pytest.mark.parametrize(
    ("line", "ill", "expected"), [("status", False, ("status", True)), ("mode", True, ("mode", False))]
)
def test_each_way_to_run_it_looks_as_without_us(cloud, line, ill, expected):
    """`franklinwh-telemetry run`, and upstream's own script after `instrument()`: one event, and nothing to be seen."""
    if ill:
        cloud.trouble[""] = bad_gateway

    ran = [how(*line.split()) for how in (by_run, by_instrument)]

    assert [as_seen(ended) for ended in ran] == [as_seen(alone(*line.split()))] * 2
    assert facts() == [expected] * 2


def test_a_timeout_is_a_failure(cloud, monkeypatch, tmp_path):
    """A cloud that does not answer: upstream says so and exits 1, or says so and exits 0."""
    cloud.trouble[""] = cloud.hang
    (tmp_path / "sitecustomize.py").write_text(IMPATIENT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    ended = many(["status", "mode", "energy"])

    assert [status for status, _out, _err in ended] == [1, 0, 1]
    assert ["API timeout" in err for _status, _out, err in ended] == [True, False, True]
    assert facts() == [("status", False), ("mode", False), ("energy", False)]


def test_discover_works_where_its_catalogue_is(cloud, monkeypatch, tmp_path):
    """The released wheel lacks a file that `discover` reads, so that it fails there; with the file it succeeds."""
    assert not Path(franklinwh_cloud.__file__).with_name("const").joinpath("device_catalog.json").exists()
    tree = tmp_path / "franklinwh_cloud"
    shutil.copytree(Path(franklinwh_cloud.__file__).parent, tree, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "const" / "device_catalog.json").write_text(
        json.dumps({"agate_models": {}, "network_types": {}, "sim_status": {}, "countries": {}})
    )

    many(["discover"])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    many(["discover -v"])

    assert facts() == [("discover", False), ("discover --verbose", True)]


@support.posix_only
@pytest.mark.parametrize(
    ("line", "ready", "ill", "status", "expected"),
    [
        ("monitor --compact -i 60", "[", False, 130, ("monitor --compact", True)),
        ("monitor --compact -i 60", "[", True, 130, ("monitor --compact", False)),
        ("tou --set SELF --wait", "Ctrl+C", False, 0, ("tou --set SELF --wait", True)),
        ("status", "", True, -signal.SIGINT, ("status", False)),
    ],
    ids=["monitor", "monitor without an answer", "a dispatch that is held", "what Ctrl-C interrupts"],
)
def test_what_ctrl_c_ends(cloud, line, ready, ill, status, expected):
    """Ctrl-C is the good end of what runs until then, unless it never got an answer, and of nothing else."""
    if ill:
        cloud.trouble[""] = server_error if ready else cloud.hang
    command = [sys.executable, "-u", "-c", MAIN, "run", "franklinwh-cli", "--no-color", *line.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        if ready:
            while ready not in running.stdout.readline():
                assert running.poll() is None
        else:
            support.wait_until(lambda: cloud.logins)
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        running.stdout.read()

    assert running.returncode == status
    assert facts() == [expected]


WITHOUT_ACCOUNT = {
    "status": "status",
    "discover": "discover",
    "mode": "mode",
    "tou": "tou",
    "energy": "energy",
    "raw get_stats": "raw",
    "metrics": "metrics",
    "monitor": "monitor",
    "accessories": "accessories",
    "smart-circuits": "sc",
    "generator": "gen",
    "network scan": "network scan",
    "diagnostic": "diag",
    "battery": "bms",
    "snapshot --info": "support --info",
    "schema": "schema",
    "fetch GET /surprise": "fetch GET",
}


def test_every_subcommand_without_an_account():
    """All 17 end at once where nobody can log in: exit status 1, one failed event each, output as without us."""
    Path("franklinwh.ini").write_text(CONSENT)

    expected = many_alone(list(WITHOUT_ACCOUNT))
    ended = many(list(WITHOUT_ACCOUNT))

    assert len(WITHOUT_ACCOUNT) == 17
    assert ended == expected
    assert {status for status, _out, _err in ended} == {1}
    assert facts() == [(command, False) for command in WITHOUT_ACCOUNT.values()]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="upstream's support.py is no valid Python before 3.12")
def test_support_with_an_account(cloud):
    """The snapshot is taken: `support` runs where its module can be compiled at all."""
    ((status, _out, _err),) = many(["support --info"])

    assert status == 0
    assert [command for command, _success in facts()] == ["support --info"]


def test_nothing_secret_is_kept_or_sent(cloud, senders):
    """E-mail, password, serials, token and battery settings, in the ini, the line and the answers: nowhere, ever."""
    schedule = json.dumps([{"name": "surprise", "startHourTime": "01:37", "endHourTime": "24:00", "dispatchId": 6}])
    Path("surprise.json").write_text(schedule)
    lines = {
        "mode --set time_of_use --soc": f"-e {EMAIL} -p {PASSWORD} -g {SERIAL} --json mode --set tou --soc 73",
        "mode --set emergency_backup --duration": "mode --set backup --duration 1373 --resume-mode self",
        "tou --set CUSTOM --file": "tou --set CUSTOM --file surprise.json --default surprise",
        "tou --set SELF --start": "tou --set SELF --start 01:37 --end 13:37 --season surprise",
        "fetch POST": 'fetch POST /surprise --data {"surprise":37}',
    }
    with LoopbackReceiver() as receiver:
        ini = Path("franklinwh.ini")
        ini.write_text(CONSENT + f"endpoint = {receiver.url}\n" + ACCOUNT)
        many(list(lines.values()))
        support.wake_senders()
        requests = b"".join(request.raw for request in receiver.requests)
        sent = [span.name for span in receiver.spans]

    assert sorted(sent) == sorted(lines)
    kept = everything_kept()
    journal = Path(support.only_spool().path("journal"))
    assert journal.exists()
    assert os.fsencode(ini.resolve()) in kept
    for canary in (*CANARIES, "01:37", "13:37", "energy.franklinwh", str(ini.resolve().parent)):
        assert canary.encode() not in requests, canary
        assert canary.encode() not in kept.replace(os.fsencode(ini.resolve()), b""), canary


def test_calls_of_the_library_are_sent(cloud, senders):
    """Every method enabled: reading once, each deed; a run of the CLI in between keeps none of them from leaving."""
    cloud.trouble["updateSoc"] = server_error
    with LoopbackReceiver() as receiver:
        ini = Path("franklinwh.ini")
        ini.write_text(CONSENT + f"endpoint = {receiver.url}\n" + ACCOUNT)
        ended = support.run_python(LIBRARY)
        by_run("mode")
        support.wake_senders()

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted((span.name, span.status.code == span.status.STATUS_CODE_OK) for span in receiver.spans) == [
        ("api aclose", True),
        ("api get_stats", True),
        ("api get_tou_info", True),
        ("api set_mode", True),
        ("api update_soc", False),
        ("mode", True),
    ]
    sent = b"".join(request.raw for request in receiver.requests)
    assert [canary for canary in CANARIES if canary.encode() in sent + everything_kept()] == []


def test_no_setting_changes_what_is_recorded(cloud):
    """Two users with other charge levels, durations and schedules leave records that only differ in ids and times."""
    many(["mode --set tou --soc 73", "mode --set backup --duration 1373", "tou --set SELF --start 01:37 --end 13:37"])
    many(["mode --set tou --soc 9", "mode --set backup --duration 30", "tou --set SELF --start 05:00 --end 06:00"])

    own = {"executed_at_ms", "execution_latency_ms", "trace_id", "span_id"}
    records = [{key: value for key, value in record.items() if key not in own} for record in support.waiting()]
    assert records[:3] == records[3:]
    assert {key for record in records for key in record} == {"command", "execution_uuid", "success", "v"}
