"""Values that no client of ours sends: the real Collector makes five facts of them, or nothing."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

from doubles.collector import CONFIGURATION
from doubles.hostile import JSON, PROTOBUF, message_of, post
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.otlp import decode_otlp_json
from doubles.records import APPLICATION
from franklinwh_telemetry.sender.spans import otlp_json

if TYPE_CHECKING:
    from doubles.hostile import Besieged
    from franklinwh_telemetry.event import Record

pytestmark = [
    # The first of them may have to build the Collector.
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
    pytest.mark.skipif(sys.platform != "linux", reason="what memory a process has had is read from /proc"),
]

NO_UTF8 = b"\xff\xfe\xc0\x80\xed\xa0\x80\xf8"
SURPRISE = "SURPRISE"
ANSWERED = {200, 400, 500}
"""The stock receiver says 500 where the text of its own error is not UTF-8."""


def test_text_that_is_no_text_is_left_behind(besieged: Besieged) -> None:
    """Bytes that are not UTF-8 pass nowhere: of a span that is honest besides, in protobuf and JSON, its facts do."""
    for place in ("span", "command", "uuid", "application"):
        for content_type in (PROTOBUF, JSON):
            (record,) = besieged.records()
            fields = otlp_json([record], APPLICATION)
            (span,) = fields["resourceSpans"][0]["scopeSpans"][0]["spans"]
            facts = {attribute["key"]: attribute["value"] for attribute in span["attributes"]}
            if place == "span":
                span["name"] = SURPRISE
            elif place == "command":
                facts["franklinwh.command"]["stringValue"] = SURPRISE
            elif place == "uuid":
                facts["franklinwh.execution_uuid"]["stringValue"] = SURPRISE
            else:
                fields["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"] = SURPRISE
            body = _encoded(fields, content_type).replace(SURPRISE.encode(), NO_UTF8)

            assert post(besieged.port, body, content_type) in ANSWERED

            assert (record.span_id in besieged.arrived()) == (place in ("span", "command")), (place, content_type)
    besieged.serves()


def _encoded(fields: dict[str, Any], content_type: str) -> bytes:
    return json.dumps(fields).encode() if content_type == JSON else decode_otlp_json(fields).SerializeToString()


def test_what_is_cut_short_is_refused(besieged: Besieged) -> None:
    """Wherever an honest request ends too early, nothing of it arrives."""
    records = besieged.records(2)
    body = message_of(records).SerializeToString()

    statuses = {post(besieged.port, body[:end]) for end in range(1, len(body), 3)}

    assert statuses == {400}
    assert not {record.span_id for record in records} & besieged.arrived()
    besieged.serves()


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_what_is_spoilt_is_facts_or_nothing(besieged: Besieged, content_type: str) -> None:
    """Bytes of an honest request, changed at random: whatever still passes is five facts, in their own types."""
    chance = random.Random(20261124)  # noqa: S311 - which bytes are changed is no secret
    (record,) = besieged.records()
    body = _encoded(otlp_json([record], APPLICATION), content_type)
    for _ in range(300):
        spoilt = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        assert post(besieged.port, bytes(spoilt), content_type) in ANSWERED
    besieged.serves()


def numbers(record: Record, **values: Any) -> bytes:
    """An honest span in JSON, but for its latency or start."""
    fields = otlp_json([record], APPLICATION)
    (span,) = fields["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for attribute in span["attributes"]:
        if attribute["key"] == "franklinwh.execution_latency_ms" and "latency" in values:
            attribute["value"] = {"intValue": "LATENCY"}
    span["startTimeUnixNano"] = "START" if "start" in values else span["startTimeUnixNano"]
    text = json.dumps(fields)
    return text.replace('"LATENCY"', values.get("latency", "")).replace('"START"', values.get("start", "")).encode()


NUMBERS = (
    *("-1", "604800001", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808"),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809"),
    *("1e400", "1e3", "1.5", "-0.5", "NaN", "Infinity", "0x10", '"\N{ARABIC-INDIC DIGIT ONE}"', '"1 "'),
    *("true", "[]", "{}", "1" * 5000),
)


def test_a_latency_at_its_bounds_passes(besieged: Besieged) -> None:
    """Nothing and seven days are latencies, as numbers and as OTLP's text."""
    for latency in ("0", '"0"', "604800000", '"604800000"'):
        (record,) = besieged.records()
        assert post(besieged.port, numbers(record, latency=latency), JSON) == 200
        assert record.span_id in besieged.arrived()


@pytest.mark.parametrize("name", ["latency", "start"])
def test_a_number_beyond_its_bounds_is_dropped(besieged: Besieged, name: str) -> None:
    """The edges of 32 and 64 bits, fractions, exponents, other digits and other types: no span comes of them."""
    records = besieged.records(len(NUMBERS))

    for record, number in zip(records, NUMBERS, strict=True):
        assert post(besieged.port, numbers(record, **{name: number}), JSON) in ANSWERED, number

    assert not {record.span_id for record in records} & besieged.arrived()
    besieged.serves()


def test_a_fact_that_is_there_twice_is_none(besieged: Besieged) -> None:
    """The same key again, with the same value or another, first or last: dropped; so is a service with two names."""
    doubled: set[int] = set()
    for position in range(5):
        for same in (True, False):
            for at_front in (True, False):
                (record,) = besieged.records()
                message = message_of([record])
                (span,) = message.resource_spans[0].scope_spans[0].spans
                attributes = message.resource_spans[0].resource.attributes if position == 4 else span.attributes
                twice = [*attributes]
                second = type(twice[0])()
                second.CopyFrom(twice[position % 4])
                if not same:
                    second.value.string_value = SURPRISE
                twice.insert(0 if at_front else len(twice), second)
                copies = [attribute.SerializeToString() for attribute in twice]
                del attributes[:]
                for copy in copies:
                    attributes.add().ParseFromString(copy)

                assert post(besieged.port, message.SerializeToString()) == 200
                doubled.add(record.span_id)
    assert not doubled & besieged.arrived()
    besieged.serves()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"stringValue": "status"', '"stringValue": "SURPRISE", "stringValue": "status"'),
        ('"stringValue": "status"', '"stringValue": "status", "stringValue": "SURPRISE"'),
        ('"stringValue": "status"', '"stringValue": "status", "intValue": 5'),
        ('"key": "franklinwh.command"', '"key": "SURPRISE", "key": "franklinwh.command"'),
        ('"spans":', '"spans": [{"name": "SURPRISE"}], "spans":'),
        ('"scope":', '"scope": {"name": "SURPRISE"}, "scope":'),
        ('"attributes":', '"attributes": [{"key": "SURPRISE", "value": {"stringValue": "SURPRISE"}}], "attributes":'),
    ],
)
def test_a_name_that_is_there_twice_in_json_passes_no_surprise(besieged: Besieged, old: str, new: str) -> None:
    """Whichever the receiver takes, what comes out is facts."""
    (record,) = besieged.records()
    text = json.dumps(otlp_json([record], APPLICATION))
    assert old in text

    assert post(besieged.port, text.replace(old, new).encode(), JSON) in ANSWERED

    assert SURPRISE not in "".join(besieged.collector.lines())
    besieged.serves()
