"""
What every test of `todo` stands on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from franklinwh_telemetry.testing import Captured, capture_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    """Record what each test's commands report, and let none of it leave the test."""
    monkeypatch.chdir(tmp_path)
    with capture_events() as captured:
        yield captured
