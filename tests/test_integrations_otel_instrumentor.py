from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

import franklinwh_cloud.cli as upstream_cli
import pytest
from franklinwh_cloud.client import Client
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

import support
from franklinwh_telemetry.integrations.otel_instrumentor import FranklinWHCloudInstrumentor
from franklinwh_telemetry.testing import capture_events
from support import CONSENT

AUTOMATIC = [sys.executable, "-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()"]
"""OpenTelemetry's command `opentelemetry-instrument`."""


@pytest.fixture
def instrumentor():
    """The one instrumentor of the process, without anything in place before and after."""
    found = FranklinWHCloudInstrumentor()
    yield found
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()


def console_script():
    return str(Path(sys.executable).with_name("franklinwh-cli"))


def facts():
    return [(record["command"], record["success"]) for record in support.waiting()]


def test_it_is_found_by_the_ecosystems_entry_point(instrumentor):
    """The entry point loads a real `BaseInstrumentor` that names what it is for."""
    (point,) = entry_points(group="opentelemetry_instrumentor", name="franklinwh-cloud")

    assert isinstance(instrumentor, BaseInstrumentor)
    assert point.load() is FranklinWHCloudInstrumentor
    assert instrumentor.instrumentation_dependencies() == ("franklinwh-cloud >= 0.6.4, < 1",)
    assert instrumentor._check_dependency_conflicts() is None


def test_with_consent_it_instruments_and_uninstruments(instrumentor):
    """The hooks are those of `instrument`, with the methods that are asked for, and go again, whole."""
    before = dict(vars(Client)), upstream_cli.main

    with capture_events():
        instrumentor.instrument(methods=["get_stats"])
        assert upstream_cli.main is not before[1]
        assert Client.get_stats is not before[0].get("get_stats")
        instrumentor.uninstrument()

    assert (dict(vars(Client)), upstream_cli.main) == before


def test_without_consent_nothing_is_touched(instrumentor, isolated):
    """A user who never said yes has an untouched franklinwh-cloud, and no file of ours."""
    before = dict(vars(Client)), upstream_cli.main

    instrumentor.instrument(methods=["get_stats"])

    assert (dict(vars(Client)), upstream_cli.main) == before
    assert [path for path in isolated.rglob("*") if path.is_file()] == []


def test_opentelemetry_instrument_runs_the_cli():
    """`opentelemetry-instrument franklinwh-cli ...`: one event, whose span is made elsewhere, and the same output."""
    Path("franklinwh.ini").write_text(CONSENT)
    command = [sys.executable, console_script(), "--no-color", "energy", "--describe"]
    environ = {**os.environ, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}

    alone = support.run(command)
    ended = support.run([*AUTOMATIC, *command], env=environ)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, alone.stdout, "")
    assert facts() == [("energy --describe", True)]


def test_a_program_without_consent_does_not_even_load_it():
    """Under `opentelemetry-instrument` franklinwh-cloud is not imported for a user who has not said yes."""
    Path("program.py").write_text("import sys; print('franklinwh_cloud' in sys.modules)\n")
    said = []
    for ini in ("", CONSENT):
        Path("franklinwh.ini").write_text(ini)
        said.append(support.run([*AUTOMATIC, sys.executable, "program.py"]).stdout)

    assert said == ["False\n", "True\n"]
    assert facts() == []
