from __future__ import annotations

import json
from pathlib import Path

import pytest

from franklinwh_telemetry import Granted, Vocabulary
from franklinwh_telemetry.consent import read_consent
from franklinwh_telemetry.destination import FILE, Destination, parse_destination
from franklinwh_telemetry.manifestfile import parse_manifest
from franklinwh_telemetry.spool import Manifest
from support import APPLICATION, CONSENT

WORDS = Vocabulary(["status", "a<b>&é\u2028z"])


def granted(application: str = APPLICATION, ini: str = "franklinwh.ini", section: str = "telemetry") -> Granted:
    """A yes in an ini of the working directory."""
    Path(ini).write_text(CONSENT.replace("[telemetry]", f"[{section}]"))
    given = read_consent(application, config=ini)
    assert isinstance(given, Granted)
    return given


def destination(text: str) -> Destination:
    parsed = parse_destination(text)
    assert isinstance(parsed, Destination)
    return parsed


def manifest(**changes):
    of = {"granted": granted(), "destination": FILE, "vocabulary": WORDS, "policy_version": 1, **changes}
    return Manifest.of(of.pop("granted"), of.pop("destination"), of.pop("vocabulary"), of.pop("policy_version"), **of)


def fields(**changes):
    return {**json.loads(manifest().encode()), **changes}


def values(of):
    return {name: getattr(of, name) for name in Manifest.__slots__ if not name.startswith("_")}


def test_says_what_a_sender_must_know_and_nothing_else():
    """Application, ini, destination, policy and vocabulary; not the UUID, which each record has."""
    assert fields() == {
        "application": APPLICATION,
        "commands": ["status", "a<b>&é\u2028z"],
        "destination": {"kind": "file", "url": "", "api_key": "", "allow_http": False},
        "explicit": True,
        "policy_version": 1,
        "routed_by": "application",
        "source": str(Path("franklinwh.ini").resolve()),
        "v": 1,
    }


@pytest.mark.parametrize("to", ["https://collector.example.com", "posthog:phc_key", "http://127.0.0.1:4318"])
@pytest.mark.parametrize("by_argument", [True, False])
def test_round_trip(to, by_argument):
    """Each kind of destination is read back as it was written."""
    made = manifest(destination=destination(to), by_argument=by_argument, policy_version=3)
    read = parse_manifest(made.encode())

    assert read is not None
    assert values(read) == values(made)
    assert read.folder_name() == made.folder_name()


def test_a_path_that_is_no_text_survives():
    """An ini below a folder whose name is not UTF-8 is found again by the sender."""
    made = manifest()
    made.source = "/home/user/\udcff/franklinwh.ini"
    read = parse_manifest(made.encode())

    assert read is not None
    assert read.source == made.source
    assert read.folder_name() == made.folder_name() != manifest().folder_name()


def test_folder_name_is_the_grants():
    """Application, ini and destination make the name, each of them; vocabulary and policy do not."""
    folder = manifest().folder_name()
    others = [
        manifest(granted=granted("myapp", section="telemetry myapp")),
        manifest(granted=granted(ini="other.ini")),
        manifest(destination=destination("https://collector.example.com")),
        manifest(destination=destination("https://collector.example.com:4318")),
        manifest(destination=destination("posthog:phc_one")),
        manifest(destination=destination("posthog:phc_two")),
    ]

    assert len({folder, *(other.folder_name() for other in others)}) == len(others) + 1
    assert manifest(vocabulary=Vocabulary(["x"]), policy_version=2, by_argument=True).folder_name() == folder
    assert folder.removeprefix("spool-").isalnum()


@pytest.mark.parametrize(
    "data", [b"", b"surprise", b"[]", b"null", b"{}", b"[" * 100_000, b'{"v":1}', b"\xff\x00", b'{"v":1' + b"," * 9]
)
def test_foreign_bytes_are_no_manifest(data):
    """Whatever else stands in the file is no manifest, and raises nothing."""
    assert parse_manifest(data) is None


@pytest.mark.parametrize(
    "name",
    ["application", "commands", "destination", "explicit", "policy_version", "routed_by", "source", "v"],
)
def test_each_field_is_needed_with_its_type(name):
    """A field that is missing or of another type makes it no manifest."""
    of = fields()
    assert parse_manifest(json.dumps(of).encode()) is not None
    for surprise in (None, 1.5, "surprise" if name not in ("application", "source") else 7, [1], {"a": 1}):
        assert parse_manifest(json.dumps({**of, name: surprise}).encode()) is None
    del of[name]
    assert parse_manifest(json.dumps(of).encode()) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"policy_version": True},
        {"explicit": 1},
        {"routed_by": "surprise"},
        {"commands": ["status", 1]},
        {"commands": "status"},
        {
            "destination": {
                "kind": "otlp",
                "url": "http://collector.example.com/v1/traces",
                "api_key": "",
                "allow_http": False,
            }
        },
        {"destination": {"kind": "otlp", "url": "file:///etc/passwd", "api_key": "", "allow_http": False}},
        {"destination": {"kind": "surprise", "url": "", "api_key": "", "allow_http": False}},
    ],
)
def test_near_misses_are_no_manifest(changed):
    """Another version, a number for a bool, or a destination that would be refused today: nothing is sent there."""
    assert parse_manifest(json.dumps(fields(**changed)).encode()) is None
