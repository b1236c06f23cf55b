"""
The main job on one machine: the real franklinwh-cli, consent, spool, detached sender, a receiver on loopback.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from franklinwh_telemetry import event
from franklinwh_telemetry.integrations.franklinwh_cloud import CONSOLE_SCRIPT, PACKAGE
from franklinwh_telemetry.sender.file import otlp_line
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from franklinwh_telemetry.sender.posthog import batch_body
from franklinwh_telemetry.sender.readable import spans_of
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Echo = Callable[[str], object]

COMMANDS: Final = (
    ("energy", "--describe"),
    ("status",),
    ("tou", "--extended"),
    ("mode", "--set", "self_consumption"),
    ("-p", "mode", "discover", "-v"),
    ("bogus",),
)
"""`energy --describe` works without an account, the others fail without one: both are real outcomes."""

DELIVERY_WITHIN_S: Final = 30.0
_NOT_PASSED_ON: Final = ("FRANKLIN_USERNAME", "FRANKLIN_PASSWORD", "FRANKLIN_GATEWAY", "STATE_DIRECTORY")
_SWITCHES: Final = ("DO_NOT_TRACK", "FRANKLINWH_TELEMETRY")


def run_demo(echo: Echo, report: str | None = None) -> int:
    """
    Show it, and return 0 only if every recorded event has arrived, once and whole.

    What arrived is written as a page to *report*, too, if that is given and DuckDB is here.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        echo("demo: franklinwh-cloud is not installed here; run: pip install franklinwh-cloud==0.6.4")
        return 1
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-demo-") as folder, LoopbackReceiver() as receiver:
        return _Demo(Path(folder), receiver, echo, report).run()


class _Demo:
    def __init__(self, folder: Path, receiver: LoopbackReceiver, echo: Echo, report: str | None) -> None:
        self._folder = folder
        self._report = report
        self._home = folder / "home"
        self._state = folder / "state"
        self._ini = folder / "franklinwh.ini"
        self._receiver = receiver
        self._echo = echo
        for made in (self._home, self._state):
            made.mkdir(mode=0o700)

    def run(self) -> int:
        self._echo("1. Consent is off: nothing is recorded, and no file is made.")
        # The command line warns that a plain franklinwh-cli reads the same switch; here there is no account at all.
        self._ini.write_text(f"[telemetry]\nenabled = false\nendpoint = {self._receiver.url}\n", encoding="utf-8")
        self._ini.chmod(0o600)
        self._command(COMMANDS[0])
        made = sorted(self._state.rglob("*")) + sorted(self._home.rglob("*"))
        if made or self._receiver.requests:
            self._echo(f"demo: without consent {len(made)} files were made")
            return 1
        self._echo("\n2. The user says yes.")
        self._echo(self._telemetry("on", "--yes", "--config", str(self._ini)).stdout.rstrip())
        self._echo("\n3. Real commands, unmodified; each returns at once.")
        for command in COMMANDS:
            self._command(command)
        self._echo("\n4. The detached sender delivers; the receiver on loopback has decoded these spans:")
        self._receiver.wait_for_spans(len(COMMANDS), DELIVERY_WITHIN_S)
        records = self._show_spans()
        self._echo("\n5. The same events as PostHog's API would get them:")
        self._echo(batch_body("phc_your_project_key", records).decode())
        self._echo("\n6. What `franklinwh-telemetry status` says:")
        self._echo(self._telemetry("status", "--config", str(self._ini)).stdout.rstrip())
        if self._report is not None:
            self._echo("\n7. What a maintainer sees of them, in a browser:")
            self._echo(self._write_report(records, self._report))
        return self._verdict(records)

    def _write_report(self, records: list[event.Record], output: str) -> str:
        """Write the page, and return where it is, or why there is none."""
        from franklinwh_telemetry.maintainer.report import Asked, RefusedError, write_report  # noqa: PLC0415 - an extra
        from franklinwh_telemetry.maintainer.source import find  # noqa: PLC0415 - as above

        kept = self._folder / "spans.jsonl"
        kept.write_bytes(otlp_line(records, franklinwh_cloud.APPLICATION))
        source = find([str(kept)])
        if isinstance(source, str):
            return source
        today = datetime.now(timezone.utc).date()
        asked = Asked(since=today - timedelta(days=1), until=today + timedelta(days=1))
        commands = franklinwh_cloud.vocabulary().commands
        try:
            told = write_report(
                source, asked, output, vocabulary_of=lambda _name: commands, now_ms=time.time_ns() // 1_000_000
            )
        except RefusedError as refused:
            return f"No report: {refused}"
        return told[-1]

    def _verdict(self, records: list[event.Record]) -> int:
        delivered = len({(record.trace_id, record.span_id) for record in records})
        lost = len(COMMANDS) - delivered
        self._echo(f"\ndemo: recorded {len(COMMANDS)}, delivered {delivered}, lost {lost}")
        whole = [record.event.success for record in records].count(True) == 1
        return 0 if lost == 0 and len(records) == delivered and whole else 1

    def _command(self, command: tuple[str, ...]) -> None:
        ended = self._telemetry("run", CONSOLE_SCRIPT, "--config", str(self._ini), *command)
        said = next((line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()), "")
        self._echo(f"   $ {CONSOLE_SCRIPT} {' '.join(command)}\n     exit {ended.returncode}: {said.strip()[:90]}")

    def _telemetry(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-m", "franklinwh_telemetry", *arguments],
            env=self._environment(os.environ),
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=60,
        )

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in environ.items() if name not in (*_NOT_PASSED_ON, *_SWITCHES)}
        return kept | {
            "HOME": str(self._home),
            "XDG_STATE_HOME": str(self._state),
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry)),
            "PYTHONIOENCODING": "utf-8",
        }

    def _show_spans(self) -> list[event.Record]:
        for request in self._receiver.requests:
            for line in spans_of(request.body):
                self._echo(line)
        return [record_of(span) for span in self._receiver.spans]


def record_of(span: Any) -> event.Record:
    """The five facts and the ids of a received span, read back as a backend would."""
    values = {item.key.removeprefix("franklinwh."): item.value for item in span.attributes}
    words = franklinwh_cloud.vocabulary()
    return event.Record(
        event=event.CommandEvent(
            command=words.member(values["command"].string_value) or words.other,
            executed_at_ms=span.start_time_unix_nano // 1_000_000,
            execution_latency_ms=values["execution_latency_ms"].int_value,
            success=values["success"].bool_value,
            execution_uuid=UUID(values["execution_uuid"].string_value),
        ),
        trace_id=int.from_bytes(span.trace_id, "big"),
        span_id=int.from_bytes(span.span_id, "big"),
    )
