from __future__ import annotations

import json
import typing
from uuid import UUID, uuid1, uuid3, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.records import EXECUTION_UUID, VOCABULARY, make_record
from franklinwh_telemetry import event
from franklinwh_telemetry.decoding import RecordRefusal, decode
from franklinwh_telemetry.event import (
    MAX_EXECUTED_AT_MS,
    MAX_LATENCY_MS,
    MAX_RECORD_BYTES,
    CommandEvent,
    Record,
    clamp_executed_at_ms,
    clamp_latency_ms,
    draw_execution_uuid,
    encode,
    parse_execution_uuid,
)
from franklinwh_telemetry.vocabulary import Command, Vocabulary

DNS = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")

ENCODED = (
    b'{"command":"tou --set","executed_at_ms":1732500000123,"execution_latency_ms":250,'
    b'"execution_uuid":"0dfc7f6e-6a2b-4c1d-8e9f-0a1b2c3d4e5f","span_id":"0000000000000007","success":false,'
    b'"trace_id":"0000000000000000000000000000a007","v":1}\n'
)

ANY_RECORD = st.builds(
    Record,
    event=st.builds(
        CommandEvent,
        command=st.sampled_from([*VOCABULARY.commands, "other"]).map(VOCABULARY.member),
        executed_at_ms=st.integers(0, MAX_EXECUTED_AT_MS),
        execution_latency_ms=st.integers(0, MAX_LATENCY_MS),
        success=st.booleans(),
        execution_uuid=st.uuids(version=4),
    ),
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
)


def fields(**changes):
    return {**json.loads(encode(make_record(7))), **changes}


def decoded(of):
    return decode(json.dumps(of).encode(), VOCABULARY)


def test_encoded_bytes():
    """A record in the spool is this very line: sorted keys, no spaces, ids in hex of full length."""
    assert encode(make_record(7, command="tou --set", success=False)) == ENCODED


@given(ANY_RECORD)
def test_round_trip(record):
    """Whatever can be said is read back equal, value for value, and fits a record's size."""
    data = encode(record)

    assert len(data) <= MAX_RECORD_BYTES
    assert decode(data, VOCABULARY) == record


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(data):
    """No bytes make it raise, and bytes that are not a record are none."""
    assert isinstance(decode(data, VOCABULARY), RecordRefusal)


@given(ANY_RECORD, st.data())
def test_one_byte_changed_is_another_record_or_none(record, data):
    """A changed byte never raises, and never gives back the same record, but for the case of an escape's digit."""
    written = bytearray(encode(record))
    at = data.draw(st.integers(0, len(written) - 2))
    written[at] ^= data.draw(st.integers(1, 255))

    found = decode(bytes(written), VOCABULARY)
    assert found != record or bytes(written).lower() == encode(record).lower()


@given(ANY_RECORD, st.integers(0, 400))
def test_truncated_record_is_refused(record, length):
    """A record cut short anywhere is not JSON."""
    data = encode(record)
    assert decode(data[: min(length, len(data) - 2)], VOCABULARY) is RecordRefusal.NOT_JSON


def test_size_limit():
    """What is longer than a record can be is not parsed at all, even where it would be one."""
    data = encode(make_record())
    assert isinstance(decode(data.ljust(MAX_RECORD_BYTES), VOCABULARY), Record)
    assert decode(data.ljust(MAX_RECORD_BYTES + 1), VOCABULARY) is RecordRefusal.TOO_LARGE


def test_limits_are_those_that_are_promised():
    """Seven days, the last start whose end fits 64 bits of nanoseconds, four KiB; a version that no record may skip."""
    limits = (event.MAX_LATENCY_MS, event.MAX_EXECUTED_AT_MS, event.MAX_RECORD_BYTES, event.RECORD_VERSION)
    assert limits == (604_800_000, 18_446_139_273_709, 4_096, 1)


def test_refusals_say_what_is_wrong():
    """Each refusal has its own words, which a developer's test shows."""
    assert {refusal.name: refusal.value for refusal in RecordRefusal} == {
        "TOO_LARGE": "larger than a record can be",
        "NOT_JSON": "not JSON",
        "NEWER_VERSION": "written by a newer version",
        "WRONG_KEYS": "keys missing or too many",
        "WRONG_VALUE": "a value of the wrong type or out of range",
        "UNKNOWN_COMMAND": "a command that is not in the vocabulary",
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"surprise",
        b"\x00\xff\xfe",
        b"[" * 4000,
        b'{"a":' * 800,
        b"\xff{}",
        ENCODED[:-2],
        ENCODED + ENCODED,
    ],
)
def test_not_json(data):
    """Bytes that are not one JSON text, however deeply nested, are refused and raise nothing."""
    assert decode(data, VOCABULARY) is RecordRefusal.NOT_JSON


