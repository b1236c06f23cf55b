"""
What may be said: a closed, reviewed list of commands, and the one way from a command line into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from franklinwh_telemetry.entry import Entry
    from franklinwh_telemetry.grammar import Grammar
    from franklinwh_telemetry.reading import Reading

OTHER: Final = "other"
"""What every line is called that no listed command matches."""

MAX_COMMAND_CHARS: Final = 200
"""So that a record stays far below its 4 KiB, however its characters are escaped."""

_SEAL: Final = object()


@final
class Command:
    """
    The name of a command, a member of a `Vocabulary`: only a vocabulary makes one, anything else is a TypeError.

    Equal where the text is equal. `str()` is its text.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str = "", seal: object = None) -> Command:
        """Refuse everybody who does not hold the seal."""
        if seal is not _SEAL:
            raise TypeError("a Command is made by Vocabulary.parse() or Vocabulary.member() only")
        command = super().__new__(cls)
        object.__setattr__(command, "text", text)
        return command

    def __init_subclass__(cls) -> None:
        raise TypeError("Command is final")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Command cannot change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Command cannot change")

    def __copy__(self) -> Command:
        return self

    def __deepcopy__(self, memo: object) -> Command:
        return self

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Command) else NotImplemented

    def __hash__(self) -> int:
        return hash((Command, self.text))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Command {self.text!r}>"


