"""
A yes in the ini of the working directory, and the spool that a host opens under it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import support
from doubles.records import VOCABULARY
from franklinwh_telemetry import Granted, Vocabulary
from franklinwh_telemetry.backlog import Backlog
from franklinwh_telemetry.consent import read_consent
from franklinwh_telemetry.destination import Destination, route
from franklinwh_telemetry.permission import open_spool
from franklinwh_telemetry.spool import Manifest, Spool
from support import APPLICATION, CONSENT


def granted(application: str = APPLICATION, ini: str | Path = "franklinwh.ini") -> Granted:
    """The yes of an ini."""
    given = read_consent(application, config=str(ini))
    assert isinstance(given, Granted)
    return given


def opened(
    given: Granted | None = None,
    *,
    literal: str | None = None,
    vocabulary: Vocabulary = VOCABULARY,
) -> Backlog:
    """The spool of a yes, as a host opens it, to be read as well; by default that of `franklinwh.ini`."""
    given = given or granted()
    destination = route(given, literal=literal)
    assert isinstance(destination, Destination)
    spool = open_spool(support.state_root(), Manifest.of(given, destination, vocabulary, 1), given)
    assert isinstance(spool, Spool)
    return Backlog(spool.folder)


@pytest.fixture(autouse=True)
def said_yes():
    """A working directory whose ini says yes."""
    Path("franklinwh.ini").write_text(CONSENT)
