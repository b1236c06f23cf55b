"""
What may be said: a closed, reviewed list of commands, and the one way from a command line into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from franklinwh_telemetry.grammar import Grammar
    from franklinwh_telemetry.lines import Lines

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
    or with control characters or surplus spaces. All this shows at once where there is no *grammar* or it is one;
    where it is a function that makes one, which spares a program the work until a line needs it, in `check()`, save
    what is listed twice, or `other`.
    """

    __slots__ = ("_grammar", "_lines", "_members", "_texts", "_unfinished", "_until_interrupted")

    def __init__(
        self,
        commands: Iterable[str],
        *,
        grammar: Grammar | Callable[[], Grammar] | None = None,
        until_interrupted: Iterable[str] = (),
        unfinished: Iterable[str] | None = None,
    ) -> None:
        self._texts = tuple(commands)
        is_given_whole = not callable(grammar)
        if is_given_whole:
            self.check_texts()
        self._grammar = grammar
        self._lines: Lines | None = None
        self._members: dict[str, Command | None] = dict.fromkeys((OTHER, *self._texts))
        if len(self._members) <= len(self._texts):
            text = next(text for text in self._texts if text == OTHER or self._texts.count(text) > 1)
            raise ValueError(f"{text!r} is listed twice" if text != OTHER else "'other' is what is not listed")
        self._until_interrupted = frozenset(until_interrupted)
        unlisted = [text for text in self._until_interrupted if text == OTHER or text not in self._members]
        if unlisted:
            raise ValueError(f"{min(unlisted)!r} is marked as running until interrupted, but is not listed")
        self._unfinished = None if unfinished is None else tuple(unfinished)
        if is_given_whole:
            self._check_by_grammar()

    def check(self) -> None:
        """
        Raise ValueError unless the grammar can produce every entry, each another command, and finished as it is said.

        Done at once where the grammar was given, and not a function that makes it.
        """
        self.check_texts()
        self._check_by_grammar()

    def check_texts(self) -> None:
        """Raise ValueError for the first that is no text of a command, whatever the grammar is."""
        if not _are_plain(self._texts):
            from franklinwh_telemetry.entry import check_texts  # noqa: PLC0415 - seldom needed

            check_texts(self._texts, MAX_COMMAND_CHARS)

    def _check_by_grammar(self) -> None:
        lines = self._by_grammar()
        if lines is not None:
            lines.take_apart()
            finished = [text for text in self._texts if self._is_finished(text)]
            unfinished, self._unfinished = self._unfinished, None  # until they are found right, the grammar reads them
            lines.check_finished(finished)
            self._unfinished = unfinished

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
        if not isinstance(text, str):
            return None
        text = str.__str__(text)  # a subclass may say of itself that it is equal to what it is not
        return self._member(text) if text in self._members else None

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
        return self.execution(line) or self.other

    def execution(self, line: str | Sequence[str]) -> Command | None:
        """What `parse` says of *line*, or None where it `is_informational`; the line is read once."""
        command = self._exactly(line)
        if command is not None:
            return command
        lines = self._by_grammar()
        text = OTHER if lines is None else lines.execution(line)
        return None if text is None else self._member(text)

    def is_informational(self, line: str | Sequence[str]) -> bool:
        """Whether *line* only asks for help or version, or names no command where the program has subcommands."""
        return self.execution(line) is None

    def option_value(self, line: str | Sequence[str], name: str) -> str | None:
        """
        The last value that *line* gives the option of this *name*, under any of its names and wherever it stands.

        For use on this machine only. Of a line that is in error, what argparse would have read before the error.
        """
        lines = self._by_grammar()
        return None if lines is None else lines.option_value(line, name)

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

    def _exactly(self, line: object) -> Command | None:
        """The listed command that *line* is word by word: one that needs no grammar, a text, or where there is none."""
        if isinstance(line, str):
            text = " ".join(line.split())
            if text != line:
                from franklinwh_telemetry.lines import split_at_blanks  # noqa: PLC0415 - few have other or more blanks

                text = " ".join(split_at_blanks(line))
            is_listed = text in self._members
        else:
            words = line if isinstance(line, Sequence) and all(isinstance(word, str) for word in line) else ()
            text = " ".join(words)
            if self._grammar is None:
                is_listed = text in self._members
            else:
                is_listed = self._is_finished(text) and len(words) == text.count(" ") + 1
        return self._member(text) if is_listed else None

    def _is_finished(self, text: str) -> bool:
        """Whether *text* is a listed command of which it was said that it is a line as it stands."""
        unfinished = self._unfinished
        return unfinished is not None and text in self._members and text not in unfinished and text != OTHER

    def _by_grammar(self) -> Lines | None:
        """What reads lines, made for the first that needs it; None for a mere list."""
        if self._lines is None and self._grammar is not None:
            from franklinwh_telemetry.lines import Lines  # noqa: PLC0415 - most lines are known without it

            self._lines = Lines(self._texts, self._grammar, OTHER)
        return self._lines


def _are_plain(texts: Sequence[str]) -> bool:
    """Whether none of them needs a closer look; asked of all at once, which is ten times as fast."""
    if not all(isinstance(text, str) and text for text in texts):
        return False
    together = " ".join(("", *texts, ""))
    return together.isprintable() and "  " not in together and max(map(len, texts), default=0) <= MAX_COMMAND_CHARS
