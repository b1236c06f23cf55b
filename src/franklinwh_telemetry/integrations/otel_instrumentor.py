"""
OpenTelemetry's own way to switch the hooks for franklinwh-cloud on: `opentelemetry-instrument`, or a call.

It needs the extra `instrument`, and is the only module outside of the sender that imports OpenTelemetry: a program that
loads it runs under OpenTelemetry anyway. What is recorded takes the same way as ever, through the spool to our sender;
the program's tracer provider gets no span of ours. Without consent at that moment nothing is imported or replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from franklinwh_telemetry.dispatch import default_telemetry
from franklinwh_telemetry.integrations.franklinwh_cloud import instrument, uninstrument
from franklinwh_telemetry.lookup import Denied

if TYPE_CHECKING:
    from collections.abc import Collection

    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.vocabularies.franklinwh_cloud_api import Methods


class FranklinWHCloudInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """`instrument(telemetry=..., methods=...)` does what `integrations.franklinwh_cloud.instrument` does."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """The franklinwh-cloud that the hooks are for."""
        return ("franklinwh-cloud >= 0.6.4, < 1",)

    def _instrument(self, *, telemetry: Telemetry | None = None, methods: Methods = (), **_others: Any) -> None:
        if not isinstance((telemetry or default_telemetry()).permission(), Denied):
            instrument(telemetry, methods=methods)

    def _uninstrument(self, **_others: Any) -> None:
        uninstrument()
