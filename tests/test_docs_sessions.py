"""The sessions that the pages show: each command, run as a user types it, prints what the page says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import support
from conftest import ROOT

if os.name == "nt":
    pytest.skip("a pty is POSIX", allow_module_level=True)

from doubles import consoles, contract
from franklinwh_telemetry.sender.loopback import LoopbackReceiver

PAGES = [ROOT / "docs" / name for name in ("command-line.md", "homeowners.md")]


def page_name(page):
    return page.name


def test_every_session_is_played():
    """A page with a session is played here, or by a test module that reads it because it needs more than a home."""
    with_sessions = {path for path in (ROOT / "docs").glob("*.md") if consoles.BLOCK.search(path.read_text("utf-8"))}
    elsewhere = "".join(path.read_text("utf-8") for path in (ROOT / "tests").glob("test_maintainer_*.py"))

    assert set(PAGES) <= with_sessions
    assert [page.name for page in with_sessions - set(PAGES) if f'"{page.name}"' not in elsewhere] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_session_is_what_the_commands_print(page):
    """From a home where nobody was asked, each command prints what the page shows, but for ids, times and paths."""
    home = os.environ["HOME"]
    places = {support.state_root(): consoles.STATE, home: consoles.HOME}
    os.chdir(home)
    with LoopbackReceiver() as receiver:
        if "endpoint" in page.read_text(encoding="utf-8") or "127.0.0.1" in page.read_text(encoding="utf-8"):
            Path(home, ".franklinwh.ini").write_text(f"[telemetry]\nendpoint = {receiver.url}\n", encoding="utf-8")
        for step in consoles.sessions(page):
            printed = consoles.play(step.command)
            assert consoles.agrees(step, printed, places), (
                f"$ {step.command}\n{printed}\nbut the page says\n{step.shown}"
            )


def test_a_session_that_is_wrong_is_noticed():
    """A word that no command prints, or one too few, does not agree."""
    step = consoles.Step("franklinwh-telemetry status", "franklinwh-cloud: off\n...\n")

    assert consoles.agrees(step, "franklinwh-cloud: off\n  waiting  0 events\n", {})
    assert not consoles.agrees(step, "franklinwh-cloud: on\n  waiting  0 events\n", {})
    assert not consoles.agrees(step._replace(shown="franklinwh-cloud: off\n"), "franklinwh-cloud: off\n1\n", {})


def test_the_span_of_one_user_can_be_erased_from_a_file(tmp_path):
    """The maintainers' page erases one UUID from a file of the Collector's backend, and leaves the others' spans."""
    page = (ROOT / "docs" / "maintainers.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - the page's own program
    one, other = contract.build("success"), contract.build("leading-zeros")
    mixed = json.loads(json.dumps(one["otlp"]))
    mixed["resourceSpans"] += other["otlp"]["resourceSpans"]
    path = tmp_path / "spans.jsonl"
    lines = [json.dumps(request) for request in (one["otlp"], other["otlp"], mixed)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    assert names["erase"](path, one["facts"]["execution_uuid"]) == 2

    left = path.read_text(encoding="utf-8")
    assert one["facts"]["execution_uuid"] not in left
    assert left.count(other["facts"]["execution_uuid"]) == 2
    assert [json.loads(line)["resourceSpans"][-1] for line in left.splitlines()] == other["otlp"]["resourceSpans"] * 2
    assert names["erase"](path, one["facts"]["execution_uuid"]) == 0
    assert path.read_text(encoding="utf-8") == left