@pytest.mark.parametrize("data", [b"[]", b"null", b'"v"', b"1", b"true", b"{}", b"[[[[[[]]]]]]"])
def test_not_an_object(data):
    """JSON that is not an object with our keys is refused."""
    assert decode(data, VOCABULARY) is RecordRefusal.WRONG_KEYS


@pytest.mark.parametrize("version", [2, 3, 10**30])
def test_newer_version(version):
    """A newer version's record is named so, whatever else it has."""
    assert decoded({"v": version, "surprise": 1}) is RecordRefusal.NEWER_VERSION
    assert decoded(fields(v=version)) is RecordRefusal.NEWER_VERSION


@pytest.mark.parametrize("version", [0, -1, True, 1.0, 2.5, "1", "2", None, [1]])
def test_wrong_version(version):
    """A version that is not the number 1 is no version, not even one that equals it."""
    assert decoded(fields(v=version)) is RecordRefusal.WRONG_VALUE


@pytest.mark.parametrize("missing", sorted(fields()))
def test_missing_key(missing):
    """Each of the keys is needed."""
    of = fields()
    del of[missing]
    assert decoded(of) is RecordRefusal.WRONG_KEYS


@pytest.mark.parametrize("extra", ["surprise", "", "Command", "error", "V"])
def test_extra_key(extra):
    """One key more, of whatever name, and it is not a record."""
    assert decoded(fields(**{extra: "surprise"})) is RecordRefusal.WRONG_KEYS


@pytest.mark.parametrize("name", sorted(fields()))
@pytest.mark.parametrize("surprise", [None, [], {}, ["status"], {"command": "status"}, 1.5, "surprise"])
def test_value_of_a_wrong_type(name, surprise):
    """No field takes a value of another type."""
    refusal = decoded(fields(**{name: surprise}))
    expected = (
        RecordRefusal.UNKNOWN_COMMAND if (name, surprise) == ("command", "surprise") else RecordRefusal.WRONG_VALUE
    )
    assert refusal is expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"executed_at_ms": True},
        {"executed_at_ms": -1},
        {"executed_at_ms": MAX_EXECUTED_AT_MS + 1},
        {"executed_at_ms": 1e3},
        {"executed_at_ms": "1732500000123"},
        {"execution_latency_ms": False},
        {"execution_latency_ms": -1},
        {"execution_latency_ms": MAX_LATENCY_MS + 1},
        {"execution_latency_ms": 250.0},
        {"execution_latency_ms": float("nan")},
        {"execution_latency_ms": float("inf")},
        {"success": 1},
        {"success": 0},
        {"success": "true"},
        {"execution_uuid": str(EXECUTION_UUID).upper()},
        {"execution_uuid": f" {EXECUTION_UUID}"},
        {"execution_uuid": f"{EXECUTION_UUID}\n"},
        {"execution_uuid": EXECUTION_UUID.hex},
        {"execution_uuid": f"{{{EXECUTION_UUID}}}"},
        {"execution_uuid": EXECUTION_UUID.urn},
        {"execution_uuid": str(uuid1())},
        {"execution_uuid": str(uuid5(DNS, "surprise"))},
        {"execution_uuid": "me@example.com"},
        {"execution_uuid": "None"},
        {"span_id": "0" * 16},
        {"trace_id": "0" * 32},
        {"span_id": "000000000000000A"},
        {"trace_id": "A" * 32},
        {"span_id": "7"},
        {"span_id": "0" * 16 + "7"},
        {"span_id": "0x00000000000007"},
        {"span_id": "0000_0000_000007"},
        {"span_id": "\u0667" * 16},
        {"span_id": 7},
        {"trace_id": " " * 31 + "1"},
        {"trace_id": "+" + "1" * 31},
    ],
)
def test_value_out_of_range(wrong):
    """What is nearly right is refused: booleans for numbers, floats, limits passed, forms that only look the same."""
    assert decoded(fields(**wrong)) is RecordRefusal.WRONG_VALUE


