"""
A list of things to do: a small program with telemetry.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from franklinwh_telemetry import Telemetry, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser() -> argparse.ArgumentParser:
    """Return the program's whole command line."""
    parser = argparse.ArgumentParser(prog="todo")
    parser.add_argument("--file", type=Path, default=Path("todo.txt"))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("add").add_argument("text")
    commands.add_parser("list")
    commands.add_parser("done").add_argument("number", type=int)
    return parser


PARSER = make_parser()
TELEMETRY = Telemetry("todo", Vocabulary.from_parser(PARSER), destination="https://collector.example")


def work(argv: Sequence[str] | None) -> int:
    """Do what the command line says, and return the exit status."""
    asked = PARSER.parse_args(argv)
    lines = asked.file.read_text(encoding="utf-8").splitlines() if asked.file.exists() else []
    if asked.command == "add":
        lines.append(asked.text)
    elif asked.command == "list":
        print(*(f"{number} {line}" for number, line in enumerate(lines, 1)), sep="\n")
    elif 0 < asked.number <= len(lines):
        del lines[asked.number - 1]
    else:
        print(f"there is no {asked.number}", file=sys.stderr)
        return 1
    asked.file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; *argv* is the process's own by default."""
    return TELEMETRY.run(lambda: work(argv), argv)


if __name__ == "__main__":
    sys.exit(main())
