"""
Drawing on a terminal, by rich: nothing is cut off, nothing is read as markup, and what has no room is stacked.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO, final

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from franklinwh_telemetry.console import Watch

_NARROW: Final = 60
"""Below this many columns a label stands above what belongs to it."""

_NARROWEST: Final = 10
"""Fewer columns are taken for so many."""

_LABEL: Final = "dim"
_WARNING: Final = "yellow"
_HEADING: Final = {True: "bold green", False: "bold", None: "bold"}
_UPDATES_A_SECOND: Final = 8


@final
class Drawing:
    """Draws for one stream: its width, its colours and its encoding."""

    def __init__(self, stream: TextIO) -> None:
        width = max(_NARROWEST, shutil.get_terminal_size().columns)
        self._console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)

    def heading(self, text: str, *, good: bool | None = None) -> str:
        """A line that stands out."""
        return self._draw(Text(text, style=_HEADING[good], overflow="fold"))

    def paragraphs(self, lines: Sequence[str]) -> str:
        """Sentences, wrapped at words; what stands behind spaces stays behind them."""
        return self._draw(*map(_paragraph, lines))

    def facts(self, facts: Sequence[tuple[str, str]], warnings: frozenset[str]) -> str:
        """A label and what belongs to it: beside each other, or below where that would be too narrow."""
        if self._console.width < _NARROW:
            return self._draw(*(drawn for fact in facts for drawn in self._one_by_one(fact, warnings)))
        grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        grid.add_column(no_wrap=True, style=_LABEL)
        grid.add_column(overflow="fold", ratio=1)
        for label, text in facts:
            grid.add_row(label, Text(text, style=_WARNING if label in warnings else "", overflow="fold"))
        return self._draw(Padding(grid, (0, 0, 0, 2)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """Rows below columns, or, where a row has no room, each row as facts."""
        natural = sum(
            max(cell_len(column), *(cell_len(row[index]) for row in rows)) + 2 for index, column in enumerate(columns)
        )
        if natural + 2 > self._console.width:
            blocks = (self.facts(list(zip(columns, row, strict=True)), frozenset()) for row in rows)
            return "\n".join(blocks)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold", header_style="bold")
        for row in rows:
            table.add_row(*(Text(cell, overflow="fold") for cell in row))
        return self._draw(Padding(table, (0, 0, 0, 1)))

    @contextmanager
    def progress(self) -> Iterator[Watch]:
        """A line that is kept up to date, and gone at the end."""
        with Live(console=self._console, transient=True, refresh_per_second=_UPDATES_A_SECOND) as live:

            def watch(destination: str, done: int, total: int, seconds: float) -> None:
                text = f"{done} of {total} delivered to {destination}, {seconds:.0f} s; Ctrl-C stops"
                live.update(Text(text, overflow="fold"))

            yield watch

    def _one_by_one(self, fact: tuple[str, str], warnings: frozenset[str]) -> Iterator[RenderableType]:
        label, text = Text(fact[0], style=_LABEL, overflow="fold"), Text(fact[1], overflow="fold")
        if fact[0] in warnings:
            text.stylize(_WARNING)
        if label.cell_len + 2 + text.cell_len <= self._console.width:
            yield Text.assemble(label, "  ", text)
        else:
            yield label
            yield Padding(text, (0, 0, 0, 2))

    def _draw(self, *drawn: RenderableType) -> str:
        with self._console.capture() as captured:
            for each in drawn:
                self._console.print(each)
        # What a grid fills up with is not there for whoever copies a line.
        return "".join(f"{line.rstrip(' ')}\n" for line in captured.get().splitlines())


def _paragraph(line: str) -> RenderableType:
    indented = line.lstrip(" ")
    text = Text(indented, overflow="fold")
    return Padding(text, (0, 0, 0, len(line) - len(indented))) if line != indented else text