@pytest.mark.parametrize("limits", [{"executed_at_ms": 0}, {"executed_at_ms": MAX_EXECUTED_AT_MS}])
def test_limits_themselves_are_allowed(limits):
    """The first and the last moment can be said, with the longest latency."""
    found = decoded(fields(**limits, execution_latency_ms=MAX_LATENCY_MS))
    assert isinstance(found, Record)
    assert (found.event.executed_at_ms, found.event.execution_latency_ms) == (limits["executed_at_ms"], MAX_LATENCY_MS)


def test_the_last_end_fits_64_bit_nanoseconds():
    """A command that began at the last moment and ran for the longest time ends within OTLP's range."""
    assert (MAX_EXECUTED_AT_MS + MAX_LATENCY_MS) * 1_000_000 < 2**64
    assert (MAX_EXECUTED_AT_MS + MAX_LATENCY_MS + 1) * 1_000_000 >= 2**64 - 1_000_000


@pytest.mark.parametrize(
    "surprise", ["", "status ", "Status", "status --password hunter2", "tou", "\ud800", "st\u0430tus"]
)
def test_unknown_command(surprise):
    """A command that the vocabulary does not list word for word is refused; `other` is listed in every one."""
    assert decoded(fields(command=surprise)) is RecordRefusal.UNKNOWN_COMMAND


def test_other_is_known_everywhere():
    """`other` is a member even of an empty vocabulary, which knows nothing else."""
    empty = Vocabulary(())
    other = decode(json.dumps(fields(command="other")).encode(), empty)

    assert isinstance(other, Record)
    assert other.event.command == empty.other
    assert decode(encode(make_record()), empty) is RecordRefusal.UNKNOWN_COMMAND


CLOSED = (Command, bool, int, UUID, CommandEvent)


@pytest.mark.parametrize("waist", [CommandEvent, Record])
def test_no_field_can_hold_free_text(waist):
    """Every field has one of five closed types: no text, bytes, container, union or `object` is among them."""
    hints = typing.get_type_hints(waist, localns={"Command": Command})

    assert set(hints) == set(waist.__slots__)
    assert all(kind in CLOSED for kind in hints.values())
    assert not any(issubclass(kind, (str, bytes, list, dict, tuple, set)) for kind in hints.values())


def test_the_five_facts_and_no_sixth():
    """An event has exactly five fields, and nothing can be added to it."""
    made = make_record().event

    assert sorted(CommandEvent.__slots__) == [
        "command",
        "executed_at_ms",
        "execution_latency_ms",
        "execution_uuid",
        "success",
    ]
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("of", [make_record(), make_record().event])
def test_values_do_not_change(of):
    """No field of an event or record can be set, deleted or added."""
    before = repr(of)

    for name in (*of.__slots__, "surprise"):
        with pytest.raises(AttributeError, match="change"):
            setattr(of, name, 1)
        with pytest.raises(AttributeError, match="change"):
            delattr(of, name)
    assert repr(of) == before


def test_values_are_compared_whole():
    """Equal facts are equal and hash alike; one that differs makes another event, and another type is never equal."""
    one = make_record(1)

    assert one == make_record(1)
    assert hash(one) == hash(make_record(1))
    assert one != make_record(2)
    assert one.event == make_record(2).event
    assert one.event != make_record(1, latency_ms=251).event
    assert one != one.event
    assert "status" in repr(one)
    assert str(EXECUTION_UUID) in repr(one)


@pytest.mark.parametrize(
    ("latency_ms", "said"),
    [(-1, 0), (0, 0), (1, 1), (604_799_999, 604_799_999), (604_800_000, 604_800_000), (604_800_001, 604_800_000)],
)
def test_latency_is_held_at_its_limits(latency_ms, said):
    """A clock that went back gives 0, and more than seven days is said as seven."""
    assert clamp_latency_ms(latency_ms) == said


@pytest.mark.parametrize(
    ("executed_at_ms", "said"),
    [
        (-(10**15), 0),
        (-1, 0),
        (0, 0),
        (MAX_EXECUTED_AT_MS, MAX_EXECUTED_AT_MS),
        (MAX_EXECUTED_AT_MS + 1, MAX_EXECUTED_AT_MS),
        (10**30, MAX_EXECUTED_AT_MS),
    ],
)
def test_time_is_held_at_its_limits(executed_at_ms, said):
    """A clock before 1970 or beyond the range is held at the nearest limit."""
    assert clamp_executed_at_ms(executed_at_ms) == said