class Vocabulary:
    """
    An explicit, ordered, finite list of commands, each of which a person reviewed.

    A command is a subcommand path (`status`, `network scan`), with the options that must be given for it
    (`tou --set`), and the one value that an option or positional must have (`mode --set self_consumption`,
    `fetch GET`). Without a *grammar* only the very text of a command is a member. *until_interrupted* are the
    listed commands which Ctrl-C ends in success. *unfinished* are those whose words alone are no line that the
    program takes, for want of a value (`tou --set`); where it is given, a line that is one of the others word for
    word is known without the grammar.

    Raises ValueError, in one line, for a list that nobody can have meant: an entry that the grammar cannot
    produce, one listed twice (even in other words), an empty one, `other`, one of more than 200 characters,
    or with control characters or surplus spaces. What the grammar cannot produce shows at once where *grammar*
    is one; where it is a function that makes one, which spares a program the work until a line needs it, in
    `check()`.
    """

    __slots__ = ("_entries", "_grammar", "_lines", "_make_grammar", "_members", "_texts", "_until_interrupted")

    def __init__(
        self,
        commands: Iterable[str],
        *,
        grammar: Grammar | Callable[[], Grammar] | None = None,
        until_interrupted: Iterable[str] = (),
        unfinished: Iterable[str] | None = None,
    ) -> None:
        self._texts = tuple(commands)
        self._make_grammar = grammar if callable(grammar) else None
        self._grammar = None if callable(grammar) else grammar
        self._entries: dict[str, dict[tuple[str, ...], list[Entry]]] = {}
        if not _are_plain(self._texts):
            from franklinwh_telemetry.entry import check_texts  # noqa: PLC0415 - seldom needed

            check_texts(self._texts, MAX_COMMAND_CHARS)
        self._members: dict[str, Command | None] = dict.fromkeys((OTHER, *self._texts))
        if len(self._members) <= len(self._texts):
            text = next(text for text in self._texts if text == OTHER or self._texts.count(text) > 1)
            raise ValueError(f"{text!r} is listed twice" if text != OTHER else "'other' is what is not listed")
        self._until_interrupted = frozenset(until_interrupted)
        unlisted = sorted(self._until_interrupted.difference(self._texts))
        if unlisted:
            raise ValueError(f"{unlisted[0]!r} is marked as running until interrupted, but is not listed")
        self._lines = frozenset(() if unfinished is None else self._texts).difference(unfinished or ())
        if self._grammar is not None:
            self.check()

    def check(self) -> None:
        """
        Raise ValueError unless the grammar can produce every entry, each another command, and finished as it is said.

        Done at once where the grammar was given, and not a function that makes it.
        """
        grammar = self._needed_grammar()
        if grammar is not None:
            from franklinwh_telemetry.entry import entries_by_word  # noqa: PLC0415 - a mere list does not need it

            self._entries = entries_by_word(self._texts, grammar)
            lines, self._lines = self._lines, frozenset()  # until they are found right, the grammar reads them
            for text in lines:
                if self.execution(text.split(" ")) != self._member(text):
                    raise ValueError(f"{text!r} is unfinished: it alone is no line that the program takes")
            self._lines = lines

    @classmethod
    def from_parser(cls, program: Any, commands: Iterable[str] | None = None, **rest: Any) -> Vocabulary:
        """
        The vocabulary of an argparse, click or typer program: *commands* by its grammar, or the default list.

        *program* is an `argparse.ArgumentParser`, a `click.Command` or a `typer.Typer`. The default is each subcommand
        path, and each with one flag; *rest* as for `vocabulary_of` of `franklinwh_telemetry.integrations.argparse` and
        `.click_grammar`.
        """
        if hasattr(program, "make_context") or hasattr(program, "add_typer"):
            from franklinwh_telemetry.integrations import click_grammar as looker  # noqa: PLC0415 - only on request
        else:
            from franklinwh_telemetry.integrations import argparse as looker  # type: ignore[no-redef]  # noqa: PLC0415
        return looker.vocabulary_of(program, commands, **rest)

    @property
    def commands(self) -> tuple[str, ...]:
        """The reviewed list, in its order, without `other`."""
        return self._texts

    @property
    def other(self) -> Command:
        """The command that every line is which no listed command matches."""
        return self._member(OTHER)

    def member(self, text: object) -> Command | None:
        """The command of exactly this text, `other` included; None if there is none."""
        return self._member(text) if isinstance(text, str) and text in self._members else None

    def parse(self, line: str | Sequence[str]) -> Command:
        """
        The listed command that *line* is, else `other`; never raises.

        *line* is what follows the program's name, as a list of words, or as one text that is split like a shell
        would. A text that is itself a listed command is that command, complete or not (`tou --set`). Otherwise
        the line is read as the program's argparse would read it, and among the listed commands of its
        subcommand whose options and values are all there, the one that names the most of them is the answer,
        the earlier one on a tie. Positional words that nothing asks for change nothing; unknown options, missing
        values, invalid choices and unknown subcommands make it `other`, and so do help and version.
        """
        text = self._exactly(line)
        return self._member(text) if text is not None else self._named(self._read(line))

    def execution(self, line: str | Sequence[str]) -> Command | None:
        """What `parse` says of *line*, or None where it `is_informational`; the line is read once."""
        text = self._exactly(line)
        if text is not None:
            return self._member(text)
        reading = self._read(line)
        return None if self._informs(reading) else self._named(reading)

    def _named(self, reading: Reading | None) -> Command:
        if reading is None or reading.rejected or reading.informed:
            return self.other
        for entry in self._entries_of(reading):
            if entry.is_in(reading):
                return self._member(entry.text)
        return self.other

    def is_informational(self, line: str | Sequence[str]) -> bool:
        """Whether *line* only asks for help or version, or names no command where the program has subcommands."""
        return self._exactly(line) is None and self._informs(self._read(line))

    def _informs(self, reading: Reading | None) -> bool:
        if reading is None or self._grammar is None:
            return False
        return reading.informed or bool(self._grammar.subcommands and not reading.path and not reading.rejected)

    def option_value(self, line: str | Sequence[str], name: str) -> str | None:
        """
        The last value that *line* gives the option of this *name*, under any of its names and wherever it stands.

        For use on this machine only. Of a line that is in error, what argparse would have read before the error.
        """
        reading = self._read(line)
        values = reading.given.get(name) if reading is not None else None
        return values[-1] if values else None

    def is_until_interrupted(self, command: Command) -> bool:
        """Whether ending the *command* with Ctrl-C is its success."""
        return command.text in self._until_interrupted

    def capacity_bits(self) -> float:
        """How much one event can tell besides its time facts and ids: which command, `other` included, and success."""
        from math import log2  # noqa: PLC0415 - nothing on the user's path asks for it

        return log2(len(self._members)) + 1

    def _member(self, text: str) -> Command:
        command = self._members[text]
        if command is None:
            command = self._members[text] = Command(text, _SEAL)
        return command

    def _exactly(self, line: object) -> str | None:
        """The listed text that *line* is word by word: one that needs no grammar, a text, or where there is none."""
        if isinstance(line, str):
            text = " ".join(_split_at_blanks(line))
            return text if text in self._members else None
        words = _words(line) or []
        text = " ".join(words)
        if self._grammar is None and self._make_grammar is None:
            return text if text in self._members else None
        return text if text in self._lines and len(words) == text.count(" ") + 1 else None

    def _read(self, line: object) -> Reading | None:
        words = _words(line)
        grammar = self._needed_grammar()
        if grammar is None or words is None:
            return None
        from franklinwh_telemetry.reading import read  # noqa: PLC0415 - a mere list does not need it

        return read(grammar, words)

    def _needed_grammar(self) -> Grammar | None:
        if self._grammar is None and self._make_grammar is not None:
            self._grammar = self._make_grammar()
        return self._grammar

    def _entries_of(self, reading: Reading) -> Iterable[Entry]:
        """The entries of the line's subcommand, those that ask for the most first; unless checked, what it may be."""
        from franklinwh_telemetry.entry import ROOT, candidates, entries_by_path  # noqa: PLC0415 - as above

        word = reading.path[0] if reading.path else ROOT
        below = self._entries.get(word)
        if below is None and self._grammar is not None:
            texts = (text for text in self._texts if text.split(" ", 1)[0] == word)
            try:
                below = entries_by_path(candidates(texts, reading, self._grammar), self._grammar)
            except ValueError:  # of which `check` tells: a line is no place for it
                return ()
        return below.get(reading.path, ()) if below else ()


def _are_plain(texts: Sequence[str]) -> bool:
    """Whether none of them needs a closer look; asked of all at once, which is ten times as fast."""
    if not all(isinstance(text, str) and text for text in texts):
        return False
    together = " ".join(("", *texts, ""))
    return together.isprintable() and "  " not in together and max(map(len, texts), default=0) <= MAX_COMMAND_CHARS


def _words(line: object) -> list[str] | None:
    """The words of a line; None where it has none that a shell would pass on."""
    if isinstance(line, str):
        if "'" in line or '"' in line or "\\" in line:
            import shlex  # noqa: PLC0415 - seldom needed

            try:
                return shlex.split(line)
            except ValueError:
                return None
        return _split_at_blanks(line)
    if isinstance(line, Sequence) and all(isinstance(word, str) for word in line):
        return list(line)
    return None


def _split_at_blanks(text: str) -> list[str]:
    """Split where a shell does; unlike `str.split`, no-break spaces and line separators stay."""
    return [word for word in text.replace("\t", " ").replace("\n", " ").replace("\r", " ").split(" ") if word]
