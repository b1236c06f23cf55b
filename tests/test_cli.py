from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import support
from doubles import terminals
from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.sender.loopback import LoopbackReceiver, reply
from support import APPLICATION, CONSENT, VERSION_4, posix_only

MAIN = "import sys; from franklinwh_telemetry.cli import main; main()"


def telemetry(*arguments, **keywords):
    return support.run([sys.executable, "-c", MAIN, *arguments], **keywords)


def record(command="status", application=APPLICATION):
    Telemetry(application, Vocabulary(["status", "mode"])).command(command)(lambda: None)()


@posix_only
def test_on_writes_a_dated_versioned_consent_and_nothing_else():
    """`on --yes` adds five keys, and every other byte of the file stays."""
    before = "[energy.franklinwh.com]\nemail = me@example.com\npassword = 100%sure\n\n"
    before += "[telemetry]\n# my note\napi_key = phc_mine\n"
    Path("franklinwh.ini").write_text(before)
    Path("franklinwh.ini").chmod(0o640)

    ended = telemetry("on", "--yes")

    after = Path("franklinwh.ini").read_text()
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split(" = ")[0] for line in added] == ["enabled", "uuid", "since", "policy", "destination"]
    assert "destination = us.i.posthog.com" in added
    assert [line for line in after.splitlines() if line not in added] == before.splitlines()
    assert Path("franklinwh.ini").stat().st_mode & 0o777 == 0o640
    assert Telemetry(APPLICATION, Vocabulary(["status"])).status().enabled


def test_on_says_what_would_be_sent_and_warns_of_upstream():
    """The five facts, the place and the policy's version come before the answer, and upstream's own switch is named."""
    ended = telemetry("on", "--yes")

    for said in (
        "command",
        "executed timestamp",
        "execution latency",
        "success",
        "execution UUID",
        "They would go to: a file on this machine",
        "Policy version: 1",
        "up to 0.6.4 reads the same switch",
    ):
        assert said in ended.stdout


@posix_only
def test_on_asks_a_terminal_with_default_no():
    """Only a typed yes is a yes; Enter is a no, and without a terminal nothing is asked or changed."""
    for typed, enabled in ((b"\n", False), (b"n\n", False), (b"y\n", True)):
        said = terminals.run([sys.executable, "-c", MAIN, "on"], typed=typed).text
        assert said.count("[y/N]") == 1
        assert Path(os.environ["HOME"], ".franklinwh.ini").exists() is enabled
    Path(os.environ["HOME"], ".franklinwh.ini").unlink()

    ended = telemetry("on")

    assert ended.returncode == 1
    assert "there is no terminal to ask on; give --yes" in ended.stderr
    assert not Path(os.environ["HOME"], ".franklinwh.ini").exists()


def test_on_replaces_a_uuid_that_is_not_random():
    """A typed e-mail gives way to a random UUID."""
    Path("franklinwh.ini").write_text("[telemetry]\nuuid = me@example.com\n")

    telemetry("on", "--yes")

    assert "example" not in Path("franklinwh.ini").read_text()


def test_on_refuses_what_it_cannot_edit():
    """A hard-linked file is left alone, and the lines to add are printed."""
    Path("franklinwh.ini").write_text("[telemetry]\n")
    os.link("franklinwh.ini", "second-name.ini")

    ended = telemetry("on", "--yes")

    assert ended.returncode == 1
    assert Path("franklinwh.ini").read_text() == "[telemetry]\n"
    assert "enabled = true" in ended.stderr
    assert "hard link" in ended.stderr


def test_off_says_no_and_discards_what_waits():
    """After `off` has answered, nothing waits and the ini says no."""
    Path("franklinwh.ini").write_text(CONSENT)
    record()

    ended = telemetry("off")

    assert ended.returncode == 0
    assert "Thrown away, unsent: 1 event that waited." in ended.stdout
    assert support.waiting() == []
    assert "enabled = false" in Path("franklinwh.ini").read_text()


def test_off_takes_the_senders_lock_first(senders):
    """While a sender is at work, `off` waits for it; what it had not sent by then never leaves."""
    answered = []

    def slow(_request):
        answered.append(1)
        yield reply(503)

    with LoopbackReceiver(slow) as receiver:
        Path("franklinwh.ini").write_text(CONSENT + f"endpoint = {receiver.url}\n")
        record()
        ended = telemetry("off")
        requests = len(receiver.requests)
        support.wake_senders()
        assert len(receiver.requests) == requests
    assert ended.returncode == 0
    assert support.waiting() == []


def test_erase_deletes_what_is_kept_and_tells_the_uuid():
    """`erase` withdraws, empties journal and counts, tells the UUID that was used, and the next yes has another."""
    with LoopbackReceiver() as receiver:
        Path("franklinwh.ini").write_text(f"{CONSENT}endpoint = {receiver.url}\n")
        record()
        assert telemetry("send").returncode == 0
        record()
        assert VERSION_4 in telemetry("show", "--sent").stdout

        erased = telemetry("erase")

        assert erased.returncode == 0
        assert VERSION_4 in erased.stdout
        assert telemetry("show", "--sent").stdout == "Nothing was sent yet.\n"
        assert support.waiting() == []
        assert len(receiver.requests) == 1
        left = [path for path in Path(support.state_root()).rglob("*") if path.is_file()]
        assert [path for path in left if VERSION_4.encode() in path.read_bytes()] == []
        assert "enabled = false" in Path("franklinwh.ini").read_text()
        assert VERSION_4 not in Path("franklinwh.ini").read_text()

        assert telemetry("on", "--yes").returncode == 0
        record()
        (after,) = support.waiting()
        assert after["execution_uuid"] != VERSION_4


