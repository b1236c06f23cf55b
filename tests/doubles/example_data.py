"""
Writes the pages of example data: what PostHog gets of one command, and what is kept of Scarf's answers, byte for byte.

`python tests/doubles/example_data.py` after what is sent has changed; then read what changed. The tests never write.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"<!-- (?P<name>[a-z-]+) -->\n```(?P<language>\w+)\n.*?\n```", re.DOTALL)
KEY = "phc_your_project_key"
INSTALLS = "franklinwh_telemetry.maintainer.installs"


def posthog() -> dict[str, str]:
    """The blocks of the page about PostHog, by name."""
    from doubles import contract
    from franklinwh_telemetry.destination import Destination, parse_destination
    from franklinwh_telemetry.sender.delivery import preview

    record = contract.record_of(contract.build("options"))
    to_posthog = parse_destination(f"posthog:{KEY}")
    to_collector = parse_destination("https://collector.example")
    assert isinstance(to_posthog, Destination)
    assert isinstance(to_collector, Destination)
    check, events = (text_of(raw) for raw in preview(contract.APPLICATION, to_posthog, [record]))
    body = json.loads(events.rpartition("\n")[2])
    return {
        "event": json.dumps(body["batch"][0], indent=2),
        "key-check": check,
        "events": events,
        "otlp": json.dumps(contract.build("options")["otlp"], indent=2),
    }


def text_of(raw: bytes) -> str:
    """A request as it is read; its bytes are these, with a carriage return before each line feed of the head."""
    return raw.decode().replace("\r\n", "\n").rstrip("\n")


_OF_ONE_DAY = {"date": "2026-11-24", "artifact": "franklinwh-telemetry", "rollup": "daily"}
SCARF_ANSWERS = [
    {**_OF_ONE_DAY, "breakdown": "by-version", "version": "0.1.0", "total": 120, "total_unique": 90},
    {
        **_OF_ONE_DAY,
        "breakdown": "by-platform",
        "platform": "linux-amd64",
        "total": 108,
        "company_name": "Surprise",
    },
    {**_OF_ONE_DAY, "breakdown": "by-country", "country": "US", "total": 71, "company_domain": "surprise.example"},
]
"""Lines in the form of Scarf's published interface; the names of companies are among what it may add to a line."""


def scarf() -> dict[str, str]:
    """The blocks of the page about Scarf, by name."""
    installs = importlib.import_module(INSTALLS)
    lines = [json.dumps(answer) for answer in SCARF_ANSWERS]
    kept = [installs.parse_line(line.encode()) for line in lines]
    fields = [row.to_fields() for row in kept if isinstance(row, installs.Row)]
    return {"answer": "\n".join(lines), "kept": "\n".join(map(json.dumps, fields))}


PAGES = {"example-data-posthog.md": posthog}
if importlib.util.find_spec(INSTALLS):
    PAGES["example-data-scarf.md"] = scarf


def filled(page: str, blocks: dict[str, str]) -> str:
    """The page with each named block as it is made today; KeyError for a block that nobody makes."""
    return BLOCK.sub(
        lambda found: f"<!-- {found['name']} -->\n```{found['language']}\n{blocks[found['name']]}\n```", page
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    for name, made in PAGES.items():
        path = DOCS / name
        path.write_text(filled(path.read_text(encoding="utf-8"), made()), encoding="utf-8")
