"""
What the command line prints: plain lines into a pipe or a file, and on a terminal the same, drawn.

rich is loaded only when something is drawn.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from franklinwh_telemetry.drawing import Drawing
    from franklinwh_telemetry.plan import Plan

    Watch = Callable[[str, int, int, float], None]

_UNDRAWN: Final = ("dumb", "unknown")
REFUSED: Final = 1


def examples(*lines: str) -> str:
    """What the help of a command ends with; click keeps the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  franklinwh-telemetry {line}" for line in lines)])


@final
class Screen:
    """
    Standard output of one command.

    Nothing here raises where it cannot be written: `status` tells the exit status at the end, so that a command with
    something to do does it, whoever has stopped reading.
    """

    def __init__(self) -> None:
        self._drawing: Drawing | None = None
        self.failed: OSError | None = None
        if is_drawn(sys.stdout, os.environ):
            from franklinwh_telemetry.drawing import Drawing  # noqa: PLC0415 - loads rich

            self._drawing = Drawing(sys.stdout)

    def lines(self, lines: Iterable[str]) -> None:
        """Sentences, each on a line of its own."""
        texts = [plain.printable(line) for line in lines]
        self._write(plain.say(texts) if self._drawing is None else self._drawn(self._drawing.paragraphs(texts)))

    def heading(self, text: str, *, good: bool | None = None) -> None:
        """What follows; *good* colours it on a terminal."""
        text = plain.printable(text)
        self._write(plain.say([text]) if self._drawing is None else self._drawn(self._drawing.heading(text, good=good)))

    def facts(self, facts: Sequence[tuple[str, str]], width: int, *, warnings: Iterable[str] = ()) -> None:
        """Labels of at most *width* characters, and what belongs to each; *warnings* are labels to look at."""
        if self._drawing is None:
            self._write(plain.say(plain.facts_lines(facts, width)))
        else:
            told = [(label, plain.printable(text)) for label, text in facts]
            self._write(self._drawn(self._drawing.facts(told, frozenset(warnings))))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows below columns."""
        if self._drawing is None:
            self._write(plain.say(plain.table_lines(columns, rows)))
        else:
            cells = [[plain.printable(cell) for cell in row] for row in rows]
            self._write(self._drawn(self._drawing.table(columns, cells)))

    def text(self, text: str) -> None:
        """Text for programs, as it is."""
        self._write(plain.write(f"{text}\n", sys.stdout))

    def data(self, data: bytes) -> None:
        """Bytes as they are."""
        self._write(plain.write_bytes(data, sys.stdout))

    def watching(self) -> AbstractContextManager[Watch | None]:
        """Where somebody watches, a display of how far sending has come, to be told destination, count, total, s."""
        return nullcontext() if self._drawing is None else self._drawing.progress()

    def status(self, status: int) -> int:
        """The exit status: *status*, unless what had to be told could not be."""
        if self.failed is None:
            return status
        if plain.is_closed_pipe(self.failed):
            return status or plain.NOBODY_READS
        plain.say([f"Error: standard output cannot be written: {self.failed.strerror}"], sys.stderr)
        return status or REFUSED

    def _drawn(self, text: str) -> OSError | None:
        return plain.write(text, sys.stdout)

    def _write(self, refused: OSError | None) -> None:
        self.failed = self.failed or refused


@final
class PlanOnScreen:
    """Shows what `on` would do, under the name of the application where there are several."""

    def __init__(self, screen: Screen, *, several: bool) -> None:
        self._screen = screen
        self._several = several

    def shows(self, plan: Plan) -> bool:
        """Print *plan*; False where it could not be printed."""
        from franklinwh_telemetry.plan import LABEL_WIDTH  # noqa: PLC0415 - `run` and `--version` need none of it

        if self._several:
            self._screen.heading(f"{plan.application}:")
        self._screen.heading(plan.heading)
        self._screen.facts(plan.facts(), LABEL_WIDTH)
        self._screen.lines(plan.remarks())
        return self._screen.failed is None


def is_drawn(stream: object, environ: Mapping[str, str]) -> bool:
    """Whether *stream* is a terminal that can place and colour text, or is to be taken for one (`FORCE_COLOR`)."""
    if environ.get("FORCE_COLOR"):
        return stream is not None
    if environ.get("TERM", "").lower() in _UNDRAWN:
        return False
    try:
        return stream is not None and stream.isatty()  # type: ignore[attr-defined]
    except ValueError:  # it was closed
        return False
