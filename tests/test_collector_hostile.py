"""Hostile clients of the real Collector: it stays up, honest ones are served, and only five facts come out."""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
import sys
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from doubles.collector import CALLER, CONFIGURATION, ROOT, SOURCES, Collector
from doubles.hostile import (
    CLOSED,
    JSON,
    MEMORY,
    MIB,
    PROTOBUF,
    Besieged,
    field,
    gzip_bomb,
    message_of,
    post,
    snappy_bomb,
    zstd_bomb,
)
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.records import APPLICATION, EXECUTION_UUID
from franklinwh_telemetry.sender.spans import otlp_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from franklinwh_telemetry.event import Record

pytestmark = [
    # The first of them may have to build the Collector.
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
    pytest.mark.skipif(sys.platform != "linux", reason="what memory a process has had is read from /proc"),
]

SURPRISE = b"SURPRISE"
NO_UTF8 = b"\xff\xfe\xc0\x80\xed\xa0\x80\xf8"
REFUSED = {400, CLOSED}


@pytest.fixture(scope="module")
def besieged(collector_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """One Collector for all of them, so that what one does to it shows in the next."""
    folder = tmp_path_factory.mktemp("besieged")
    with Collector(collector_binary, folder, **MEMORY) as collector:
        yield Besieged(collector, folder)
        assert collector.stop() == 0


def span_with(record: Record, further: bytes = b"", attribute: bytes = b"") -> bytes:
    """The request of one honest span, with more fields of the span, and one of them many times: *attribute*."""
    message = message_of([record])
    (resource_spans,) = message.resource_spans
    (scope_spans,) = resource_spans.scope_spans
    span = scope_spans.spans[0].SerializeToString() + further + attribute * 100_000
    scope = field(1, scope_spans.scope.SerializeToString()) + field(2, span)
    return field(1, field(1, resource_spans.resource.SerializeToString()) + field(2, scope))


@pytest.mark.parametrize(
    ("attribute", "statuses"),
    [
        (field(9, field(1, b"abc")), {200}),
        (field(9, b""), {200}),
        (field(11, b""), {200}),
        (field(13, b""), {200}),
        (field(9, field(1, b"surprise")), REFUSED),
    ],
    ids=["named", "empty", "events", "links", "more than 1 MiB"],
)
def test_a_hundred_thousand_of_anything_are_left_behind(
    besieged: Besieged, attribute: bytes, statuses: set[int]
) -> None:
    """A span's own facts pass, and nothing of what hangs on it; one too large is refused whole."""
    (record,) = besieged.records()

    assert post(besieged.port, span_with(record, attribute=attribute)) in statuses

    assert (record.span_id in besieged.arrived()) == (200 in statuses)
    besieged.serves()


@pytest.mark.parametrize("content", [field(2, field(2, b"")), field(2, b""), b""], ids=["spans", "scopes", "resources"])
def test_a_hundred_thousand_empty_messages_are_dropped(besieged: Besieged, content: bytes) -> None:
    """A request may hold nothing, however often."""
    assert post(besieged.port, field(1, content) * 100_000) == 200
    besieged.serves()


def nested(levels: int, parts: tuple[bytes, bytes, bytes]) -> bytes:
    """Opened so often around what is in the middle, and closed again."""
    opening, middle, closing = parts
    return opening * levels + middle + closing * levels


def deep_protobuf(levels: int) -> bytes:
    """An attribute whose value is an array in an array, and so on."""
    value = b""
    lengths = []
    size = 0
    # From the inside to the outside, written backwards, for the sake of time.
    for _ in range(levels):
        for tag in (b"\x0a", b"\x2a"):
            prefix = tag + field(1, b"")[:0] + _length(size)
            lengths.append(prefix)
            size += len(prefix)
    value = b"".join(reversed(lengths))
    return field(9, field(1, b"surprise") + field(2, value))


def _length(size: int) -> bytes:
    from doubles.hostile import varint

    return varint(size)


def test_a_deep_value_is_left_behind(besieged: Besieged) -> None:
    """A hundred thousand arrays in one another, at once from many, end no process."""
    pass
