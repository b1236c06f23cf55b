"""
`franklinwh-telemetry report`: from files of events to one page, and what is said about it on the way.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.maintainer.measure import NotMeasuredError, measure
from franklinwh_telemetry.maintainer.page import GENERATOR, page
from franklinwh_telemetry.plain import counted, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from franklinwh_telemetry.maintainer.measure import Aggregates
    from franklinwh_telemetry.maintainer.page import Section
    from franklinwh_telemetry.maintainer.source import Source

MAX_DAYS: Final = 3660
"""Ten years; a page of more days would be of no use, and days in another century come from wrong clocks."""

_HEAD_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the report is to be of: the events of one application or all, on these dates, both included."""

    since: date
    until: date
    application: str | None = None


class RefusedError(Exception):
    """The text says in one line why there is no report, and what to do."""


def write_report(
    source: Source,
    asked: Asked,
    output: str,
    *,
    vocabulary_of: Callable[[str], Sequence[str]],
    now_ms: int,
    force: bool = False,
    sections: Sequence[Section] = (),
) -> list[str]:
    """
    Write the page to *output*, and return what there is to say about it, a line each.

    *vocabulary_of* gives the commands of an application, or none where they are not known; *sections* come from other
    sources of figures. Raises RefusedError: a file that is no report is left alone unless *force* is given.
    """
    refusal = None if force else why_not_overwritten(output)
    if refusal is not None:
        raise RefusedError(refusal)
    try:
        found = measure(source.paths, since=asked.since, until=asked.until, application=asked.application)
    except NotMeasuredError as error:
        raise RefusedError(str(error)) from error
    vocabularies = {name: vocabulary_of(name) for name in found.applications}
    read = [_what_was_read(source), _what_was_asked(asked), *_unreadable(source)]
    text = page(found, vocabularies=vocabularies, read=read, made_at=_minute(now_ms), sections=sections)
    try:
        _replace(output, text.encode())
    except OSError as error:
        raise RefusedError(f"{output} cannot be written: {error.strerror}; name another with --output") from error
    return [*_unreadable(source), *_told(found), f"Report: {output}"]


def why_not_overwritten(output: str) -> str | None:
    """Why a report may not be written there; None where it may: nothing is there, or an older report."""
    try:
        with open(output, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{output} cannot be written: {error.strerror}; name another with --output"
    if GENERATOR.encode() in head:
        return None
    return f"{output} is there, and is no report of ours; name another with --output, or give --force"


def _replace(output: str, data: bytes) -> None:
    """Whole or not at all: a new file beside it takes its place."""
    path = os.path.realpath(output)
    new = f"{path}.{secrets.token_hex(4)}.new"
    try:
        with open(new, "xb") as file:
            file.write(data)
        os.replace(new, path)
    except OSError:
        if os.path.lexists(new):
            os.remove(new)
        raise


def _what_was_read(source: Source) -> str:
    size_mb = source.size_bytes / 1_000_000
    return f"Read: {counted(len(source.paths), 'file')}, {size_mb:,.1f} MB."


def _what_was_asked(asked: Asked) -> str:
    of = asked.application or "all applications"
    return f"Asked for: {of}, from {asked.since} to {asked.until}."


def _unreadable(source: Source) -> list[str]:
    return [f"Not read: {path}: {why}." for path, why in source.unreadable]


def _told(found: Aggregates) -> list[str]:
    lines = [f"Left out or counted differently: {count} {words}" for words, count in found.skipped]
    if found.first is None:
        return [*lines, "No event was found; the page says so, too."]
    events = counted(found.events, "event")
    return [*lines, f"{events} of {', '.join(found.applications)}, on {counted(found.days, 'day')} from {found.first}."]


def _minute(now_ms: int) -> str:
    return moment(now_ms)[:16].replace("T", " ") + " UTC"
