"""
The survivors: mutants that no test kills, one line each with the reason why none could, and the table of the results.

A line is `module: line of the source: what -> becomes  # reason`; it is known again by all but the reason, so that it
does not change with a line's number.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

UNEXPLAINED = "UNEXPLAINED"
MARK = "  # "
HEADER = """\
# Mutants that no test kills, each with the reason why none could: `make mutate` fails for one without a reason, and for
# a reason without its mutant. It writes this file; the reasons, after the last "  # " of a line, are written by people.
"""
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"
MAX_SHOWN = 60
ROW = re.compile(r"\| `([^`]+)` \|")


@dataclass(frozen=True)
class Result:
    """What became of the mutants of one module; `stillborn` ones do not compile, and are none."""

    module: str
    mutants: int
    survivors: tuple[str, ...]
    stillborn: int = 0

    @property
    def killed(self) -> int:
        """How many a test, or the time limit, has shown."""
        return self.mutants - len(self.survivors)


def keys(told: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """What mutants are known by, from module, line, what and becomes; the second of two that read alike is numbered."""
    seen: Counter[str] = Counter()
    found = []
    for module, line, what, becomes in told:
        key = f"{module}: {line}: {shortened(what)} -> {shortened(becomes)}"
        seen[key] += 1
        found.append(key if seen[key] == 1 else f"{key} ({seen[key]})")
    return found


def shortened(text: str) -> str:
    """A text that the line shows anyway need not stand there twice in full."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def listed(text: str) -> dict[str, str]:
    """What is after each mutant in a file of survivors, by what it is known by."""
    lines = (line.rpartition(MARK) for line in text.splitlines() if not line.startswith("#"))
    return {key: reason.strip() for key, _, reason in lines if key}


def reasons(lines: dict[str, str]) -> dict[str, str]:
    """Those that have a reason."""
    return {key: reason for key, reason in lines.items() if reason not in ("", UNEXPLAINED)}


def counted(page: str) -> dict[str, int]:
    """How many mutants of each module the page's table tells of."""
    rows = (line for line in page.splitlines() if ROW.match(line))
    return {row.split("`")[1]: int(row.split("|")[2]) for row in rows}


def module_of(key: str) -> str:
    """The module of a mutant."""
    return key.partition(": ")[0]


def written(before: dict[str, str], results: Iterable[Result], order: Iterable[str]) -> str:
    """
    The file: the survivors of these results, and all that was *listed* before, but for what needs no reason any more.

    A reason that matches nothing stays, for `faults` to name it and a person to take it out.
    """
    lines = dict(before)
    for result in results:
        killed = [key for key in lines if module_of(key) == result.module and key not in result.survivors]
        for key in killed:
            if lines[key] == UNEXPLAINED:
                del lines[key]
        for key in result.survivors:
            lines.setdefault(key, UNEXPLAINED)
    rank = {module: place for place, module in enumerate(order)}
    sorted_keys = sorted(lines, key=lambda key: (rank.get(module_of(key), len(rank)), key))
    return HEADER + "".join(f"{key}{MARK}{lines[key]}\n" for key in sorted_keys)


def faults(explained: dict[str, str], results: Iterable[Result]) -> list[str]:
    """What makes the run fail, one line each: a survivor without a reason, a reason without its survivor."""
    found = []
    for result in results:
        found += [
            f"survived, and no test or reason says why: {key}" for key in result.survivors if key not in explained
        ]
        stale = [key for key in explained if module_of(key) == result.module and key not in result.survivors]
        found += [f"is killed now, or is not there: take the line out: {key}" for key in stale]
    return found


def table(page: str, results: Iterable[Result], order: Iterable[str]) -> str:
    """The page with the rows of these results in its table, the others as they were, and the sum below."""
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {match[1]: line for line in old.splitlines() if (match := ROW.match(line))}
    for result in results:
        cells = (result.mutants, result.killed, len(result.survivors))
        rows[result.module] = f"| `{result.module}` | " + " | ".join(str(cell) for cell in cells) + " |"
    kept = [rows[module] for module in order if module in rows]
    sums = [sum(int(row.split("|")[column]) for row in kept) for column in (2, 3, 4)]
    head = ["| module | mutants | killed | survivors |", "|---|---|---|---|"]
    total = "| all | " + " | ".join(str(number) for number in sums) + " |"
    return before + BEGIN + "\n".join([*head, *kept, total]) + "\n" + END + after
