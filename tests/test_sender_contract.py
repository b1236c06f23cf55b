"""The contract between languages: what its files say is what the real exporters put on a real socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from doubles import contract
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.otlp import decode_otlp_json
from doubles.posthog import PostHogDouble
from doubles.records import Told
from franklinwh_telemetry.destination import Destination, parse_destination
from franklinwh_telemetry.sender.delivery import Delivery
from franklinwh_telemetry.sender.loopback import LoopbackReceiver

if TYPE_CHECKING:
    from pathlib import Path

CASES = sorted(path.stem for path in contract.FOLDER.glob("*.json"))


def read_case(name: str) -> dict[str, Any]:
    """A case as its file has it."""
    loaded: dict[str, Any] = json.loads((contract.FOLDER / f"{name}.json").read_text(encoding="ascii"))
    return loaded


def deliver(case: dict[str, Any], destination: object, folder: Path) -> None:
    """Deliver the record of a case for real."""
    assert isinstance(destination, Destination)
    told = Told()
    delivery = Delivery(
        application=case["application"],
        destination=destination,
        folder=str(folder),
        may_send=lambda: True,
        outcome=told,
        event_name=case["posthog_event"],
    )
    delivery.deliver([contract.record_of(case)])
    delivery.close()
    assert told.accepted_ids == [int(case["span_id"], 16)]


def test_every_case_has_its_file_and_every_file_its_case() -> None:
    """No case is missing, and none is left over."""
    assert sorted(contract.CASES) == CASES


@pytest.mark.parametrize("name", CASES)
def test_files_are_what_the_facts_become_today(name: str) -> None:
    """A change of the mapping shows as a changed file, never silently."""
    assert read_case(name) == contract.build(name)


@pytest.mark.parametrize("name", CASES)
def test_facts_become_the_otlp_message(name: str, tmp_path: Path) -> None:
    """What the stock exporter put on the socket decodes to the message of the file."""
    case = read_case(name)
    with LoopbackReceiver() as receiver:
        deliver(case, parse_destination(receiver.url), tmp_path)
        (request,) = receiver.requests
    assert LoopbackReceiver.decode(request) == decode_otlp_json(case["otlp"])


@pytest.mark.parametrize("name", CASES)
def test_facts_become_the_posthog_body(name: str, tmp_path: Path) -> None:
    """What was put on the socket is the body of the file, byte for byte, and PostHog's rules take it."""
    case = read_case(name)
    with PostHogDouble(case["posthog_api_key"]) as posthog:
        deliver(case, parse_destination(f"posthog:{case['posthog_api_key']}@{posthog.url}"), tmp_path)
        assert posthog.receiver.requests[-1].body == case["posthog"].encode()
        assert posthog.events == json.loads(case["posthog"])["batch"]


def test_success_case_written_by_hand() -> None:
    """The success case, typed out from the README and not made by any code of ours."""
    assert read_case("success")["posthog"] == (
        '{"api_key":"phc_contract","batch":[{"distinct_id":"9b2c6f0e-1d34-4a5b-8c7d-6e5f40312213",'
        '"event":"franklinwh_cloud_execution","properties":{"$geoip_disable":true,"$ip":"127.0.0.1",'
        '"$process_person_profile":false,"command":"status","execution_latency_ms":1834,"success":true},'
        '"timestamp":"2024-11-24T12:45:01.207Z","uuid":"3c37c78f-958f-587f-b595-6e21c8215b1c"}]}'
    )
    assert read_case("success")["otlp"] == {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "franklinwh-cloud"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "franklinwh_telemetry"},
                        "spans": [
                            {
                                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                                "spanId": "b7ad6b7169203331",
                                "flags": 256,
                                "name": "status",
                                "kind": 1,
                                "startTimeUnixNano": "1732452301207000000",
                                "endTimeUnixNano": "1732452303041000000",
                                "attributes": [
                                    {"key": "franklinwh.command", "value": {"stringValue": "status"}},
                                    {"key": "franklinwh.execution_latency_ms", "value": {"intValue": "1834"}},
                                    {"key": "franklinwh.success", "value": {"boolValue": True}},
                                    {
                                        "key": "franklinwh.execution_uuid",
                                        "value": {"stringValue": "9b2c6f0e-1d34-4a5b-8c7d-6e5f40312213"},
                                    },
                                ],
                                "status": {"code": 1},
                            },
                        ],
                    },
                ],
            },
        ],
    }


def test_latency_beyond_the_maximum_is_the_maximum() -> None:
    """Seven days and a millisecond leave as seven days."""
    beyond, maximum = read_case("latency-beyond"), read_case("latency-maximum")
    assert beyond["facts"]["execution_latency_ms"] == maximum["facts"]["execution_latency_ms"] + 1
    assert (beyond["otlp"], beyond["posthog"]) == (maximum["otlp"], maximum["posthog"])


def test_unusual_text_is_raw_utf_8() -> None:
    """Only quote and backslash are escaped."""
    assert '"command":"a<b>&c é\u2028\\"\\\\"' in read_case("unusual-text")["posthog"]