def test_off_without_consent_changes_nothing():
    """There is nothing to switch off, and no file is made."""
    ended = telemetry("off")

    assert (ended.returncode, ended.stdout) == (0, "Telemetry was not on; nothing was changed.\n")
    assert list(Path.cwd().iterdir()) == []


def test_status_names_rule_destination_and_counts():
    """On or off, by which file, to where, and what waits."""
    off = telemetry("status")
    Path("franklinwh.ini").write_text(CONSENT)
    record()
    on = telemetry("status")
    (as_json,) = json.loads(telemetry("status", "--json").stdout)["applications"]

    assert off.stdout.startswith("franklinwh-cloud: off\n")
    by = f"enabled in {Path('franklinwh.ini').resolve()}"
    assert on.stdout.startswith(f"franklinwh-cloud: on\n  decided by    {by}\n")
    assert "  waiting       1 event\n" in on.stdout
    assert (as_json["enabled"], as_json["pending"], as_json["application"]) == (True, 1, APPLICATION)


def test_send_delivers_and_reports():
    """`send` runs a sender to its end, whatever pause is pending, and says what became of the events."""
    with LoopbackReceiver() as receiver:
        Path("franklinwh.ini").write_text(CONSENT + f"endpoint = {receiver.url}\n")
        record()
        spool = support.only_spool()
        Path(spool.path("backoff")).write_text("")
        os.utime(spool.path("backoff"), (2**31, 2**31))

        ended = telemetry("send")

        assert (ended.returncode, ended.stdout) == (0, "Sent 1 event.\n")
        assert [span.name for span in receiver.spans] == ["status"]


def test_send_says_why_events_are_kept():
    """A destination that refuses is named with the remedy, and the exit status is 1."""
    with LoopbackReceiver(lambda _request: [reply(401)]) as receiver:
        Path("franklinwh.ini").write_text(CONSENT + f"endpoint = {receiver.url}\n")
        record()

        ended = telemetry("send")

        status = telemetry("status")
    assert ended.returncode == 1
    assert "1 event kept: " in ended.stdout
    assert "127.0.0.1" in ended.stdout
    assert "401" in status.stdout


@pytest.mark.parametrize("route", ["file", "otlp", "posthog"])
def test_show_prints_the_same_bytes_before_and_after(route):
    """`show --pending --raw` is what goes out, and `show --sent --raw` is what went."""
    with LoopbackReceiver(_posthog_or_otlp) as receiver:
        line = {
            "file": "",
            "otlp": f"endpoint = {receiver.url}\n",
            "posthog": f"api_key = phc_mine\nposthog_host = {receiver.url}\n",
        }[route]
        Path("franklinwh.ini").write_text(CONSENT + line)
        record()

        pending = telemetry("show", "--pending", "--raw", text=False)
        sent_before = telemetry("show", "--sent")
        assert telemetry("send").returncode == 0
        sent = telemetry("show", "--sent", "--raw", text=False)
        received = [request.raw for request in receiver.requests]

    assert sent_before.stdout == "Nothing was sent yet.\n"
    assert pending.stdout == sent.stdout
    if route != "file":
        assert sent.stdout == b"".join(raw + b"\n" for raw in received)
    assert b"status" in sent.stdout


def _posthog_or_otlp(request):
    if request.path.startswith("/v1/traces"):
        return [reply(200, "application/x-protobuf")]
    return [reply(200, "application/json", b'{"status":1}')]


def test_show_in_words_shortens_the_key():
    """A key is recognised by its first letters and not given away."""
    Path("franklinwh.ini").write_text(CONSENT + "api_key = phc_0123456789abcdef\n")

    shown = telemetry("show", "--example")

    assert "phc_0123456789" not in shown.stdout
    assert '"api_key": "phc_0123..."' in shown.stdout
    assert VERSION_4 in shown.stdout


def test_show_without_anything_says_so():
    """Nothing waits and nothing was sent is said in words."""
    assert telemetry("show", "--pending").stdout == "Nothing waits to be sent.\n"
    assert telemetry("show").stdout == "Nothing was sent yet.\n"


def test_vocabulary_is_the_gates_list():
    """The JSON maps the application to its commands, and the capacity is that of the list."""
    listed = json.loads(telemetry("vocabulary").stdout)
    capacity = telemetry("vocabulary", "--capacity").stdout

    assert list(listed) == [APPLICATION]
    assert 60 <= len(listed[APPLICATION]) <= 250
    assert "tou --extended" in listed[APPLICATION]
    assert f"{len(listed[APPLICATION])} commands and `other`: " in capacity


def test_bad_usage_is_one_clear_line():
    """An application name that cannot be one is refused with status 2."""
    ended = telemetry("status", "--application", "../surprise")

    assert ended.returncode == 2
    assert "application must match" in ended.stderr.splitlines()[-1]
