from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from uuid import UUID

import franklinwh_cloud
import pytest

import support
from conftest import ROOT
from doubles.posthog import KNOWN_KEY, PostHogDouble
from support import VERSION_4

PATCH = ROOT / "docs" / "franklinwh-cloud.patch"
PAGE = ROOT / "docs" / "franklinwh-cloud.md"

CLI = "import sys; sys.argv[0] = 'franklinwh-cli'; from franklinwh_cloud.cli import main; sys.exit(main())"


def changed(sign):
    """The lines that the patch adds or removes."""
    lines = PATCH.read_text(encoding="utf-8").splitlines()
    return [line[1:] for line in lines if line.startswith(sign) and not line.startswith(sign * 3)]


@pytest.fixture
def patched(tmp_path, monkeypatch):
    """The installed franklinwh-cloud, patched, in front of the installed one."""
    shutil.copytree(
        Path(franklinwh_cloud.__file__).parent,
        tmp_path / "franklinwh_cloud",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    applied = support.run(["git", "apply", "--whitespace=nowarn", str(PATCH)], cwd=tmp_path)
    assert (applied.returncode, applied.stderr) == (0, "")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "franklinwh_cloud"


@pytest.fixture
def posthog(senders):
    """PostHog, and a user who sends there."""
    with PostHogDouble() as double:
        Path("franklinwh.ini").write_text(
            f"[telemetry]\nenabled = true\nuuid = {VERSION_4}\napi_key = {KNOWN_KEY}\nposthog_host = {double.url}\n"
        )
        yield double


def run_cli(*line):
    return support.run([sys.executable, "-c", CLI, "--no-color", *line])


def facts():
    return [(record["command"], record["success"]) for record in support.waiting()]


def test_the_patched_cli_gives_the_documented_event(patched, posthog):
    """`franklinwh_cloud_execution` with command, latency, success, UUID and time, and nothing else."""
    ended = run_cli("energy", "--describe")
    support.wake_senders()

    assert (ended.returncode, ended.stderr) == (0, "")
    (event,) = posthog.events
    latency_ms = event["properties"].pop("execution_latency_ms")
    assert type(latency_ms) is int
    assert 0 <= latency_ms < 60_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("timestamp"))
    assert UUID(event.pop("uuid")).version == 5
    assert event == {
        "event": "franklinwh_cloud_execution",
        "distinct_id": VERSION_4,
        "properties": {
            "command": "energy --describe",
            "success": True,
            "$process_person_profile": False,
            "$geoip_disable": True,
            "$ip": "127.0.0.1",
        },
    }


def test_the_policys_worked_example_runs_unchanged(patched, posthog):
    """The worked example with upstream's own import, on the patched package: the event is completed at the end."""
    text = support.WORKED_EXAMPLE.replace(
        "from franklinwh_telemetry import dispatch_cli_event",
        "from franklinwh_cloud.telemetry import dispatch_cli_event",
    ).replace("{work}", "sys.exit(3)")
    assert "franklinwh_telemetry" not in text
    Path("franklinwh.ini").write_text(f"[telemetry]\nenabled = true\nuuid = {VERSION_4}\n")

    ended = support.run_python(text, "status")

    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")
    assert facts() == [("status", False)]


def test_failures_are_told_and_seen_as_before(patched, monkeypatch):
    """The patched CLI fails as the installed one does, and the event says so, under `run` too only once."""
    Path("franklinwh.ini").write_text(f"[telemetry]\nenabled = true\nuuid = {VERSION_4}\n")
    main = "import sys; from franklinwh_telemetry.cli import main; main()"

    ended = run_cli("mode")
    under_run = support.run([sys.executable, "-c", main, "run", "franklinwh-cli", "--no-color", "mode"])
    monkeypatch.delenv("PYTHONPATH")
    Path("franklinwh.ini").unlink()
    as_released = run_cli("mode")

    for seen in (ended, under_run):
        assert (seen.returncode, seen.stdout, seen.stderr) == (1, as_released.stdout, as_released.stderr)
    assert facts() == [("mode", False)] * 2


def test_without_consent_the_patched_cli_does_nothing(patched, isolated):
    """A user who never said yes: no file, and nothing imported that only a yes needs."""
    code = CLI.replace("sys.exit(main())", "main(); print([name for name in sys.modules if 'permission' in name])")

    ended = support.run([sys.executable, "-c", code, "energy", "--describe"])

    assert ended.stdout.splitlines()[-1] == "[]"
    assert [path for path in isolated.rglob("*") if path.is_file()] == []


def test_nothing_of_upstreams_own_sender_is_left(patched):
    """No request, no thread, no fact about the machine: the module is one import of ours."""
    text = (patched / "telemetry.py").read_text(encoding="utf-8")

    assert not re.search(r"urllib|threading|platform|posthog", text, re.IGNORECASE)
    assert len(text.splitlines()) == 3


def test_the_page_counts_the_lines():
    """What the page says about the size of the patch is so, and the lines that it shows are those that are added."""
    page = PAGE.read_text(encoding="utf-8")
    added, removed = changed("+"), changed("-")

    assert f"{len(added)} added, {len(removed)} removed" in page
    assert [line for line in added if f"+{line}\n" not in page] == []
    assert set(re.findall(r"^\+\+\+ b/(.*)", PATCH.read_text(), re.MULTILINE)) == {
        "franklinwh_cloud/cli.py",
        "franklinwh_cloud/telemetry.py",
    }


def test_the_page_knows_the_lists():
    """The numbers of methods, commands and bits on the page are those of the vocabularies."""
    from franklinwh_telemetry.vocabularies import franklinwh_cloud as program
    from franklinwh_telemetry.vocabularies import franklinwh_cloud_api as api

    page = PAGE.read_text(encoding="utf-8")
    everything = api.every_method()

    assert f"The {len(api.READING)} methods that only read" in page
    assert f"the {len(api.CHANGING)} others" in page
    assert f"its {len(program.COMMANDS)} commands tell {program.vocabulary().capacity_bits():.2f} bits" in page
    assert f"there would be {len(everything.commands)} and {everything.capacity_bits():.2f} bits" in page
