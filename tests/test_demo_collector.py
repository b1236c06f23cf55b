"""`make demo-collector`: a stranger sees the whole way, and its last line is true."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

import support
from doubles.collector import CALLER, ROOT

if TYPE_CHECKING:
    from pathlib import Path

# It may have to build the Collector first.
pytestmark = pytest.mark.timeout(900)


def test_demo_delivers_everything_by_every_way(collector_binary: Path) -> None:
    """By Collector, directly and to a file: nothing lost, and the events are the same; each step is shown."""
    ended = support.run([sys.executable, str(ROOT / "tools" / "demo_collector.py")], env=CALLER)

    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[-1] == "demo-collector: recorded 6, delivered 6, lost 0, identical to the direct route"
    assert [line[:2] for line in lines if re.match(r"\d\. ", line)] == ["1.", "2.", "3.", "4.", "5.", "6."]
    assert "   otelcol_exporter_posthog_events_sent 6" in lines
    assert len([line for line in lines if line.startswith('   {"distinct_id":')]) == 6
    assert not any("NO" in line.split() for line in lines)
