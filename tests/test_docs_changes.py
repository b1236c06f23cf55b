"""The page for developers: each of its changes, applied to the program before it, does what the page says."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import support
from conftest import ROOT
from support import VERSION_4

PAGE = (ROOT / "docs" / "developers.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = {match[1]: match[2] for match in SECTION.finditer(PAGE)}


class Example(NamedTuple):
    """How a changed program is run, and what it must leave."""

    arguments: list[str]
    command: str
    application: str = "myapp"
    destination: str = "file"


PROGRAMS = {
    "argparse": Example(["sync", "--all"], "sync --all"),
    "click": Example(["sync", "--all"], "sync --all"),
    "franklinwh-cloud": Example(["status"], "status", application="franklinwh-cloud"),
    "Your own PostHog key": Example([], "sync", destination="https://us.i.posthog.com"),
    "Your own Collector": Example([], "sync", destination="https://collector.example/v1/traces"),
}


def blocks(section, language):
    """The blocks of a section in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)


def before_and_after(diff):
    """The two programs of a diff that shows a whole program."""
    lines = diff.splitlines(keepends=True)
    return tuple("".join(line[1:] for line in lines if line[0] in f" {sign}\n") for sign in "-+")


def section_of_ini(application):
    """How an ini calls the application's section."""
    return "telemetry" if application == support.APPLICATION else f"telemetry {application}"


def test_every_section_begins_with_a_change():
    """Each way to adopt it starts from its diff; the last section is about something else."""
    first_blocks = {name: re.search(r"^```(\w+)", text, re.MULTILINE) for name, text in SECTIONS.items()}

    assert {name: found and found[1] for name, found in first_blocks.items()} == {
        **dict.fromkeys(PROGRAMS, "diff"),
        "Home Assistant": "diff",
        "Testing": "python",
        "Ask your users": None,
    }


@pytest.mark.parametrize("section", PROGRAMS)
def test_a_change_does_what_the_page_says(section):
    """Before and after, the user sees the same; without a yes no file is made, and with one the command is recorded."""
    example = PROGRAMS[section]
    (diff,) = blocks(section, "diff")
    before, after = before_and_after(diff)
    if "franklinwh_telemetry import Telemetry" in before:
        # What is changed is where the events go.
        assert after.count("destination=") == 1
    else:
        assert "franklinwh_telemetry" not in before

    expected = support.run_python(before, *example.arguments)
    assert (expected.returncode, expected.stderr) == (0, "")
    denied = support.run_python(after, *example.arguments)
    assert (denied.returncode, denied.stdout, denied.stderr) == (0, expected.stdout, "")
    assert support.applications() == []

    ini = f"[{section_of_ini(example.application)}]\nenabled = true\nuuid = {VERSION_4}\n"
    Path("franklinwh.ini").write_text(ini, encoding="utf-8")
    granted = support.run_python(after, *example.arguments)
    assert (granted.returncode, granted.stdout, granted.stderr) == (0, expected.stdout, "")
    (record,) = support.waiting(example.application)
    assert (record["command"], record["success"]) == (example.command, True)
    manifest = support.only_spool(example.application).manifest()
    assert manifest is not None
    assert example.destination in (manifest.destination.kind, manifest.destination.url)


def test_the_change_of_a_test_does_what_the_page_says():
    """The changed test passes with the page's program, and fails with one that records something else."""
    (program,) = blocks("Testing", "python")
    (diff,) = blocks("Testing", "diff")
    before, after = before_and_after(diff)
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider"]
    Path("myapp.py").write_text(program, encoding="utf-8")

    outcomes = {}
    for name, text in {"before": before, "after": after, "wrong": after.replace("True", "False")}.items():
        Path(f"test_{name}.py").write_text(text, encoding="utf-8")
        outcomes[name] = support.run([*command, f"test_{name}.py"]).returncode

    assert outcomes == {"before": 0, "after": 0, "wrong": 1}


def test_home_assistants_change_is_part_of_the_whole():
    """What the page shows of it are lines of the whole change, which the example has, in its order."""
    (diff,) = blocks("Home Assistant", "diff")
    whole = (ROOT / "docs" / "home-assistant.md").read_text(encoding="utf-8").splitlines()

    places = [whole.index(line) for line in diff.splitlines()]

    assert places == sorted(places)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("Your own PostHog key", "PostHog at https://eu.i.posthog.com, project phc_anot..."),
        ("Your own Collector", "OTLP at http://192.168.1.20:4318/v1/traces"),
    ],
)
def test_a_users_own_route(section, told):
    """The ini that the page shows is a yes, and leads where the page says."""
    (ini,) = blocks(section, "ini")
    Path("franklinwh.ini").write_text(ini, encoding="utf-8")

    status = support.run([sys.executable, "-m", "franklinwh_telemetry", "status", "--application", "myapp"]).stdout

    assert status.startswith("myapp: on\n")
    assert told in re.sub(r"\s+", " ", status)
