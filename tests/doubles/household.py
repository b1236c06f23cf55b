"""
A user who has said yes, and runs the real franklinwh-cli: the world is the one that the environment names.

Each route has an ini of its own, and by it a spool: what was sent by one can be handed to another.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import support
from franklinwh_telemetry import Telemetry
from franklinwh_telemetry.backlog import Backlog, existing_spools
from franklinwh_telemetry.demo import record_of
from franklinwh_telemetry.permission import Permission
from franklinwh_telemetry.sender.delivery import JOURNAL_FOLDER
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from franklinwh_telemetry.event import Record

APPLICATION = franklinwh_cloud.APPLICATION


class Route:
    """One ini with a yes in it, and the way that its events take; *routing* are the lines that say which."""

    def __init__(self, ini: Path, *routing: str) -> None:
        self.ini = ini
        ini.write_text("\n".join((support.CONSENT.rstrip(), *routing, "")), encoding="utf-8")
        ini.chmod(0o600)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the unmodified franklinwh-cli, which may start a real sender."""
        return self.telemetry("run", "franklinwh-cli", "--config", str(self.ini), *arguments)

    def telemetry(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run our own command line."""
        return support.run([sys.executable, "-m", "franklinwh_telemetry", *arguments])

    def status(self) -> list[str]:
        """The lines of `franklinwh-telemetry status`."""
        return self.telemetry("status", "--config", str(self.ini)).stdout.splitlines()

    def permission(self) -> Permission:
        """The yes of the ini, as a host would find it."""
        found = Telemetry(APPLICATION, franklinwh_cloud.vocabulary(), config=str(self.ini)).permission()
        assert isinstance(found, Permission), found
        return found

    def hand_over(self, records: Sequence[Record]) -> None:
        """Record what has been recorded elsewhere, as a host would; this may start a real sender."""
        assert self.permission().write(support.state_root(), list(records))

    def spool(self) -> Backlog:
        """Where the records of this yes wait."""
        (found,) = (spool for spool in existing_spools(support.state_root(), APPLICATION) if self._is_ours(spool))
        return found

    def sent(self) -> list[Record]:
        """The records that its sender has written to the network as OTLP, from the journal of exact bytes."""
        entries = Journal(os.path.join(self.spool().folder, JOURNAL_FOLDER)).entries()
        requests = [ExportTraceServiceRequest.FromString(entry.request.partition(b"\r\n\r\n")[2]) for entry in entries]
        return [
            record_of(span)
            for request in requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    def _is_ours(self, spool: Backlog) -> bool:
        manifest = spool.manifest()
        return manifest is not None and Path(manifest.source) == self.ini.resolve()
