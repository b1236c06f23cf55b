"""
The Collector at work on this machine: `make demo-collector`.

The real franklinwh-cli, the spool, the detached sender and the real Collector, which is built if it has not been yet;
only PostHog is a stand-in, the one of the tests. The same records then go directly, and to the Collector's file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import support
from doubles.collector import Collector, NotStartedError
from doubles.household import APPLICATION, Route
from doubles.otlp import decode_otlp_json
from doubles.posthog import KNOWN_KEY, PostHogDouble
from franklinwh_telemetry.demo import COMMANDS
from franklinwh_telemetry.sender.posthog import event_uuid
from franklinwh_telemetry.sender.spans import otlp_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from franklinwh_telemetry.event import Record

WITHIN_S = 30.0
FOREIGN = ("FRANKLIN", "DO_NOT_TRACK", "STATE_DIRECTORY", "OTEL_", "XDG_")
OF_INTEREST = ("otelcol_receiver_accepted_spans", "otelcol_processor_commandgate_", "otelcol_exporter_posthog_")


def main() -> int:
    """Show it, and return 0 only if every event arrived once, and the same by each way."""
    if os.name == "nt":
        print("demo-collector: the Collector is not built on Windows; run it in a container")
        return 1
    from collector import build  # noqa: PLC0415 - cannot be imported on Windows

    binary = build()
    with tempfile.TemporaryDirectory(prefix="franklinwh-telemetry-demo-") as folder:
        move_into(Path(folder))
        try:
            return demonstrate(binary, Path(folder))
        except NotStartedError as reason:
            print(f"demo-collector: the Collector did not start\n{reason}")
            return 1


def move_into(folder: Path) -> None:
    """Make a home and a state folder there, and let this process and all that it starts live in them."""
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    for variable, name in (("HOME", "home"), ("XDG_STATE_HOME", "state")):
        (folder / name).mkdir(mode=0o700)
        os.environ[variable] = str(folder / name)
    os.chdir(folder / "home")


def demonstrate(binary: Path, folder: Path) -> int:
    """Go step by step; the folder is empty but for the home and the state."""
    with PostHogDouble() as behind, PostHogDouble() as direct:
        settings = {"POSTHOG_HOST": behind.url, "POSTHOG_API_KEY": KNOWN_KEY}
        with Collector(binary, folder / "collector", "posthog", **settings) as collector:
            print("1. PostHog's stand-in listens, and knows one project key; the Collector has asked it and is ready.")
            print(f"   Collector {collector.url} -> PostHog {behind.url}")
            route = Route(folder / "franklinwh.ini", f"endpoint = {collector.url}")
            records = run_commands(route)
            wait_for(lambda: len(behind.events) >= len(records))
            print("\n4. What the Collector says that it did, and what PostHog has kept:")
            lines = (line for line in collector.metrics().splitlines() if line.startswith(OF_INTEREST))
            print(*(f"   {line}" for line in lines), sep="\n")
            print(*(f"   {event.decode()}" for event in behind.event_bytes), sep="\n")
        print("\n5. The same records sent directly, by an ini that names a project key and no Collector:")
        send(Route(folder / "direct.ini", f"api_key = {KNOWN_KEY}", f"posthog_host = {direct.url}"), records)
        wait_for(lambda: len(direct.events) >= len(records))
        is_identical = behind.event_bytes == direct.event_bytes
        print(f"   {len(direct.events)} events, byte for byte the same: {yes(is_identical)}")
        print("\n6. The same records to a Collector that keeps a file:")
        is_in_file = reaches_file(binary, folder, records)
        print(f"   its lines are the same spans: {yes(is_in_file)}")
        delivered = len({str(event["uuid"]) for event in behind.events} & {str(event_uuid(it)) for it in records})
        recorded = route.spool().tally.read().get("delivered", 0) + len(route.spool().names())
    lost = recorded - delivered
    difference = "identical to" if is_identical else "DIFFERENT FROM"
    print(f"\ndemo-collector: recorded {recorded}, delivered {delivered}, lost {lost}, {difference} the direct route")
    is_exact = len(COMMANDS) == recorded == delivered == len(behind.events)
    return 0 if is_exact and is_identical and is_in_file else 1


def run_commands(route: Route) -> list[Record]:
    """Show each command, and what the detached sender has sent of them all."""
    print("\n2. A user's ini says yes and names the Collector; real commands, unmodified, each returns at once.")
    for arguments in COMMANDS:
        ended = route.command(*arguments)
        print(f"   $ franklinwh-cli {' '.join(arguments)}\n     exit {ended.returncode}")
    wait_for_senders()
    records = route.sent()
    print(f"\n3. The detached sender has sent {len(records)} spans and been told that they are kept:")
    for line in route.telemetry("show", "--config", str(route.ini)).stdout.splitlines():
        print(f"   {line}")
    return records


def send(route: Route, records: Sequence[Record]) -> None:
    """Hand the records to another way, and wait for its sender."""
    route.hand_over(records)
    wait_for_senders()


def reaches_file(binary: Path, folder: Path, records: Sequence[Record]) -> bool:
    """Whether the file of a Collector holds the very messages that OTLP has for the records, a line each request."""
    with Collector(binary, folder / "filing", "file") as collector:
        send(Route(folder / "file.ini", f"endpoint = {collector.url}"), records)
        lines = [decode_otlp_json(json.loads(line)) for line in collector.lines()]
    of_route = {record.span_id: record for record in records}
    for line in lines:
        spans = line.resource_spans[0].scope_spans[0].spans
        here = [of_route.pop(int.from_bytes(span.span_id, "big"), None) for span in spans]
        if line != decode_otlp_json(otlp_json([record for record in here if record is not None], APPLICATION)):
            return False
    return not of_route


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for what should happen; whether it did, the last line says."""
    with contextlib.suppress(AssertionError):
        support.wait_until(condition, WITHIN_S)


def wait_for_senders() -> None:
    """Let waiting senders start at once, and wait for their end, within the same limits."""
    with contextlib.suppress(AssertionError):
        support.wake_senders()


def yes(answer: bool) -> str:  # noqa: FBT001 - what it says
    """An answer in words."""
    return "yes" if answer else "NO"


if __name__ == "__main__":
    sys.exit(main())
