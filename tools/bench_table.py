"""Rows of figures, as they are printed, kept as JSON, and written into the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench_stats import Estimate

Cell = str | float | int | None


class Table(NamedTuple):
    """One part of the benchmark: what was measured, how, and what came out."""

    name: str
    title: str
    method: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    remarks: list[str]

    def as_json(self) -> dict[str, object]:
        """The table as data: one object a row."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"name": self.name, "title": self.title, "method": self.method, "rows": rows, "remarks": self.remarks}

    def as_markdown(self) -> str:
        """The table as a page has it."""
        lines = [f"## {self.title}", "", self.method, "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([shown(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, "", *(f"- {remark}" for remark in self.remarks)]).rstrip() + "\n"

    def as_text(self) -> str:
        """The table as a terminal shows it."""
        cells = [list(self.columns), *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[index]) for row in cells) for index in range(len(self.columns))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        return "\n".join(["", self.title, "", *lines, "", *self.remarks])


def verdict(found: Estimate, goal: float) -> str:
    """Whether the median keeps within the goal; a question mark where the interval reaches over it to either side."""
    answer = "yes" if found.median <= goal else "NO"
    return answer if found.high <= goal or found.low > goal else f"{answer}?"


def shown(cell: Cell) -> str:
    """A cell as text."""
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
