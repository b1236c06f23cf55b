"""
The program that is measured: it imports franklinwh-cloud's command line and runs one command that needs no account.

Its first argument says how it reports that command, its second where to; `BENCH_MARK` names the file that gets the
time at which the command's own work was done. Each way is the plain one that its own documentation shows.
"""

from __future__ import annotations

import os
import sys
import time

from franklinwh_cloud import cli

COMMAND = ["franklinwh-cli", "energy", "--describe"]
UUID = "5f0c9a54-3a0e-4c3b-9d0a-0123456789ab"
KEY = "phc_benchmark"


def work() -> None:
    """Run the command, and note when it was done."""
    cli.main()
    descriptor = os.open(os.environ["BENCH_MARK"], os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, str(time.monotonic_ns()).encode())
    os.close(descriptor)


def without(_url: str) -> None:
    """Run it without telemetry."""
    work()


def ours(_url: str) -> None:
    """Run it under this package; the ini says yes and where to."""
    from franklinwh_telemetry import Telemetry  # noqa: PLC0415 - its cost is what is measured
    from franklinwh_telemetry.vocabularies import franklinwh_cloud  # noqa: PLC0415

    Telemetry("bench", franklinwh_cloud.vocabulary()).run(work)


def upstream(url: str) -> None:
    """Run it with franklinwh-cloud's own dispatcher, which the ini switches on, pointed at *url*."""
    from franklinwh_cloud import telemetry  # noqa: PLC0415 - the command line imports it just as late

    telemetry.POSTHOG_URL = f"{url}/capture/"
    work()


def posthog_sdk(url: str) -> None:
    """Run it, then capture an event with PostHog's SDK, which delivers as the process ends."""
    from posthog import Posthog  # type: ignore[import-not-found]  # noqa: PLC0415 - in an environment of its own

    client = Posthog(KEY, host=url)
    started_s = time.monotonic()
    work()
    latency_ms = round((time.monotonic() - started_s) * 1000)
    properties = {"command": "energy --describe", "execution_latency_ms": latency_ms, "success": True}
    client.capture("franklinwh_cloud_execution", distinct_id=UUID, properties=properties)


def opentelemetry_sdk(url: str) -> None:
    """Run it in a span of an SDK in the same process, with a batch processor and OTLP over HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource({"service.name": "bench"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    with provider.get_tracer("bench").start_as_current_span("energy --describe"):
        work()


WAYS = {way.__name__: way for way in (without, ours, upstream, posthog_sdk, opentelemetry_sdk)}

if __name__ == "__main__":
    way, url = sys.argv[1:]
    sys.argv[:] = COMMAND
    WAYS[way](url)
