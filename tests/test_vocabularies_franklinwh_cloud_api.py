from __future__ import annotations

import inspect
import json
import re
import sys

import pytest
from franklinwh_cloud.client import Client

import support
from franklinwh_telemetry.vocabularies import franklinwh_cloud, franklinwh_cloud_api
from franklinwh_telemetry.vocabularies.franklinwh_cloud_api import CHANGING, METHODS, PREFIX, READING

PUBLIC = {
    name: method for name, method in inspect.getmembers(Client, inspect.iscoroutinefunction) if not name.startswith("_")
}

WRITING = re.compile(r"/(?:set|save|update|switch|notify|loginOut)\w*(?=[?\"])|\bopen\(|\.write_text\(|\.unlink\(")
"""Endpoints that set something, and what puts a file on the disk or takes it away."""


def called_by(name):
    """The client's own methods that a method calls, private ones and what those call included, down to a request."""
    left = [name]
    found: set[str] = set()
    while left:
        called_here = re.findall(r"self\.(\w+)\(", source_of(left.pop()))
        new = {called for called in called_here if hasattr(Client, called)} - found - {"_get", "_post"}
        found |= new
        left += new
    return found


def test_the_methods_are_the_clients():
    """The reviewed methods are the public coroutine methods of the installed franklinwh-cloud, each in one list."""
    assert len(METHODS) == 132
    assert sorted(METHODS) == sorted(PUBLIC)
    assert len(set(METHODS)) == len(METHODS)


@pytest.mark.parametrize("name", READING)
def test_what_reads_changes_nothing(name):
    """No method among those that read asks an endpoint that sets something, writes a file or calls one that changes."""
    below = called_by(name)

    assert below.isdisjoint(CHANGING)
    assert [found for part in (name, *below) for found in WRITING.findall(source_of(part))] == []


def source_of(name):
    return inspect.getsource(getattr(Client, name))


def test_the_check_would_notice():
    """Most methods that change something do what the check looks for; the others are told by their names."""
    noticed = {
        name for name in CHANGING if WRITING.search(source_of(name)) or called_by(name) & (set(CHANGING) - {name})
    }
    rest = set(CHANGING) - noticed

    assert len(noticed) >= 18
    assert [name for name in rest if name.startswith(("get_", "check_", "query_"))] == []


def test_none_is_enabled_by_default():
    """Without methods the vocabulary is the CLI's own, the very object."""
    assert franklinwh_cloud_api.vocabulary() is franklinwh_cloud.vocabulary()
    assert not [text for text in franklinwh_cloud.COMMANDS if text.startswith(PREFIX)]


def test_list_and_predicate_enable_the_same():
    """Names in any order, or a predicate, give the reviewed order; a list from one is a vocabulary made once."""
    by_names = franklinwh_cloud_api.vocabulary(["set_mode", "get_mode"])
    by_predicate = franklinwh_cloud_api.vocabulary(lambda name: name.endswith("t_mode"))

    assert by_names is by_predicate
    assert by_names.commands == (*franklinwh_cloud.COMMANDS, "api get_mode", "api set_mode")


def test_a_line_is_read_as_before():
    """The commands of methods come from calls only: no line of the CLI is one, and every other line is as ever."""
    everything = franklinwh_cloud_api.every_method()

    assert everything.parse(["api", "get_stats"]) == everything.other
    for line in (["tou", "--extended"], ["monitor"], ["-p", "mode", "status"], ["nonsense"]):
        assert everything.parse(line) == franklinwh_cloud.vocabulary().parse(line)
    assert everything.is_until_interrupted(everything.parse(["monitor"]))
    assert str(everything.member("api get_stats")) == "api get_stats"


def test_capacity():
    """What one event can tell: 8.33 bits with none enabled, 9.19 with all, in steps of what is enabled."""
    assert round(franklinwh_cloud_api.vocabulary().capacity_bits(), 2) == 8.33
    assert round(franklinwh_cloud_api.vocabulary(["get_stats"]).capacity_bits(), 2) == 8.34
    assert round(franklinwh_cloud_api.every_method().capacity_bits(), 2) == 9.19
    assert 60 <= len(franklinwh_cloud.COMMANDS) <= 250


def test_a_gate_can_have_them_all():
    """`franklinwh-telemetry vocabulary --vocabulary` prints the larger list for a Collector, under the same name."""
    printed = support.run(
        [
            sys.executable,
            "-m",
            "franklinwh_telemetry",
            "vocabulary",
            "--application",
            "franklinwh-cloud",
            "--vocabulary",
            "franklinwh_telemetry.vocabularies.franklinwh_cloud_api:every_method",
        ]
    )

    assert json.loads(printed.stdout) == {
        "franklinwh-cloud": [*franklinwh_cloud.COMMANDS, *(PREFIX + name for name in METHODS)]
    }
