"""
Lines that are no listed text word for word: read by the program's grammar, down to the listed command they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from franklinwh_telemetry.entry import Entry
    from franklinwh_telemetry.grammar import Grammar
    from franklinwh_telemetry.reading import Reading


class Lines:
    """
    The lines of a program, by its *grammar*: which of the listed *texts* each is, or *other*.

    Where the grammar is a function that makes one, it is called at the first need.
    """

    __slots__ = ("_entries", "_grammar", "_other", "_texts")

    def __init__(self, texts: tuple[str, ...], grammar: Grammar | Callable[[], Grammar], other: str) -> None:
        self._texts = texts
        self._grammar = grammar
        self._other = other
        self._entries: dict[str, dict[tuple[str, ...], list[Entry]]] = {}

    def take_apart(self) -> None:
        """Take the texts apart once, for all lines; raise ValueError for one that the grammar has not, or has twice."""
        from franklinwh_telemetry.entry import entries_by_word  # noqa: PLC0415 - an option's value does not need it

        self._entries = entries_by_word(self._texts, self._needed_grammar())

    def check_finished(self, texts: Iterable[str]) -> None:
        """Raise ValueError for a text whose words alone are no line of that command."""
        for text in texts:
            if self.execution(text.split(" ")) != text:
                raise ValueError(f"{text!r} is unfinished: it alone is no line that the program takes")

    def execution(self, line: object) -> str | None:
        """The text that *line* is, or *other*; None where it only informs."""
        reading = self._read(line)
        if reading is None:
            return self._other
        grammar = self._needed_grammar()
        if reading.informed or (grammar.subcommands and not reading.path and not reading.rejected):
            return None
        if not reading.rejected:
            for entry in self._entries_of(reading):
                if entry.is_in(reading):
                    return entry.text
        return self._other

    def option_value(self, line: object, name: str) -> str | None:
        """The last value that *line* gives the option of this *name*."""
        reading = self._read(line)
        values = reading.given.get(name) if reading is not None else None
        return values[-1] if values else None

    def _read(self, line: object) -> Reading | None:
        words = _words(line)
        if words is None:
            return None
        from franklinwh_telemetry.reading import read  # noqa: PLC0415 - what is no line does not need it

        return read(self._needed_grammar(), words)

    def _needed_grammar(self) -> Grammar:
        grammar = self._grammar
        if callable(grammar):
            grammar = self._grammar = grammar()
        return grammar

    def _entries_of(self, reading: Reading) -> Iterable[Entry]:
        """The entries of the line's subcommand, those that ask for the most first; unless checked, what it may be."""
        from franklinwh_telemetry.entry import ROOT, candidates, entries_by_path  # noqa: PLC0415 - as above

        word = reading.path[0] if reading.path else ROOT
        below = self._entries.get(word)
        if below is None:
            grammar = self._needed_grammar()
            texts = (text for text in self._texts if text.split(" ", 1)[0] == word)
            try:
                below = entries_by_path(candidates(texts, reading, grammar), grammar)
            except ValueError:  # of which `check` tells: a line is no place for it
                return ()
        return below.get(reading.path, ())


def _words(line: object) -> list[str] | None:
    """The words of a line; None where it has none that a shell would pass on."""
    if isinstance(line, str):
        if "'" in line or '"' in line or "\\" in line:
            import shlex  # noqa: PLC0415 - seldom needed

            try:
                return shlex.split(line)
            except ValueError:
                return None
        return split_at_blanks(line)
    if isinstance(line, Sequence) and all(isinstance(word, str) for word in line):
        return list(line)
    return None


def split_at_blanks(text: str) -> list[str]:
    """Split where a shell does; unlike `str.split`, no-break spaces and line separators stay."""
    return [word for word in text.replace("\t", " ").replace("\n", " ").replace("\r", " ").split(" ") if word]
