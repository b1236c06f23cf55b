"""
What the types forbid: mypy refuses a program that would say free text, or say anything without consent.

The promises of `CommandEvent` and `Granted` hold at run time too; here they hold before anything runs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
from collections.abc import Callable
from uuid import UUID

from franklinwh_telemetry import Granted, Telemetry, Vocabulary, read_consent
from franklinwh_telemetry.consent import Granted
from franklinwh_telemetry.destination import Destination, parse_destination
from franklinwh_telemetry.event import CommandEvent, Record, make_record
from franklinwh_telemetry.spool import Manifest
from franklinwh_telemetry.permission import Permission, permit
from franklinwh_telemetry.sender.delivery import Delivery
from franklinwh_telemetry.permission import assigned_uuid, open_spool
from franklinwh_telemetry.spool import Spool
from franklinwh_telemetry.vocabulary import Command


def events(command: Command, text: str, uuid: UUID, ms: int, ok: bool) -> None:
    new = CommandEvent
    good = new(command=command, executed_at_ms=ms, execution_latency_ms=ms, success=ok, execution_uuid=uuid)
    new(command=text, executed_at_ms=ms, execution_latency_ms=ms, success=ok, execution_uuid=uuid)  # arg-type
    new(command=command, executed_at_ms=text, execution_latency_ms=ms, success=ok, execution_uuid=uuid)  # arg-type
    new(command=command, executed_at_ms=ms, execution_latency_ms=text, success=ok, execution_uuid=uuid)  # arg-type
    new(command=command, executed_at_ms=ms, execution_latency_ms=ms, success=text, execution_uuid=uuid)  # arg-type
    new(command=command, executed_at_ms=ms, execution_latency_ms=ms, success=ok, execution_uuid=text)  # arg-type
    new(command=command, executed_at_ms=ms, execution_latency_ms=ms, success=ok)  # call-arg
    new(command, ms, ms, ok, uuid)  # call-arg
    good.hostname = text  # attr-defined
    good.command = text  # assignment
    make_record(text, lambda size: bytes(size))  # arg-type
    Record(event=text, trace_id=1, span_id=1)  # arg-type


def commands(vocabulary: Vocabulary, text: str) -> None:
    listed: Command = vocabulary.parse(text)
    maybe: Command = vocabulary.member(text)  # assignment
    class Mine(Command): ...  # misc
    class Yes(Granted): ...  # misc


def consent(granted: Granted, destination: Destination, vocabulary: Vocabulary, manifest: Manifest, root: str) -> None:
    answer = read_consent("myapp")
    answer.execution_uuid  # union-attr
    permit(granted, vocabulary, 1, argument=None, literal=None)
    permit(answer, vocabulary, 1, argument=None, literal=None)  # arg-type
    permit(True, vocabulary, 1, argument=None, literal=None)  # arg-type
    permit(None, vocabulary, 1, argument=None, literal=None)  # arg-type
    Permission(True, destination, manifest)  # arg-type
    open_spool(root, manifest, granted)
    open_spool(root, manifest, True)  # arg-type
    open_spool(root, manifest)  # call-arg
    assigned_uuid(root, True)  # arg-type


def recording(telemetry: Telemetry, spool: Spool, command: Command, text: str, record: Record) -> None:
    telemetry.record(command, executed_at_ms=1, latency_ms=1, success=True)
    telemetry.record(text, executed_at_ms=1, latency_ms=1, success=True)  # arg-type
    telemetry.record(command, executed_at_ms=1, latency_ms=1, success=True, permission=True)  # arg-type
    spool.append(record, 1)
    spool.append(record.event, 1)  # arg-type
    spool.append(text, 1)  # arg-type


def exporting(delivery: Delivery, record: Record, text: str) -> None:
    delivery.deliver([record])
    delivery.deliver([record.event])  # list-item
    delivery.deliver([text])  # list-item
    Delivery(application=text, destination=text, folder=text, may_send=lambda: True, outcome=None)  # arg-type
"""
"""Each line whose comment is the code of an error must have that error, and no other line may have one."""


def test_mypy_refuses_what_the_policy_forbids(tmp_path: Path) -> None:
    """A text for a command, a fact too many, and recording, spooling or exporting without a yes do not type-check."""
    pytest.importorskip("mypy")
    program = tmp_path / "forbidden.py"
    program.write_text(PROGRAM, encoding="utf-8")
    options = ["--strict", "--no-error-summary", "--hide-error-context", "--no-pretty"]
    options += ["--disable-error-code=unused-coroutine", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    # An error may stand on more than one line of the output, and a call may have several of one kind.
    found = set(re.findall(r"forbidden\.py:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE))
    lines = PROGRAM.splitlines()
    expected = {(str(number), line.rpartition("# ")[2]) for number, line in enumerate(lines, 1) if "  # " in line}
    assert sorted(found) == sorted(expected), done.stdout + done.stderr