@pytest.mark.parametrize("text", [str(EXECUTION_UUID), str(EXECUTION_UUID).upper(), f"  {EXECUTION_UUID}\t\r\n"])
def test_execution_uuid_is_read(text):
    """The 36-character form, in either case and with blanks around it, is that UUID, written in lower case."""
    parsed = parse_execution_uuid(text)
    assert parsed == EXECUTION_UUID
    assert str(parsed) == "0dfc7f6e-6a2b-4c1d-8e9f-0a1b2c3d4e5f"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "anonymous",
        "jane.doe@example.com",
        "jane.doe-of-the-house-36@example.com",
        EXECUTION_UUID.hex,
        EXECUTION_UUID.urn,
        f"{{{EXECUTION_UUID}}}",
        f"uuid:{EXECUTION_UUID}",
        str(EXECUTION_UUID)[:-1],
        f"{EXECUTION_UUID}0",
        str(EXECUTION_UUID).replace("-", "_"),
        str(EXECUTION_UUID).replace("-", " "),
        "0dfc7f6e6a2b-4c1d-8e9f-0a1b2c3d4e5f-",
        "0dfc7f6-e6a2b-4c1d-8e9f-0a1b2c3d4e5f",
        "0x" + str(EXECUTION_UUID)[2:],
        "+dfc7f6e-6a2b-4c1d-8e9f-0a1b2c3d4e5f",
        "g" + str(EXECUTION_UUID)[1:],
        str(EXECUTION_UUID)[:-1] + "\uff15",
        str(EXECUTION_UUID)[:-1] + "\u0665",
        "\u212a" + str(EXECUTION_UUID)[1:],
        str(EXECUTION_UUID)[:18] + "\u2010" + str(EXECUTION_UUID)[19:],
        str(EXECUTION_UUID)[:-1] + "\x00",
        "3d79cb04-ec67-11f1-b4af-02fc00000001",
        str(uuid3(DNS, "surprise")),
        str(uuid5(DNS, "surprise")),
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "0dfc7f6e-6a2b-4c1d-0e9f-0a1b2c3d4e5f",
        "0dfc7f6e-6a2b-4c1d-7e9f-0a1b2c3d4e5f",
        "0dfc7f6e-6a2b-4c1d-ce9f-0a1b2c3d4e5f",
        "0dfc7f6e-6a2b-4c1d-ee9f-0a1b2c3d4e5f",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
def test_execution_uuid_is_refused(text):
    """Nothing else becomes an id: no e-mail, other form, version 1, 3, 5 or 7, other variant, or foreign digit."""
    assert parse_execution_uuid(text) is None


@given(st.text())
def test_no_text_becomes_another_uuid(text):
    """Whatever is typed, an accepted UUID is the typed text itself."""
    parsed = parse_execution_uuid(text)
    assert parsed is None or str(parsed) == text.strip().lower()


@given(st.binary(min_size=16, max_size=16))
def test_drawn_uuid_is_random_and_can_be_read(drawn):
    """The version and variant are set, the other 122 bits are the source's, and the id is one that is read again."""
    made = draw_execution_uuid(lambda size: (drawn + drawn)[:size])
    mask = ~(0xF << 76 | 0x3 << 62)

    assert parse_execution_uuid(str(made)) == made
    assert made.int & mask == int.from_bytes(drawn, "big") & mask


def test_ids_come_from_the_source():
    """The trace id is 16 drawn bytes and the span id 8, and the event is the one given."""
    asked = []

    def draw(size):
        asked.append(size)
        return bytes(range(1, size + 1))

    made = event.make_record(make_record().event, draw)

    assert asked == [16, 8]
    assert (made.trace_id, made.span_id) == (0x0102030405060708090A0B0C0D0E0F10, 0x0102030405060708)
    assert made.event == make_record().event


def test_ids_are_never_zero():
    """A source that gives nothing but zeros still makes ids that OpenTelemetry and `decode` take."""
    made = event.make_record(make_record().event, bytes)

    assert (made.trace_id, made.span_id) == (1, 1)
    assert decode(encode(made), VOCABULARY) == made
