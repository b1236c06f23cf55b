"""
Plays the sessions of a page, the blocks marked `console`, as a homeowner with a terminal of 80 columns types them.

`python tests/doubles/consoles.py PAGE` writes into the page what the commands print today, for a user whose home is
`/home/alice`, which must be there and empty. The tests never write: they compare all but what differs between runs.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

HOME = "/home/alice"
STATE = f"{HOME}/.local/state/franklinwh-telemetry"
BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
QUESTION = "[y/N] "
SKIPPED = "..."
"""A line of a session that stands for whatever is printed there."""

VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<date>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<loopback>"),
    (re.compile(r"\d+ms"), "<latency>"),
    (re.compile(r"spool-\w+"), "<spool>"),
    (re.compile(r"─+"), "─"),
)
"""What differs between two runs, found in text without white space."""


class Step(NamedTuple):
    """One command of a session, and what the page says that it prints."""

    command: str
    shown: str


def steps(block: str) -> list[Step]:
    """The commands of a session in their order."""
    found = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [Step(*text.partition("\n")[::2]) for text in found]


def sessions(page: Path) -> list[Step]:
    """All commands of a page, which are one session."""
    return [step for block in BLOCK.findall(page.read_text(encoding="utf-8")) for step in steps(block)]


def play(command: str) -> str:
    """What the terminal shows of a command that is run in the present home; a question is answered by yes."""
    from doubles import terminals

    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    seen = terminals.run(["sh", "-c", command], typed=b"y\n", PATH=path)
    text = re.sub(r"[^\n]*Ctrl-C stops\s*", "", seen.text)
    return text.removeprefix("y\n").replace(QUESTION, f"{QUESTION}y\n").lstrip()


def unvaried(text: str, places: dict[str, str]) -> str:
    """A text without white space and what differs between runs; *places* are paths here, and as the page has them."""
    found = re.sub(r"\s", "", text)
    for here, there in places.items():
        found = found.replace(re.sub(r"\s", "", here), there)
    for pattern, name in VARYING:
        found = pattern.sub(name, found)
    return found


def agrees(step: Step, printed: str, places: dict[str, str]) -> bool:
    """Whether a page shows what was printed."""
    parts = re.split(rf"^{re.escape(SKIPPED)}$", step.shown, flags=re.MULTILINE)
    wanted = ".*".join(re.escape(unvaried(part, {})) for part in parts)
    return re.fullmatch(wanted, unvaried(printed, places), re.DOTALL) is not None


def _write(page: Path) -> None:
    """Replace what each command prints by what it prints today, but where the page skips it."""

    def replayed(match: re.Match[str]) -> str:
        lines = []
        for step in steps(match[1]):
            printed = play(step.command)
            shown = step.shown if SKIPPED in step.shown.splitlines() else printed
            lines.append(f"$ {step.command}\n" + "".join(f"{line.rstrip()}\n" for line in shown.splitlines()))
        return "".join(lines)

    page.write_text(BLOCK.sub(replayed, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ |= {"HOME": HOME, "FRANKLINWH_TELEMETRY_SENDER": "1"}
    target = Path(sys.argv[1]).resolve()
    os.chdir(HOME)
    _write(target)
