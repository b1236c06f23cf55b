"""
One self-contained HTML page of aggregates: its style, its script and its data are in it, and nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from franklinwh_telemetry.maintainer.measure import LAST_DAYS
from franklinwh_telemetry.plain import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from franklinwh_telemetry.maintainer.measure import Aggregates

GENERATOR: Final = '<meta name="generator" content="franklinwh-telemetry report">'
"""By this, which stands in its first KiB, a page is known as a report."""

TITLE: Final = "Command report"
_SCRIPTS: Final = ("figures.js", "charts.js", "filters.js", "report.js")
_POLICY: Final = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src 'none'; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table that another source of figures puts on the page: plain texts, escaped here."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def page(
    aggregates: Aggregates,
    *,
    vocabularies: Mapping[str, Sequence[str]],
    read: Sequence[str],
    made_at: str,
    sections: Sequence[Section] = (),
) -> str:
    """
    The page.

    *vocabularies* are the commands of each application of which they are known, and *read* says what was read, a
    sentence each.
    """
    style, script = _text("report.css"), "\n".join(map(_text, _SCRIPTS))
    return _text("template.html").format(
        policy=_POLICY.format(script=_digest(script), style=_digest(style)),
        generator=GENERATOR,
        title=TITLE,
        lead=escape(_lead(aggregates, made_at)),
        style=style,
        sections="\n".join(_section(number, one) for number, one in enumerate(sections)),
        read=_read(aggregates, read),
        data=_embedded(_data(aggregates, vocabularies)),
        script=script,
    )


def _text(name: str) -> str:
    return (files("franklinwh_telemetry.maintainer") / "web" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """The text by which a browser knows what it may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _lead(aggregates: Aggregates, made_at: str) -> str:
    if aggregates.first is None:
        return f"No events. Made {made_at}."
    names = ", ".join(aggregates.applications)
    events, days = counted(aggregates.events, "event"), counted(aggregates.days, "day")
    return f"{names} · {events} on {days} from {aggregates.first} · made {made_at}"


def _data(aggregates: Aggregates, vocabularies: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    lengths = [end - start + 1 for start, end in aggregates.periods]
    return {
        "applications": [
            {"name": name, "vocabulary": list(vocabularies[name]) if vocabularies.get(name) else None}
            for name in aggregates.applications
        ],
        "scopes": aggregates.scopes,
        "first": None if aggregates.first is None else aggregates.first.isoformat(),
        "days": aggregates.days,
        "cells": aggregates.cells,
        "daily": aggregates.daily,
        "periods": [
            {"label": f"Last {length} days" if length in LAST_DAYS and number else "All days", "from": start, "to": end}
            for number, (length, (start, end)) in enumerate(zip(lengths, aggregates.periods, strict=True))
        ],
        "in_period": aggregates.in_period,
    }


def _embedded(data: dict[str, Any]) -> str:
    """JSON that no HTML can be read out of, whatever a command is called."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read(aggregates: Aggregates, read: Sequence[str]) -> str:
    told = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in read)
    if not aggregates.skipped:
        return f'{told}<p class="note">Nothing was left out.</p>'
    rows = [(words, f"{count:,}") for words, count in aggregates.skipped]
    return f"{told}{_table(('Left out, or counted differently', 'How many'), rows)}"


def _section(number: int, section: Section) -> str:
    title, note = escape(section.title), escape(section.note)
    return (
        f'<section class="panel" aria-labelledby="more-{number}">\n<h2 id="more-{number}">{title}</h2>\n'
        f'<p class="note">{note}</p>\n{_table(section.columns, section.rows)}\n</section>'
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{escape(cell)}</th>' if not place else f"<td>{escape(cell)}</td>"
            for place, cell in enumerate(row)
        )
        + "</tr>\n"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
